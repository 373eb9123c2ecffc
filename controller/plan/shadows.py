"""Which routers may be a router's shadows, the best first.

Near ones before far ones (one-way delay over the links, through spines), among equally near ones
those with the most capacity for each router that counts on them already, and then the next in
configured order, so that the shadows of a fabric of equals are spread evenly. Configured
overrides are taken as they are.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping

from controller.model import Fabric, Stage, Switch

SPARES = 6  # candidates beyond the wanted ones, for when those fail or are full
SAME_DELAY_MS = 0.05


def candidates(
    fabric: Fabric,
    *,
    per_router: int = 2,
    overrides: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Router → its possible shadows in order of preference; the first `per_router` are designated.

    A router that cannot be reached from another is none of its candidates.
    """
    routers = fabric.stage(Stage.ROUTER)
    delays_ms = _delays_ms(fabric, routers)
    chosen: dict[str, tuple[str, ...]] = {}
    counted_on: dict[str, int] = defaultdict(int)
    for position, router in enumerate(routers):
        named = (overrides or {}).get(router.name)
        if named is None:
            named = _ranked(router, position, routers, delays_ms, counted_on)
            named = named[: per_router + SPARES]
        for name in named[:per_router]:
            counted_on[name] += 1
        chosen[router.name] = named
    return chosen


def _ranked(
    router: Switch,
    position: int,
    routers: tuple[Switch, ...],
    delays_ms: Mapping[str, Mapping[str, float]],
    counted_on: Mapping[str, int],
) -> tuple[str, ...]:
    reach = delays_ms[router.name]
    ranked: list[tuple[int, float, int, str]] = []
    for index, other in enumerate(routers):
        if index == position or other.name not in reach:
            continue
        nearness = round(reach[other.name] / SAME_DELAY_MS)
        room = other.capacity / (1 + counted_on.get(other.name, 0))
        ranked.append((nearness, -room, (index - position) % len(routers), other.name))
    return tuple(name for *_, name in heapq.nsmallest(8 + SPARES, ranked))


def _delays_ms(fabric: Fabric, routers: tuple[Switch, ...]) -> dict[str, Mapping[str, float]]:
    """Router → every router within reach → the least delay, one way."""
    neighbours: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for link in fabric.links:
        neighbours[link.a.switch].append((link.b.switch, link.delay_ms))
        neighbours[link.b.switch].append((link.a.switch, link.delay_ms))
    spines = {switch.name for switch in fabric.stage(Stage.SPINE)}
    wanted = {router.name for router in routers}
    # Routers on the same spines at the same delays see the same distances: search once for them.
    known: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}
    result: dict[str, Mapping[str, float]] = {}
    for router in routers:
        attached = tuple(sorted(neighbours[router.name]))
        if attached not in known:
            known[attached] = _search(attached, neighbours, spines, wanted)
        result[router.name] = known[attached]
    return result


def _search(
    start: tuple[tuple[str, float], ...],
    neighbours: Mapping[str, list[tuple[str, float]]],
    spines: set[str],
    wanted: set[str],
) -> dict[str, float]:
    best: dict[str, float] = {}
    queue = [(delay_ms, name) for name, delay_ms in start]
    heapq.heapify(queue)
    while queue:
        so_far_ms, name = heapq.heappop(queue)
        if name in best:
            continue
        best[name] = so_far_ms
        if name in spines:
            for other, delay_ms in neighbours[name]:
                if other not in best:
                    heapq.heappush(queue, (so_far_ms + delay_ms, other))
    return {name: delay_ms for name, delay_ms in best.items() if name in wanted}
