"""What a test with synthetic load finds out, and that it harms nobody."""

from __future__ import annotations

import asyncio

import pytest

from controller.plan.capacity import LoadResult, LoadSettings
from controller.shadowing.loadtest import LoadTester, ProbingFailed, plain
from harness.probing import ProbedFabric, listen
from harness.small import small_fabric

# Steps far apart, and patience, so that a busy machine changes nothing.
RULES = LoadSettings(steps=3, step_s=0.05, latency_ms=400.0)


def outcome(
    world: ProbedFabric, target_pps: float = 1500.0, rules: LoadSettings = RULES
) -> LoadResult:
    async def main() -> LoadResult:
        tester = LoadTester(
            world.fabric,
            world,
            copies=world.copies,
            settings=rules,
            time_share=0.5,
            clock=lambda: 7.0,
        )
        listen(world, tester.answered)
        result = await tester.test("e1", "r1", target_pps, own_pps=30.0)
        assert tester.last("r1") is result
        assert tester.running is None
        return result

    return asyncio.run(main())


def test_a_strong_shadow_passes_every_step() -> None:
    world = ProbedFabric(small_fabric())
    result = outcome(world)
    assert result.stopped == ""
    assert len(result.steps) == 3
    assert all(step.received == step.sent for step in result.steps)
    assert result.steps[0].sent <= 25, "500 packets/s for 50 ms"
    assert result.steps[2].sent % world.copies == 0, "in bursts"
    assert result.steps[2].sent <= 80
    assert result.clean_pps > 0
    assert result.carries_pps == result.clean_pps + 30.0


def test_a_weak_shadow_ends_the_test_at_the_first_loss() -> None:
    world = ProbedFabric(small_fabric(), carries_pps={"r1": 300.0}, queue=15)
    result = outcome(world)
    assert "% lost at" in result.stopped
    assert len(result.steps) < 3
    assert result.clean_pps < 1500.0


def test_lateness_ends_the_test_only_when_it_shows_again() -> None:
    late = LoadSettings(steps=3, step_s=0.05, latency_ms=20.0)
    world = ProbedFabric(small_fabric(), carries_pps={"r1": 300.0}, queue=1000)
    result = outcome(world, rules=late)
    assert "without load" in result.stopped
    signs = [step for step in result.steps if step.sign]
    assert len(signs) >= 2


def test_the_probes_have_a_realistic_mix_of_sizes() -> None:
    world = ProbedFabric(small_fabric())
    outcome(world)
    sizes = {size for _, _, size in world.sent if size}
    assert sizes == {81, 590, 1514}


def test_a_shadow_that_does_not_answer_leaves_no_result() -> None:
    world = ProbedFabric(small_fabric(), mute={("e1", "r1")})
    with pytest.raises(ProbingFailed, match="r1 does not answer e1"):
        outcome(world)
    assert len(world.sent) <= 10, "no load for nobody"


def test_an_edge_that_is_gone_leaves_no_result() -> None:
    with pytest.raises(ProbingFailed, match="e1 is not connected"):
        outcome(ProbedFabric(small_fabric(), down={"e1"}))


def test_a_result_is_shown_with_its_steps_and_age() -> None:
    shown = plain(outcome(ProbedFabric(small_fabric())), 10.0)
    assert shown["age_s"] == 3.0
    assert shown["stopped"] == ""
    steps = shown["steps"]
    assert isinstance(steps, list)
    assert steps[0]["lost_pct"] == 0.0
