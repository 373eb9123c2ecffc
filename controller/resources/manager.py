"""The loop of the shadow manager for devices (seed 10069757), beside the cycle, and what people ask of it.

A part that fails is a trouble, counted and left out of the turn; primaries are never touched. A restart flushes
nothing: what was decided is remembered, limits are set again as they were, and traffic stays where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from controller.model import NodeCounters, SampledConnection
from controller.model.resources import NOTHING, Amounts, DeviceUse, Policy
from controller.plan.resources import (
    DeviceDecision,
    DeviceView,
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
    Warming,
    update_shadow_resources,
)
from controller.plan.resources.replay import state_from_text, state_to_text
from controller.plan.resources.rules import policy_of
from controller.resources import told
from controller.resources.audit_lines import AuditLines, Line
from controller.resources.day import DayRecord
from controller.resources.foresight import UseForesight
from controller.resources.history import UseHistory
from controller.resources.settings import Device
from controller.resources.shadows import Key, Shadows
from controller.resources.traffic import Traffic
from controller.resources.uses import Uses
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent

LOG = logging.getLogger("umbra.resources")
KEPT = 500  # decisions, for the API
LATE = "resources: late"
Note = Callable[[float, Sequence[Line]], None]


class ResourceManager:
    """Owns the parts. Call everything within one asyncio event loop.

    counters: the newest of every switch. live: connections of a router. note: takes lines to the audit log. remember:
    keeps the state for the next run.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        policies: Sequence[Policy],
        settings: ManagerSettings,
        uses: Uses,
        history: UseHistory,
        foresight: UseForesight,
        shadows: Shadows,
        traffic: Traffic,
        record: DayRecord | None,
        troubles: Troubles,
        clock: Callable[[], float],
        dry: Callable[[], bool],
        *,
        counters: Callable[[], Iterable[NodeCounters]],
        live: Callable[[str], int],
        note: Note,
        remember: Callable[[str], None],
    ) -> None:
        self.devices = tuple(devices)
        self.record = record
        self.plan: ManagerPlan | None = None  # what was decided last
        self._policies = tuple(policies)
        self._bases = {
            one.name: policy.base
            for one in devices
            if (policy := policy_of(one.name, policies)) is not None
        }
        self._settings = settings
        self._uses = uses
        self._history = history
        self._foresight = foresight
        self._shadows = shadows
        self._traffic = traffic
        self._troubles = troubles
        self._clock = clock
        self._dry = dry
        self._counters = counters
        self._live = live
        self._note = note
        self._remember = remember
        self._state = ManagerState()
        self._dry_state: ManagerState | None = None  # a dry run plans on with a state of its own
        self._lines = AuditLines()
        self._decisions: deque[tuple[DeviceDecision, float, bool]] = deque(maxlen=KEPT)
        self._switches = [
            name for one in devices for name in (one.name, *(s.switch for s in one.shadows))
        ]
        self._turns = 0
        self._turn_ms = self._decide_ms = 0.0

    def events(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events."""
        self._foresight.plan(events)

    def saw(self, connections: Sequence[SampledConnection]) -> None:
        """Digests of new connections: what requests were."""
        self._uses.saw(connections)

    def recall(
        self,
        text: str | None,
        series: str | None,
        past: Mapping[str, Sequence[tuple[float, Amounts]]],
    ) -> None:
        """Before the first turn: what an earlier run remembered, which series it stored, and what its devices used."""
        if series is not None:
            self._uses.take_over(series)
        if text is not None:
            try:
                self._state = state_from_text(text)
            except ValueError as error:
                LOG.warning("%s; resources are decided anew", error)
        for name in (one.name for one in self.devices):
            self._history.load(name, past.get(name, ()))
        self._foresight.remember(self._history)

    async def run(self) -> None:
        """Turn the loop until it is cancelled."""
        while True:
            began_s = time.monotonic()
            await self.turn()
            took_s, period_s = time.monotonic() - began_s, self._settings.period_s
            if took_s > period_s:
                what = f"a turn took {took_s:.1f} s, resources.period_s is {period_s:g} s: raise it"
                self._troubles.begin(LATE, what)
            else:
                self._troubles.end(LATE)
            await asyncio.sleep(max(0.0, period_s - took_s))

    async def turn(self) -> None:
        """One cycle: collect, forecast, decide, allocate, move traffic, record."""
        began_s = time.perf_counter()
        self._turns += 1
        now_s, dry = self._clock(), self._dry()
        async with self._part("use"):
            await self._uses.look(self._counters())
        now_s = max(now_s, self._clock())  # nothing that was read is later than the decision
        uses = self._uses.newest(self._switches, now_s)
        carried = self._carried(uses)
        demands = self._demands(uses, carried)
        for name, demand in demands.items():
            self._history.add(name, now_s, demand)
        forecasts: Mapping[str, Any] = {}
        async with self._part("forecast"):
            forecasts = await self._foresight.look(self._history, self._bases, now_s)
        away = self._shadows.away()  # nothing is left of a primary that is dead or drained
        if demands:
            view = ManagerView(
                tuple(
                    DeviceView(
                        one.name,
                        demands[one.name],
                        NOTHING if one.name in away else one.capacity,
                        forecasts.get(one.name),
                        {s.name: carried[one.name, s.name] for s in one.shadows},
                    )
                    for one in self.devices
                    if one.name in demands
                ),
                self._policies,
                self._shadows.reports(self._before(dry).queue, now_s),
            )
            async with self._part("decision"):
                await self._decide(view, carried, now_s, dry=dry)
        self._turn_ms = (time.perf_counter() - began_s) * 1000

    async def _decide(
        self, view: ManagerView, carried: Mapping[Key, Amounts], now_s: float, *, dry: bool
    ) -> None:
        before, began_s = self._before(dry), time.perf_counter()
        plan, after = await asyncio.to_thread(
            update_shadow_resources, view, before, now_s, self._settings
        )
        self._decide_ms = (time.perf_counter() - began_s) * 1000
        self.plan = plan
        if dry:
            self._dry_state = after
        else:
            self._dry_state, self._state = None, after
            async with self._part("allocation"):
                await self._shadows.allocate(plan.allocations, carried)
            async with self._part("traffic"):
                await self._traffic.carry_out(plan, after, now_s)
        self._decisions.extend((one, now_s, dry) for one in plan.decisions)
        self._tell_budgets(plan)
        async with self._part("record"):
            await asyncio.to_thread(self._keep, view, before, plan, after, now_s, dry)

    def _keep(
        self,
        view: ManagerView,
        before: ManagerState,
        plan: ManagerPlan,
        after: ManagerState,
        now_s: float,
        dry: bool,
    ) -> None:
        """Not for the event loop: a thousand devices make megabytes of it."""
        lines = self._lines.of(plan.decisions, now_s, dry=dry)
        if lines:
            self._note(now_s, lines)
        if not dry:
            self._remember(state_to_text(after))
        if self.record is not None:
            self.record.add(view, before, plan, after, now_s, self._settings)

    def reserved(self) -> frozenset[str]:
        """Shadows of devices: they get nothing but what is decided here."""
        return frozenset(self._shadows.switches.values())

    def state(self) -> dict[str, Any]:
        """Everything at one moment, JSON-able (`serve/resource_schemas.ResourcesState`)."""
        plan, state, now_s = self.plan, self._before(self._dry()), self._clock()
        uses = self._uses.newest(self._switches, now_s)
        decided = told.decided_of(plan)
        queue = {one.key: one for one in state.queue}
        return {
            "turns": self._turns,
            "turn_ms": self._turn_ms,
            "decide_ms": self._decide_ms,
            "dry_run": self._dry(),
            "devices": [
                told.device_state(
                    one,
                    decided.get(one.name),
                    uses,
                    queue,
                    self._shadows.given,
                    self._shadows.failed,
                    self._traffic.parts.get(one.name, ()),
                    self._foresight.models.get(one.name),
                )
                for one in self.devices
            ],
            "queue": told.queue_state(state),
            "over_budget": dict(plan.over_budget) if plan is not None else {},
        }

    def decisions(self, limit: int, device: str | None = None) -> list[dict[str, Any]]:
        """The newest decisions, newest first. KeyError for a device that is not managed."""
        if device is not None and device not in {one.name for one in self.devices}:
            known = ", ".join(one.name for one in self.devices)
            raise KeyError(f"{device} is no device of resources.devices; there are {known}")
        own = [one for one in reversed(self._decisions) if device in (None, one[0].device)]
        return [told.decision(one, now_s, dry=dry) for one, now_s, dry in own[:limit]]

    async def close(self) -> None:
        """Leave everything as it is: limits and shares go on."""
        await self._foresight.close()

    def _before(self, dry: bool) -> ManagerState:
        return self._dry_state or self._state if dry else self._state

    def _carried(self, uses: Mapping[str, DeviceUse]) -> dict[Key, Amounts]:
        """What connections stand on, by shadow: what an idle one needs for itself is not in use."""
        warm = {one.key for one in self._state.queue if one.state is Warming.READY}
        found = {}
        for key, switch in self._shadows.switches.items():
            use = uses.get(switch)
            carries = use is not None and (self._live(switch) > 0 or self._gets(key, warm))
            found[key] = use.amounts if use is not None and carries else NOTHING
        return found

    def _gets(self, key: Key, warm: set[Key]) -> bool:
        parts = dict(self._traffic.parts.get(key[0], ()))
        return key in warm and parts.get(self._shadows.switches[key], 0.0) > 0

    def _demands(
        self, uses: Mapping[str, DeviceUse], carried: Mapping[Key, Amounts]
    ) -> dict[str, Amounts]:
        """Device → what it and those that carry its connections use together."""
        found = {}
        for one in self.devices:
            total, known = NOTHING, False
            if one.name in uses:
                total, known = uses[one.name].amounts, True
            for own in one.shadows:
                total = total + carried[one.name, own.name]
                known = known or carried[one.name, own.name] != NOTHING
            if known:
                found[one.name] = total
        return found

    def _tell_budgets(self, plan: ManagerPlan) -> None:
        for name in {one.policy for one in plan.decisions}:
            trouble = f"budget of policy {name}"
            over = plan.over_budget.get(name)
            if over is None:
                self._troubles.end(trouble)
            else:
                what = f"what must be held costs {over:.4g} an hour more than budget_per_h"
                self._troubles.begin(trouble, f"{what}: raise it, or lower least")

    @contextlib.asynccontextmanager
    async def _part(self, name: str) -> AsyncIterator[None]:
        with self._troubles.within(f"resources: {name}"):
            yield
