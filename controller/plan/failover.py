"""Who stands in for a router that is away. Pure.

A router is away while it is dead, or drained, or back but not yet given what it missed. Its bindings
then lead to living shadows of it; when all of those are away as well, to living shadows of theirs,
because what a shadow took over it replicates in turn. Stand-ins are sticky: as long as one of
them lives no other joins, since a router that joined would get connections that it holds no state of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

StandIns = Mapping[str, tuple[str, ...]]  # router that is away → routers that stand in for it


def stand_ins(
    router: str,
    shadows: Mapping[str, Sequence[str]],
    dead: Collection[str],
    drained: Collection[str] = (),
    current: Sequence[str] = (),
) -> tuple[str, ...]:
    """The routers that stand in for `router`, in order; empty when nobody can.

    `current`: who does so far; when the last of them goes, its own shadows hold what it had taken
    over. A drained router is the last resort: it lives, after all.
    """
    for away in ({*dead, *drained}, {*dead}):
        staying = tuple(name for name in current if name not in away)
        found = staying or _nearest(router, current, shadows, away)
        found = found or _nearest(router, (router,), shadows, away)
        if found:
            return found
    return ()


def _nearest(
    router: str,
    start: Sequence[str],
    shadows: Mapping[str, Sequence[str]],
    away: Collection[str],
) -> tuple[str, ...]:
    """The first ring of shadows, shadows of shadows, … in which somebody lives."""
    seen = {router, *start}
    ring = list(start)
    while ring:
        outer = dict.fromkeys(name for member in ring for name in shadows.get(member, ()))
        ring = [name for name in outer if name not in seen]
        seen.update(ring)
        living = tuple(name for name in ring if name not in away)
        if living:
            return living
    return ()


def all_stand_ins(
    shadows: Mapping[str, Sequence[str]],
    dead: Collection[str],
    drained: Collection[str],
    current: StandIns,
) -> dict[str, tuple[str, ...]]:
    """Stand-ins of every router that is away; one that nobody can stand in for is left out."""
    result: dict[str, tuple[str, ...]] = {}
    for router in sorted({*dead, *drained}):
        found = stand_ins(router, shadows, dead, drained, current.get(router, ()))
        if found:
            result[router] = found
    return result


def moved(before: StandIns, after: StandIns) -> tuple[str, ...]:
    """Routers whose bindings lead elsewhere than before, in name order."""
    names = {*before, *after}
    return tuple(sorted(name for name in names if before.get(name) != after.get(name)))
