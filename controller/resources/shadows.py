"""The shadows themselves: their limits, whether they are ready, and which have died. A primary is never touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from controller.act.resources import AllocationError
from controller.model.resources import NOTHING, Allocation, Amounts
from controller.plan.resources import Warming, WarmReport, WarmRequest
from controller.resources.limited import Limited
from controller.resources.settings import Device
from controller.trouble import Troubles

Key = tuple[str, str]  # device, shadow
GRACE_S = 10.0  # for a shadow that had too little while it was idle to keep its connection


class Limits(Protocol):
    """What is needed of the allocator."""

    def set(self, device: str, amounts: Amounts, in_use: Amounts) -> Any: ...


class Node(Protocol):
    """State of the connection to a switch."""

    @property
    def up(self) -> bool: ...

    @property
    def reconciled(self) -> bool: ...

    @property
    def last_error(self) -> str | None: ...


class Shadows:
    """limited: remembers who has limits. status: of all switches. away: routers that are dead, drained, or not home
    yet. `given`: what was last set, and taken; `failed`: why it could not be set.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        limits: Limits,
        limited: Limited,
        status: Callable[[], Mapping[str, Node]],
        away: Callable[[], set[str]],
        troubles: Troubles,
    ) -> None:
        self.given: dict[Key, Amounts] = {}
        self.failed: dict[Key, str] = {}
        self.away = away
        self._switches = {(d.name, s.name): s.switch for d in devices for s in d.shadows}
        self._limits = limits
        self._limited = limited
        self._status = status
        self._troubles = troubles

    @property
    def switches(self) -> Mapping[Key, str]:
        """(device, shadow) → the router that it is."""
        return self._switches

    async def allocate(
        self, allocations: Sequence[Allocation], in_use: Mapping[Key, Amounts]
    ) -> None:
        """Set them all: a group that was made anew has no limits. (Whoever sets them writes only what differs.) What
        fails is told, kept for `reports`, and tried again.
        """
        wanted = {
            key: one.amounts
            for one in allocations
            if (key := (one.device, one.shadow)) in self._switches
        }
        if not wanted:
            return
        self._limited.add(self._switches[key] for key in wanted)
        failed = await asyncio.to_thread(self._set, wanted, dict(in_use))
        for key, amounts in wanted.items():
            trouble = f"resources of {self._switches[key]}"
            if key in failed:
                self.failed[key] = failed[key]
                self.given.pop(key, None)
                self._troubles.begin(trouble, failed[key])
            else:
                self.failed.pop(key, None)
                self.given[key] = amounts
                self._troubles.end(trouble)

    def reports(self, queue: Sequence[WarmRequest], now_s: float) -> tuple[WarmReport, ...]:
        """What became of shadows that are being warmed, and which of the warm ones died."""
        status, away = self._status(), self.away()
        found = []
        for one in queue:
            if one.state is Warming.QUEUED or one.key not in self._switches:
                continue
            error = self._error(one.key, status, away)
            young = one.state is Warming.WARMING and now_s - one.began_s < GRACE_S
            if error is not None and young and one.key not in self.failed:
                continue
            if error is not None:
                found.append(WarmReport(one.device, one.shadow, error))
            elif one.state is Warming.WARMING and self._warm(one.key, status):
                found.append(WarmReport(one.device, one.shadow))
        return tuple(found)

    def _error(self, key: Key, status: Mapping[str, Node], away: set[str]) -> str | None:
        switch = self._switches[key]
        node = status.get(switch)
        if key in self.failed:
            return self.failed[key]
        if node is None or not node.up:
            told = node.last_error if node is not None else None
            return (
                f"{switch} is not connected ({told or 'no answer'}); start it, or look at its log"
            )
        if switch in away:
            return f"{switch} is dead or drained; umbra status tells more"
        return None

    def _warm(self, key: Key, status: Mapping[str, Node]) -> bool:
        """It has its resources, and holds the same configuration as every router."""
        return key in self.given and status[self._switches[key]].reconciled

    def _set(self, wanted: Mapping[Key, Amounts], in_use: Mapping[Key, Amounts]) -> dict[Key, str]:
        failed = {}
        for key, amounts in wanted.items():
            try:
                self._limits.set(self._switches[key], amounts, in_use.get(key, NOTHING))
            except (AllocationError, OSError, ValueError) as error:
                failed[key] = str(error)
        return failed
