"""The smallest fabric with addresses ahead of demand: client, edge with NAT, spine, host with an agent, and a pool."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from controller.act.fabric import FabricDriver
from controller.act.host_values import Holding, Running
from controller.act.program import default_files
from controller.config import parse
from controller.model import Address, Fabric, FabricPlan, Grant, Idle, Subdivision
from controller.plan.address_rows import (
    PlacedAddress,
    external_of,
    inside_prefixes,
    with_addresses,
)
from controller.plan.fabric import fabric_plan
from controller.plan.shard_routes import shard_rows, with_shards
from controller.pool import Pool
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.host_agents import Agent, start_agents
from topologies.net import Network

HOSTS = ("b1", "b2")  # the first holds addresses
PORT = 80
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """An instance that came of a request, and when that was asked (Unix time)."""

    grant: Grant
    external: str | None
    running: Running
    host: str
    asked_ns: int

    def expect(self, external: str) -> None:
        """RuntimeError when it is known by another address than the one that was watched."""
        if self.external != external:
            raise RuntimeError(f"{external} was watched, but {self.external} was granted")


class AddressFabric:
    """The running one. Addresses come from the pool, rows go to the switches, the host's agent makes namespaces."""

    def __init__(
        self,
        network: Network,
        fabric: Fabric,
        driver: FabricDriver,
        agents: Mapping[str, Agent],
        pool: Pool,
        subdivisions: Sequence[Subdivision],
    ) -> None:
        self.network = network
        self.agents = agents
        self.agent = agents[HOSTS[0]]
        self.pool = pool
        self._fabric = fabric
        self._driver = driver
        self._subdivisions = tuple(subdivisions)
        self._placed: dict[str, PlacedAddress] = {}
        self._held: dict[str, list[Address]] = {one.name: [] for one in subdivisions}
        self._cold: dict[str, int] = {}
        self._base = fabric_plan(fabric, idle=Idle())
        self._inside = inside_prefixes(fabric, subdivisions)

    async def begin(self) -> None:
        """Program the switches; every subdivision gets its first prefix as a shard."""
        for subdivision in self._subdivisions:
            self.pool.register(subdivision)
            claim = self.pool.claim(subdivision.prefixes[0], subdivision.name, "bench")
            self.pool.confirm(claim.prefix, claim.sequence)
        rows = shard_rows(self._fabric, self._subdivisions, self.pool.shards())
        self._base = with_shards(self._base, rows)
        self._driver.want(self._plan())
        await self._driver.start()
        async with asyncio.timeout(READY_S):
            while not all(one.reconciled for one in self._driver.status().values()):
                await asyncio.sleep(0.02)

    def now_ns(self) -> int:
        """Unix time, as of received packets."""
        return time.time_ns()

    def _plan(self) -> FabricPlan:
        return with_addresses(
            self._base,
            self._fabric,
            tuple(self._placed.values()),
            inside=self._inside,
            external=[one.external for one in self._subdivisions if one.external],
        )

    async def _place(
        self,
        subdivision: Subdivision,
        addresses: Sequence[tuple[str, str]],
        host: str = HOSTS[0],
    ) -> None:
        """Write the rows of these addresses, in addition to those that there are, or instead."""
        wiring = self.network.wiring.host(host)
        for address, mac in addresses:
            external = external_of(subdivision, address)
            self._placed[address] = PlacedAddress(
                address, mac, wiring.switch, wiring.port, external
            )
        report = await self._driver.amend(self._plan())
        if report.failed:
            raise RuntimeError(f"rows were not written: {report.failed}")

    def _holding(self, address: str, mac: str) -> Holding:
        return Holding(address, mac, self.network.wiring.host(HOSTS[0]).gateway)

    async def hold(self, subdivision: Subdivision, number: int) -> float:
        """Make so many addresses warm: rows, then shadow instances. Milliseconds that the latter took."""
        held = await asyncio.to_thread(self.pool.hold, subdivision.name, number)
        if len(held) < number:
            raise RuntimeError(f"{subdivision.name} has room for {len(held)} of {number} addresses")
        self._held[subdivision.name] += held
        await self._place(subdivision, [(one.address, one.mac or "") for one in held])
        began_s = time.perf_counter()
        await self.agent.host.hold([self._holding(one.address, one.mac or "") for one in held])
        return (time.perf_counter() - began_s) * 1e3

    def next_external(self, subdivision: Subdivision, index: int = 0) -> str:
        """The external address that the next request will get, or the warm one at that place in the line."""
        held = self._held[subdivision.name]
        if held:
            address = held[index].address
        else:
            network = ipaddress.ip_network(subdivision.prefixes[0])
            address = str(network[1 + self._cold.get(subdivision.name, 0)])
        external = external_of(subdivision, address)
        if external is None:
            raise ValueError(f"subdivision {subdivision.name} has no external addresses")
        return external

    async def request(
        self,
        subdivision: Subdivision,
        name: str,
        *,
        separate: bool = False,
        host: str = HOSTS[0],
    ) -> Served:
        """An address for a new instance, and the instance. Rows of a cold one are written while it starts.

        host: of the instance. When another one holds the address, the row changes once the instance serves, and then
        the shadow instance ends: there is always one that answers.
        """
        asked_ns = self.now_ns()
        grant = await asyncio.wrap_future(self.pool.take_soon(subdivision.name, name))
        start = self.agents[host].host.start(
            name, self._holding(grant.address, grant.mac), port=PORT, separate=separate
        )
        if grant.warm:
            running = await start
            self._held[subdivision.name].pop(0)
            if host != HOSTS[0]:
                await self._place(subdivision, [(grant.address, grant.mac)], host)
                await self.agent.host.unhold([grant.address])
        else:
            place = self._place(subdivision, [(grant.address, grant.mac)], host)
            running, _ = await asyncio.gather(start, place)
            self._cold[subdivision.name] = self._cold.get(subdivision.name, 0) + 1
        external = external_of(subdivision, grant.address)
        return Served(grant, external, running, host, asked_ns)

    async def differences(self) -> int:
        """Read every switch back, and put right what is not as wanted: how many updates that takes. RuntimeError."""
        report = await self._driver.reconcile()
        if report.failed:
            raise RuntimeError(f"switches could not be compared: {report.failed}")
        return sum(report.updates.values())

    async def end(self, served: Served) -> None:
        """The instance ends, and its address cools down."""
        grant = served.grant
        await self.agents[served.host].host.stop(served.running.name)
        await asyncio.wrap_future(
            self.pool.release_soon(grant.address, grant.owner, grant.sequence)
        )


@asynccontextmanager
async def address_fabric(
    kind: str, run_dir: Path, subdivisions: Sequence[Subdivision]
) -> AsyncIterator[AddressFabric]:
    """Build it, for as long as the context lasts. The subdivisions' switch is the host's."""
    service = (ServiceSpec("web", routers=("r1",)),)
    config = configuration(
        ClosSpec(edges=1, spines=1, routers=1, backends=2, clients=1, services=service)
    )
    with Network(config, kind, run_dir) as network, Pool(run_dir / "pool.db") as pool:
        parsed = parse(yaml.safe_dump(config)).fabric()
        driver = FabricDriver(parsed, default_files())
        agents = start_agents(network, HOSTS, run_dir / "agents")
        fabric = AddressFabric(network, parsed, driver, agents, pool, subdivisions)
        try:
            await fabric.begin()
            yield fabric
        finally:
            for agent in agents.values():
                await agent.host.close()
            await driver.stop()
