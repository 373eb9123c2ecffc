"""Probes sent and answered, connections up and down → which routers live. No I/O; time is given.

A router is judged by its data plane: probes go through it from every edge in turn, on all paths.
One answer, to any edge and by any path, says that it forwards; so a lossy path or a dead edge
condemns nobody. Silence first makes it suspect, which lets the prober send in quick succession from
every edge; only silence to those as well condemns it. A lost connection to its control plane makes it
suspect at once, and nothing more: a router that answers probes goes on. A router that is silent by one of its
spines only has a cut link (`plan/links`): what goes that way is lost, so it counts as dead until it answers by all.

Silence means something only while others are heard: when most are silent at once, it is the
controller, or the edges, that are cut off or starved; then more patience is needed, and one witness at
least. And it means something only compared to what is usual now: on a busy fabric patience grows with
the round trips and with the silences that routers, and the controller, have broken lately.

`now_s` must be a clock that stands still while the controller itself was stalled (see
`controller.resilience.health`), or a stalled controller would find everybody silent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.plan.links import Links

UPPER = 4.0  # mean deviations above the mean round trip: as TCP's retransmission timer
MEMORY = 1 / 16  # weight of a new round trip in those means
GAPS = 3.0  # times the longest silence lately broken: what may still be broken
HALVED_S = 10.0  # in which the memory of that silence fades to half
MOST_PATIENT = 10.0  # silence beyond so many times what is configured needs no comparison
MOST_CONFIRM = 4.0  # the same for quick probes to a router whose connection was lost
CUT = 4.0  # times the silence that condemns: a way is tried less often than a router
QUORUM = 0.5  # part of the other routers that must have been heard meanwhile


class Status(StrEnum):
    """What is known of a router's data plane."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    RETURNING = "returning"  # answers again, but holds no traffic yet


@dataclass(frozen=True, slots=True)
class LivenessSettings:
    """When silence condemns. `confirm_s`: how long the quick probes to a suspect may go unanswered;
    `first_s`: the same for a router never heard (the fabric may still be starting).
    """

    dead_after_s: float = 0.1
    confirm_s: float = 0.04
    least_probes: int = 3
    return_after_s: float = 2.0
    first_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Change:
    """A router's status changed. `silent_s`: since it was last heard."""

    router: str
    before: Status
    after: Status
    time_s: float
    silent_s: float
    reason: str


@dataclass(slots=True)
class _Sight:
    """What is known of one router."""

    status: Status
    since_s: float
    heard_s: float  # the last answer; when watching began, before the first
    heard_ever: bool = False
    stream_lost: bool = False
    unanswered: int = 0  # probes since the last answer
    probed: int = 0  # since it became suspect


class Liveness:
    """All routers of a fabric, in one controller. `dead`: known to be so from an earlier run."""

    def __init__(
        self,
        routers: Iterable[str],
        settings: LivenessSettings,
        now_s: float,
        dead: Iterable[str] = (),
    ) -> None:
        gone = frozenset(dead)
        self.settings = settings
        self._sights = {
            name: _Sight(Status.DEAD if name in gone else Status.ALIVE, now_s, now_s)
            for name in routers
        }
        self._mean_s: float | None = None
        self._deviation_s = 0.0
        self._gap_s = 0.0  # the longest silence lately broken, as of `_gap_at_s`
        self._gap_at_s = now_s
        self._now_s = now_s
        self._links = Links()
        self._first_s = math.inf  # when anybody was heard for the first time

    def status(self, router: str) -> Status:
        """The router's status; KeyError if there is none of that name."""
        return self._sights[router].status

    def all(self) -> dict[str, Status]:
        """Router → status."""
        return {name: sight.status for name, sight in self._sights.items()}

    @property
    def round_trip_s(self) -> float | None:
        """An upper estimate of what a round trip takes now; None before the first answer."""
        if self._mean_s is None:
            return None
        return self._mean_s + UPPER * self._deviation_s

    @property
    def confirm_s(self) -> float:
        """How long quick probes may go unanswered as things are now."""
        configured_s, trip_s = self.settings.confirm_s, self.round_trip_s or 0.0
        return min(MOST_CONFIRM * configured_s, max(configured_s, 2.0 * trip_s, self.gap_s))

    @property
    def gap_s(self) -> float:
        """The longest silence that a living router broke lately; it fades."""
        return float(self._gap_s * 0.5 ** ((self._now_s - self._gap_at_s) / HALVED_S))

    @property
    def dead_after_s(self) -> float:
        """The silence that condemns as things are now."""
        configured_s = self.settings.dead_after_s
        patient_s = max(configured_s, self.confirm_s, GAPS * self.gap_s)
        return min(MOST_PATIENT * configured_s, patient_s)

    def probed(self, router: str) -> int:
        """Probes sent to the router since its status changed."""
        return self._sights[router].probed

    def sent(self, router: str, spine: str | None = None) -> None:
        """A probe was sent to the router, by that spine if it is known."""
        sight = self._sights[router]
        if spine is not None:
            self._links.sent(router, spine)
        sight.unanswered += 1
        sight.probed += 1

    def answered(self, router: str, sent_s: float, now_s: float, spine: str | None = None) -> None:
        """A probe of `sent_s` came back, by that spine if it is known."""
        sight = self._sights[router]
        if spine is not None:
            self._links.answered(router, spine, now_s)
        self._first_s = min(self._first_s, now_s)
        self._learn(max(0.0, now_s - sent_s))
        gone = sight.stream_lost or sight.status is Status.DEAD
        if gone and sent_s < sight.since_s:
            return  # it may have passed before the router died
        if sight.heard_ever and sight.status in (Status.ALIVE, Status.SUSPECT):
            self.stalled(now_s - sight.heard_s)
        sight.heard_s, sight.heard_ever, sight.unanswered = now_s, True, 0

    def stalled(self, seconds: float) -> None:
        """Something that lives, a router or the controller itself, did nothing for so long."""
        if seconds > self.gap_s:
            self._gap_s, self._gap_at_s = seconds, self._now_s

    def stream_lost(self, router: str, now_s: float) -> Change | None:
        """The connection to the router's control plane was lost."""
        sight = self._sights[router]
        if sight.status not in (Status.ALIVE, Status.SUSPECT) or not sight.heard_ever:
            return None
        sight.stream_lost = True
        if sight.status is Status.SUSPECT:
            return None
        return self._turn(router, Status.SUSPECT, now_s, "its connection was lost")

    def empty(self, router: str, now_s: float) -> Change | None:
        """The router answers, but lost what it knew (it was restarted): as good as dead until now."""
        sight = self._sights[router]
        if sight.status in (Status.DEAD, Status.RETURNING):
            return None
        return self._turn(router, Status.DEAD, now_s, "it came back without its connections")

    def home(self, router: str, now_s: float) -> Change | None:
        """A returning router got its traffic back."""
        if self._sights[router].status is not Status.RETURNING:
            return None
        return self._turn(router, Status.ALIVE, now_s, "it has its traffic back")

    def proven(self, router: str, now_s: float) -> bool:
        """A returning router that has answered for long enough."""
        sight = self._sights[router]
        back = sight.status is Status.RETURNING
        return back and now_s - sight.since_s >= self.settings.return_after_s

    def judge(self, now_s: float) -> list[Change]:
        """Draw the conclusions; call it often while a router is suspect."""
        self._now_s, changes = now_s, []
        for router, sight in self._sights.items():
            change = self._judge(router, sight, now_s)
            if change is not None:
                changes.append(change)
        return changes

    def _judge(self, router: str, sight: _Sight, now_s: float) -> Change | None:
        silent_s = now_s - sight.heard_s
        if sight.status in (Status.ALIVE, Status.RETURNING):
            spine = self._links.cut(router, now_s, CUT * self.dead_after_s)
            if spine is not None:
                return self._turn(router, Status.DEAD, now_s, f"its link to {spine} is cut")
        match sight.status:
            case Status.ALIVE:
                limit_s = self.settings.dead_after_s - self.settings.confirm_s
                if not sight.heard_ever:  # others were: since then the fabric carries probes
                    limit_s = self.settings.first_s
                    silent_s = now_s - max(sight.heard_s, self._first_s)
                if silent_s >= limit_s and sight.unanswered >= 2:
                    reason = f"no answer to {sight.unanswered} probes"
                    return self._turn(router, Status.SUSPECT, now_s, reason)
            case Status.SUSPECT:
                if sight.heard_s > sight.since_s:
                    return self._turn(router, Status.ALIVE, now_s, "it answers probes")
                waited_s = now_s - sight.since_s
                enough = sight.probed >= self.settings.least_probes
                if not sight.stream_lost and silent_s < self.dead_after_s:
                    return None
                if waited_s >= self.confirm_s and enough and self._others_heard(router, sight):
                    why = "its connection was lost and " if sight.stream_lost else ""
                    reason = f"{why}{sight.probed} quick probes went unanswered"
                    return self._turn(router, Status.DEAD, now_s, reason)
            case Status.DEAD:
                whole = self._links.whole_since(
                    router, sight.since_s, now_s - CUT * self.dead_after_s
                )
                if sight.heard_s > sight.since_s and whole:
                    return self._turn(router, Status.RETURNING, now_s, "it answers probes again")
            case Status.RETURNING:
                if silent_s >= self.dead_after_s and sight.unanswered >= self.settings.least_probes:
                    return self._turn(router, Status.DEAD, now_s, "it fell silent again")
        return None

    def _others_heard(self, router: str, sight: _Sight) -> bool:
        others = [
            other
            for name, other in self._sights.items()
            if name != router and other.status in (Status.ALIVE, Status.SUSPECT)
        ]
        heard = sum(1 for other in others if other.heard_s > sight.since_s)
        needed = max(1, math.ceil(QUORUM * len(others)))
        # A lost connection is evidence of its own, and so is a very long silence.
        if sight.stream_lost or self._now_s - sight.heard_s >= self._longest_s:
            needed = 1
        return heard >= needed

    @property
    def _longest_s(self) -> float:
        return MOST_PATIENT * self.settings.dead_after_s

    def _turn(self, router: str, after: Status, now_s: float, reason: str) -> Change:
        sight = self._sights[router]
        change = Change(router, sight.status, after, now_s, now_s - sight.heard_s, reason)
        sight.status, sight.since_s, sight.probed = after, now_s, 0
        if after is not Status.SUSPECT:
            sight.stream_lost = False
        return change

    def _learn(self, round_trip_s: float) -> None:
        if self._mean_s is None:
            self._mean_s, self._deviation_s = round_trip_s, round_trip_s / 2
            return
        error_s = round_trip_s - self._mean_s
        self._deviation_s += MEMORY * (abs(error_s) - self._deviation_s)
        self._mean_s += MEMORY * error_s
