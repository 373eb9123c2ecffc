"""One turn of the loop: observe → forecast → plan → write → remember.

The only place that knows all of these. A part that fails is named, counted and left out of this
turn; the others go on with what they have: without counters on what was last seen (for three
periods), without a forecast on thresholds alone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from controller.act.shares import ShareWriter, Writer, Written
from controller.config import Config
from controller.events import ForecastMade, Publisher, ShiftDecided
from controller.model import (
    Decision,
    Fabric,
    Kind,
    NodeCounters,
    Outcome,
    RouterSample,
    SampledConnection,
    Stage,
)
from controller.observe.demand import Demand, DemandTracker
from controller.observe.history import History
from controller.observe.samples import Sampler
from controller.plan.routes import plan_routes
from controller.plan.routes_shares import base_pct, shares
from controller.plan.routes_state import (
    Parts,
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesPlan,
    RoutesState,
    ServiceView,
    with_orders,
)
from controller.plan.shadows import candidates
from controller.predict import Foresight, Outlook, limits, make_forecaster
from controller.trouble import Troubles

STALE_PERIODS = 3.0  # a sample older than this says nothing
MOST_CONNECTIONS = 5_000  # digests taken over in one turn
WRITES, REWRITE_S = 5, 0.02  # between two cycles
Measured = tuple[float | None, float | None]  # packets/s of one connection; that can be carried


class Status(Protocol):
    """State of the connection to a switch."""

    @property
    def up(self) -> bool: ...

    @property
    def reconciled(self) -> bool: ...


class Driver(Writer, Protocol):
    """What a turn needs of the fabric driver."""

    connections: asyncio.Queue[SampledConnection]

    async def read_counters(self) -> list[NodeCounters]:
        """Counters of the switches that answer."""

    def status(self) -> Mapping[str, Any]:
        """Switch → Status."""


class Recorder(Protocol):
    """Where everything that happens is remembered; never blocks, never raises."""

    def counters(self, counters: NodeCounters) -> None: ...

    def sample(self, sample: RouterSample, demand: Demand, shift_pct: float) -> None: ...

    def connections(self, connections: list[SampledConnection]) -> None: ...

    def forecasts(self, outlooks: Mapping[str, Outlook]) -> None: ...

    def decision(self, decision: Decision, outcome: Outcome, time_s: float) -> None: ...


class Cycle:
    """The loop's parts and what they remember between turns."""

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: Driver,
        recorder: Recorder,
        publisher: Publisher,
        troubles: Troubles,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.fabric = fabric
        self.routers = fabric.stage(Stage.ROUTER)
        self.labels = {router.name: router.label for router in self.routers}
        self.edges = tuple(edge.name for edge in fabric.stage(Stage.EDGE))
        self.services = tuple(ServiceView(s.id, s.routers) for s in fabric.services)
        self.base = {service.id: base_pct(service, self.labels) for service in self.services}
        self.candidates = candidates(
            fabric, per_router=config.shadows.per_router, overrides=config.shadows.overrides
        )
        self.writer = ShareWriter(fabric, driver)
        self.foresight = Foresight(limits(config), make_forecaster(config))
        self.sampler = Sampler(frozenset(self.labels))
        # Where new connections go without a shift: the base, less what is redirected, and where that goes.
        self.offered: dict[int, Mapping[str, float]] = dict(self.base)
        self.tracker = DemandTracker(self.offered, frozenset(self.edges))
        self.history = History()
        self.state = RoutesState()
        self.dry: RoutesState | None = self.state if config.cycle.dry_run else None
        self.away: dict[str, tuple[str, ...]] = {}  # routers that get nothing → who stands in
        self.takes: Callable[[str], bool] = self._answers  # may this router get new connections?
        self.reserved: Callable[[], frozenset[str]] = frozenset  # routers that others give work to
        self.measured: Callable[[str], Measured] = lambda _: (None, None)
        self.surging: Callable[[str], float] = lambda _: 0.0  # severity as seen between cycles
        self.seen: list[Callable[[list[SampledConnection]], None]] = []  # told of digests
        self.counters: dict[str, NodeCounters] = {}  # of the latest reading
        self.samples: dict[str, RouterSample] = {}
        self.demands: dict[str, Demand] = {}
        self.outlooks: dict[str, Outlook] = {}
        self.last_ms: dict[str, float] = {}
        self._parts_ms: dict[str, float] = {}
        self.number = 0
        self.finished_s: float | None = None
        self._driver = driver
        self._recorder = recorder
        self._publisher = publisher
        self._troubles = troubles
        self._clock = clock
        self._reading: asyncio.Task[list[NodeCounters]] | None = None

    @property
    def settings(self) -> RouteSettings:
        """The planner's rules as configured."""
        cycle = self.config.cycle
        return RouteSettings(
            predictive=cycle.predictive,
            surge=cycle.surge,
            ramp_pct=cycle.ramp_pct,
            max_shift_pct=cycle.max_shift_pct,
            restore_pct=cycle.restore_pct,
            min_probability=cycle.min_probability,
            direction_changes=cycle.direction_changes_per_10_cycles,
            horizon_s=self.config.forecast.horizons_s[-1],
            shadows=self.config.shadows.per_router,
            dry_run=self.dry is not None,
        )

    async def turn(self) -> tuple[Decision, ...]:
        """One cycle; returns its decisions. Does not raise."""
        self._parts_ms, start_s = {}, time.perf_counter()
        now_s = self._clock()
        counters: list[NodeCounters] = []
        with self._part("read"):
            counters = await self._read()
        with self._part("sample"):
            self._sample(counters)
        with self._part("predict"):
            if self.config.cycle.predictive:
                # Not the turn's begin: the counters are newer, and a forecast looks at nothing later.
                await self._predict(self._clock())
        plan: RoutesPlan | None = None
        with self._part("plan"):
            inputs = self._inputs(now_s)
            plan = plan_routes(self.dry or self.state, inputs, now_s, self.settings)
        decisions: tuple[Decision, ...] = ()
        if plan is not None:
            decided_s = time.perf_counter()
            written = Written()
            with self._part("write"):
                written = await self._write(plan)
            decisions = plan.decisions
            with self._part("record"):
                self._conclude(plan, written, (time.perf_counter() - decided_s) * 1000)
        self.number += 1
        self.finished_s = self._clock()
        self._parts_ms["total"] = (time.perf_counter() - start_s) * 1000
        self.last_ms = self._parts_ms
        return decisions

    async def react(self, routers: Iterable[str]) -> bool:
        """Plan for these routers now, between two cycles, and write; True when that changed a share."""
        now_s = self._clock()
        inputs = self._inputs(now_s)
        only = frozenset(routers)
        plan = plan_routes(self.dry or self.state, inputs, now_s, self.settings, only)
        if not plan.decisions:
            return False
        decided_s = time.perf_counter()
        written = await self._write(plan)
        for _ in range(WRITES):  # an edge that is just being written must not wait for the cycle
            if not written.failed:
                break
            await asyncio.sleep(REWRITE_S)
            written = await self._rewrite(written)
        self._conclude(plan, written, (time.perf_counter() - decided_s) * 1000)
        return any(one.kind is not Kind.HOLD for one in plan.decisions)

    async def order(self, source: str, orders: Mapping[str, Parts]) -> Written | None:
        """What another planner moves of routers' new connections from now on, written at once; None when that changes
        nothing, or in a dry run. Raises ValueError as `with_orders`.
        """
        changed = with_orders(self.state, source, orders)
        if self.dry is not None or changed == self.state:
            return None
        self.state = changed
        keys = self.writer.want(
            shares(self.services, self.edges, self.labels, self.state, self.away)
        )
        return await self._push(keys)

    def _inputs(self, now_s: float) -> RoutesInputs:
        reserved = self.reserved()
        free = {
            name: tuple(one for one in own if one not in reserved)
            for name, own in self.candidates.items()
        }
        return RoutesInputs(self.views(now_s), self.services, self.edges, free, self.away)

    def views(self, now_s: float) -> tuple[RouterView, ...]:
        """All routers as the planner sees them."""
        fresh_s = STALE_PERIODS * self.config.cycle.period_s
        views = []
        for router in self.routers:
            view = RouterView(
                router.name,
                router.label,
                router.capacity,
                router.threshold_available,
                healthy=self.takes(router.name),
            )
            sample = self.samples.get(router.name)
            # Far in the future is stale, too: the clock was set back since.
            if sample is not None and abs(now_s - sample.time_s) <= fresh_s:
                demand = self.demands[router.name].count
                view = replace(view, live=float(sample.live), demand=demand)
                view = _foreseen(view, self.outlooks.get(router.name))
                per_connection, carries = self.measured(router.name)
                view = replace(
                    view,
                    anomaly_severity=max(view.anomaly_severity, self.surging(router.name)),
                    packets_per_connection_s=per_connection,
                    carries_pps=carries,
                )
            views.append(view)
        return tuple(views)

    def _answers(self, router: str) -> bool:
        node = self._driver.status().get(router)
        return node is not None and node.up and node.reconciled

    def shifted_services(self) -> list[int]:
        """Services of which some edge is known to hold other shares than the base."""
        away = []
        for service in self.services:
            base = {self.labels[name]: pct for name, pct in self.base[service.id].items() if pct}
            held = (self.writer.held(edge, service.id) for edge in self.edges)
            if any(own and own != base for own in held):
                away.append(service.id)
        return away

    async def close(self) -> None:
        """End what is still under way."""
        await self.writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> list[NodeCounters]:
        """This cycle's counters. A switch that does not answer in time must not hold up the turn:
        its reading is left to go on, and what it brings is used in a later one.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._driver.read_counters())
        await asyncio.wait({self._reading}, timeout=0.8 * self.config.cycle.period_s)
        if not self._reading.done():
            raise TimeoutError("some switch did not answer with its counters in time")
        reading, self._reading = self._reading, None
        return reading.result()

    def _sample(self, counters: list[NodeCounters]) -> None:
        reading = self.sampler.update(counters)
        for node in reading.restarted:
            self._troubles.count("restarted", f"{node} started anew")
        demands = self.tracker.update(reading, self.shifted_services(), self.away)
        self.counters = {one.node: one for one in counters}
        for one in counters:
            self._recorder.counters(one)
        for name, sample in reading.samples.items():
            demand = demands[name]
            self.samples[name], self.demands[name] = sample, demand
            self.history.add(
                name, sample.time_s, demand.count, demand.new_per_s, demand.mean_duration_s
            )
            if not math.isnan(demand.new_per_s):
                self.foresight.surge(name, sample.time_s, demand.new_per_s)
            self._recorder.sample(sample, demand, self.state.of(name).shift_pct)
        taken: list[SampledConnection] = []
        while len(taken) < MOST_CONNECTIONS and not self._driver.connections.empty():
            taken.append(self._driver.connections.get_nowait())
        if taken:
            self._recorder.connections(taken)
            for tell in self.seen:
                tell(taken)

    async def _predict(self, now_s: float) -> None:
        found: dict[str, Outlook] = {}
        try:
            series = self.history.all(self.labels)
            found = await asyncio.to_thread(self.foresight.look, series, now_s)
        finally:
            self.outlooks = found  # after a failure none: an old one must not be acted upon
        forecasts = {n: o.forecast for n, o in self.outlooks.items() if o.forecast is not None}
        if forecasts:
            threats = {n: o.breach for n, o in self.outlooks.items() if o.breach is not None}
            self._recorder.forecasts(self.outlooks)
            self._publisher.publish(ForecastMade(now_s, forecasts, threats))

    async def _write(self, plan: RoutesPlan) -> Written:
        if self.dry is not None:
            self.dry = plan.state
            self.state = replace(self.state, cycle=plan.state.cycle)
            return Written()
        self.state = plan.state
        return await self._push(self.writer.want(plan.shares))

    async def _push(self, changed: set[tuple[str, int]]) -> Written:
        up = frozenset(name for name, node in self._driver.status().items() if node.up)
        return await self.writer.write(changed, up, 0.5 * self.config.cycle.period_s)

    async def _rewrite(self, before: Written) -> Written:
        """Try again where a write failed."""
        again = await self._push(set())
        failed = {name: error for name, error in before.failed if name not in again.edges}
        edges = tuple(sorted({*before.edges, *again.edges}))
        return Written(edges, tuple(sorted({**failed, **dict(again.failed)}.items())))

    def _conclude(self, plan: RoutesPlan, written: Written, elapsed_ms: float) -> None:
        for edge, error in written.failed:
            self._troubles.begin(f"write {edge}", error)
        for edge in written.edges:
            self._troubles.end(f"write {edge}")
        for decision in plan.decisions:
            tried = bool(written.edges or written.failed) and not decision.dry_run
            wrote = tried and decision.kind is not Kind.HOLD
            outcome = Outcome(decision.id, (), (), None)
            if wrote:
                outcome = Outcome(decision.id, written.edges, written.failed, elapsed_ms)
            self._recorder.decision(decision, outcome, self._clock())
            self._publisher.publish(ShiftDecided(decision, outcome))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        with self._troubles.within(name):
            yield
        self._parts_ms[name] = (time.perf_counter() - start_s) * 1000


def _foreseen(view: RouterView, outlook: Outlook | None) -> RouterView:
    if outlook is None:
        return view
    surge = outlook.surge
    return replace(
        view,
        demand_p50=outlook.p50,
        demand_p95=outlook.p95,
        breach_probability=outlook.breach.probability if outlook.breach else None,
        lead_s=outlook.breach.lead_s if outlook.breach else None,
        alarm=outlook.alarm,
        anomaly_severity=surge.severity if surge is not None and surge.active else 0.0,
    )
