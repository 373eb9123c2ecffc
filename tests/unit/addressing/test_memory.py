"""What was learned and what a person approved is still there when the controller starts again."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.addressing.kept import Kept
from controller.addressing.memory import TROUBLE
from controller.model import ShardState
from controller.plan.addresses import memory
from controller.plan.addresses.counts import NOTHING, learned
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import RangeState
from controller.plan.shards import compaction_memory
from controller.plan.shards.compaction import Move
from controller.pool.errors import Unavailable
from harness.addressing import ADDRESSES_YAML, AddressWorld

SETTINGS = RangeSettings()
APART = "10.64.0.128/28"
ROOMY = ADDRESSES_YAML.replace("release_after_s: 10", "release_after_s: 10, at_most: 2")


async def scattered(world: AddressWorld) -> str:
    """The pod gets a shard that lies apart, with one instance; the id of the compaction that is proposed."""
    assert world.manager is not None
    for number in range(13):  # the first shard is well used
        await world.manager.take("pod", f"web-{number}")
    world.pool.confirm(APART, world.pool.claim(APART, "pod", "umbra").sequence)
    address = APART.replace("128/28", "130")
    world.pool.reserve(address, "apart")
    await world.manager.take("pod", "apart", reserved=address)
    await world.turns(2)
    found = (await world.manager.shards())["compaction"]
    assert APART in {move["source"] for move in found["moves"]}
    return str(found["id"])


async def crash(world: AddressWorld) -> None:
    """The controller is gone; nothing was closed or written down at its end."""
    world.manager = None
    await world.start()


@pytest.mark.parametrize("end", [AddressWorld.stop, crash])
def test_an_approved_compaction_goes_on_after_a_restart(
    tell: Callable[..., None], end: Callable[[AddressWorld], Awaitable[None]]
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        moves = await world.manager.approve(await scattered(world))
        await end(world)
        manager = world.manager or await world.start()
        assert (await manager.shards())["compaction"]["approved"] == moves
        await world.turns(3)
        states = {shard.prefix: shard.state for shard in world.pool.shards("pod")}
        assert states[APART] is ShardState.DRAINING
        assert moves[0]["target"] in states
        (apart,) = world.pool.addresses("pod", owner="apart")
        await manager.release(apart.address, "apart")
        world.pool.unreserve(apart.address)
        world.clock.pass_s(60.0)
        await world.turns(4)
        assert APART not in {shard.prefix for shard in world.pool.shards("pod")}
        assert (await manager.shards())["compaction"]["approved"] == []
        await world.stop()
        manager = await world.start()
        assert (await manager.shards())["compaction"]["approved"] == []

    tell(story, ROOMY)


def test_an_approval_that_cannot_be_written_down_is_not_given(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        assert world.config.addresses is not None
        plan = await scattered(world)
        with sqlite3.connect(world.config.addresses.history) as other:
            other.execute("DROP TABLE memory")
        with pytest.raises(Unavailable, match="make the folder writable"):
            await world.manager.approve(plan)
        assert (await world.manager.shards())["compaction"]["approved"] == []
        await world.turns(2)
        states = {shard.prefix: shard.state for shard in world.pool.shards("pod")}
        assert states[APART] in (ShardState.ASSIGNED, ShardState.PREFETCHED)

    tell(story, ROOMY)


def test_warm_ranges_go_on_with_what_they_have_learned(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        for number in range(40):
            for part in range(number % 4):
                await world.manager.take("pod", f"web-{number}-{part}")
            await world.turns(1)
        before = dict(world.manager._ranges._states)["pod", 4]
        assert sum(seen.total for seen in before.counts) > 20
        (warm,) = (await world.manager.shards())["subdivisions"][0]["warm"]
        await world.stop()
        manager = await world.start()
        await world.turns(1)
        after = dict(manager._ranges._states)["pod", 4]
        assert after.counts == before.counts
        assert after.log_risk == before.log_risk
        (again,) = (await manager.shards())["subdivisions"][0]["warm"]
        assert again["confidence"] == warm["confidence"] != RangeSettings().confidence

    tell(story)


def test_a_crash_forgets_a_minute_of_what_was_learned_at_most(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        kept = 0.0
        for number in range(100):
            await world.manager.take("pod", f"web-{number}")
            await world.turns(1)
            if number == 69:  # a minute before
                kept = sum(s.total for s in world.manager._ranges._states["pod", 4].counts)
        await crash(world)
        await world.turns(1)
        after = sum(s.total for s in world.manager._ranges._states["pod", 4].counts)
        assert after >= kept > 50

    tell(story)


def test_a_note_that_cannot_be_read_is_told_and_learned_anew(tmp_path: Path) -> None:
    async def told() -> None:
        world = AddressWorld(tmp_path)
        assert world.config.addresses is not None
        kept = Kept(world.config.addresses.history, "memory", "name", "text")
        kept.keep({"moves": "[1]", "range 4 pod": "{}"})
        kept.close()
        manager = await world.start()
        assert "approve the compaction again" in world.troubles.open[TROUBLE]
        await world.turns(1)
        assert world.troubles.counts[TROUBLE] == 2
        assert TROUBLE not in world.troubles.open, "it was written anew"
        assert (await manager.take("pod", "web-1")).address
        await world.stop()

    asyncio.run(told())


windows = st.lists(st.tuples(st.integers(0, 23), st.integers(0, 1100)), max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    windows,
    st.floats(-11.5, -0.1) | st.just(math.nan),
    st.none() | st.floats(0, 2e9),
    st.sampled_from([(), (0.5, 0.25, 0.0)]),
)
def test_what_was_learned_is_read_back_as_it_was(
    seen: list[tuple[int, int]], log_risk: float, time_s: float | None, rates: tuple[float, ...]
) -> None:
    counts = NOTHING
    for place, came in seen:
        counts = learned(counts, place, came, 1000)
    state = RangeState(time_s, rates, ((1.0, 2, 3),), counts, log_risk, 5, 6, 7.0)
    read = memory.from_json(memory.to_json(state, SETTINGS), SETTINGS)
    assert read.counts == counts
    assert (read.time_s, read.rates_per_s) == (time_s, rates)
    assert read.log_risk == log_risk or (math.isnan(read.log_risk) and math.isnan(log_risk))
    assert (read.recent, read.peak, read.peak_before) == ((), 0, 0)


@pytest.mark.parametrize(
    "other", [{"cycle_s": 1.0}, {"warm_share": 0.99}, {"watch_s": (10.0, 60.0)}]
)
def test_what_was_learned_under_other_settings_is_left(other: dict[str, float]) -> None:
    state = RangeState(1.0, (1.0, 1.0, 1.0), counts=learned(NOTHING, 3, 4, 1000), log_risk=-5.0)
    text = memory.to_json(state, SETTINGS)
    read = memory.from_json(text, replace(SETTINGS, **other))  # type: ignore[arg-type]
    assert (read.counts, read.rates_per_s) == (NOTHING, ())
    assert math.isnan(read.log_risk)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        memory.to_json(RangeState(), SETTINGS).replace('"counts": {}', '"counts": {"99": [1]}'),
        memory.to_json(RangeState(), SETTINGS).replace('"counts": {}', '"counts": {"1": [-1]}'),
    ],
)
def test_what_is_no_note_of_a_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|Expecting"):
        memory.from_json(text, SETTINGS)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.builds(Move, *map(st.just, ("a", "10.0.0.0/28", "fd00::/64", 3, "why")))))
def test_moves_are_read_back_as_they_were(moves: list[Move]) -> None:
    assert compaction_memory.from_json(compaction_memory.to_json(moves)) == tuple(moves)


@pytest.mark.parametrize("text", ["{", "3", '[{"source": "10.0.0.0/28"}]', '[{"subdivision": 1}]'])
def test_what_is_no_list_of_moves_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"moves|Expecting"):
        compaction_memory.from_json(text)
