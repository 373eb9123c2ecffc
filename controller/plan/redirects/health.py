"""Which copies may get new connections: a failed one at once no more, and again only after it was well for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.plan.redirects.settings import RedirectSettings

Copy = tuple[int, str]  # service, site


@dataclass(frozen=True, slots=True)
class CopyHealth:
    """Of a copy that failed: when last, how often in a row, and since when it is well again (None: it is not).

    trusted: it was well for long enough to get new connections.
    """

    failed_s: float
    failures: int = 1
    well_since_s: float | None = None
    trusted: bool = False


def hold_s(failures: int, settings: RedirectSettings) -> float:
    """For how long a copy that failed so often must be well before it is used again."""
    return float(min(settings.hold_max_s, settings.hold_s * 2.0 ** min(failures - 1, 60)))


def copy_health(
    before: Mapping[Copy, CopyHealth],
    failed: Iterable[Copy],
    now_s: float,
    settings: RedirectSettings,
) -> dict[Copy, CopyHealth]:
    """Health of every copy that fails now or did so lately; who is not among them is well."""
    after: dict[Copy, CopyHealth] = {}
    failing = frozenset(failed)
    for copy in sorted(failing | before.keys()):
        known = before.get(copy)
        if copy in failing:
            after[copy] = _failing(known, now_s, settings)
        elif known is not None:
            since_s = now_s if known.well_since_s is None else known.well_since_s
            trusted = known.trusted or now_s - since_s >= hold_s(known.failures, settings)
            if not (trusted and now_s - known.failed_s >= settings.forget_s):
                after[copy] = replace(known, well_since_s=since_s, trusted=trusted)
    return after


def _failing(known: CopyHealth | None, now_s: float, settings: RedirectSettings) -> CopyHealth:
    if known is None:
        return CopyHealth(now_s)
    if known.well_since_s is None:  # it has failed all the time
        return replace(known, failed_s=now_s)
    return CopyHealth(now_s, known.failures + 1)


def distrusted(health: Mapping[Copy, CopyHealth]) -> frozenset[Copy]:
    """The copies that get no new connections."""
    return frozenset(copy for copy, one in health.items() if not one.trusted)
