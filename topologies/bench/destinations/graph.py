"""`umbra bench destinations`, graph: the same graph on SQLite and on a real graph server, where there is one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from controller.graph.build import graph_of
from controller.graph.graph import Graph, difference
from controller.graph.interface import GraphStore
from controller.graph.sqlite import SqliteGraph
from controller.model.destinations import DemandCell, Standby, StandbyState
from controller.plan.destinations.placement import plan_standbys
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.state import PlacementState
from topologies.bench.destinations.placement import START_S, World, world
from topologies.bench.parts import Part
from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.load.analysis import percentile

SIZE = World(1_000, 50, 50, cells=5, room=60)
QUICK_SIZE = World(50, 10, 10, cells=5, room=60)
QUESTIONS, CHANGES = 1_000, 100
QUICK_QUESTIONS, QUICK_CHANGES = 50, 5


@dataclass(frozen=True, slots=True)
class _Case:
    """A graph, its copies, and how often is asked and changed."""

    graph: Graph
    changed: Graph  # every copy is ready
    questions: tuple[tuple[str, str], ...]  # destination, location
    changes: int


def run(run_dir: Path, progress: Progress, *, quick: bool = False) -> Part:
    """Write the graph, change it by a copy's state, and ask where a location finds copies of a destination."""
    case = _case(QUICK_SIZE if quick else SIZE, quick)
    run_dir.mkdir(parents=True, exist_ok=True)
    progress(f"graph of {len(case.graph.nodes)} nodes and {len(case.graph.links)} links on SQLite")
    with SqliteGraph(run_dir / "graph.db") as store:
        figures = _figures(store, case)
    try:
        progress("starting Neo4j")
        agent, theirs = _server(run_dir / "neo4j", case)
    except _Absent as error:
        return Part(figures, {"neo4j": {"absent": str(error)}}, {"graph_server": "none"})
    return Part(
        figures,
        {"neo4j": {name: one.value for name, one in theirs.items()}},
        {"graph_server": agent},
    )


class _Absent(Exception):
    """There is no graph server here, or no driver for it."""


def _server(directory: Path, case: _Case) -> tuple[str, dict[str, Figure]]:
    """Its name and version, and its figures."""
    try:
        from controller.graph.neo4j import Neo4jGraph
        from topologies.servers.graph_server import PASSWORD, NoServerError, running
    except ModuleNotFoundError as error:
        raise _Absent(f"{error}: pip install 'umbra[graph]'") from error
    try:
        with (
            running(directory) as server,
            Neo4jGraph(server.uri, "neo4j", PASSWORD, "bench") as store,
        ):
            return server.agent, _figures(store, case)
    except NoServerError as error:
        raise _Absent(str(error)) from error


def _case(size: World, quick: bool) -> _Case:
    view = world(size, 1)
    plan, _ = plan_standbys(view, PlacementState(), START_S, PlacementSettings())
    demand = view.demand
    cells = [
        DemandCell(
            view.destinations[destination].service,
            view.locations[location].name,
            (0.5, 0.9),
            (float(expected), float(reserve)),
        )
        for destination, location, expected, reserve in zip(
            *(demand.destination, demand.location, demand.expected, demand.reserve), strict=True
        )
    ]
    latency_ms = {
        (location.name, site.site): float(view.latency_ms[row, column])
        for row, location in enumerate(view.locations)
        for column, site in enumerate(view.sites)
    }

    def graph(standbys: tuple[Standby, ...]) -> Graph:
        return graph_of(view.locations, view.destinations, view.sites, latency_ms, standbys, cells)

    ready = tuple(replace(one, state=StandbyState.READY) for one in plan.standbys)
    names = {one.service: one.name for one in view.destinations}
    asked = sorted((names[service], location) for service, location in plan.served)
    number = QUICK_QUESTIONS if quick else QUESTIONS
    return _Case(
        graph(plan.standbys),
        graph(ready),
        tuple(asked[place % len(asked)] for place in range(number)),
        QUICK_CHANGES if quick else CHANGES,
    )


def _figures(store: GraphStore, case: _Case) -> dict[str, Figure]:
    begun_s = time.perf_counter()
    store.replace(case.graph)
    whole_s = time.perf_counter() - begun_s
    change = difference(case.graph, case.changed)
    changed_ms, asked_ms = [], []
    for place in range(case.changes):
        one = replace(change, put_links=change.put_links[place :: case.changes])
        begun_s = time.perf_counter()
        store.apply(one)
        changed_ms.append(1e3 * (time.perf_counter() - begun_s))
    for destination, location in case.questions:
        begun_s = time.perf_counter()
        found = store.copies(destination, location)
        asked_ms.append(1e3 * (time.perf_counter() - begun_s))
        if not found or found[0].state != StandbyState.READY:
            raise RuntimeError(f"{destination} has no ready copy in the graph for {location}")
    if store.graph() != case.changed:
        raise RuntimeError("what the graph store holds is not what was written")
    links = len(case.graph.nodes) + len(case.graph.links)
    figures = {"graph_write_s": Figure(round(whole_s, 3), "s", links, "lower")}
    for name, values in (("graph_change", changed_ms), ("graph_copies", asked_ms)):
        for percent in (50, 99):
            figures[f"{name}_p{percent}_ms"] = Figure(
                round(percentile(values, percent), 3), "ms", len(values), "lower"
            )
    return figures
