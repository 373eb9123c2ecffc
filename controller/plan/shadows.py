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
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.model import Fabric, Stage
from controller.plan.shadows_near import from_configuration
from controller.plan.shadows_state import (
    CHANGES_KEPT,
    Change,
    Seat,
    ShadowInputs,
    ShadowSettings,
    ShadowState,
    peers,
)
from controller.plan.shadows_table import FULL, Table

SPARES = 6  # candidates beyond the shadows, for when those fail or are full
REVIEWED = 100  # primaries in one cycle; more take turns, or the choice would hold up the loop
FOREIGN = 1e9  # what is gained by a shadow in another failure domain where there is none


def select(
    state: ShadowState, inputs: ShadowInputs, settings: ShadowSettings, now_s: float
) -> ShadowState:
    """The assignments of the next cycle. `now_s` (Unix time) only stamps the changes."""
    cycle = state.cycle + 1
    if not any(peer.usable for peer in inputs.peers):
        return replace(state, cycle=cycle)
    work = _Work(Table(inputs, settings, state.seats), state, cycle, now_s)
    names = [peer.name for peer in inputs.peers]
    named_first = sorted(names, key=lambda name: name not in settings.overrides)
    for primary in reversed(named_first):
        work.drop(primary)
    for primary in named_first:
        work.fill(primary)
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
        """Take away shadows that failed, have not been usable for too long, or have no number left
        for it (other settings made that assignment).
        """
        table = self.table
        for index in range(len(table.seats[primary]) - 1, -1, -1):
            seat = table.seats[primary][index]
            peer = table.peers[seat.shadow]
            silent = 0 if peer.usable else seat.silent_cycles + 1
            overbooked = table.overbooked(primary, seat.shadow)
            if peer.failed or overbooked or silent > table.settings.silent_cycles:
                table.seat(primary, index, None)
                why = "failed" if peer.failed else f"was not usable for {silent} cycles"
                if overbooked:
                    why = "is the shadow of too many"
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
            pool = table.pool(primary) or table.pool(primary, full=True)
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
    inputs = ShadowInputs(peers(fabric, Stage.ROUTER), from_configuration(fabric, overrides))
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
