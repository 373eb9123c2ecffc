"""Commands that train and judge models on recorded data: train, backtest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.commands.configured import configured
from controller.commands.console import JsonOption, bar, err, fail, out, print_json
from controller.config import Config
from controller.config.sections import Forecast

if TYPE_CHECKING:  # scikit-learn takes seconds to load: only commands that need it pay for that
    from ml.series import Series
    from ml.settings import Settings

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="a CSV or Parquet file instead of a store"),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="a store that umbra wrote")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="take store, models and horizons from here"),
]
StepOption = Annotated[
    float | None,
    typer.Option("--step", min=0.001, metavar="SECONDS", help="of the data; found when not given"),
]
HorizonsOption = Annotated[
    str | None, typer.Option("--horizons", metavar="SECONDS,…", help="ahead, ascending")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0)]
HORIZON_STEPS = (1, 5, 10, 20)  # when no horizons are given
HISTORY_STEPS = 600  # least history, in steps, when no configuration says


def train(
    data: DataOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    models: Annotated[
        Path | None, typer.Option("--models", metavar="DIR", help="where versions are kept")
    ] = None,
    step_s: StepOption = None,
    horizons: HorizonsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a model on a history and keep it: as challenger, or as champion when it is the first.

    A running daemon with the same models directory takes it up at its next look. Exit code 1 when it
    is no better than the cold-start model.
    """
    from controller.learning.assembly import METRIC
    from ml.life.registry import Origin, Registry, RegistryError
    from ml.life.training import train_kept, with_warner
    from ml.life.version import Standing, State, data_hash

    settings_of = _loaded(config)
    if models is None and settings_of is None:
        fail("nowhere to keep the model; give --models DIR or --config FILE", 2)
    directory = str(models or (settings_of.forecast.models.path if settings_of else ""))
    series, _ = _history(data, store, settings_of)
    settings = _settings(series, settings_of, step_s, horizons)
    registry = Registry(directory, METRIC, settings_of.forecast.models.keep if settings_of else 10)
    with err().status(f"training on {sum(len(one) for one in series)} samples …"):
        kept = train_kept(series, settings, seed)
        limits, budget = _alarm_terms(settings_of)
        kept = with_warner(kept, series, limits, budget, seed)
    report = kept.model.report
    now_s = time.time()
    try:
        state = State.REJECTED
        if report.accepted:
            first = registry.states().holder(State.CHAMPION) is None
            state = State.CHAMPION if first else State.CHALLENGER
        origin = Origin(now_s, data_hash(series), "by hand: umbra train")
        entry = registry.add(kept, origin, Standing(state, now_s, report.reason))
    except (RegistryError, OSError) as error:
        fail(str(error), 1)
    if as_json:
        print_json({**entry.version.to_json(), **entry.standing.to_json()})
    else:
        console = out()
        console.print(f"{entry.id}: {entry.state.value}: {report.reason}", soft_wrap=True)
        if kept.warned is not None:
            rule = "trained rule" if kept.warner is not None else "simple rule"
            console.print(f"alarms by the {rule}: {kept.warned.reason}", soft_wrap=True)
        console.print(
            f"{report.samples} samples, {report.rows} origins, {report.seconds:.1f} s; kept in "
            f"{registry.path / entry.id}",
            soft_wrap=True,
        )
    if not report.accepted:
        raise typer.Exit(1)


def backtest(
    data: DataOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    step_s: StepOption = None,
    horizons: HorizonsOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="judge the probability of exceeding it as well"),
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=20, help="trainings, one after the other")] = 3,
    origins: Annotated[
        int, typer.Option(min=20, help="moments at which all targets are forecast, in all")
    ] = 600,
    seed: SeedOption = 0,
    report: Annotated[
        Path, typer.Option(metavar="FILE", help="write the HTML report there")
    ] = Path("reports/backtest.html"),
    as_json: JsonOption = False,
) -> None:
    """Replay a history: forecast its last 40 % as the controller would have, and compare.

    Each stretch is forecast by a model that was trained on all before it. The report is one
    self-contained HTML page.
    """
    from ml.backtesting import figures, html
    from ml.backtesting.replay import BacktestError, replay

    settings_of = _loaded(config)
    series, source = _history(data, store, settings_of)
    settings = _settings(series, settings_of, step_s, horizons)
    try:
        with _progress() as show:
            found = replay(
                series,
                settings,
                seed=seed,
                folds=folds,
                most_origins=origins,
                threshold=threshold,
                progress=show,
            )
        judged = figures(found, seed)
    except BacktestError as error:
        fail(str(error), 1)
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(html(found, judged, source), encoding="utf-8")
    except OSError as error:
        fail(
            f"the report {report} cannot be written: {error.strerror}; name another with --report",
            1,
        )
    if as_json:
        print_json({"source": source, "report": str(report), **judged.to_json()})
        return
    from controller.commands import model_tables

    console = out()
    console.print(model_tables.backtest(judged))
    console.print(
        f"{judged.forecasts} forecasts of {judged.targets} targets: median "
        f"{judged.mae_over_persistence:.3f}, quantiles {judged.pinball_over_persistence:.3f} of "
        f"persistence's; band {judged.coverage_pct:.1f} % ({judged.nominal_pct:.0f} % promised)",
        soft_wrap=True,
    )
    console.print(f"report: {report}", soft_wrap=True)


def _alarm_terms(config: Config | None) -> tuple[dict[str, float], float]:
    """The routers' limits and the budget of false alarms; without a configuration no limits."""
    if config is None:
        return {}, Forecast().false_alarms_per_day
    from controller.predict import limits

    return limits(config), config.forecast.false_alarms_per_day


def _loaded(config: Path | None) -> Config | None:
    return configured(config, check_files=False) if config is not None else None


def _history(
    data: Path | None, store: Path | None, config: Config | None
) -> tuple[Sequence[Series], str]:
    """The series, and what they are in words."""
    from controller.observe import past
    from ml import series_file

    if data is not None and store is not None:
        fail("give either --data or --store, not both", 2)
    if data is None and store is None and config is None:
        fail("no history to learn from; give --data FILE, --store FILE or --config FILE", 2)
    try:
        if data is not None:
            return series_file.read(data), data.name
        source = store if store is not None or config is None else config.store
        found = [one for one in past.read(source or "", (), 0.0) if len(one)]
    except (past.PastError, series_file.SeriesFileError) as error:
        fail(str(error), 1)
    name = store.name if store is not None else _name(config)
    if not found:
        fail(f"{name} holds no samples yet; let the controller run, or give --data FILE", 1)
    return found, f"store {name}"


def _name(config: Config | None) -> str:
    """Of the configured store."""
    if config is None:
        return ""
    influxdb = config.store.influxdb
    return influxdb.url if influxdb is not None else Path(config.store.path).name


def _settings(
    series: Sequence[Series], config: Config | None, step_s: float | None, horizons: str | None
) -> Settings:
    """From the configuration where there is one, else from the data; what is given by hand counts."""
    from ml.series import NEW_PER_S, companions
    from ml.settings import CONNECTIONS, Settings

    if config is not None:
        from controller.predict import make_forecaster

        settings = _planned(make_forecaster(config).settings, config, series)
    else:
        step = step_s or _step(series)
        arrivals = any(NEW_PER_S in one.channels for one in series)
        settings = Settings(
            metric=CONNECTIONS if arrivals else "value",
            horizons_s=tuple(step * steps for steps in HORIZON_STEPS),
            step_s=step,
            min_history_s=HISTORY_STEPS * step,
            companions=companions(series),
        )
    try:
        if step_s is not None and config is not None:
            settings = replace(settings, step_s=step_s)
        if horizons is not None:
            ahead = tuple(float(part) for part in horizons.split(","))
            settings = replace(settings, horizons_s=ahead)
    except ValueError as error:
        fail(f"--step, --horizons: {error}; write seconds, such as --horizons 60,300,900", 2)
    return settings


def _planned(settings: Settings, config: Config, series: Sequence[Series]) -> Settings:
    """With the events of the configured calendars from the first sample to the last horizon."""
    from controller.config import calendars
    from ml.calendars.file import CalendarError, Window

    first_s = min(float(one.times_s[0]) for one in series)
    last_s = max(float(one.times_s[-1]) for one in series)
    try:
        events = calendars.read(config, Window(first_s, last_s + settings.horizons_s[-1]))
    except CalendarError as error:
        fail(str(error), 1)
    return replace(settings, calendar=settings.calendar + events)


def _step(series: Sequence[Series]) -> float:
    """The usual time between samples, seconds."""
    import numpy as np

    gaps = np.concatenate([np.diff(one.times_s) for one in series])
    if not len(gaps):
        fail("the data has no two samples of one target; give more", 1)
    step_s = float(np.median(gaps))
    return round(step_s) if step_s >= 1 else step_s


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr, and the function to call."""
    with bar() as shown:
        task = shown.add_task("backtest", total=1.0)
        yield lambda text, share: shown.update(task, description=text, completed=share)
