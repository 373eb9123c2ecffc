"""Shares → slot sets on the edges: writes what changed, and again what a switch did not take.

Every edge is written on its own: one that is slow or gone delays nobody. A write that has not come
back in time goes on in the background, and its edge gets the newest shares when it is done.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.model import Fabric, SlotSet, Stage
from controller.plan.fabric import slot_set_id
from controller.plan.slots import slots

Key = tuple[str, int]  # (edge, slot set)


class Report(Protocol):
    """What the driver says about a write."""

    @property
    def written(self) -> tuple[str, ...]: ...

    @property
    def failed(self) -> tuple[tuple[str, str], ...]: ...


class Writer(Protocol):
    """The part of the fabric driver that is needed here."""

    async def write_slot_sets(self, sets: Mapping[str, Sequence[SlotSet]]) -> Report:
        """Write slot sets (switch → slot sets); what is wanted of these switches changes too."""


@dataclass(frozen=True, slots=True)
class Written:
    """Edges that took all they were to take, those that did not and why, and the time it took."""

    edges: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    elapsed_ms: float = 0.0


class ShareWriter:
    """Knows what the edges should hold and what they are known to hold."""

    def __init__(self, fabric: Fabric, driver: Writer) -> None:
        self._driver = driver
        self._edges = tuple(switch.name for switch in fabric.stage(Stage.EDGE))
        self._sets = {service.id: slot_set_id(service) for service in fabric.services}
        self._wanted: dict[Key, tuple[int, ...]] = {}
        self._held: dict[Key, tuple[int, ...]] = {}
        self._told: dict[Key, tuple[int, ...]] = {}  # what the driver wants: it reconciles to this
        self._doubtful: set[Key] = set()  # a write failed: the switch may hold either
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._errors: dict[str, str] = {}

    def adopt(self, in_force: Mapping[Key, Sequence[int]]) -> None:
        """Start from what was read back from the switches; slot sets of redirects are somebody else's."""
        own = {*self._sets.values()}
        for (edge, number), labels in in_force.items():
            if edge in self._edges and number in own:
                self._wanted[edge, number] = self._held[edge, number] = tuple(labels)

    def want(self, shares: Mapping[tuple[str, int], Mapping[int, int]]) -> set[Key]:
        """Set the wanted shares; returns the slot sets that change."""
        changed: set[Key] = set()
        for (edge, service), share in shares.items():
            key = (edge, self._sets[service])
            labels = slots(self._wanted.get(key), share)
            self._told.setdefault(key, labels)  # the first are part of the driver's first plan
            if labels != self._wanted.get(key):
                self._wanted[key] = labels
                changed.add(key)
        return changed

    def wanted(self) -> dict[Key, tuple[int, ...]]:
        """(edge, slot set) → 100 labels, as they should be."""
        return dict(self._wanted)

    def held(self, edge: str, service: int) -> dict[int, int]:
        """Label → percent that the edge holds for a service: as known, else as wanted."""
        counted: dict[int, int] = defaultdict(int)
        key = (edge, self._sets[service])
        for label in self._held.get(key) or self._wanted.get(key, ()):
            counted[label] += 1
        return dict(counted)

    def confirm(self, edge: str) -> None:
        """The edge was reconciled: it holds what the driver was last told, which may be
        less than what is wanted by now: the next `write` writes the rest.
        """
        for key, labels in self._told.items():
            if key[0] == edge:
                self._held[key] = labels
                self._doubtful.discard(key)

    async def write(self, changed: set[Key], up: frozenset[str], timeout_s: float) -> Written:
        """Write what changed, and what connected edges (`up`) are not known to hold."""
        start_s = time.perf_counter()
        open_sets: dict[str, list[SlotSet]] = defaultdict(list)
        for key, labels in self._wanted.items():
            edge, number = key
            differs = self._held.get(key) != labels or key in self._doubtful
            if differs and (key in changed or edge in up):
                open_sets[edge].append(SlotSet(number, labels))
        failed: dict[str, str] = {}
        tasks: dict[str, asyncio.Task[None]] = {}
        for edge, sets in open_sets.items():
            earlier = self._writing.get(edge)
            if earlier is not None and not earlier.done():
                failed[edge] = "an earlier write has not come back; it is written again after it"
            else:
                tasks[edge] = asyncio.create_task(self._write(edge, sets))
                self._writing[edge] = tasks[edge]
        if tasks:
            await asyncio.wait(tasks.values(), timeout=timeout_s)
        done: list[str] = []
        for edge, task in tasks.items():
            if not task.done():
                failed[edge] = f"no answer within {timeout_s * 1000:.0f} ms"
            elif task.cancelled() or edge in self._errors:
                failed[edge] = self._errors.get(edge, "the write was ended")
            else:
                done.append(edge)
        elapsed_ms = (time.perf_counter() - start_s) * 1000
        return Written(tuple(sorted(done)), tuple(sorted(failed.items())), elapsed_ms)

    async def close(self) -> None:
        """End writes that are still under way."""
        tasks = [task for task in self._writing.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, edge: str, sets: Sequence[SlotSet]) -> None:
        self._errors.pop(edge, None)
        keys = {(edge, one.id) for one in sets}
        self._told |= {(edge, one.id): one.slots for one in sets}
        try:
            report = await self._driver.write_slot_sets({edge: sets})
        except Exception as error:
            self._errors[edge] = str(error) or type(error).__name__
            self._doubtful |= keys
            return
        if report.failed:
            self._errors[edge] = report.failed[0][1]
            self._doubtful |= keys
        else:
            self._doubtful -= keys
            self._held |= {(edge, one.id): one.slots for one in sets}
