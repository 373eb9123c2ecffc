"""Destination shadowing over edges of memory that choose as the data plane does, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.config import parse
from controller.destinations.make import make
from controller.destinations.manager import DestinationManager
from controller.graph.stores import open_graph
from controller.model import FabricPlan, NodeCounters, SampledConnection, ServiceCounters
from controller.observe.demand import Demand
from controller.observe.store import Store
from controller.plan.redirects.sources import BITS
from controller.plan.routes_state import RoutesState
from controller.trouble import Troubles
from harness.addressing import MemorySwitches
from harness.pools import HandClock

SITES_YAML = """\
umbra: 1
switches:
  - {name: e1, stage: edge, device_id: 1, address: "127.0.0.1:1", label: 101, site: west,
     mac: 02:00:00:00:01:01, subnet: 10.1.1.0/24}
  - {name: e2, stage: edge, device_id: 2, address: "127.0.0.1:1", label: 102, site: east,
     mac: 02:00:00:00:01:02, subnet: 10.1.2.0/24}
  - {name: s1, stage: spine, device_id: 11, address: "127.0.0.1:1", label: 201, site: west,
     mac: 02:00:00:00:02:01, subnet: 10.2.1.0/24}
  - {name: s2, stage: spine, device_id: 12, address: "127.0.0.1:1", label: 202, site: east,
     mac: 02:00:00:00:02:02, subnet: 10.2.2.0/24}
  - {name: r1, stage: router, device_id: 21, address: "127.0.0.1:1", label: 301, site: west,
     mac: 02:00:00:00:03:01, capacity: 400, threshold_available: 100}
  - {name: r2, stage: router, device_id: 22, address: "127.0.0.1:1", label: 302, site: east,
     mac: 02:00:00:00:03:02, capacity: 400, threshold_available: 100}
  - {name: r3, stage: router, device_id: 23, address: "127.0.0.1:1", label: 303, site: east,
     mac: 02:00:00:00:03:03, capacity: 400, threshold_available: 100}
links:
  - {a: e1:1, b: s1:1}
  - {a: e2:1, b: s2:1}
  - {a: r1:1, b: s1:2}
  - {a: r2:1, b: s2:2}
  - {a: r3:1, b: s2:3}
  - {a: s1:8, b: s2:8, delay_ms: 20}
clients:
  - {name: c1, port: e1:9, ip: 10.1.1.10, mac: 02:00:00:00:04:01}
  - {name: c2, port: e2:9, ip: 10.1.2.10, mac: 02:00:00:00:04:02}
backends:
  - {name: b1, port: s1:9, ip: 10.2.1.10, mac: 02:00:00:00:05:01, label: 401}
  - {name: b2, port: s2:9, ip: 10.2.2.10, mac: 02:00:00:00:05:02, label: 402}
services:
  - {id: 1, name: web, address: 10.100.0.1, protocol: tcp, port: 80, routers: [r1], backends: [b1, b2]}
  - {id: 2, name: dns, address: 10.100.0.1, protocol: udp, port: 53, routers: [r1], backends: [b1]}
"""
DESTINATIONS_YAML = """\
destinations:
  period_s: 1.0
  predictive: false
  sites: [{name: east, spare_cps: 100, room: 4}]
  locations:
    - {name: oslo, site: west, prefixes: [10.1.1.0/24]}
    - {name: rome, site: east, prefixes: [10.1.2.0/24]}
  access: {step_s: 1.0, keep_s: 600, cells: 16, counters: 64}
  forecast: {ahead_s: 2, horizons_s: [1, 2, 4], min_history_s: 60}
  placement: {keep_s: 10}
  redirects: {hold_s: 5, hold_max_s: 20}
"""
CYCLE_YAML = "cycle: {period_s: 0.5}\n"
OSLO, ROME = "10.1.1.10", "10.1.2.10"
WEB = 1
R1, R2, R3 = 301, 302, 303


class MemoryEdges(MemorySwitches):
    """Switches whose edges count and choose for new connections: the longest prefix, then slots in turn."""

    def __init__(self, fabric: Any, journal: list[str]) -> None:
        super().__init__(fabric, journal)
        self.opened: dict[str, Counter[int]] = {"e1": Counter(), "e2": Counter()}
        self.redirected: dict[str, Counter[tuple[int, str]]] = {"e1": Counter(), "e2": Counter()}
        self._openings: Counter[tuple[str, int]] = Counter()
        self.unread: set[str] = set()

    def choose(self, edge: str, client: str, service: int) -> int:
        """The label that a new connection is bound to; counted as the data plane does."""
        plan = self.plans[edge]
        address = int(ipaddress.IPv4Address(client))
        slot_set = next(row.slot_set for row in plan.services if row.service == service)
        found = [
            (network.prefixlen, row)
            for row in plan.redirects
            for network in [ipaddress.IPv4Network(row.prefix)]
            if row.service == service
            and address >> (BITS - network.prefixlen)
            == int(network[0]) >> (BITS - network.prefixlen)
        ]
        if found:
            row = max(found, key=lambda one: one[0])[1]
            self.redirected[edge][service, row.prefix] += 1
            slot_set = row.slot_set if row.slot_set is not None else slot_set
        self.opened[edge][service] += 1
        slots = next(one.slots for one in plan.slot_sets if one.id == slot_set)
        number = self._openings[edge, slot_set]
        self._openings[edge, slot_set] += 1
        return slots[number * 61 % len(slots)]

    async def read_opened(self, nodes: Sequence[str]) -> dict[str, dict[int, int]]:
        return {name: dict(self.opened[name]) for name in nodes if name not in self.unread}

    async def read_redirected(self, nodes: Sequence[str]) -> dict[str, dict[tuple[int, str], int]]:
        found = {}
        for name in nodes:
            rows = {(row.service, row.prefix) for row in self.plans[name].redirects}
            for gone in self.redirected[name].keys() - rows:
                del self.redirected[name][gone]
            if name not in self.unread:
                found[name] = {row: self.redirected[name][row] for row in rows}
        return found


class MemoryLoop:
    """What the loop of routers knows. A router in `away` serves nobody."""

    def __init__(self, routers: Sequence[str]) -> None:
        self.away: set[str] = set()
        self.counters: dict[str, NodeCounters] = {}
        self.demands: dict[str, Demand] = {name: Demand(10.0, 1.0, 2.0) for name in routers}
        self.offered: dict[int, Mapping[str, float]] = {}

    @property
    def base(self) -> Mapping[int, Mapping[str, float]]:
        return {1: {"r1": 100.0}, 2: {"r1": 100.0}}

    def count(self, router: str, **counts: int) -> None:
        """The router's counters of the web service."""
        self.counters[router] = NodeCounters(router, 0.0, {WEB: ServiceCounters(**counts)})


class MemoryRecorder:
    """A real store; steps in a list."""

    def __init__(self, path: Path, troubles: Troubles) -> None:
        self.store = Store(path, troubles)
        self.steps: list[Mapping[str, Any]] = []

    def destination(self, time_s: float, step: Mapping[str, Any]) -> None:
        self.steps.append(step)

    async def meta(self, key: str) -> str | None:
        return self.store.meta(key)

    async def arrivals(self, since_s: float) -> list[tuple[float, str, str, int]]:
        return self.store.arrivals(since_s)


class DestinationWorld:
    """One configuration and its edges; controllers come and go."""

    def __init__(self, directory: Path, destinations: str = DESTINATIONS_YAML) -> None:
        self._destinations = destinations
        self.directory = directory
        self.configure(SITES_YAML)
        self.journal: list[str] = []
        self.edges = MemoryEdges(self.fabric, self.journal)
        self.loop = MemoryLoop(("r1", "r2", "r3"))
        self.clock = HandClock()
        self.troubles = Troubles()
        self.dry = False
        self.routes = RoutesState()

    def configure(self, sites: str) -> None:
        """Another configuration of the fabric; for the next controller."""
        self.config = parse(CYCLE_YAML + sites + self._destinations, base=self.directory)
        self.fabric = self.config.fabric()

    async def start(self) -> DestinationManager:
        """A controller begins."""
        self.recorder = MemoryRecorder(self.directory / "umbra.db", self.troubles)
        made = make(
            self.config,
            self.fabric,
            self.edges,
            self.loop,
            lambda: self.loop.away,
            self.recorder,
            self.troubles,
            self.clock.wall_s,
            lambda: self.dry,
            lambda: self.routes,
            connect=open_graph,
        )
        assert made is not None
        self.manager = made
        in_force = {
            (name, one.id): one.slots
            for name, plan in self.edges.plans.items()
            for one in plan.slot_sets
        }
        await made.recall(in_force)
        self.edges.wanted = {
            name: made.over(FabricPlan((p,))).nodes[0] for name, p in self.edges.plans.items()
        }
        await self.edges.reconcile()
        return made

    async def stop(self) -> None:
        """It ends, and leaves everything as it is."""
        await self.manager.close()
        self.recorder.store.close()

    def come(self, client: str, number: int, service: int = WEB) -> Counter[int]:
        """New connections of a client: label → how many were bound to it."""
        edge = "e1" if client.startswith("10.1.1.") else "e2"
        bound: Counter[int] = Counter()
        for port in range(number):
            label = self.edges.choose(edge, client, service)
            bound[label] += 1
            digest = SampledConnection(
                edge, self.clock.wall_s(), client, "10.100.0.1", 6, 1024 + port, 80, service, label
            )
            self.manager.sampled([digest])
        return bound

    async def turns(self, number: int, **came: int) -> Counter[int]:
        """So many turns, a second each; in each so many connections of `oslo` and `rome`."""
        bound: Counter[int] = Counter()
        for _ in range(number):
            for client, count in ((OSLO, came.get("oslo", 0)), (ROME, came.get("rome", 0))):
                bound += self.come(client, count)
            self.clock.pass_s(1.0)
            await self.manager.turn()
            self.recorder.store.flush()
            await asyncio.sleep(0)
        return bound

    def served(self) -> dict[str, str]:
        """Location → site of the copy of web that its new connections go to."""
        sites = self.manager.position.redirects.sites
        return {place: site for (service, place), site in sorted(sites.items()) if service == WEB}
