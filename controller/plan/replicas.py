"""Who sends replica records to whom: numbers of primaries, clone sessions, groups for trains of probes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from controller.model import Fabric, Idle, PrimaryRow, SessionRow, Stage, Switch, TrainRow

MAX_NUMBER = 15  # numbers of primaries are 1..15
SHADOWS_SESSION = 1  # the clone session that leads to all shadows
CPU_SESSION = 2
CPU_PORT = 510
TRAIN_COPIES = 16
MAX_REFRESH_S = 30.0

Shadows = Mapping[str, Sequence[str]]  # switch → its shadows
Numbers = Mapping[tuple[str, str], int]  # (holder, primary) → number
Generations = Mapping[tuple[str, str], int]  # (holder, primary) → generation


def primaries_of(shadows: Shadows, holder: str) -> tuple[str, ...]:
    """Switches whose records `holder` takes, in name order: those that it is a shadow of, and its own shadows.

    A shadow gives back what it holds when its primary returns.
    """
    names = {primary for primary, held_by in shadows.items() if holder in held_by}
    return tuple(sorted((names | set(shadows.get(holder, ()))) - {holder}))


def primary_numbers(
    fabric: Fabric, shadows: Shadows, previous: Numbers | None = None
) -> dict[tuple[str, str], int]:
    """(holder, primary) → the number that the holder's replicas of that primary carry.

    A number in `previous` is kept, and goes to another primary only when the holder has no other left: entries may
    still carry it. A new primary gets the number of its place in its stage, so that numbers do not depend on what
    came before while a stage has at most 16 switches. Numbers no longer in force stay in the answer as reserved.
    Raises ValueError when a holder has more than 15 primaries.
    """
    result: dict[tuple[str, str], int] = dict(previous or {})
    for stage in Stage:
        members = [switch.name for switch in fabric.stage(stage)]
        for holder in members:
            wanted = primaries_of(shadows, holder)
            if len(wanted) > MAX_NUMBER:
                raise ValueError(
                    f"{holder}: {len(wanted)} primaries, there can be at most {MAX_NUMBER}; "
                    "let it be a shadow of fewer switches"
                )
            peers = [name for name in members if name != holder]
            for primary in wanted:
                if (holder, primary) not in result:
                    place = peers.index(primary) if primary in peers else 0
                    _assign(result, holder, primary, place % MAX_NUMBER + 1, wanted)
    return result


def _assign(
    numbers: dict[tuple[str, str], int],
    holder: str,
    primary: str,
    first_choice: int,
    in_force: Sequence[str],
) -> None:
    """Give `primary` a number that nobody has, else one whose primary is no longer in force."""
    taken = {number: key for key, number in numbers.items() if key[0] == holder}
    choices = [first_choice, *range(1, MAX_NUMBER + 1)]
    number = next((one for one in choices if one not in taken), None)
    if number is None:
        number = next(one for one in choices if taken[one][1] not in in_force)
        del numbers[taken[number]]
    numbers[holder, primary] = number


def primary_rows(
    fabric: Fabric, holder: str, shadows: Shadows, numbers: Numbers, generations: Generations
) -> tuple[PrimaryRow, ...]:
    """What `holder` accepts records of."""
    return tuple(
        PrimaryRow(
            fabric.switch(primary).label,
            numbers[holder, primary],
            generations.get((holder, primary), 0) % 16,
        )
        for primary in primaries_of(shadows, holder)
    )


def session_rows(
    fabric: Fabric, switch: Switch, shadows: Shadows, hops: Mapping[str, Sequence[int]]
) -> tuple[SessionRow, ...]:
    """Clone sessions of a switch: all its shadows, the CPU, and each peer alone.

    A peer that cannot be reached has no copy. Among ports of equal cost the labels of both ends choose.
    """
    if switch.stage is Stage.SPINE:
        return ()
    replica = {
        name: _replica(switch, fabric.switch(name), hops)
        for name in primaries_of(shadows, switch.name)
        if name in hops
    }
    all_shadows = tuple(replica[name] for name in shadows.get(switch.name, ()) if name in replica)
    rows = [SessionRow(SHADOWS_SESSION, all_shadows)] if all_shadows else []
    rows.append(SessionRow(CPU_SESSION, ((CPU_PORT, 0),)))
    rows += [SessionRow(label, ((port, label),)) for port, label in replica.values()]
    return tuple(rows)


def _replica(switch: Switch, peer: Switch, hops: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    ports = hops[peer.name]
    return ports[(switch.label + peer.label) % len(ports)], peer.label


def train_rows(switch: Switch, ports: Sequence[int]) -> tuple[TrainRow, ...]:
    """One group for each port towards the fabric; the group has the port's number."""
    if switch.stage is Stage.SPINE:
        return ()
    return tuple(TrainRow(port, port, TRAIN_COPIES) for port in ports)


def fabric_ports(fabric: Fabric, switch: str) -> tuple[int, ...]:
    """Ports of a switch that lead to other switches, ascending: only these may bring labels, records and probes."""
    return tuple(sorted(_ends(fabric, switch)))


def _ends(fabric: Fabric, switch: str) -> Iterator[int]:
    for link in fabric.links:
        for end in (link.a, link.b):
            if end.switch == switch:
                yield end.number


def refresh_s(idle: Idle) -> float:
    """How often a connection that talks refreshes its replicas: so that it never idles out on a shadow."""
    return min(MAX_REFRESH_S, min(idle.tcp_s, idle.udp_s) / 2)
