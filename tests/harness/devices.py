"""Routers of a simulated fabric in control groups of a directory tree: what they use follows what they carry.

The allocator is the real one; only its clock is the fabric's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.resources.cgroup_trees import populate, v1

from controller.act.resources import Allocator, Mounts, Place
from controller.model.resources import Amounts, DeviceTotals
from controller.resources import make
from controller.resources.manager import ResourceManager
from harness.simulated import Rate, SimFabric
from harness.simworld import World

CORES_PER_NEW = 0.01  # CPU seconds that one new connection costs
OWN_CORES = 0.01  # of a router without any
OWN_BYTES = 50 << 20
BYTES_EACH = 10_000  # of a connection

DEVICES_YAML = """\
resources:
  period_s: 60.0
  forecast: {enabled: ENABLED, horizons_s: [5, 10, 20], step_s: 1.0}
  record: {path: DIRECTORY/days}
  devices:
  - name: r1
    capacity: {cpu_cores: 0.4}
    place: {group: lab/r1}
    shadows:
    - {name: small, switch: r2, place: {group: lab/r2}}
SECOND  policies:
  - name: routers
    mode: MODE
    cover: COVER
    base: {cpu_cores: 1, memory_mib: 100, network_mbps: 100}
    least: LEAST
    shadows:
    - {name: small, most: {cpu_cores: 0.5}, idle: {cpu_cores: 0.05, memory_mib: 64}}
LARGE    give_back_cycles: 3
    prices:
      hold: {cpu_core_h: 1, memory_gib_h: 0.01, network_gbps_h: 0.01}
      breach: {cpu_core_h: 50, memory_gib_h: 1, network_gbps_h: 1}
"""
# Nothing but the shadow manager foresees anything.
QUIET = "load_test: {enabled: false}\ncycle: {predictive: false}\n"
SECOND = "    - {name: large, switch: r3, place: {group: lab/r3}}\n"
LARGE = "    - {name: large, most: {cpu_cores: 2}, idle: {cpu_cores: 0.05, memory_mib: 64}}\n"


def devices_yaml(
    directory: Path,
    *,
    mode: str = "active",
    forecasts: bool = True,
    two: bool = False,
    least: str = "{}",
    cover: str = "demand",
) -> str:
    """The section `resources`: r1 with the shadow r2, and r3 when there are two."""
    text = DEVICES_YAML.replace("DIRECTORY", str(directory)).replace("MODE", mode)
    text = text.replace("COVER", cover)
    text = text.replace("ENABLED", str(forecasts).lower()).replace("LEAST", least)
    return text.replace("SECOND", SECOND if two else "").replace("LARGE", LARGE if two else "")


class SimAllocator:
    """The real allocator over a tree that `use` keeps filled, at the fabric's time. `orders`: (device, amounts)."""

    def __init__(self, mounts: Mounts, places: Mapping[str, Place], sim: SimFabric) -> None:
        self.own = Allocator(places, mounts=mounts)
        self.orders: list[tuple[str, Amounts]] = []
        self._mounts = mounts
        self._sim = sim
        self._opened: dict[str, int] = {}
        self._used_s = sim.time_s

    def set(self, device: str, amounts: Amounts, in_use: Amounts) -> Any:
        self.orders.append((device, amounts))
        return self.own.set(device, amounts, in_use)

    def all_totals(self) -> tuple[list[DeviceTotals], dict[str, str]]:
        self._use()
        totals, failed = self.own.all_totals()
        return [replace(one, time_s=self._sim.time_s) for one in totals], failed

    def lift(self, device: str) -> None:
        self.own.lift(device)

    def limit(self, device: str) -> str:
        """The CPU quota as the kernel's file has it."""
        return (self._mounts.cpu / "lab" / device / "cpu.cfs_quota_us").read_text().strip()

    def _use(self) -> None:
        """What the routers used since the last time, into the kernel's files."""
        interval_s = self._sim.time_s - self._used_s
        self._used_s = self._sim.time_s
        for name, router in self._sim.routers.items():
            opened = sum(router.opened.values()) + sum(router.refused.values())
            cpu_s = OWN_CORES * interval_s + CORES_PER_NEW * (opened - self._opened.get(name, 0))
            self._opened[name] = opened
            usage = self._mounts.cpuacct / "lab" / name / "cpuacct.usage"
            if usage.exists():
                usage.write_text(f"{int(usage.read_text()) + int(1e9 * cpu_s)}\n")
                memory = self._mounts.memory / "lab" / name / "memory.usage_in_bytes"
                memory.write_text(f"{OWN_BYTES + BYTES_EACH * router.total}\n")


class DeviceWorld(World):
    """A World whose routers have groups. The resources' loop turns when the test says so."""

    def __init__(
        self,
        directory: Path,
        rate: Rate,
        more: str,
        monkeypatch: pytest.MonkeyPatch,
        *,
        capacity: int = 4000,
        routers: int = 3,
    ) -> None:
        self.mounts = v1(directory / "cgroup")
        for name in ("r1", "r2", "r3"):
            populate(self.mounts, f"lab/{name}")
        self.allocators: list[SimAllocator] = []

        def allocator(places: Mapping[str, Place]) -> SimAllocator:
            self.allocators.append(SimAllocator(self.mounts, places, self.sim))
            return self.allocators[-1]

        async def rest(_: ResourceManager) -> None:
            """Instead of turning by the wall's clock."""

        monkeypatch.setattr(make, "Allocator", allocator)
        monkeypatch.setattr(ResourceManager, "run", rest)
        super().__init__(directory, rate, more + QUIET, routers=routers, capacity=capacity)

    @property
    def resources(self) -> ResourceManager:
        """The shadow manager."""
        assert self.controller.resources is not None
        return self.controller.resources

    @property
    def allocator(self) -> SimAllocator:
        """The one in use."""
        return self.allocators[-1]

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await self.controller.turn()
            await self.resources.turn()

    def shadow(self, name: str = "small") -> dict[str, Any]:
        """A shadow of r1 as the API shows it."""
        (device,) = self.resources.state()["devices"]
        return next(dict(one) for one in device["shadows"] if one["name"] == name)
