"""Who is whose shadow: keeps the assignment, what it is made from, and its explanation.

Brings together the round trips (`latency`), the synthetic load (`loadtest`), the traffic (`observe/traffic`)
and the choice (`plan/shadows`). The cycle calls `review` once a turn; whoever programs the switches
takes `shadows`, and the route planner takes `candidates`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from controller.act.probes import ProbeAnswer
from controller.config import Config
from controller.model import Fabric, Stage
from controller.observe.traffic import TrafficMeter
from controller.plan.capacity import LoadSettings, Subject, carries_pps, next_test, target_pps
from controller.plan.replicas import TRAIN_COPIES
from controller.plan.routes_rules import expected_demand
from controller.plan.routes_state import RouterView, RoutesState
from controller.plan.shadows import ranked, select
from controller.plan.shadows_reasons import explain
from controller.plan.shadows_state import (
    Peer,
    ShadowInputs,
    ShadowSettings,
    ShadowState,
    capacity,
    from_json,
    peers,
    to_json,
)
from controller.prober import StatefulProber
from controller.shadowing.latency import Latencies
from controller.shadowing.loadtest import LoadTester, ProbingFailed, plain

FIRST_TEST_S = 5.0  # after the start
NEXT_TEST_S = 0.5  # between looks for a shadow that is to be tested
DANGER = 0.2  # breach probability from which a router's shadows are tested as if in use
RANKED_CYCLES = 10  # the order of the spare candidates is looked at again after so many
TENURE = 2  # times the patience: how long a shadow stays one before a better one may replace it


class Assignments:
    """Of the routers of one fabric."""

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: StatefulProber,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._fabric = fabric
        self._driver = driver
        self._clock = clock
        self._routers = {router.name: router for router in fabric.stage(Stage.ROUTER)}
        self._edges = [edge.name for edge in fabric.stage(Stage.EDGE)]
        rules, period_s = config.shadows, config.cycle.period_s
        patience = max(1, round(rules.patience_s / period_s))
        self.settings = ShadowSettings(
            per_router=rules.per_router,
            near_ms=rules.near_ms,
            margin=rules.margin,
            patience_cycles=patience,
            tenure_cycles=TENURE * patience,
            full_cycles=max(1, patience // 3),
            silent_cycles=max(1, patience // 3),
            overrides=dict(rules.overrides),
        )
        self.latencies = Latencies(
            fabric,
            driver,
            named=rules.overrides,
            period_s=rules.probe_period_ms / 1000.0,
        )
        load = config.load_test
        self.tester = LoadTester(
            fabric,
            driver,
            copies=TRAIN_COPIES,
            settings=LoadSettings(
                margin=load.margin,
                step_s=load.step_ms / 1000.0,
                most_loss_pct=load.most_loss_pct,
                latency_ms=load.latency_ms,
                valid_s=load.valid_s,
                in_use_every_s=load.in_use_every_s,
                idle_every_s=load.idle_every_s,
                busy_share=load.busy_pct / 100.0,
            ),
            time_share=load.time_share_pct / 100.0,
            clock=clock,
        )
        self.traffic = TrafficMeter()
        self.test_trouble: dict[str, str] = {}  # shadow → why its last test said nothing
        self._views: dict[str, RouterView] = {}
        self._in_use: set[str] = set()
        self._inputs = ShadowInputs(peers(fabric, Stage.ROUTER), self.latencies.trips(Stage.ROUTER))
        self.state = select(ShadowState(), self._inputs, self.settings, clock())
        self.candidates = ranked(self.state, self._inputs, self.settings)

    @property
    def shadows(self) -> dict[str, tuple[str, ...]]:
        """Router → its shadows now."""
        return self.state.assigned

    def recall(self, text: str) -> None:
        """Go on from what an earlier run remembered; ValueError when the text is none of that."""
        state = from_json(text, frozenset(self._routers))
        self.state = select(state, self._inputs, self.settings, self._clock())
        self.candidates = ranked(self.state, self._inputs, self.settings)

    def memory(self) -> str:
        """What `recall` takes."""
        return to_json(self.state)

    def review(
        self, views: Sequence[RouterView], routes: RoutesState, away: frozenset[str] = frozenset()
    ) -> bool:
        """Choose again, once a cycle; True when somebody's shadows changed.

        away: routers that are dead or drained, or not yet home again.
        """
        before = self.shadows
        self._views = {view.name: view for view in views}
        self._in_use = _in_use(self._views, routes, before)
        seen = tuple(self._peer(name, away) for name in self._routers)
        self._inputs = ShadowInputs(seen, self.latencies.trips(Stage.ROUTER))
        self.state = select(self.state, self._inputs, self.settings, self._clock())
        changed = self.shadows != before
        if changed or self.state.cycle % RANKED_CYCLES == 0:
            self.candidates = ranked(self.state, self._inputs, self.settings)
        return changed

    def measured(self, router: str) -> tuple[float | None, float | None]:
        """(packets per second of one of its connections, packets per second that it can carry)."""
        results = self.tester.results.get(router, ())
        bound = carries_pps(results, self._clock(), self.tester.settings)
        return self.traffic.per_connection(router), bound

    def listen(self) -> None:
        """Take the answers to probes from now on."""
        self._driver.on_probe.append(self._answered)

    async def measure(self) -> None:
        """Measure round trips until cancelled."""
        await self.latencies.run()

    def table(self) -> list[dict[str, Any]]:
        """All assignments, JSON-able (`serve/shadow_schemas.AssignmentState`)."""
        return [self._row(name) for name in self._routers]

    def why(self, router: str) -> dict[str, Any]:
        """One assignment with all candidates, JSON-able; KeyError when there is no such router."""
        now_s = self._clock()
        found = []
        for one in explain(self.state, self._inputs, self.settings, router):
            last = self.tester.last(one.name)
            trip = self.latencies.measured(router, one.name)
            found.append(
                {
                    **asdict(one),
                    "spread_ms": trip.spread_ms if trip else None,
                    "carries_pps": self.measured(one.name)[1],
                    "load_test": plain(last, now_s) if last else None,
                    "load_test_trouble": self.test_trouble.get(one.name),
                }
            )
        rules = self.settings
        return {
            **self._row(router),
            "rules": {
                "per_router": rules.per_router,
                "near_ms": rules.near_ms,
                "margin": rules.margin,
                "patience_s": rules.patience_cycles * self._config.cycle.period_s,
            },
            "candidates": found,
            "changes": [asdict(one) for one in self.state.changes.get(router, ())],
        }

    def _row(self, name: str) -> dict[str, Any]:
        trips = self._inputs.trips.get(name, {})
        per_connection, carries = self.measured(name)
        return {
            "router": name,
            "domain": self._routers[name].domain,
            "shadows": [
                {
                    "name": shadow,
                    "domain": self._routers[shadow].domain,
                    "round_trip_ms": trips[shadow].ms if shadow in trips else None,
                    "measured": shadow in trips and trips[shadow].measured,
                }
                for shadow in self.shadows.get(name, ())
            ],
            "primaries": list(self.state.primaries_of(name)),
            "packets_per_s": self.traffic.packets_per_s(name),
            "packets_per_connection_s": per_connection,
            "carries_pps": carries,
        }

    def _answered(self, node: str, answer: ProbeAnswer) -> None:
        if not self.latencies.answered(node, answer):
            self.tester.answered(node, answer)

    def _peer(self, name: str, away: frozenset[str]) -> Peer:
        router, view = self._routers[name], self._views.get(name)
        status = self._driver.status()[name]
        usable = view is not None and view.healthy and status.up and status.reconciled
        available = None
        if view is not None and view.live is not None and router.capacity:
            available = max(0.0, view.limit - view.live)
        failed = name in away
        room = capacity(router)
        return Peer(name, router.domain, room, usable and not failed, available, failed)

    async def test(self) -> None:
        """Test with synthetic load until cancelled."""
        await asyncio.sleep(FIRST_TEST_S)
        turn = 0
        while True:
            await asyncio.sleep(NEXT_TEST_S)
            status = self._driver.status()
            edges = [name for name in self._edges if status[name].up and status[name].reconciled]
            subject = next_test(self._subjects(), self._clock(), self.tester.settings)
            if subject is None or not edges:
                continue
            turn += 1
            try:
                await self.tester.test(
                    edges[turn % len(edges)],
                    subject.shadow,
                    subject.target_pps,
                    own_pps=self.traffic.packets_per_s(subject.shadow) or 0.0,
                    mean_bytes=self.traffic.mean_bytes,
                )
                self.test_trouble.pop(subject.shadow, None)
            except ProbingFailed as error:
                self.test_trouble[subject.shadow] = str(error)
                await asyncio.sleep(self.tester.settings.again_s)

    def _subjects(self) -> list[Subject]:
        shadows = self.shadows
        own_pps = {
            name: expected_demand(view) * (self.traffic.per_connection(name) or 0.0)
            for name, view in self._views.items()
        }
        most_pct = float(self._config.cycle.max_shift_pct)
        status = self._driver.status()
        found = []
        for name in dict.fromkeys(shadow for own in shadows.values() for shadow in own):
            view = self._views.get(name)
            limit = view.limit if view is not None and view.limit > 0 else float("inf")
            found.append(
                Subject(
                    name,
                    target_pps(name, shadows, own_pps, most_pct, self.tester.settings),
                    name in self._in_use,
                    view is not None and view.healthy and status[name].up,
                    (view.live or 0.0) / limit if view is not None else 0.0,
                    self.tester.last(name),
                )
            )
        return found


def _in_use(
    views: Mapping[str, RouterView], routes: RoutesState, shadows: Mapping[str, Sequence[str]]
) -> set[str]:
    """Shadows that have guests, or whose primary is in danger."""
    found = {shadow for own in routes.routers.values() for shadow, _ in own.split}
    for name, view in views.items():
        if (view.breach_probability or 0.0) >= DANGER or view.anomaly_severity > 0:
            found.update(shadows.get(name, ()))
    return found
