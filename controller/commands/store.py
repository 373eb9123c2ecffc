"""Commands about the telemetry store: init, schema, copy, export, import, rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import TaskID
from rich.table import Table

from controller.commands.configured import configured
from controller.commands.console import JsonOption, bar, err, fail, out, print_json
from controller.config import Config

if TYPE_CHECKING:  # a store's libraries take their time to load: only these commands pay for it
    from controller.store.interface import Adapter
    from controller.store.transfer import Transferred

store = typer.Typer(
    help="Set up, look at and move the telemetry store. A PLACE is a configuration (.yaml): the "
    "store that it names; or a file of the embedded store.",
    no_args_is_help=True,
)

PlaceArgument = Annotated[Path, typer.Argument(metavar="PLACE", help="configuration, or file")]
FromOption = Annotated[Path, typer.Option("--from", metavar="PLACE", help="where it is")]
ToOption = Annotated[Path, typer.Option("--to", metavar="PLACE", help="where it goes")]
OnlyOption = Annotated[str | None, typer.Option("--only", metavar="A,B", help="these measurements")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="ISO 8601, such as 2026-07-01T18:00Z")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="as --since")]
DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="of Parquet files")]


@store.command(epilog="Example: umbra store init fabric.yaml")
def init(place: PlaceArgument, as_json: JsonOption = False) -> None:
    """Make databases, retention and downsampling where they are missing or differ. May be repeated."""
    from controller.store.interface import Retention

    config = _config(place)
    retention = Retention(604_800.0, 7_776_000.0)
    if config is not None:
        retention = Retention(
            config.store.retention_s,
            config.store.long_retention_s,
            config.store.retention_of_s,
        )
    with _open(place, writing=True) as adapter:
        done = adapter.prepare(retention)
        able = adapter.capabilities
    if as_json:
        print_json(
            {"server": able.name, "version": able.version, "done": done, "cannot": able.cannot}
        )
        return
    console = out()
    console.print(f"{able.name} {able.version}", soft_wrap=True)
    for line in done or ["everything was there already"]:
        console.print(f"  {line}", soft_wrap=True)
    for line in able.cannot:
        console.print(f"  it cannot {line}", soft_wrap=True)


@store.command(epilog="Example: umbra store schema fabric.yaml")
def schema(
    place: Annotated[
        Path | None, typer.Argument(metavar="PLACE", help="also say what is there")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List measurements, tags, fields, units and bounds, and how many series a store has."""
    from controller.store.schema import SCHEMA

    series: dict[str, int | None] = {}
    if place is not None:
        with _open(place) as adapter:
            series = {one.measurement: one.series for one in adapter.listing()}
    if as_json:
        print_json(
            {
                own.name: {
                    "about": own.about,
                    "kept": own.bucket.value,
                    "tags": own.tags,
                    "most_series": own.most_series,
                    "series": series.get(own.name, 0) if place is not None else None,
                    "fields": {
                        one.name: {"type": one.type.value, "unit": one.unit, "about": one.about}
                        for one in own.fields
                    },
                }
                for own in SCHEMA.values()
            }
        )
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("measurement", "tags", "fields", "kept", "series at most", "series"):
        table.add_column(name, overflow="fold")
    for own in SCHEMA.values():
        fields = ", ".join(
            f"{one.name} [{one.unit}]" if one.unit else one.name for one in own.fields
        )
        count = series.get(own.name, 0) if place is not None else None
        table.add_row(
            own.name, ", ".join(own.tags), fields, own.bucket.value, own.most_series,
            "-" if count is None else str(count),
        )  # fmt: skip
    out().print(table)


@store.command(epilog="Example: umbra store copy --from umbra.db --to fabric.yaml")
def copy(
    source: FromOption,
    target: ToOption,
    only: OnlyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy telemetry from one store to another. May be repeated: nothing is there twice."""
    from controller.store import transfer

    with _open(source) as giver, _open(target, writing=True) as taker, _shown() as show:
        done = transfer.copy(
            giver, taker, _only(only), start_ns=_ns(since), end_ns=_ns(until), progress=show
        )
    _tell(done, as_json)


@store.command(name="export", epilog="Example: umbra store export --from fabric.yaml parquet/")
def export_(
    source: FromOption,
    directory: DirectoryArgument,
    only: OnlyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write telemetry into Parquet files, one for each measurement."""
    parquet = _parquet()
    with _open(source) as giver, _shown() as show:
        done = parquet.export(
            giver, directory, _only(only), start_ns=_ns(since), end_ns=_ns(until), progress=show
        )
    _tell(done, as_json)


@store.command(name="import", epilog="Example: umbra store import --to fabric.yaml parquet/")
def import_(
    target: ToOption,
    directory: DirectoryArgument,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read Parquet files of `umbra store export` into a store. May be repeated."""
    parquet = _parquet()
    with _open(target, writing=True) as taker, _shown() as show:
        done = parquet.read_into(taker, directory, _only(only), progress=show)
    _tell(done, as_json)


@store.command(epilog="Example: umbra store rejected fabric.yaml --again")
def rejected(
    place: PlaceArgument,
    again: Annotated[
        bool, typer.Option("--again", help="offer them to the server once more")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the lines that the server refused, and why."""
    from controller.store.influx import InfluxAdapter
    from controller.store.rejected import RejectedLines
    from controller.store.schema import Bucket

    config = _config(place)
    if config is None or config.store.influxdb is None:
        fail(f"{place} names no store.influxdb: nothing is refused there", 2)
    kept = RejectedLines(config.store.influxdb.spool)
    found = list(kept.read())
    if again and found:
        with _open(place, writing=True) as adapter:
            assert isinstance(adapter, InfluxAdapter)
            left = adapter.write_sound(Bucket.RAW, [one.what for _, one in found])
        kept.clear()
        if left:
            kept.add(left, datetime.now(UTC).timestamp())
        found = list(kept.read())
    if as_json:
        print_json(
            [{"time_s": at_s, "reason": one.reason, "line": one.what} for at_s, one in found]
        )
        return
    for at_s, one in found:
        when = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
        out().print(f"{when}  {one.reason}\n  {one.what}", soft_wrap=True)
    out().print(f"{len(found)} lines")


def _config(place: Path) -> Config | None:
    if place.suffix not in (".yaml", ".yml"):
        return None
    return configured(place, check_files=False)


@contextmanager
def _open(place: Path, *, writing: bool = False) -> Iterator[Adapter]:
    """The adapter; ends the command when the store fails."""
    from controller.observe.source import connected, reader
    from controller.store.interface import StoreError
    from controller.store.sqlite import SqliteAdapter

    config = _config(place)
    try:
        if config is not None and config.store.influxdb is not None:
            adapter: Adapter = connected(config.store.influxdb)
        else:
            file = Path(config.store.path) if config is not None else place
            adapter = SqliteAdapter(file) if writing else reader(file)
        with adapter:
            yield adapter
    except (StoreError, ValueError) as error:
        fail(str(error), 1)


def _parquet() -> Any:
    try:
        from controller.store import parquet
    except ImportError:
        fail("Parquet needs pyarrow: pip install 'umbra[parquet]'", 1)
    return parquet


def _only(text: str | None) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()] if text else []


def _ns(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time; write one such as 2026-07-01T18:00:00Z", 2)
    if moment.tzinfo is None:
        fail(f"say which zone {text} is in, such as {text}Z", 2)
    return round(moment.timestamp() * 1e6) * 1000


@contextmanager
def _shown() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr for each measurement, and the function to call."""
    tasks: dict[str, TaskID] = {}
    with bar() as shown:

        def show(name: str, share: float) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=1.0)
            shown.update(tasks[name], completed=share)

        yield show


def _tell(done: Transferred, as_json: bool) -> None:
    if as_json:
        reasons = [{"what": one.what, "reason": one.reason} for one in done.reasons]
        print_json({"points": done.points, "rejected": done.rejected, "reasons": reasons})
    else:
        for name, count in done.points.items():
            out().print(f"{name}: {count} points", soft_wrap=True)
        for one in done.reasons:
            err().print(f"refused: {one.reason}: {one.what[:200]}", style="yellow")
    if done.rejected:
        fail(f"the target refused {done.rejected} points; see the reasons", 1)
