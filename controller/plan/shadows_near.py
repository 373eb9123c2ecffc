"""How far routers are from each other: configured delays, replaced by measured round trips.

Probes go only between switches that may become each other's shadow: for each the nearest by the
configured delays, and the nearest of other failure domains, and those that the configuration names.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from controller.model import Fabric, Stage, Switch
from controller.plan.shadows_state import Trip, Trips

NEAREST = 14  # candidates per primary
ELSEWHERE = 6  # of these at least so many in other failure domains, where there are as many

Named = Mapping[str, Sequence[str]]


def configured_ms(
    fabric: Fabric, stage: Stage = Stage.ROUTER, named: Named | None = None
) -> dict[str, dict[str, float]]:
    """Switch → its candidates within reach → round trip by the configured delays, through spines.

    named: primary → candidates that it has however far they are. The order is that of the distance;
    equally far ones follow in configured order, each primary beginning after itself, so that equals
    are spread evenly.
    """
    switches = fabric.stage(stage)
    delays_ms = _delays_ms(fabric, switches)
    result: dict[str, dict[str, float]] = {}
    for position, primary in enumerate(switches):
        reach = delays_ms[primary.name]
        ordered = [
            (2 * reach[other.name], (index - position) % len(switches), other)
            for index, other in enumerate(switches)
            if index != position and other.name in reach
        ]
        nearest = heapq.nsmallest(NEAREST, ordered, key=lambda item: item[:2])
        outside = [item for item in ordered if item[2].domain != primary.domain]
        elsewhere = heapq.nsmallest(ELSEWHERE, outside, key=lambda item: item[:2])
        wanted = (named or {}).get(primary.name, ())
        listed = [item for item in ordered if item[2].name in wanted]
        chosen = {item[2].name: item for item in (*nearest, *elsewhere, *listed)}
        in_order = sorted(chosen.values(), key=lambda item: item[:2])
        result[primary.name] = {other.name: ms for ms, _, other in in_order}
    return result


def trips(
    configured: Mapping[str, Mapping[str, float]], measured: Mapping[tuple[str, str], float]
) -> dict[str, dict[str, Trip]]:
    """Round trips as measured; those that are not yet, as configured plus what the measured ones of
    the same primary typically take beyond their configured delays (switches take time, too).
    """
    result: dict[str, dict[str, Trip]] = {}
    for primary, own in configured.items():
        beyond = [
            measured[primary, name] - ms for name, ms in own.items() if (primary, name) in measured
        ]
        extra_ms = max(0.0, median(beyond)) if beyond else 0.0
        result[primary] = {
            name: Trip(measured[primary, name], True)
            if (primary, name) in measured
            else Trip(ms + extra_ms)
            for name, ms in own.items()
        }
    return result


def from_configuration(fabric: Fabric, named: Named | None = None) -> Trips:
    """Round trips of the routers before anything was measured. named: as of `configured_ms`."""
    return trips(configured_ms(fabric, named=named), {})


def _delays_ms(fabric: Fabric, switches: tuple[Switch, ...]) -> dict[str, Mapping[str, float]]:
    """Switch → every switch of the stage within reach → the least delay, one way."""
    neighbours: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for link in fabric.links:
        neighbours[link.a.switch].append((link.b.switch, link.delay_ms))
        neighbours[link.b.switch].append((link.a.switch, link.delay_ms))
    spines = {switch.name for switch in fabric.stage(Stage.SPINE)}
    wanted = {switch.name for switch in switches}
    # Switches on the same spines at the same delays see the same distances: search once for them.
    known: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}
    result: dict[str, Mapping[str, float]] = {}
    for switch in switches:
        attached = tuple(sorted(neighbours[switch.name]))
        if attached not in known:
            known[attached] = _search(attached, neighbours, spines, wanted)
        result[switch.name] = known[attached]
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
