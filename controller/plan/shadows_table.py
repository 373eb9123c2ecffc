"""What a choice of shadows looks at: who may be whose shadow, and at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from controller.plan.shadows_state import Seat, ShadowInputs, ShadowSettings, Trip, most_primaries

LEAST_MS = 0.1  # nearer than this is equally near
MOST_CROWDED = 4.0
FULL = 0.05  # of its capacity available: it is full
ROOMY = 0.15  # and may be chosen, or is full no longer, only with so much


class Table:
    """All that a choice looks at, with the assignments as they are while it is made."""

    def __init__(
        self, inputs: ShadowInputs, settings: ShadowSettings, seats: Mapping[str, Sequence[Seat]]
    ) -> None:
        self.settings = settings
        self.peers = {peer.name: peer for peer in inputs.peers}
        self.trips = inputs.trips
        self.seats = {
            name: [seat for seat in seats.get(name, ()) if self._seatable(name, seat.shadow)]
            for name in self.peers
        }
        self._usable = {peer.name for peer in inputs.peers if peer.usable and not peer.failed}
        self._roomy = {name for name in self._usable if not self.full(name)}
        self._claims: dict[str, int] = defaultdict(int)
        for own in self.seats.values():
            for seat in own:
                self._claims[seat.shadow] += 1

    def _seatable(self, primary: str, name: str) -> bool:
        named = self.settings.overrides.get(primary)
        return (
            name in self.peers
            and name in self.trips.get(primary, {})
            and (named is None or name in named)
        )

    def most_primaries(self, holder: str) -> int:
        """For how many others it can be a shadow."""
        return most_primaries(self.places(holder))

    def overbooked(self, primary: str, holder: str) -> bool:
        """So many others count on this shadow that there is no number left for this primary."""
        return self.others(primary, holder) >= self.most_primaries(holder)

    def places(self, primary: str) -> int:
        """How many shadows it should have."""
        named = self.settings.overrides.get(primary)
        return self.settings.per_router if named is None else len(named)

    def seat(self, primary: str, index: int | None, seat: Seat | None) -> None:
        """Put a seat in place of another, take one away (no `seat`), or add one (no `index`)."""
        own = self.seats[primary]
        if index is not None:
            self._claims[own[index].shadow] -= 1
        if seat is not None:
            self._claims[seat.shadow] += 1
        if index is None:
            own.extend(() if seat is None else (seat,))
        else:
            own[index : index + 1] = [] if seat is None else [seat]

    def others(self, primary: str, name: str) -> int:
        """Primaries that count on `name`, apart from this one."""
        own = any(seat.shadow == name for seat in self.seats[primary])
        return self._claims[name] - own

    def trip(self, primary: str, name: str) -> Trip | None:
        """There and back; None when it is out of reach."""
        return self.trips.get(primary, {}).get(name)

    def base_cost(self, primary: str, name: str) -> float:
        """Its cost without regard to failure domains, in milliseconds; it must be within reach."""
        needed = self.peers[primary].capacity / max(1, self.settings.per_router)
        crowding = needed * (1 + self.others(primary, name)) / self.peers[name].room
        return max(LEAST_MS, self.trips[primary][name].ms) * (1 + min(MOST_CROWDED, crowding))

    def cost(self, primary: str, name: str, beside: Iterable[str]) -> float:
        """Its cost as one of the primary's shadows, `beside` the others."""
        domain = self.peers[name].domain
        same = sum(1 for other in beside if other != name and self.peers[other].domain == domain)
        return self.base_cost(primary, name) * (1 + same)

    def full(self, name: str, share: float = ROOMY) -> bool:
        """No more than `share` of its capacity is available."""
        peer = self.peers[name]
        return peer.available is not None and peer.available <= share * peer.capacity

    def refusal(self, primary: str, name: str) -> str:
        """Why it cannot be chosen, as a code; empty when it can."""
        peer = self.peers[name]
        if self.trip(primary, name) is None:
            return "out_of_reach"
        named = self.settings.overrides.get(primary)
        if named is not None and name not in named:
            return "not_named"
        if peer.failed:
            return "failed"
        if not peer.usable:
            return "unusable"
        if self.overbooked(primary, name):
            return "claimed"
        if self.full(name):
            return "full"
        return ""

    def pool(self, primary: str, *, full: bool = False) -> list[str]:
        """Who could become one of its shadows: as named, else in order of distance.

        full: those without room, too.
        """
        reach = self.trips.get(primary, {})
        taken = {seat.shadow for seat in self.seats[primary]} | {primary}
        return [
            name
            for name in self.settings.overrides.get(primary) or reach
            if name in reach
            and name not in taken
            and (name in self._roomy or (full and name in self._usable))
            and self._claims[name] < self.most_primaries(name)
        ]

    def elsewhere(self, primary: str, name: str, slack: float = 1.0) -> bool:
        """It is in another failure domain and near enough. slack: for one that is a shadow."""
        trip = self.trip(primary, name)
        other = self.peers[name].domain != self.peers[primary].domain
        return other and trip is not None and trip.ms <= self.settings.near_ms * slack

    def lone_outsider(self, primary: str, index: int) -> bool:
        """This seat is its only one in another failure domain."""
        own, slack = self.seats[primary], self.settings.margin
        outside = [i for i, s in enumerate(own) if self.elsewhere(primary, s.shadow, slack)]
        return outside == [index]

    def has_outsider(self, primary: str) -> bool:
        """Some shadow of it is in another failure domain."""
        slack = self.settings.margin
        return any(self.elsewhere(primary, s.shadow, slack) for s in self.seats[primary])

    def cheapest(self, primary: str, pool: Sequence[str], beside: Sequence[str]) -> str | None:
        """The best of the pool, the first among equals; where shadows are named, the first named."""
        if primary in self.settings.overrides:
            return pool[0] if pool else None
        return min(pool, key=lambda name: round(self.cost(primary, name, beside), 6), default=None)
