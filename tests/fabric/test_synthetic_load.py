"""Round trips and synthetic load on a real fabric of two sites, 8 ms apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from controller.model import Stage
from controller.plan.capacity import LoadResult, LoadSettings
from controller.plan.replicas import TRAIN_COPIES
from controller.plan.shadows import select
from controller.plan.shadows_state import ShadowInputs, ShadowSettings, ShadowState, peers
from controller.shadowing.latency import LEAST_SAMPLES, Latencies
from controller.shadowing.loadtest import LoadTester
from harness.probing import listen
from harness.shared import Shared
from harness.whole import Whole
from topologies.clos import ClosSpec, ServiceSpec, configuration

TWO_SITES = ClosSpec(
    edges=1,
    spines=1,
    routers=2,
    backends=1,
    clients=1,
    sites=2,
    inter_site_delay_ms=8.0,
    services=(ServiceSpec("web", routers=("r1",)),),
)
ROUND_TRIP_MS = 2 * TWO_SITES.inter_site_delay_ms


@pytest.fixture(scope="module")
def fabric(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared[Whole]]:
    """Of two sites. Tests measure it, and change nothing."""

    def start() -> Whole:
        return Whole(configuration(TWO_SITES), kind, tmp_path_factory.mktemp("fabric"))

    with closing(Shared(start)) as shared:
        yield shared


async def measured(whole: Whole) -> Latencies:
    found = Latencies(whole.fabric, whole.driver)
    listen(whole.driver, found.answered)
    async with asyncio.timeout(30):
        while any(
            found.measured(a, b) is None
            for a, own in found.configured[Stage.ROUTER].items()
            for b in own
        ):
            await found.turn()
            await asyncio.sleep(0.02)
    return found


def test_round_trips_are_measured_through_the_fabric_and_choose_the_shadows(
    fabric: Shared[Whole],
) -> None:
    async def work(whole: Whole) -> None:
        found = await measured(whole)
        near, far = found.measured("r1", "r2"), found.measured("r1", "r3")
        assert near is not None
        assert far is not None
        assert near.samples >= LEAST_SAMPLES
        assert near.ms < far.ms
        assert far.ms >= ROUND_TRIP_MS
        inputs = ShadowInputs(peers(whole.fabric, Stage.ROUTER), found.trips(Stage.ROUTER))
        rules = ShadowSettings(per_router=1, near_ms=1.0)
        assert select(ShadowState(), inputs, rules, 0.0).assigned["r1"] == ("r2",)
        wide = ShadowSettings(per_router=1, near_ms=1000.0)
        assert select(ShadowState(), inputs, wide, 0.0).assigned["r1"][0] in ("r3", "r4")

    fabric.run(work)


def test_synthetic_load_is_counted_on_its_return(fabric: Shared[Whole]) -> None:
    async def work(whole: Whole) -> LoadResult:
        # Patient, so that a busy machine does not end the test.
        patient = LoadSettings(most_loss_pct=60.0, latency_ms=5000.0, steps=2)
        tester = LoadTester(whole.fabric, whole.driver, copies=TRAIN_COPIES, settings=patient)
        listen(whole.driver, tester.answered)
        before = {one.node: one for one in await whole.driver.read_counters()}
        result = await tester.test("e1", "r1", 1600.0)
        after = {one.node: one for one in await whole.driver.read_counters()}
        sent = sum(step.sent for step in result.steps)
        passed = sum(packets for packets, _ in after["r1"].ports_in.values())
        passed -= sum(packets for packets, _ in before["r1"].ports_in.values())
        assert sent <= passed <= sent + 40, "each probe crossed the shadow once"
        assert after["r1"].services[1] == before["r1"].services[1], "and left no mark"
        return result

    result = fabric.run(work)
    assert result.stopped == ""
    assert len(result.steps) == 2
    assert all(0 < step.received <= step.sent for step in result.steps)
    assert result.steps[0].sent < result.steps[1].sent
    assert any(step.sent % TRAIN_COPIES == 0 and step.sent > 48 for step in result.steps)
    assert all(
        step.max_ms and step.mean_ms and step.mean_ms <= step.max_ms for step in result.steps
    )


def test_a_test_of_a_shadow_that_is_far_allows_for_the_way(fabric: Shared[Whole]) -> None:
    async def work(whole: Whole) -> LoadResult:
        tester = LoadTester(whole.fabric, whole.driver, copies=TRAIN_COPIES)
        listen(whole.driver, tester.answered)
        return await tester.test("e1", "r3", 100.0)

    result = fabric.run(work)
    assert result.steps[0].mean_ms is not None
    assert result.steps[0].mean_ms >= ROUND_TRIP_MS
