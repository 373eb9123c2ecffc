"""How destination shadowing stands, for the API and the command line, and as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from controller.destinations.demand import DestinationDemand
from controller.destinations.planning import Rules, Seen
from controller.destinations.position import Position
from controller.graph.build import graph_of
from controller.graph.graph import Graph
from controller.observe.access_readings import Cell
from controller.plan.redirects.achieved import Achieved

MOST_CELLS = 1000  # told of the demand: the largest


def graph_now(rules: Rules, seen: Seen, position: Position) -> Graph:
    """Destinations, resources, locations, links and their costs."""
    return graph_of(
        seen.locations,
        rules.destinations,
        seen.sites,
        seen.latency_ms,
        position.copies.values(),
        seen.demand,
    )


def destinations_state(
    rules: Rules,
    seen: Seen,
    position: Position,
    demand: DestinationDemand,
    came_cps: Mapping[Cell, float] | None,
    achieved: Sequence[Achieved],
    rows: int,
    writes: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
    *,
    dry_run: bool,
    turns: int,
    turn_ms: float,
) -> dict[str, Any]:
    """JSON-able. came_cps: what came in the latest step; None before the first one. writes, steps: newest first."""
    names = {one.service: one.name for one in rules.destinations}
    plan = position.plan
    return {
        "turns": turns,
        "turn_ms": turn_ms,
        "dry_run": dry_run,
        "destinations": [
            {
                "service": one.name,
                "service_id": one.service,
                "primary_site": one.primary_site,
                "sites": list(one.sites),
                "borrowed_from": demand.new.get(one.service),
            }
            for one in rules.destinations
        ],
        "locations": [
            {
                "name": one.name,
                "site": one.site,
                "prefixes": len(one.prefixes),
                "latency_ms": {
                    site: ms for (name, site), ms in seen.latency_ms.items() if name == one.name
                },
            }
            for one in seen.locations
        ],
        "sites": [asdict(one) | {"routers": list(one.routers)} for one in seen.sites],
        "demand": _demand(names, seen, position, came_cps),
        "copies": [
            {
                "service": names.get(one.service, str(one.service)),
                "site": one.site,
                "state": "failed" if copy in seen.failed else one.state.value,
                "share_cps": one.share_cps,
                "routers": list(one.routers),
                "since_s": one.since_s,
                "marked_failed": copy in position.marked,
            }
            for copy, one in sorted(position.copies.items())
        ],
        "served": [
            {"service": names.get(service, str(service)), "location": location, "site": site}
            for (service, location), site in sorted(position.redirects.sites.items())
        ],
        "achieved": [
            {
                "service": names.get(one.service, str(one.service)),
                "location": one.location,
                "site": one.site,
                "connections": one.connections,
                "window_s": one.window_s,
                "latency_ms": one.latency_ms,
                "primary_ms": one.primary_ms,
                "refused": one.refused,
                "gain": one.gain,
            }
            for one in achieved
        ],
        "redirects": {
            "rows": rows,
            "left_out": [names.get(one, str(one)) for one in plan.left_out] if plan else [],
            "writes": [dict(one) for one in writes],
        },
        "steps": [dict(one) for one in steps],
    }


def _demand(
    names: Mapping[int, str],
    seen: Seen,
    position: Position,
    came_cps: Mapping[Cell, float] | None,
) -> list[dict[str, Any]]:
    largest = sorted(seen.demand, key=lambda one: (-one.at(0.5), one.service, one.location))
    return [
        {
            "service": names.get(one.service, str(one.service)),
            "location": one.location,
            "expected_cps": one.at(0.5),
            "reserve_cps": one.at(0.9),
            "observed_cps": None
            if came_cps is None
            else came_cps.get((one.service, one.location), 0.0),
            "correction": position.redirects.corrections.get((one.service, one.location), 1.0),
        }
        for one in largest[:MOST_CELLS]
    ]
