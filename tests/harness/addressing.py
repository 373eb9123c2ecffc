"""The address shadow manager over a real pool, with hosts and switches of memory, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.act.fabric import NodeStatus, ReconcileReport, WriteReport
from controller.act.host_values import Held, Holding, HostState, Running
from controller.act.hosts import HostDown
from controller.act.nat import NatFailed
from controller.addressing.make import make
from controller.addressing.manager import AddressManager
from controller.addressing.settings import HostPlace
from controller.config import parse
from controller.model import Fabric, FabricPlan, Idle, NatRow, NodePlan
from controller.model.bgp import Advertisement, BgpSettings
from controller.plan.fabric import fabric_plan
from controller.pool import Pool
from controller.trouble import Troubles
from harness.pools import HandClock
from harness.yaml_fabric import FABRIC_YAML

ADDRESSES_YAML = """\
addresses:
  warm: {at_least: 2, release_after_s: 10}
  shards: {ipv4_addresses: 16, ipv6_addresses: 16}
  subdivisions:
    - name: pod
      prefixes: [10.64.0.0/24]
      external: 198.51.100.0/24
      hosts:
        - {name: h1, port: "s1:20", agent: h1.sock}
        - {name: h2, port: "s1:21", agent: h2.sock}
    - name: rack
      prefixes: [10.65.0.0/24, "fd00:65::/64"]
      instances: elsewhere
      hosts: [{name: h3, port: "s1:22", agent: h3.sock}]
"""


@dataclass
class MemoryHost:
    """An agent's behaviour without namespaces. `down`: it does not answer."""

    place: HostPlace
    journal: list[str]
    held: dict[str, Holding] = field(default_factory=dict)
    instances: dict[str, Running] = field(default_factory=dict)
    down: bool = False

    def _answer(self) -> None:
        if self.down:
            raise HostDown(f"the agent of host {self.place.name} does not answer")

    async def hold(self, holdings: Sequence[Holding]) -> None:
        self._answer()
        self.journal.append(f"hold {self.place.name} {' '.join(one.address for one in holdings)}")
        self.held |= {one.address: one for one in holdings}

    async def unhold(self, addresses: Sequence[str]) -> tuple[str, ...]:
        self._answer()
        self.journal.append(f"unhold {self.place.name} {' '.join(addresses)}")
        return tuple(one for one in addresses if self.held.pop(one, None) is not None)

    async def start(self, name: str, holding: Holding, *, port: int) -> Running:
        self._answer()
        before = self.instances.get(name)
        if before is not None and before.address == holding.address:
            return before
        warm = self.held.pop(holding.address, None) is not None
        self.journal.append(f"start {self.place.name} {name} {holding.address}")
        running = Running(name, holding.address, holding.mac, port, 1, warm, 1.0)
        self.instances[name] = running
        return running

    async def stop(self, name: str) -> bool:
        self._answer()
        return self.instances.pop(name, None) is not None

    async def state(self) -> HostState:
        self._answer()
        held = tuple(Held(one.address, one.mac, 0.0, True) for one in self.held.values())
        return HostState(held, tuple(self.instances.values()))

    async def close(self) -> None:
        pass


class MemorySwitches:
    """What the switches hold, by name. A name in `down` is not connected; one in `unwilling` takes nothing."""

    def __init__(self, fabric: Fabric, journal: list[str]) -> None:
        self.plans = {node.node: node for node in fabric_plan(fabric, idle=Idle()).nodes}
        self.down: set[str] = set()
        self.unwilling: set[str] = set()
        self.wanted = dict(self.plans)
        self._journal = journal

    async def alter(self, change: Callable[[NodePlan], NodePlan]) -> WriteReport:
        failed = []
        for name, plan in list(self.wanted.items()):
            self.wanted[name] = change(plan)
            if self.wanted[name] == plan:
                continue
            if name in self.down | self.unwilling:
                failed.append((name, "not taken"))
            else:
                self.plans[name] = self.wanted[name]
                self._journal.append(f"rows {name}")
        return WriteReport((), tuple(failed), 0.1)

    async def reconcile(self, node: str | None = None) -> ReconcileReport:
        for name in [node] if node is not None else list(self.plans):
            if name in self.unwilling:
                return ReconcileReport({}, ((name, "not taken"),))
            self.plans[name] = self.wanted[name]
        return ReconcileReport({})

    def status(self) -> Mapping[str, NodeStatus]:
        return {
            name: NodeStatus(name, name not in self.down, 0.0, None, name not in self.down, 0)
            for name in self.plans
        }

    def delivered(self, switch: str = "s1") -> dict[str, int]:
        """Addresses of subdivisions → the port that the switch delivers them to."""
        return {
            row.prefix.removesuffix("/32"): row.port
            for row in self.plans[switch].delivers
            if row.prefix.startswith("10.6")
        }

    def translated(self) -> dict[str, str]:
        """Internal → external address, at the edge."""
        return {row.internal: row.external for row in self.plans["e1"].nat}


@dataclass
class MemorySpeaker:
    """What the routers were told. `broken`: it cannot be reached."""

    told: dict[str, tuple[Advertisement, ...]] = field(default_factory=dict)
    broken: bool = False

    async def sync(
        self, settings: BgpSettings, desired: Mapping[str, Iterable[Advertisement]]
    ) -> Any:
        if self.broken:
            raise OSError("the speaker does not answer")
        self.told = {peer: tuple(routes) for peer, routes in desired.items()}

    async def close(self) -> None:
        pass


@dataclass
class MemoryNat:
    """A Linux NAT host. `broken`: nft does not answer."""

    rows: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    async def reconcile(self, rows: Iterable[NatRow], inside: Iterable[str]) -> int:
        if self.broken:
            raise NatFailed("nft has not answered")
        self.rows = {one.internal: one.external for one in rows}
        return 1


class AddressWorld:
    """One configuration, its hosts and switches; managers come and go."""

    def __init__(self, directory: Path, addresses: str = ADDRESSES_YAML) -> None:
        self.config = parse(FABRIC_YAML + addresses, base=directory)
        self.fabric = self.config.fabric()
        self.journal: list[str] = []
        self.switches = MemorySwitches(self.fabric, self.journal)
        self.hosts: dict[str, MemoryHost] = {}
        self.speaker = MemorySpeaker()
        self.nat = MemoryNat()
        self.clock = HandClock()
        self.troubles = Troubles()
        self.notes: list[Mapping[str, Any]] = []
        self.dry = False
        self.manager: AddressManager | None = None
        self._path = directory / "pool.db"

    async def start(self) -> AddressManager:
        """A controller begins."""
        assert self.config.addresses is not None
        self.pool = Pool(
            self._path, clock=self.clock, cool_s=self.config.addresses.cool_s, gap_s=10.0
        )
        made = make(
            self.config,
            self.fabric,
            self.switches,
            self.troubles,
            lambda _, step: self.notes.append(step),
            self.clock.wall_s,
            lambda: self.dry,
            pool=self.pool,
            connect=self._connect,
            speaker=self.speaker,
            nat=self.nat,
        )
        assert made is not None
        self.manager = made
        await made.recall()
        self.switches.wanted = {
            name: made.over(FabricPlan((p,))).nodes[0] for name, p in self.switches.plans.items()
        }
        await self.switches.reconcile()
        return made

    async def stop(self) -> None:
        """It ends, and leaves everything as it is."""
        if self.manager is not None:
            await self.manager.close()
            self.manager = None

    async def turns(self, number: int, *, every_s: float = 2.0) -> None:
        """So many turns of the loop."""
        assert self.manager is not None
        for _ in range(number):
            await self.manager.turn()
            self.clock.pass_s(every_s)

    def _connect(self, place: HostPlace) -> MemoryHost:
        return self.hosts.setdefault(place.name, MemoryHost(place, self.journal))

    def held(self) -> set[str]:
        """Addresses that shadow instances answer for."""
        return {address for host in self.hosts.values() for address in host.held}
