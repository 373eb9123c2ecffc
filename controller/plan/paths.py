"""Shortest paths through the fabric: which ports lead to a switch. Only spines pass packets on."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from statistics import median

from controller.model import Fabric, Stage

_HOP_MS = 0.001  # a hop costs a little, so that among equal delays the fewest hops win


def next_hops(fabric: Fabric) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """For every switch: destination switch → its ports on shortest paths (delay, then hops), ascending.

    A destination that cannot be reached is absent.
    """
    neighbours = _neighbours(fabric)
    spines = {switch.name for switch in fabric.stage(Stage.SPINE)}
    result: dict[str, dict[str, tuple[int, ...]]] = {s.name: {} for s in fabric.switches}
    for switch in fabric.switches:
        distance_ms = _distances_to(switch.name, neighbours, spines)
        for name, reached in result.items():
            if name == switch.name:
                continue
            costs = [
                (distance_ms[peer] + cost_ms, port)
                for peer, port, cost_ms in neighbours[name]
                if peer in distance_ms and (peer == switch.name or peer in spines)
            ]
            if costs:
                best = min(cost for cost, _ in costs)
                ports = sorted(port for cost, port in costs if cost <= best + 1e-9)
                reached[switch.name] = tuple(ports)
    return result


def site_round_trips_ms(fabric: Fabric) -> dict[frozenset[str], float]:
    """{site, other site}, or {site}, → round trip by the links' delays: the median over pairs of an edge of the one and
    a router of the other. Pairs of which none reaches the other are absent.
    """
    neighbours = _neighbours(fabric)
    spines = {switch.name for switch in fabric.stage(Stage.SPINE)}
    trips: dict[frozenset[str], list[float]] = defaultdict(list)
    for router in fabric.stage(Stage.ROUTER):
        distance_ms = _distances_to(router.name, neighbours, spines)
        for edge in fabric.stage(Stage.EDGE):
            if edge.name in distance_ms:
                pair = frozenset((edge.site, router.site))
                trips[pair].append(2 * distance_ms[edge.name])
    return {pair: median(own) for pair, own in trips.items()}


def _neighbours(fabric: Fabric) -> dict[str, list[tuple[str, int, float]]]:
    """Switch → (next switch, own port, cost) of each link."""
    neighbours: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
    for link in fabric.links:
        cost_ms = link.delay_ms + _HOP_MS
        neighbours[link.a.switch].append((link.b.switch, link.a.number, cost_ms))
        neighbours[link.b.switch].append((link.a.switch, link.b.number, cost_ms))
    return neighbours


def _distances_to(
    destination: str,
    neighbours: Mapping[str, list[tuple[str, int, float]]],
    spines: set[str],
) -> dict[str, float]:
    """Dijkstra from the destination outwards; every switch between must be a spine."""
    distance_ms = {destination: 0.0}
    queue = [(0.0, destination)]
    while queue:
        so_far, name = heapq.heappop(queue)
        if so_far > distance_ms[name] or (name != destination and name not in spines):
            continue
        for peer, _, cost_ms in neighbours[name]:
            new = so_far + cost_ms
            if new < distance_ms.get(peer, float("inf")):
                distance_ms[peer] = new
                heapq.heappush(queue, (new, peer))
    return distance_ms
