"""What a shadow can carry, found by synthetic load: steps of a test, its verdict, and the bound it gives.

A test offers packets to a shadow on top of its live traffic, at rising rates, in short steps. It ends
at the first sign that the shadow or the way to it falls behind: more than `most_loss_pct` lost, or a
queue: the latest packet later than the idle round trip by more than `latency_ms`, and the mean by a
quarter of it, also when the step is repeated. Its target is what planned shifts may bring, with a
margin.

    clean = the highest rate of a clean step (0 when already the first one was not)
    carries = the shadow's own packets per second during the test + clean

Only a test that met its limit bounds what is shifted, and only when the one before met one, too (a single
busy moment must not bar a shadow): the bound is the larger of the two. A test that stayed clean up to its
target says that there is no need for a bound. A missing result, or one older than `valid_s`, bounds
nothing either.

In `routes_room`, with q = packets per second of one connection, measured at its router:

    packets(shadow) = q(shadow) * its demand + sum over its guests of q(router) * percent / 100 * demand(router)

and a further percent goes to a shadow only while packets(shadow) stays within carries(shadow). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

IMIX = ((64, 7), (594, 4), (1518, 1))  # frame sizes with checksum, and how many of each in twelve
SMALLEST, LARGEST = 85, 1518  # the smallest frame that carries a probe; the largest of Ethernet
FCS = 4  # bytes of a frame that interfaces add by themselves


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """steps: how many equal steps lead to the target. least_pps: the least target.

    in_use_every_s, idle_every_s: how often a shadow with traffic of others, or one without, is tested;
    again_s: after a test that met its limit. busy_share: of the connections that it may have; with
    more it is left alone.
    """

    margin: float = 1.5
    steps: int = 4
    step_s: float = 0.1
    least_pps: float = 200.0
    most_loss_pct: float = 1.0
    latency_ms: float = 20.0
    valid_s: float = 900.0
    in_use_every_s: float = 60.0
    idle_every_s: float = 600.0
    again_s: float = 10.0
    busy_share: float = 0.8


@dataclass(frozen=True, slots=True)
class Step:
    """One rate. offered_pps: as really sent; latencies are round trips from the edge. sign: what was
    wrong; empty when nothing was.
    """

    offered_pps: float
    sent: int
    received: int
    mean_ms: float | None
    max_ms: float | None
    sign: str = ""

    @property
    def lost_pct(self) -> float:
        """Percent that did not come back."""
        return 100.0 * max(0, self.sent - self.received) / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A test. own_pps: packets per second that the shadow handled for connections meanwhile.

    stopped: why it ended before its target; empty when it did not.
    """

    shadow: str
    edge: str
    time_s: float
    target_pps: float
    own_pps: float
    mean_bytes: float
    steps: tuple[Step, ...]
    stopped: str = ""

    @property
    def clean_pps(self) -> float:
        """The highest rate without a sign of trouble."""
        return max((step.offered_pps for step in self.steps if not step.sign), default=0.0)

    @property
    def carries_pps(self) -> float:
        """With what it did beside the test."""
        return self.own_pps + self.clean_pps


def rates(target_pps: float, settings: LoadSettings) -> tuple[float, ...]:
    """Offered rates of the steps, rising, the last at least the target."""
    most = max(settings.least_pps, target_pps)
    return tuple(most * (index + 1) / settings.steps for index in range(settings.steps))


def lossy(step: Step, settings: LoadSettings) -> bool:
    """More was lost than may be. One lost packet alone proves nothing."""
    return step.sent - step.received > max(1.0, step.sent * settings.most_loss_pct / 100.0)


def judge(step: Step, idle_ms: float, settings: LoadSettings) -> str:
    """What is wrong with a step; empty when nothing is.

    idle_ms: a round trip without load.
    """
    if lossy(step, settings):
        return f"{step.lost_pct:.1f} % lost at {step.offered_pps:.0f} packets/s"
    if step.max_ms is None or step.mean_ms is None:
        return ""
    queued = step.mean_ms > idle_ms + settings.latency_ms / 4  # one straggler is no queue
    if queued and step.max_ms > idle_ms + settings.latency_ms:
        return (
            f"a packet took {step.max_ms:.1f} ms at {step.offered_pps:.0f} packets/s, "
            f"{idle_ms:.1f} ms without load"
        )
    return ""


def carries_pps(
    results: Iterable[LoadResult], now_s: float, settings: LoadSettings
) -> float | None:
    """The packets per second that a shadow can carry, by its tests (oldest first); None: no bound."""
    fresh = [one for one in results if now_s - one.time_s <= settings.valid_s][-2:]
    if len(fresh) < 2 or not all(one.stopped for one in fresh):
        return None
    return max(one.carries_pps for one in fresh)


def target_pps(
    shadow: str,
    shadows: Mapping[str, tuple[str, ...]],
    packets_per_s: Mapping[str, float],
    max_shift_pct: float,
    settings: LoadSettings,
) -> float:
    """What planned shifts may bring to `shadow`, with the margin; or, if that is more, the crash of one.

    shadows: primary → its shadows; packets_per_s: of each primary's own connections.
    """
    shifts = crash = 0.0
    for primary, own in shadows.items():
        if shadow in own:
            part = packets_per_s.get(primary, 0.0) / len(own)
            shifts += part * max_shift_pct / 100.0
            crash = max(crash, part)
    return settings.margin * max(shifts, crash)


def frame_sizes(mean_bytes: float | None) -> tuple[int, ...]:
    """Twelve frames of a realistic mix, in an order that spreads the large ones; without checksum.

    mean_bytes: of the fabric's own service packets, when that is known: then two sizes, the smallest
    that carries a probe and the largest, so many of each as give that mean. Else the simple IMIX.
    """
    if mean_bytes is None:
        mix = sorted((size for size, count in IMIX for _ in range(count)), reverse=True)
        ordered = [0] * len(mix)
        for index, size in enumerate(mix):
            ordered[index * 5 % len(mix)] = size
    else:
        mean = min(float(LARGEST), max(float(SMALLEST), mean_bytes))
        share = (mean - SMALLEST) / (LARGEST - SMALLEST)
        ordered = [
            LARGEST if int((index + 1) * share + 1e-9) > int(index * share + 1e-9) else SMALLEST
            for index in range(12)
        ]
    return tuple(max(SMALLEST, size) - FCS for size in ordered)


@dataclass(frozen=True, slots=True)
class Subject:
    """A shadow as the choice of the next test sees it. in_use: it has, or may soon have, guests.

    load: its connections over the most it may have without a breach.
    """

    shadow: str
    target_pps: float
    in_use: bool
    usable: bool
    load: float
    last: LoadResult | None


def next_test(shadows: Iterable[Subject], now_s: float, settings: LoadSettings) -> Subject | None:
    """Who is to be tested now: those in use first, then who waits longest; None: nobody is due."""
    due: list[tuple[bool, float, str, Subject]] = []
    for one in shadows:
        if not one.usable or one.load > settings.busy_share:
            continue
        age_s = float("inf") if one.last is None else now_s - one.last.time_s
        every_s = settings.in_use_every_s if one.in_use else settings.idle_every_s
        if one.last is not None:
            grown = one.in_use and one.target_pps > settings.margin * one.last.target_pps
            if one.last.stopped or grown:
                every_s = min(every_s, settings.again_s)
        if age_s >= every_s:
            due.append((not one.in_use, -age_s, one.shadow, one))
    return min(due)[3] if due else None
