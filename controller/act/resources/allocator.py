"""The resource allocation API: limits of devices, set and read back, and what they have used.

An `Allocation` of the planner becomes a CPU quota and a memory limit of the device's cgroup, and a rate of its ports.
Never below what is in use: a device is not starved of what it works with, and not killed for memory that it holds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.act.resources import network
from controller.act.resources.errors import AllocationError
from controller.act.resources.group import Group, granted_bytes, granted_cores
from controller.act.resources.groups import group
from controller.act.resources.mounts import Mounts, find
from controller.act.resources.network import SharedPorts
from controller.act.resources.place import Place
from controller.model.resources import NO_LIMIT, Amounts, DeviceTotals, Resource

MARGIN_BYTES, MARGIN_PCT = 1 << 20, 5.0  # above the working set: it grows while it is read


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an order. given: the limits now in force, infinite where there is none. held: resources that got
    more than was asked, because more is in use.
    """

    device: str
    asked: Amounts
    given: Amounts
    held: tuple[Resource, ...] = ()


def least_bytes(working_set_bytes: int) -> float:
    """The least limit of memory for a device that holds so much."""
    return working_set_bytes * (1.0 + MARGIN_PCT / 100.0) + MARGIN_BYTES


class Allocator:
    """places: device → where it is. mounts: of the cgroups; found out when first needed, if not given.

    Blocking (milliseconds; a change of the network limit starts tc); thread-safe. Every method raises KeyError for an
    unknown device and AllocationError.
    """

    def __init__(self, places: Mapping[str, Place], *, mounts: Mounts | None = None) -> None:
        self._mounts = mounts
        self._lock = threading.Lock()
        self._places = dict(places)
        self._ports = {
            name: SharedPorts(name, place.ports) for name, place in places.items() if place.ports
        }

    def set(self, device: str, amounts: Amounts, in_use: Amounts) -> Applied:
        """Limit a device to these amounts, but not below `in_use`, nor below the memory that the kernel says it has.

        Infinity lifts a limit. Where the device has no group, or no ports, nothing of that is limited. When one
        resource fails, those before it are set: reading back says what holds.
        """
        for amount in (*amounts, *in_use):
            if math.isnan(amount) or amount < 0:
                raise ValueError(f"{device}: {amount} is no amount of a resource")
        with self._lock:
            place = self._places[device]
            floor = in_use
            if place.group:
                own = self._group(place)
                used = own.use().memory_bytes
                # The margin is for a limit that is lowered: one that is set again must not grow with what it limits.
                kept = max(float(used), min(least_bytes(used), own.memory_bytes()))
                floor = floor.at_least(Amounts(memory_bytes=kept))
            wanted = amounts.at_least(floor)
            given = self._write(device, place, wanted)
        held = tuple(one for one in Resource if wanted.of(one) > amounts.of(one))
        return Applied(device, amounts, given, held)

    def lift(self, device: str) -> None:
        """Take all limits away, whoever set them; a group that is gone has none, nor have ports that are."""
        with self._lock:
            place = self._places[device]
            if place.group:
                own = self._group(place)
                if any(one.is_dir() for one in own.directories):
                    own.limit_cpu(math.inf)
                    own.limit_memory(math.inf)
            if place.ports:
                self._ports[device].clear()

    def read(self, device: str) -> Amounts:
        """The limits in force, by the kernel; infinite where there is none."""
        place = self._places[device]
        cores = memory_bytes = bps = math.inf
        if place.group:
            own = self._group(place)
            cores, memory_bytes = own.cpu_cores(), own.memory_bytes()
        if place.ports:
            bps = self._ports[device].bps()
        return Amounts(cores, memory_bytes, bps)

    def totals(self, device: str) -> DeviceTotals:
        """What the device has used since it is there."""
        return self._totals(device, self._places[device], network.counters())

    def all_totals(self) -> tuple[list[DeviceTotals], dict[str, str]]:
        """(of every device that can be read, device → why it cannot be)."""
        present = network.counters()
        found: list[DeviceTotals] = []
        failed: dict[str, str] = {}
        for device, place in tuple(self._places.items()):
            try:
                found.append(self._totals(device, place, present))
            except AllocationError as error:
                failed[device] = str(error)
        return found, failed

    def close(self, *, keep: bool = False) -> None:
        """Lift the network limits that this allocator set, unless they are to be kept for the next one. Limits of
        groups stay: a group and its limits go with who made it.
        """
        with self._lock:
            for ports in [] if keep else self._ports.values():
                if ports.touched:
                    ports.clear()

    def __enter__(self) -> Allocator:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _group(self, place: Place) -> Group:
        if self._mounts is None:
            self._mounts = find()
        return group(self._mounts, place.group)

    def _write(self, device: str, place: Place, wanted: Amounts) -> Amounts:
        given = NO_LIMIT
        if place.group:
            own = self._group(place)
            # Writing a quota again, even the same, begins a period anew with all of it.
            if own.cpu_cores() != granted_cores(wanted.cpu_cores):
                own.limit_cpu(wanted.cpu_cores)
            if own.memory_bytes() != granted_bytes(wanted.memory_bytes):
                own.limit_memory(wanted.memory_bytes)
            given = Amounts(own.cpu_cores(), own.memory_bytes(), math.inf)
        if place.ports:
            self._ports[device].limit(wanted.network_bps)
            bps = max(network.LEAST_BPS, wanted.network_bps)
            given = Amounts(given.cpu_cores, given.memory_bytes, bps)
        return given

    def _totals(
        self, device: str, place: Place, present: Mapping[str, tuple[int, int]]
    ) -> DeviceTotals:
        received, sent = network.totals(present, device, place.ports)
        if not place.group:
            return DeviceTotals(device, time.time(), 0.0, 0, sent, received)
        use = self._group(place).use()
        return DeviceTotals(
            device,
            time.time(),
            use.cpu_s,
            use.memory_bytes,
            sent,
            received,
            use.periods,
            use.limited_periods,
        )
