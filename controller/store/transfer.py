"""From one store to another: pages of points by time, each measurement in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from controller.store.canary import MEASUREMENT as CANARY
from controller.store.frames import NS
from controller.store.interface import Adapter, Query, Rejected, points_of
from controller.store.point import Point

FIRST_WIDTH_NS = 600 * NS
FEW_POINTS = 20_000  # in a page: the next one reaches twice as far
MANY_POINTS = 100_000  # … half as far
KEPT_REASONS = 20


@dataclass(slots=True)
class Transferred:
    """points: written, by measurement. rejected: how many the target refused, and the first of them."""

    points: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    reasons: list[Rejected] = field(default_factory=list)

    def note(self, measurement: str, points: int, rejected: Sequence[Rejected]) -> None:
        """Count a page."""
        written = self.points.get(measurement, 0)
        self.points[measurement] = written + points - len(rejected)
        self.rejected += len(rejected)
        self.reasons += rejected[: KEPT_REASONS - len(self.reasons)]


Progress = Callable[[str, float], None]  # measurement, share that is done


def names(store: Adapter, wanted: Sequence[str] = ()) -> list[str]:
    """The measurements of a store that can be taken elsewhere. Raises ValueError for one that is not known."""
    for name in wanted:
        if name not in store.schema:
            raise ValueError(f"no measurement {name!r}; there are {', '.join(store.schema)}")
    return [name for name in (wanted or store.schema) if name != CANARY or name in wanted]


def pages(
    store: Adapter, measurement: str, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[tuple[list[Point], float]]:
    """Points in order of time, page by page, each with the share that is done then. Raises UnavailableError."""
    span = store.span(measurement)
    if span is None:
        return
    own = store.schema[measurement]
    first_ns = max(span[0], start_ns or 0)
    until_ns = min(span[1] + 1, end_ns if end_ns is not None else span[1] + 1)
    at_ns, width_ns = first_ns, FIRST_WIDTH_NS
    while at_ns < until_ns:
        page_end_ns = min(at_ns + width_ns, until_ns)
        found = store.query(Query(measurement, at_ns, page_end_ns))
        points = [point for frame in found for point in points_of(own, frame)]
        at_ns = page_end_ns
        if points:
            yield points, (at_ns - first_ns) / (until_ns - first_ns)
        if len(points) < FEW_POINTS:
            width_ns *= 2
        elif len(points) > MANY_POINTS:
            width_ns = max(NS // 1000, width_ns // 2)


def copy(
    source: Adapter,
    target: Adapter,
    measurements: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress = lambda _, __: None,
) -> Transferred:
    """All that the source has in the range. May be repeated: what is there already is overwritten."""
    done = Transferred()
    for name in names(source, measurements):
        for points, share in pages(source, name, start_ns, end_ns):
            done.note(name, len(points), target.write(points))
            progress(name, share)
    return done
