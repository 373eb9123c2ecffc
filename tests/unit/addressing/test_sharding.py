"""Subdivisions get the shards that their demand needs, beside one another, and keep them no longer than that."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import Shard, ShardState, Subdivision
from controller.plan.shards.aggregation import advertised
from controller.plan.shards.block import block
from controller.plan.shards.compaction import compaction, moving
from controller.plan.shards.engine import plan_shards, shards_needed
from controller.plan.shards.state import Act, Excess, Key, Need, ShardSettings, ShardStep, ShardView

SETTINGS = ShardSettings(shard_addresses=16, release_after_s=100.0, spare_share=0.0)
PER_SHARD = 14


class World:
    """A pool and routers that do at once what they are told."""

    def __init__(self, *subdivisions: Subdivision) -> None:
        self.subdivisions = {one.name: one for one in subdivisions}
        self.views: dict[str, ShardView] = {}
        self.routed: set[str] = set()
        self.excess: dict[Key, Excess] = {}
        self.sequence = 0
        self.steps: tuple[ShardStep, ...] = ()

    def turn(self, now_s: float, *needs: Need, moves: frozenset[str] = frozenset()) -> None:
        plan, self.excess = plan_shards(
            needs,
            tuple(self.views.values()),
            self.subdivisions,
            self.routed,
            self.excess,
            now_s,
            SETTINGS,
            moves,
        )
        self.steps = plan.steps
        self.do(plan.steps, now_s)
        self.routed = {shard.prefix for shard in plan.routed}

    def do(self, steps: tuple[ShardStep, ...], now_s: float) -> None:
        after = {
            Act.CONFIRM: ShardState.ASSIGNED,
            Act.DRAIN: ShardState.DRAINING,
            Act.UNDRAIN: ShardState.ASSIGNED,
        }
        for step in steps:
            self.sequence += 1
            if step.act is Act.CLAIM:
                one = block(step.prefix)
                for other in map(block, self.views):
                    assert not one.holds(other), f"{one} is claimed twice"
                    assert not other.holds(one), f"{one} is claimed twice"
                supernets = map(block, self.subdivisions[step.subdivision].prefixes)
                assert any(outer.holds(one) for outer in supernets)
                shard = Shard(
                    step.prefix, step.subdivision, ShardState.CLAIMING, self.sequence, now_s
                )
                self.views[step.prefix] = ShardView(shard)
            elif step.act in (Act.FREE, Act.ABANDON):
                assert not self.views.pop(step.prefix).needed
            elif step.act in after:
                view = self.views[step.prefix]
                assert step.sequence == view.shard.sequence
                shard = replace(
                    view.shard, state=after[step.act], sequence=self.sequence, since_s=now_s
                )
                self.views[step.prefix] = replace(view, shard=shard)

    def use(self, prefix: str, granted: int) -> None:
        self.views[prefix] = replace(self.views[prefix], granted=granted)

    def of(self, name: str, *states: ShardState) -> list[str]:
        return [
            prefix
            for prefix, view in self.views.items()
            if view.shard.subdivision == name and (not states or view.shard.state in states)
        ]

    def routes(self, name: str) -> tuple[str, ...]:
        shards = [view.shard for view in self.views.values()]
        return advertised(shards).get(name, ())


def need(name: str, addresses: int, family: int = 4, score: float | None = None) -> Need:
    return Need(name, family, addresses, float(addresses) if score is None else score)


def pod(name: str, *prefixes: str, most: int = 16, supernet: str = "10.0.0.0/20") -> Subdivision:
    return Subdivision(name, prefixes or (supernet,), "here", max_shards=most)


def test_a_demand_gets_as_many_shards_as_it_needs_in_one_route() -> None:
    world = World(pod("a"))
    world.turn(0.0, need("a", 3 * PER_SHARD + 1))
    assert len(world.of("a", ShardState.CLAIMING)) == 4
    assert len(world.routes("a")) == 1


def test_a_claim_becomes_good_when_its_routes_are_written() -> None:
    world = World(pod("a"))
    world.turn(0.0, need("a", 1))
    world.turn(1.0, need("a", 1))
    assert world.of("a") == world.of("a", ShardState.ASSIGNED)
    assert [step.act for step in world.steps] == [Act.CONFIRM]


def test_a_claim_whose_routes_do_not_come_is_given_up_and_made_again() -> None:
    world = World(pod("a"))
    world.turn(0.0, need("a", 1))
    world.routed = set()
    world.turn(SETTINGS.claim_timeout_s, need("a", 1))
    abandoned = [step for step in world.steps if step.act is Act.ABANDON]
    assert len(abandoned) == 1
    assert "routers are connected" in abandoned[0].reason
    assert len([step for step in world.steps if step.act is Act.CLAIM]) == 1


def test_the_seeds_formula_holds_with_the_maximum() -> None:
    one = pod("a", most=5)
    assert shards_needed(need("a", 0), one, SETTINGS) == 0
    assert shards_needed(need("a", PER_SHARD), one, SETTINGS) == 1
    assert shards_needed(need("a", PER_SHARD, score=PER_SHARD + 1), one, SETTINGS) == 2
    assert shards_needed(need("a", 1000), one, SETTINGS) == 5


def test_more_than_the_maximum_is_refused_with_the_remedy() -> None:
    world = World(pod("a", most=2))
    world.turn(0.0, need("a", 100))
    assert len(world.of("a")) == 2
    # The maximum is part of the formula: nothing is lacking by it.
    assert not [step for step in world.steps if step.act is Act.SHORT]


def test_where_space_is_scarce_the_highest_score_is_served_first() -> None:
    world = World(*(pod(name, supernet="10.0.0.0/26") for name in ("a", "b", "c")))
    world.turn(0.0, need("a", 28, score=28), need("b", 42, score=99), need("c", 14, score=14))
    assert len(world.of("b")) == 4, "its score asks for more than its addresses, and all is given"
    short = {step.subdivision: step.reason for step in world.steps if step.act is Act.SHORT}
    assert set(short) == {"a", "b", "c"}
    assert "add a prefix" in short["a"]


@pytest.mark.parametrize("supernets", [("10.0.0.0/20",), ("10.0.0.0/20", "fd00::/112")])
def test_growth_beside_others_stays_in_few_routes(supernets: tuple[str, ...]) -> None:
    world = World(*(pod(name, *supernets) for name in ("a", "b", "c", "d")))
    for turn in range(1, 9):
        world.turn(
            10.0 * turn,
            *(need(name, turn * PER_SHARD, score=0.0) for name in ("a", "b", "c", "d")),
        )
    for name in ("a", "b", "c", "d"):
        assert len(world.of(name)) == 8
        assert len(world.routes(name)) == 1


def test_both_families_get_shards_of_their_own() -> None:
    world = World(pod("a", "10.0.0.0/20", "fd00::/112"))
    world.turn(0.0, need("a", PER_SHARD), need("a", 2 * PER_SHARD, family=6))
    families = [block(prefix).family for prefix in world.of("a")]
    assert sorted(families) == [4, 6, 6]


def test_a_shard_is_drained_only_after_it_was_not_needed_for_long() -> None:
    world = World(pod("a"))
    world.turn(0.0, need("a", 3 * PER_SHARD))
    world.turn(1.0, need("a", 3 * PER_SHARD))
    full, used, idle = world.of("a")
    world.use(full, 10)
    world.use(used, 3)
    for now_s in range(10, 110, 10):
        world.turn(float(now_s), need("a", PER_SHARD))
        assert len(world.of("a", ShardState.ASSIGNED)) == 3
    world.turn(111.0, need("a", PER_SHARD))
    assert world.of("a", ShardState.ASSIGNED) == [full], "the most used one stays"
    world.turn(112.0, need("a", PER_SHARD))
    world.turn(113.0, need("a", PER_SHARD))
    assert sorted(world.of("a")) == sorted([full, used]), "what has addresses in use is not freed"
    assert idle not in world.routed
    assert used in world.routed


def test_a_peak_in_between_keeps_what_it_needs() -> None:
    world = World(pod("a"))
    world.turn(0.0, need("a", 3 * PER_SHARD))
    world.turn(1.0, need("a", PER_SHARD))
    world.turn(50.0, need("a", 2 * PER_SHARD))
    world.turn(120.0, need("a", PER_SHARD))
    assert len(world.of("a", ShardState.ASSIGNED)) == 2


def test_a_draining_shard_is_taken_back_before_another_is_claimed() -> None:
    world = World(pod("a"))
    for now_s in (0.0, 1.0):
        world.turn(now_s, need("a", 2 * PER_SHARD))
    for prefix in world.of("a"):
        world.use(prefix, 2)
    before = set(world.views)
    for now_s in (2.0, 110.0):
        world.turn(now_s, need("a", PER_SHARD))
    assert len(world.of("a", ShardState.DRAINING)) == 1
    world.turn(111.0, need("a", 2 * PER_SHARD))
    assert [step.act for step in world.steps] == [Act.UNDRAIN]
    assert set(world.views) == before


def test_a_subdivision_that_nothing_is_known_of_keeps_its_shards() -> None:
    world = World(pod("a"))
    for now_s in (0.0, 1.0, 5000.0, 9000.0):
        world.turn(now_s, *([need("a", 30)] if now_s < 2.0 else []))
    assert len(world.of("a", ShardState.ASSIGNED)) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 60),
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 150)),
            st.integers(0, 14),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_whatever_the_demand_does_no_shard_is_given_twice_and_none_thrashes(
    turns: list[tuple[int, dict[str, int], int]],
) -> None:
    """The world's own checks see overlaps, shards outside their supernets and freed ones in use."""
    world = World(*(pod(name, supernet="10.0.0.0/23", most=9) for name in "abc"))
    now_s, claimed_s = 0.0, {}
    for passed_s, demand, used in turns:
        now_s += passed_s
        for prefix in list(world.views)[::2]:
            if world.views[prefix].shard.state is not ShardState.CLAIMING:
                world.use(prefix, used)
        inputs = (tuple(world.views.values()), world.excess)
        needs = [need(name, count) for name, count in demand.items()]
        arguments = (world.subdivisions, set(world.routed))
        again = [
            plan_shards(needs, inputs[0], *arguments, inputs[1], now_s, SETTINGS) for _ in range(2)
        ]
        assert again[0] == again[1], "the same inputs give the same plan"
        world.turn(now_s, *needs)
        for step in world.steps:
            if step.act is Act.CLAIM:
                claimed_s[step.prefix] = now_s
            if step.act is Act.DRAIN:
                assert now_s - claimed_s[step.prefix] >= SETTINGS.release_after_s
        for name in "abc":
            assert len(world.of(name)) <= 9
        assert world.routed <= set(world.views)


def scattered() -> tuple[World, list[str]]:
    world = World(pod("a", supernet="10.0.0.0/24"))
    prefixes = ["10.0.0.0/28", "10.0.0.32/28", "10.0.0.128/28"]
    for number, prefix in enumerate(prefixes):
        shard = Shard(prefix, "a", ShardState.ASSIGNED, number + 1, 0.0)
        world.views[prefix] = ShardView(shard, granted=(10, 10, 1)[number])
        world.routed.add(prefix)
    return world, prefixes


def test_a_compaction_moves_the_lightly_used_shard_beside_the_others() -> None:
    world, prefixes = scattered()
    found = compaction(tuple(world.views.values()), world.subdivisions, SETTINGS)
    assert [(move.source, move.target) for move in found.moves] == [(prefixes[2], "10.0.0.16/28")]
    assert (found.routes_before, found.routes_after) == (3, 2)
    assert found.fragmentation_after <= found.fragmentation_before
    assert "3 routes, and by 2" in found.moves[0].reason


def test_an_approved_move_claims_first_drains_then_and_frees_at_last() -> None:
    world, prefixes = scattered()
    moves = compaction(tuple(world.views.values()), world.subdivisions, SETTINGS).moves
    for turn in range(8):
        steps, emptied = moving(moves, tuple(world.views.values()), world.routed, float(turn))
        world.do(steps, float(turn))
        if turn == 5:
            world.use(prefixes[2], 0)  # its last instance ends
        world.turn(float(turn), need("a", 3 * PER_SHARD), moves=emptied)
        if turn < 5:
            assert prefixes[2] in world.views
    assert sorted(world.views) == ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28"]
    assert len(world.routes("a")) == 2


def test_what_is_well_used_or_already_joined_is_left_alone() -> None:
    world, prefixes = scattered()
    world.use(prefixes[2], 5)
    found = compaction(tuple(world.views.values()), world.subdivisions, SETTINGS)
    assert found.moves == ()
    assert found.id == ""


@given(st.sets(st.integers(0, 15), min_size=1, max_size=10))
def test_a_compaction_never_costs_routes(places: set[int]) -> None:
    world = World(pod("a", supernet="10.0.0.0/24"))
    for place in places:
        shard = Shard(f"10.0.0.{16 * place}/28", "a", ShardState.ASSIGNED, 1, 0.0)
        world.views[shard.prefix] = ShardView(shard)
    found = compaction(tuple(world.views.values()), world.subdivisions, SETTINGS)
    moved = {move.source: move.target for move in found.moves}
    assert not set(moved.values()) & set(world.views)
    after = [moved.get(prefix, prefix) for prefix in world.views]
    shards = [Shard(prefix, "a", ShardState.ASSIGNED, 1, 0.0) for prefix in after]
    assert len(advertised(shards)["a"]) == found.routes_after <= found.routes_before
