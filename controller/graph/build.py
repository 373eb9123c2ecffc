"""What umbra knows of destinations and their places → the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.graph.graph import (
    Graph,
    GraphLink,
    GraphNode,
    LinkKey,
    LinkKind,
    NodeKey,
    NodeKind,
    Properties,
    Value,
)
from controller.model.destinations import (
    DemandCell,
    Destination,
    Location,
    SiteResources,
    Standby,
)

SHOWN_PREFIXES = 32  # of a location; with a geographic database it can have thousands


def graph_of(
    locations: Iterable[Location],
    destinations: Iterable[Destination],
    resources: Iterable[SiteResources],
    latency_ms: Mapping[tuple[str, str], float],
    standbys: Iterable[Standby] = (),
    demand: Iterable[DemandCell] = (),
) -> Graph:
    """latency_ms: (location, site) → round trip. Destinations are named as they are, and carry their service's id.

    Standby copies and demand of unknown destinations, and demand from unknown locations, are left out.
    A copy's share is told in equal parts on its routers.
    """
    nodes: dict[NodeKey, GraphNode] = {}
    links: dict[LinkKey, GraphLink] = {}

    def node(kind: NodeKind, name: str, properties: Properties | None = None) -> NodeKey:
        key = NodeKey(kind, name)
        if key not in nodes or properties:
            nodes[key] = GraphNode(key, properties or {})
        return key

    def link(kind: LinkKind, source: NodeKey, target: NodeKey, properties: Properties) -> None:
        key = LinkKey(kind, source, target)
        links[key] = GraphLink(key, properties)

    for own in resources:
        site = node(
            NodeKind.SITE,
            own.site,
            {
                "spare_cps": float(own.spare_cps),
                "room": own.room,
                "copy_cost": float(own.copy_cost),
                "traffic_cost_ms": float(own.traffic_cost_ms),
                "up": own.up,
            },
        )
        for router in own.routers:
            link(LinkKind.AT, node(NodeKind.RESOURCE, router), site, {})
    places: set[str] = set()
    for location in locations:
        places.add(location.name)
        told: dict[str, Value] = {"prefix_count": len(location.prefixes)}
        if location.prefixes:
            told["prefixes"] = ", ".join(location.prefixes[:SHOWN_PREFIXES])
        at = node(NodeKind.LOCATION, location.name, told)
        if location.site is not None:
            link(LinkKind.AT, at, node(NodeKind.SITE, location.site), {})
    for (name, own_site), milliseconds in latency_ms.items():
        if name in places:
            ends = NodeKey(NodeKind.LOCATION, name), node(NodeKind.SITE, own_site)
            link(LinkKind.LINK, *ends, {"latency_ms": float(milliseconds)})
    names: dict[int, NodeKey] = {}
    for destination in destinations:
        key = node(NodeKind.DESTINATION, destination.name, {"service": destination.service})
        names[destination.service] = key
        link(LinkKind.PRIMARY, key, node(NodeKind.SITE, destination.primary_site), {})
    for copy in standbys:
        for router in copy.routers if copy.service in names else ():
            target = node(NodeKind.RESOURCE, router)
            link(LinkKind.AT, target, node(NodeKind.SITE, copy.site), {})
            link(
                LinkKind.STANDBY,
                names[copy.service],
                target,
                {
                    "share_cps": copy.share_cps / len(copy.routers),
                    "state": copy.state.value,
                    "since_s": float(copy.since_s),
                },
            )
    for cell in demand:
        if cell.service in names and cell.location in places:
            link(
                LinkKind.WANTED,
                NodeKey(NodeKind.LOCATION, cell.location),
                names[cell.service],
                {"expected_cps": float(cell.at(0.5)), "reserve_cps": float(cell.at(0.9))},
            )
    return Graph.of(nodes.values(), links.values())
