"""Which switches are a switch's shadows: near, with room, in several failure domains; and calm.

A candidate is of the same stage, within reach, usable, not full, and not yet the shadow of too many
(a holder knows at most fifteen others by number, its own shadows among them).

    cost = round trip * (1 + crowding) * (1 + the primary's other shadows in the same domain)
    crowding = connections that it would have to take / connections that it can take, times the
               primaries that count on it (at most `MOST_CROWDED`)

The cheapest become shadows, with one exception: at least one shadow is in another failure domain
than the primary, if one there is near enough (`near_ms`); the last free place is kept for it.

A shadow that failed is replaced at once; one that is not usable for another reason (its P4Runtime
stream is down, but it forwards) after `silent_cycles`; one that is full after `full_cycles`. A better
candidate must be better by a clear margin, the same one for many cycles in a row, and only one
shadow of the whole stage is replaced for that in a cycle: each replacement means that a whole table
travels. What is not measured yet never replaces what is. While the primary itself is down its
shadows stay: they stand in for it, and nobody else could be told what they know. When nobody at all
is usable (the controller itself is cut off) everything stays as it is.

Pure and deterministic. `select` makes the next state; `shadows_reasons` puts it in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from controller.model import Fabric, Stage
from controller.plan.shadows_near import from_configuration
from controller.plan.shadows_state import (
    CHANGES_KEPT,
    MOST_NUMBERS,
    Change,
    Seat,
    ShadowInputs,
    ShadowSettings,
    ShadowState,
    Trip,
    peers,
)

SPARES = 6  # candidates beyond the shadows, for when those fail or are full
LEAST_MS = 0.1  # nearer than this is equally near
MOST_CROWDED = 4.0
REVIEWED = 100  # primaries in one cycle; more take turns, or the choice would hold up the loop
FULL = 0.05  # of its capacity available: it is full
FOREIGN = 1e9  # what is gained by a shadow in another failure domain where there is none
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
        self._eligible = {
            name: peer.usable and not peer.failed and not self.full(name)
            for name, peer in self.peers.items()
        }
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
        """Its own shadows need numbers there, too, and one stays free for a replacement."""
        return MOST_NUMBERS - 1 - self.places(holder)

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
        if name == primary:
            return "itself"
        if self.trip(primary, name) is None:
            return "out_of_reach"
        named = self.settings.overrides.get(primary)
        if named is not None and name not in named:
            return "not_named"
        if peer.failed:
            return "failed"
        if not peer.usable:
            return "unusable"
        if self.others(primary, name) >= self.most_primaries(name):
            return "claimed"
        if self.full(name):
            return "full"
        return ""

    def pool(self, primary: str, also: str = "") -> list[str]:
        """Who could become one of its shadows: as named, else in order of distance.

        also: those refused for this code, too.
        """
        taken = {seat.shadow for seat in self.seats[primary]} | {primary}
        order = self.settings.overrides.get(primary) or self.trips.get(primary, {})
        if also:
            return [
                name
                for name in order
                if name in self.peers
                and name not in taken
                and self.refusal(primary, name) in ("", also)
            ]
        reach = self.trips.get(primary, {})
        return [
            name
            for name in order
            if self._eligible.get(name, False)
            and name not in taken
            and name in reach
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


def select(
    state: ShadowState, inputs: ShadowInputs, settings: ShadowSettings, now_s: float
) -> ShadowState:
    """The assignments of the next cycle. `now_s` (Unix time) only stamps the changes."""
    cycle = state.cycle + 1
    if not any(peer.usable for peer in inputs.peers):
        return replace(state, cycle=cycle)
    work = _Work(Table(inputs, settings, state.seats), state, cycle, now_s)
    names = [peer.name for peer in inputs.peers]
    for primary in names:
        work.drop(primary)
    for primary in sorted(names, key=lambda name: name not in settings.overrides):
        work.fill(primary)  # what is named first, before others take its place
    stride = -(-len(names) // REVIEWED)
    for primary in names[cycle % stride :: stride]:
        work.review(primary, stride)
    work.replace_best()
    seats = {name: tuple(own) for name, own in work.table.seats.items()}
    return ShadowState(cycle, seats, work.changes)


class _Work:
    """One call of `select`."""

    def __init__(self, table: Table, state: ShadowState, cycle: int, now_s: float) -> None:
        self.table = table
        self.changes = {k: own for k, own in state.changes.items() if k in table.peers}
        self.wishes: list[tuple[float, str, int]] = []  # gain, primary, seat
        self._cycle = cycle
        self._now_s = now_s

    def drop(self, primary: str) -> None:
        """Take away shadows that failed, or that have not been usable for too long."""
        table = self.table
        for index in range(len(table.seats[primary]) - 1, -1, -1):
            seat = table.seats[primary][index]
            peer = table.peers[seat.shadow]
            silent = 0 if peer.usable else seat.silent_cycles + 1
            if peer.failed or silent > table.settings.silent_cycles:
                table.seat(primary, index, None)
                why = "failed" if peer.failed else f"was not usable for {silent} cycles"
                self._note(primary, seat.shadow, "", f"{seat.shadow} {why}")
            elif silent != seat.silent_cycles:
                table.seat(primary, index, replace(seat, silent_cycles=silent))
        for index in range(len(table.seats[primary]) - 1, table.places(primary) - 1, -1):
            shadow = table.seats[primary][index].shadow
            table.seat(primary, index, None)
            self._note(primary, shadow, "", "fewer shadows are configured")

    def fill(self, primary: str) -> None:
        """Free places, the cheapest first; the last one outside if none is."""
        table = self.table
        if not table.peers[primary].usable and table.seats[primary]:
            return
        while len(table.seats[primary]) < table.places(primary):
            own = [seat.shadow for seat in table.seats[primary]]
            pool = table.pool(primary) or table.pool(primary, also="full")
            last = len(own) == table.places(primary) - 1
            why = f"free place: the cheapest of {len(pool)}"
            if primary in table.settings.overrides:
                why = "named in the configuration"
            if last and not table.has_outsider(primary):
                outside = [name for name in pool if table.elsewhere(primary, name)]
                if outside and len(outside) < len(pool):
                    why = "free place, kept for another failure domain"
                pool = outside or pool
            chosen = table.cheapest(primary, pool, own)
            if chosen is None:
                return
            table.seat(primary, None, Seat(chosen, self._cycle))
            self._note(primary, "", chosen, why)

    def review(self, primary: str, cycles: int = 1) -> None:
        """Count for how long a shadow has been full, or somebody clearly better.

        cycles: since the last time.
        """
        table, settings = self.table, self.table.settings
        if not table.peers[primary].usable:
            return
        pool = table.pool(primary)
        own = [seat.shadow for seat in table.seats[primary]]
        base = {name: table.base_cost(primary, name) for name in (*pool, *own)}
        for index, seat in enumerate(list(table.seats[primary])):
            full = seat.full_cycles
            if table.full(seat.shadow, FULL):
                full += cycles
            elif not table.full(seat.shadow):
                full = 0
            if full >= settings.full_cycles and pool:
                table.seat(primary, index, replace(seat, full_cycles=full))
                self._give_up(primary, index)
                return  # the others are judged beside the new one, next time
            rival, gain = self._rival(primary, index, pool, base)
            waited = seat.rival_cycles + cycles if rival == seat.rival else cycles
            seat = replace(seat, full_cycles=full, rival=rival, rival_cycles=waited if rival else 0)
            if seat != table.seats[primary][index]:
                table.seats[primary][index] = seat
            tenure = self._cycle - seat.since
            if rival and waited >= settings.patience_cycles and (tenure >= settings.tenure_cycles):
                self.wishes.append((gain, primary, index))

    def replace_best(self) -> None:
        """Of all that would be better with somebody else, the one that gains most."""
        if not self.wishes:
            return
        gain, primary, index = max(self.wishes, key=lambda wish: (wish[0], wish[1]))
        table = self.table
        seat = table.seats[primary][index]
        if seat.rival in table.pool(primary):
            table.seat(primary, index, Seat(seat.rival, self._cycle))
            trip = table.trip(primary, seat.rival)
            why = (
                f"{seat.rival} was better for {seat.rival_cycles} cycles"
                if gain < FOREIGN
                else f"{seat.rival} is in another failure domain and near enough"
            )
            why += f" ({trip.ms:.2f} ms there and back)" if trip else ""
            self._note(primary, seat.shadow, seat.rival, why)

    def _rival(
        self, primary: str, index: int, pool: Sequence[str], base: Mapping[str, float]
    ) -> tuple[str, float]:
        """Who is clearly better than this shadow, and by what factor; the same one if still so."""
        table = self.table
        seat = table.seats[primary][index]
        domains: dict[str, int] = defaultdict(int)
        for i, other in enumerate(table.seats[primary]):
            domains[table.peers[other.shadow].domain] += i != index

        def cost(name: str) -> float:
            return round(base[name] * (1 + domains[table.peers[name].domain]), 6)

        outside = [name for name in pool if table.elsewhere(primary, name)]
        if table.lone_outsider(primary, index):
            pool = outside
        elif outside and not table.has_outsider(primary) and self._costliest(primary) == index:
            same = seat.rival if seat.rival in outside else ""
            return (same or min(outside, key=cost), FOREIGN)
        trips = table.trips[primary]
        if trips[seat.shadow].measured:
            pool = [name for name in pool if trips[name].measured]
        if not pool:
            return "", 0.0
        for name in (seat.rival, min(pool, key=cost)):
            if name in pool:
                gain = cost(seat.shadow) / cost(name)
                if gain > table.settings.margin:
                    return name, gain
        return "", 0.0

    def _costliest(self, primary: str) -> int:
        own = self.table.seats[primary]
        return max(range(len(own)), key=lambda i: (self.table.base_cost(primary, own[i].shadow), i))

    def _give_up(self, primary: str, index: int) -> None:
        table = self.table
        seat = table.seats[primary][index]
        others = [s.shadow for i, s in enumerate(table.seats[primary]) if i != index]
        pool = table.pool(primary)
        if table.lone_outsider(primary, index):
            outside = [name for name in pool if table.elsewhere(primary, name)]
            pool = outside or pool
        chosen = table.cheapest(primary, pool, others)
        if chosen is not None:
            table.seat(primary, index, Seat(chosen, self._cycle))
            why = f"{seat.shadow} has been full for {seat.full_cycles} cycles"
            self._note(primary, seat.shadow, chosen, why)

    def _note(self, primary: str, before: str, after: str, why: str) -> None:
        change = Change(self._cycle, self._now_s, before, after, why)
        kept = self.changes.get(primary, ())[1 - CHANGES_KEPT :]
        self.changes[primary] = (*kept, change)


def candidates(
    fabric: Fabric,
    *,
    per_router: int = 2,
    overrides: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Router → its possible shadows by configuration alone; the first `per_router` are its shadows.

    A router that cannot be reached from another is none of its candidates.
    """
    rules = ShadowSettings(per_router=per_router, overrides=overrides or {})
    inputs = ShadowInputs(peers(fabric, Stage.ROUTER), from_configuration(fabric))
    state = select(ShadowState(), inputs, rules, 0.0)
    return ranked(state, inputs, rules)


def ranked(
    state: ShadowState, inputs: ShadowInputs, settings: ShadowSettings
) -> dict[str, tuple[str, ...]]:
    """Primary → its shadows, and after them the spare candidates, the cheapest first."""
    table = Table(inputs, settings, state.seats)
    result: dict[str, tuple[str, ...]] = {}
    for primary in table.peers:
        own = tuple(seat.shadow for seat in table.seats[primary])
        spare = table.pool(primary)
        spare.sort(key=lambda name: round(table.base_cost(primary, name), 6))
        result[primary] = (*own, *spare[:SPARES])
    return result
