"""Comparisons in the running controller: what new connections, a person, and a bad variant experience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.ab import probes
from controller.ab.comparisons import ComparisonRefused
from controller.ab.probes import LOST_S, ArmProbes
from controller.act.probes import Probe, ProbeAnswer
from controller.audit import verify
from controller.audit.examples import examples
from controller.serve.resource_schemas import ComparisonsState
from harness.simworld import World, configuration

Story = Callable[[World], Awaitable[None]]
RULES = """\
load_test: {enabled: false}
ab: {metrics: [refusals], shares_pct: [10, 50], stage_blocks: 3, block_s: 1, block_connections: 10,
     margins: {refusals: 0.1}, longest_s: 600}
"""
VARIANT = 303  # label of r3


def busy(_: float) -> float:
    return 80.0


def play(directory: Path, story: Story, more: str = "") -> World:
    async def run() -> World:
        world = World(directory, busy, RULES + more, capacity=4000)
        await world.controller.start()
        try:
            await world.turns(3)
            await story(world)
        finally:
            await world.close()
        return world

    return asyncio.run(run())


def test_a_good_variant_gets_more_and_more_and_is_found_fit(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.ab.start("r1", "r3")
        await world.turns(1)
        assert world.share("e1", VARIANT) == world.share("e2", VARIANT) == 10
        seen = set()
        for _ in range(120):
            await world.turns(1)
            seen.add(world.share(label=VARIANT))
            (own,) = world.controller.ab.state()["running"]
            if own["state"] == "fit":
                break
        assert own["state"] == "fit"
        assert seen == {10, 50}
        assert world.share(label=VARIANT) == 50  # until someone decides
        assert own["metrics"]["refusals"]["high"] < 0.1
        assert own["connections"]["variant"] > 100
        ComparisonsState.model_validate(json.loads(json.dumps(world.controller.ab.state())))
        await world.controller.ab.stop("r1")
        assert world.share(label=VARIANT) == 0
        assert world.controller.ab.state()["running"] == []

    play(tmp_path, story)
    assert verify.verify([tmp_path / "audit.jsonl"], []).sound
    told = [one.decided["what"] for one in examples([tmp_path / "audit.jsonl"], ["comparison"])]
    assert told[:2] == ["began", "raised"]
    assert "fit" in told


def test_a_variant_that_refuses_is_taken_back_by_itself(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.sim.routers["r3"].capacity = 10
        world.controller.ab.start("r1", "r3")
        for _ in range(60):
            await world.turns(1)
            if not world.controller.ab.state()["running"]:
                break
        (ended,) = world.controller.ab.state()["ended"]
        assert ended["state"] == "rolled back"
        assert "refus" in ended["reason"]
        assert ended["share_pct"] == 0
        assert world.share(label=VARIANT) == 0
        assert world.share(label=301) == 100

    play(tmp_path, story)


def test_a_variant_that_dies_is_taken_back_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.ab.start("r1", "r3")
        await world.turns(5)
        world.driver.lose("r3")
        await world.turns(1)
        (ended,) = world.controller.ab.state()["ended"]
        assert ended["state"] == "rolled back"
        assert "r3 is not connected" in ended["reason"]
        assert world.share(label=VARIANT) == 0

    play(tmp_path, story)


def test_a_comparison_ends_in_time_and_by_lost_probes_without_new_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routers that are up, but tell no counters any more."""
    lost_s = 0.1
    monkeypatch.setattr(probes, "LOST_S", lost_s)

    async def story(world: World) -> None:
        own = world.controller.ab
        own.start("r1", "r3", longest_s=30.0)
        await world.turns(5)
        world.driver.broken = True
        world.sim.time_s += 30.0
        await world.turns(1)
        assert own.state()["running"] == []
        (ended,) = own.state()["ended"]
        assert ended["state"] == "undecided"
        assert "not decided within 30 s" in ended["reason"]
        assert world.share(label=VARIANT) == 0
        own.start("r1", "r3")
        world.driver.dead.add("r3")
        for _ in range(20):
            await own.probes.turn()
        await asyncio.sleep(2 * lost_s)
        await world.turns(1)
        assert own.state()["ended"][0]["state"] == "rolled back"
        assert "the variant loses 100 %" in own.state()["ended"][0]["reason"]

    play(tmp_path, story, "failover: {enabled: false}\n")


def test_a_share_is_told_in_whole_slots(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.ab.start("r1", "r3", shares_pct=(2.4, 50.0))
        await world.turns(1)
        assert world.share(label=VARIANT) == 2
        assert world.controller.ab.state()["running"][0]["share_pct"] == 2

    play(tmp_path, story)


def test_a_comparison_ends_with_the_controller_and_its_variant_gets_no_traffic(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        world.controller.ab.start("r1", "r3")
        await world.turns(5)
        assert world.share(label=VARIANT) == 10
        await world.restart()
        await world.turns(2)
        assert world.share(label=VARIANT) == 0
        assert world.controller.ab.state() == {"running": [], "ended": []}

    play(tmp_path, story)


def test_what_cannot_be_compared_is_refused_with_the_remedy(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        own = world.controller.ab
        for primary, variant, what in (
            ("r9", "r3", "there is no router r9; there are r1, r2, r3"),
            ("r2", "r3", "r2 is primary of no service; name one that is"),
            ("r1", "r1", "r1 is primary of a service"),
        ):
            with pytest.raises(ComparisonRefused, match=what):
                own.start(primary, variant)
        with pytest.raises(ComparisonRefused, match="shares_pct"):
            own.start("r1", "r3", shares_pct=(50.0, 10.0))
        with pytest.raises(ComparisonRefused, match="no comparison with r1 runs"):
            await own.stop("r1")
        own.start("r1", "r3")
        with pytest.raises(ComparisonRefused, match="r1 and r3 are being compared"):
            own.start("r1", "r2")
        world.driver.lose("r2")
        await own.stop("r1")
        with pytest.raises(ComparisonRefused, match="r2 is not connected"):
            own.start("r1", "r2")
        world.controller.dry_run = True
        with pytest.raises(ComparisonRefused, match="umbra dry-run off"):
            own.start("r1", "r3")

    play(tmp_path, story)


class Echo:
    """A driver whose probes come back after a time by router; None: never."""

    def __init__(self, after_ms: dict[int, float | None]) -> None:
        self.on_probe: list[Callable[[str, ProbeAnswer], None]] = []
        self.after_ms = after_ms

    def status(self) -> dict[str, object]:
        class Up:
            up = reconciled = True

        return {name: Up() for name in ("e1", "e2")}

    async def probe(self, node: str, probe: Probe) -> None:
        ms = self.after_ms[probe.target]
        if ms is not None:
            for tell in self.on_probe:
                tell(node, ProbeAnswer(probe.id, 0, 0, 0, round(ms * 1000)))


def test_both_arms_are_probed_alike_and_lost_answers_count(tmp_path: Path) -> None:
    now_s = 0.0
    driver = Echo({301: 2.0, 303: 8.0})
    fabric = configuration(tmp_path).fabric()
    probes = ArmProbes(fabric, driver, 0.1, lambda: now_s)
    probes.listen()
    probes.pairs.add(("r1", "r3"))

    async def turns(number: int) -> None:
        for _ in range(number):
            await probes.turn()

    asyncio.run(turns(10))
    found = probes.collect(("r1", "r3"))
    assert (found["r1"].sent, found["r3"].sent) == (10, 10)
    assert found["r3"].log_ms > found["r1"].log_ms
    driver.after_ms[303] = None
    asyncio.run(turns(4))
    now_s = LOST_S + 0.1
    found = probes.collect(("r1", "r3"))
    assert (found["r3"].sent, found["r3"].lost, found["r1"].lost) == (4, 4, 0)
