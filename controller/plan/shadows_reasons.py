"""Why somebody is a shadow, or is none, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass

from controller.plan.shadows_state import Seat, ShadowInputs, ShadowSettings, ShadowState
from controller.plan.shadows_table import FULL, Table


@dataclass(frozen=True, slots=True)
class Assessment:
    """One candidate as it is seen for one primary.

    state: "shadow", "candidate", "full", "failed", "unusable", "claimed", "out_of_reach" or
    "not_named".
    cost_ms: without regard to failure domains; None when out of reach. primaries: others that count
    on it.
    """

    name: str
    state: str
    domain: str
    capacity: float
    available: float | None
    primaries: int
    round_trip_ms: float | None
    measured: bool
    cost_ms: float | None
    why: str


def explain(
    state: ShadowState, inputs: ShadowInputs, settings: ShadowSettings, primary: str
) -> tuple[Assessment, ...]:
    """All candidates of a primary: its shadows first, the others by cost.

    KeyError when there is no such primary.
    """
    table = Table(inputs, settings, state.seats)
    if primary not in table.peers:
        raise KeyError(primary)
    seats = {seat.shadow: seat for seat in table.seats[primary]}
    names = dict.fromkeys((*seats, *settings.overrides.get(primary, ()), *inputs.trips[primary]))
    found = [_assess(table, primary, name, seats) for name in names if name in table.peers]
    own = found[: len(seats)]
    others = found[len(seats) :]
    others.sort(key=lambda one: (one.state != "candidate", one.cost_ms is None, one.cost_ms or 0.0))
    return (*own, *others)


def _assess(table: Table, primary: str, name: str, seats: dict[str, Seat]) -> Assessment:
    peer, trip = table.peers[name], table.trip(primary, name)
    seat = seats.get(name)
    refusal = table.refusal(primary, name)
    cost = table.base_cost(primary, name) if trip is not None else None
    if seat is not None:
        why = _chosen(table, primary, seat)
    elif refusal:
        why = _refused(table, name, refusal)
    else:
        why = _not_chosen(table, primary, name, seats)
    return Assessment(
        name=name,
        state="shadow" if seat is not None else refusal or "candidate",
        domain=peer.domain,
        capacity=peer.capacity,
        available=peer.available,
        primaries=table.others(primary, name),
        round_trip_ms=trip.ms if trip is not None else None,
        measured=trip.measured if trip is not None else False,
        cost_ms=cost,
        why=why,
    )


def _chosen(table: Table, primary: str, seat: Seat) -> str:
    own = [s.shadow for s in table.seats[primary]]
    words = [f"its shadow since cycle {seat.since}"]
    if primary in table.settings.overrides:
        words.append("named in the configuration")
    elif table.lone_outsider(primary, own.index(seat.shadow)):
        words.append("its only one in another failure domain")
    if seat.full_cycles:
        words.append(
            f"full for {seat.full_cycles} of {table.settings.full_cycles} cycles "
            f"(at most {100 * FULL:.0f} % available)"
        )
    if seat.silent_cycles:
        words.append(
            f"not connected or not programmed for {seat.silent_cycles} of "
            f"{table.settings.silent_cycles} cycles"
        )
    if seat.rival:
        words.append(
            f"{seat.rival} is clearly better, for {seat.rival_cycles} of "
            f"{table.settings.patience_cycles} cycles"
        )
    return "; ".join(words)


def _refused(table: Table, name: str, refusal: str) -> str:
    match refusal:
        case "out_of_reach":
            return "no path leads there over spines, or it is too far down the list to be measured"
        case "not_named":
            return "the configuration names others"
        case "failed":
            return "it is dead, or drained"
        case "unusable":
            return "it is not connected, or not programmed yet"
        case "claimed":
            return f"{table.most_primaries(name)} others count on it already, the most it may have"
        case "full":
            return "it has too little room to be chosen"
    return refusal


def _not_chosen(table: Table, primary: str, name: str, seats: dict[str, Seat]) -> str:
    if len(seats) < table.places(primary):
        return "a place is free: it may be chosen in the next cycle"
    waiting = [seat for seat in seats.values() if seat.rival == name]
    if waiting:
        seat = waiting[0]
        return (
            f"clearly better than {seat.shadow}, for {seat.rival_cycles} of "
            f"{table.settings.patience_cycles} cycles"
        )
    worst_gain, worst = 0.0, ""
    for shadow in seats:
        beside = [other for other in seats if other != shadow]
        gain = table.cost(primary, shadow, beside) / table.cost(primary, name, beside)
        if gain > worst_gain:
            worst_gain, worst = gain, shadow
    if worst_gain <= 1.0:
        return f"costs {_times(1 / worst_gain)} as much as {worst} would"
    own = [seat.shadow for seat in table.seats[primary]]
    if table.lone_outsider(primary, own.index(worst)) and not table.elsewhere(primary, name):
        return f"cheaper than {worst}, but that is the only shadow in another failure domain"
    trips = table.trips[primary]
    if trips[worst].measured and not trips[name].measured:
        return f"cheaper than {worst} by configuration, but not measured yet"
    return (
        f"{_times(worst_gain)} cheaper than {worst}; a change needs {table.settings.margin:g} times"
    )


def _times(factor: float) -> str:
    return f"{factor:.2f} times" if factor < 100 else f"{factor:.0f} times"
