"""What redirects achieved, and which of them are withdrawn because they do not pay or because their copy refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.plan.redirects.settings import RedirectSettings

Path = tuple[int, str, str]  # service, location, site


@dataclass(frozen=True, slots=True)
class Achieved:
    """What one redirect did in window_s: new connections that its copy took and refused, and what they waited.

    latency_ms: as measured at the copy; primary_ms: what the primary takes from there, by probes or by those who
    still go to it. None: not known.
    """

    service: int
    location: str
    site: str
    connections: int
    window_s: float
    latency_ms: float | None = None
    primary_ms: float | None = None
    refused: int = 0

    def __post_init__(self) -> None:
        if self.window_s <= 0 or self.connections < 0 or self.refused < 0:
            raise ValueError(
                f"redirect of {self.service} from {self.location}: window_s must be above 0, counts not below 0"
            )

    @property
    def path(self) -> Path:
        """Who is redirected to where."""
        return self.service, self.location, self.site

    @property
    def cps(self) -> float:
        """New connections per second."""
        return self.connections / self.window_s

    @property
    def gain(self) -> float | None:
        """Connections per second x ms saved by being served at the copy; below 0: it takes longer."""
        if self.latency_ms is None or self.primary_ms is None:
            return None
        return self.cps * (self.primary_ms - self.latency_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one redirect. gain: smoothed; losing, winning: cycles in a row; withdrawals: in a row.

    until_s: so long it is withdrawn. overload: because its copy refused, not because it did not pay.
    """

    gain: float | None = None
    losing: int = 0
    winning: int = 0
    withdrawals: int = 0
    until_s: float | None = None
    overload: bool = False

    def barred(self, now_s: float) -> bool:
        """Is it withdrawn now?"""
        return self.until_s is not None and now_s < self.until_s


def judge(
    before: Mapping[Path, Verdict],
    achieved: Sequence[Achieved],
    now_s: float,
    settings: RedirectSettings,
) -> dict[Path, Verdict]:
    """The verdicts after this cycle; a withdrawn redirect is not judged. Raises ValueError for one told twice."""
    if len({one.path for one in achieved}) < len(achieved):
        raise ValueError("what a redirect achieved is told twice; give one value per cycle")
    after = dict(before)
    for one in achieved:
        known = after.get(one.path, Verdict())
        if not known.barred(now_s):
            after[one.path] = _weigh(known, one, now_s, settings)
    for path in _shed(after, achieved, now_s, settings):
        after[path] = _withdrawn(replace(after[path], overload=True), now_s, settings)
    return after


def barred(verdicts: Mapping[Path, Verdict], now_s: float) -> frozenset[Path]:
    """The redirects that are withdrawn now."""
    return frozenset(path for path, one in verdicts.items() if one.barred(now_s))


def _weigh(known: Verdict, one: Achieved, now_s: float, settings: RedirectSettings) -> Verdict:
    newest = one.gain
    if newest is None or one.connections < settings.least_connections:
        return known
    gain = newest if known.gain is None else known.gain + settings.smoothing * (newest - known.gain)
    if gain > settings.least_gain:
        winning = known.winning + 1
        made_up = winning >= settings.winning_cycles
        return Verdict(gain, 0, winning, 0 if made_up else known.withdrawals, None)
    losing = known.losing + 1
    weighed = Verdict(gain, losing, 0, known.withdrawals, None)
    return _withdrawn(weighed, now_s, settings) if losing >= settings.losing_cycles else weighed


def _withdrawn(known: Verdict, now_s: float, settings: RedirectSettings) -> Verdict:
    """Its gain is kept, for the reason; the next attempt begins afresh (`retried`)."""
    wait_s = min(settings.retry_max_s, settings.retry_s * 2.0 ** min(known.withdrawals, 60))
    return replace(
        known, losing=0, winning=0, withdrawals=known.withdrawals + 1, until_s=now_s + wait_s
    )


def retried(verdicts: Mapping[Path, Verdict], now_s: float) -> dict[Path, Verdict]:
    """Redirects whose time is over may be tried again; what they gained before their withdrawal counts no more."""
    return {
        path: Verdict(withdrawals=one.withdrawals)
        if one.until_s is not None and not one.barred(now_s)
        else one
        for path, one in verdicts.items()
    }


def _shed(
    verdicts: Mapping[Path, Verdict],
    achieved: Iterable[Achieved],
    now_s: float,
    settings: RedirectSettings,
) -> list[Path]:
    """Of a copy that refuses: the locations that gain least per connection, until as much goes as was refused."""
    copies: dict[tuple[int, str], list[Achieved]] = defaultdict(list)
    for one in achieved:
        if not verdicts[one.path].barred(now_s):
            copies[one.service, one.site].append(one)
    shed: list[Path] = []
    for _, own in sorted(copies.items()):
        refused_cps = sum(one.refused / one.window_s for one in own)
        offered_cps = refused_cps + sum(one.cps for one in own)
        if offered_cps <= 0 or refused_cps / offered_cps <= settings.refused_share:
            continue
        gone_cps = 0.0
        for one in sorted(own, key=lambda o: (_per_connection(o), o.location)):
            if gone_cps >= refused_cps:
                break
            shed.append(one.path)
            gone_cps += one.cps + one.refused / one.window_s
    return shed


def _per_connection(one: Achieved) -> float:
    if one.latency_ms is None or one.primary_ms is None:
        return 0.0
    return one.primary_ms - one.latency_ms
