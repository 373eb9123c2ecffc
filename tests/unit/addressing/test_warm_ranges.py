"""As many addresses are warm as the next grants need; not more for long, and never taken again for the same demand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import Shard, ShardState
from controller.plan.addresses.counts import NOTHING, class_of, learned, upper
from controller.plan.addresses.prefetch import room, to_release
from controller.plan.addresses.ranges import plan_range, plan_ranges
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import Change, RangePlan, RangeState, RangeView
from controller.plan.shards.state import ShardView

SETTINGS = RangeSettings(confidence=0.99, release_after_s=20.0)


class Subdivision:
    """Instances come and go; what is held is warm in the next cycle."""

    def __init__(self, rules: RangeSettings = SETTINGS, room: int = 10_000) -> None:
        self.rules = rules
        self.room = room
        self.now_s = 0.0
        self.held = self.granted = self.grants = self.cold = 0
        self.all_grants = self.all_cold = 0
        self.state = RangeState()

    def cycle(self, coming: int, expected_per_s: float | None = None) -> RangePlan:
        view = RangeView(
            "pod",
            self.held,
            self.granted,
            self.grants,
            self.cold,
            self.room - self.held,
            expected_per_s=expected_per_s,
        )
        plan, self.state = plan_range(view, self.state, self.now_s, self.rules)
        warm = min(coming, self.held - plan.release)
        self.grants, self.cold = coming, coming - warm
        self.all_grants += coming
        self.all_cold += self.cold
        self.granted += coming
        self.held += plan.hold - plan.release - warm
        self.now_s += self.rules.cycle_s
        return plan


def test_a_steady_demand_finds_warm_addresses() -> None:
    pod = Subdivision()
    for number in range(2000):
        pod.cycle(number % 2)
    assert pod.all_cold <= 0.01 * pod.all_grants
    assert pod.held <= 8


def test_an_announced_event_finds_its_addresses_warm() -> None:
    pod = Subdivision()
    for number in range(500):
        pod.cycle(1 if number % 10 == 0 else 0, expected_per_s=0.05)
    quiet = pod.held
    pod.cycle(0, expected_per_s=3.0)
    pod.cycle(0, expected_per_s=3.0)
    assert pod.held >= 3.0 * pod.rules.window_s > quiet
    cold = pod.all_cold
    for _ in range(10):
        pod.cycle(6, expected_per_s=3.0)
    assert pod.all_cold == cold


def test_a_burst_that_nobody_foresaw_is_answered_from_its_second_window_on() -> None:
    pod = Subdivision()
    for _ in range(500):
        pod.cycle(0)
    for _ in range(4):
        pod.cycle(10)
    cold = pod.all_cold
    for _ in range(20):
        pod.cycle(10)
    assert cold > 0
    assert pod.all_cold == cold


def test_the_confidence_rises_with_cold_grants_and_falls_with_warm_ones() -> None:
    def after(cold: int) -> float:
        state = RangeState()
        for cycle in range(200):
            view = RangeView("pod", 5, 100, 10, cold, 1000)
            plan, state = plan_range(view, state, 2.0 * cycle, SETTINGS)
        return plan.confidence

    assert after(10) == pytest.approx(SETTINGS.most_confidence)
    assert after(0) < SETTINGS.confidence < after(1)


def test_in_the_long_run_the_configured_share_is_warm() -> None:
    rules = RangeSettings(warm_share=0.9, least_confidence=0.05, at_least=0)
    pod = Subdivision(rules)
    for number in range(20_000):
        if number == 10_000:  # the confidence has settled
            grants, cold = pod.all_grants, pod.all_cold
        pod.cycle(9 if number * 7919 % 31 < 3 else 0)  # batches, at times that look like chance
    share = 1 - (pod.all_cold - cold) / (pod.all_grants - grants)
    assert share == pytest.approx(0.9, abs=0.01)


def test_what_there_is_no_room_for_is_told_with_the_numbers() -> None:
    pod = Subdivision(room=3)
    pod.cycle(0, expected_per_s=10.0)
    plan = pod.cycle(0, expected_per_s=10.0)
    (step,) = plan.steps
    assert step.change is Change.SHORT
    assert "only 0 are idle in its shards" in step.reason
    assert step.inputs["foreseen_per_s"] == 10.0


def test_every_step_says_why() -> None:
    view = RangeView("pod", 0, 7, 0, 0, 100, expected_per_s=2.0, why="an announced event")
    plan, state = plan_range(view, RangeState(), 0.0, SETTINGS)
    (step,) = plan.steps
    assert step.change is Change.GROW
    assert step.count == plan.hold == plan.needed
    assert "8.0 grants expected until more are warm, an announced event" in step.reason
    assert "confidence 99" in step.reason
    for cycle in range(1, 60):
        plan, state = plan_range(RangeView("pod", 40, 7, 0, 0, 100), state, 2.0 * cycle, SETTINGS)
        if plan.release:
            assert "at most" in plan.steps[0].reason
            return
    pytest.fail("nothing was released")


def test_a_quota_bounds_what_is_held() -> None:
    view = RangeView("pod", 0, 98, 0, 0, 1000, quota=100, expected_per_s=50.0)
    plan, _ = plan_range(view, RangeState(), 0.0, SETTINGS)
    assert plan.hold == 2


def test_a_clock_that_is_set_back_releases_nothing_at_once() -> None:
    pod = Subdivision()
    for _ in range(100):
        pod.cycle(3)
    held = pod.held
    pod.now_s -= 1000.0
    for _ in range(5):
        assert pod.cycle(3).release == 0
    assert pod.held >= held - 3


demands = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([None, 0.0, 0.5, 4.0])), min_size=1, max_size=150
)


@settings(max_examples=80, deadline=None)
@given(demands, st.integers(0, 3), st.integers(3, 60))
def test_whatever_comes_the_range_stays_within_its_bounds_and_does_not_thrash(
    coming: list[tuple[int, float | None]], least: int, most: int
) -> None:
    rules = RangeSettings(at_least=least, at_most=most, release_after_s=20.0)
    pod = Subdivision(rules)
    needed: list[int] = []
    for count, expected in coming:
        before = (pod.state, pod.held)
        plan = pod.cycle(count, expected)
        needed.append(plan.needed)
        assert least <= plan.needed <= most
        assert not (plan.hold and plan.release)
        assert 0 <= pod.held <= most
        assert rules.least_confidence - 1e-9 <= plan.confidence <= rules.most_confidence + 1e-9
        if plan.release:
            # What is released was not needed for the whole time: nothing that was needed goes.
            lately = needed[-int(rules.release_after_s / rules.cycle_s) :]
            assert before[1] - plan.release >= max(lately)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.integers(0, 60)), max_size=60),
    st.floats(0, 60),
    st.floats(1e-6, 0.5),
    st.floats(1e-6, 0.5),
)
def test_a_higher_confidence_never_needs_less(
    seen: list[tuple[float, int]], expected: float, one: float, other: float
) -> None:
    counts = NOTHING
    for so_many, came in seen:
        counts = learned(counts, class_of(so_many), came, 1000)
    high, low = max(one, other), min(one, other)
    assert upper(counts, expected, high) <= upper(counts, expected, low)


@settings(max_examples=25)  # each of some ten thousand windows
@given(st.lists(st.integers(0, 30), min_size=300, max_size=400), st.sampled_from([0.3, 0.1, 0.03]))
def test_what_was_seen_often_decides(came: list[int], risk: float) -> None:
    """With many windows of a class, the number that it exceeds is the one that they did exceed."""
    counts = NOTHING
    for one in came * 30:
        counts = learned(counts, class_of(5.0), one, 10**6)
    found = upper(counts, 5.0, risk)
    share = sum(one > found for one in came) / len(came)
    assert share <= risk * 1.01
    if found:
        assert sum(one > found - 1 for one in came) / len(came) > risk * 0.95


def test_what_the_next_grants_take_anyway_is_not_released() -> None:
    busy, quiet = Subdivision(), Subdivision()
    for pod in (busy, quiet):
        for _ in range(100):
            pod.cycle(3)
        pod.held = 35
    assert all(busy.cycle(3).release == 0 for _ in range(8)), (
        "the grants of the next seconds take them"
    )
    assert any(quiet.cycle(0).release for _ in range(60))


def test_old_counts_are_forgotten() -> None:
    counts = NOTHING
    for _ in range(100):
        counts = learned(counts, class_of(1.0), 50, 1000)
    for _ in range(20_000):
        counts = learned(counts, class_of(1.0), 1, 1000)
    assert upper(counts, 1.0, 0.01) < 10
    assert math.isclose(sum(counts[class_of(1.0)].windows), counts[class_of(1.0)].total)


def test_a_thousand_ranges_are_planned_each_by_itself_and_alike_twice() -> None:
    views = [RangeView(f"pod-{one}", one % 7, 50, one % 5, 0, 100) for one in range(1000)]
    first, states = plan_ranges(views, {}, 0.0, SETTINGS)
    assert (first, states) == plan_ranges(views, {}, 0.0, SETTINGS)
    alone, _ = plan_range(views[500], RangeState(), 0.0, SETTINGS)
    assert first[500] == alone


def shard(place: int, state: ShardState, granted: int = 0, held: int = 0) -> ShardView:
    return ShardView(
        Shard(f"10.0.0.{16 * place}/28", "pod", state, 1, 0.0), granted=granted, held=held
    )


def test_only_shards_that_give_addresses_have_room() -> None:
    views = [
        shard(0, ShardState.ASSIGNED),
        shard(1, ShardState.PREFETCHED, granted=8, held=2),
        shard(2, ShardState.DRAINING, granted=9),
        shard(3, ShardState.CLAIMING),
    ]
    assert room(views) == 14 + 4


def test_addresses_are_released_of_draining_and_of_empty_shards_first() -> None:
    views = [
        shard(0, ShardState.PREFETCHED, granted=9, held=3),
        shard(1, ShardState.PREFETCHED, granted=1, held=3),
        shard(2, ShardState.DRAINING, granted=9, held=1),
    ]
    assert [(part.prefix, part.count) for part in to_release(views, 5)] == [
        ("10.0.0.32/28", 1),
        ("10.0.0.16/28", 3),
        ("10.0.0.0/28", 1),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(list(ShardState)), st.integers(0, 7), st.integers(0, 7)),
        max_size=16,
    ),
    st.integers(0, 300),
)
def test_no_more_is_released_than_is_held(
    given_shards: list[tuple[ShardState, int, int]], count: int
) -> None:
    views = [shard(place, *one) for place, one in enumerate(given_shards)]
    by_prefix = {view.shard.prefix: view for view in views}
    released = to_release(views, count)
    assert sum(part.count for part in released) == min(count, sum(one.held for one in views))
    assert all(part.count <= by_prefix[part.prefix].held for part in released)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"cycle_s": 0.0}, "cycle_s"),
        ({"confidence": 0.5}, "least_confidence"),
        ({"warm_share": 1.0}, "warm_share"),
        ({"at_least": 5, "at_most": 4}, "at_least"),
        ({"watch_s": ()}, "watch_s"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    wrong: dict[str, float], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        RangeSettings(**wrong)  # type: ignore[arg-type]
