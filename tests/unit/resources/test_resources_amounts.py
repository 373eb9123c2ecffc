"""Amounts follow the prediction, within the policy's bounds, and never go below what is in use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.resources.resources_worlds import BASE, GIB, PRICES, START_S, policy

from controller.model.resources import (
    NO_LIMIT,
    NOTHING,
    Amounts,
    Mode,
    PolicyException,
    Prices,
    Resource,
    ResourceForecast,
    Schedule,
    ShadowSize,
)
from controller.plan.resources.amounts import generate_allocation_requests, within
from controller.plan.resources.budget import Wish, granted
from controller.plan.resources.cost import Demand, choose, regret_of
from controller.plan.resources.rules import policy_of, standing
from controller.plan.resources.sizes import split

SOME = st.floats(0, 1e6, allow_nan=False)
AMOUNTS = st.builds(Amounts, SOME, SOME, SOME)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    levels = sorted(draw(st.sets(st.sampled_from([i / 20 for i in range(1, 20)]), min_size=1)))
    values = sorted(draw(st.lists(SOME, min_size=len(levels), max_size=len(levels))))
    return Demand(tuple(levels), tuple(values))


def test_requests_are_predicted_utilisation_times_base_as_in_the_pseudo_code() -> None:
    requests = generate_allocation_requests(Amounts(0.5, 0.25, 2.0), BASE)
    assert [(one.resource, one.amount) for one in requests] == [
        (Resource.CPU, 1.0),
        (Resource.MEMORY, GIB),
        (Resource.NETWORK, 2e9),
    ]


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.booleans())
def test_no_bound_ever_takes_what_is_in_use(
    wanted: Amounts,
    held: Amounts,
    in_use: Amounts,
    least: Amounts,
    most: Amounts,
    step: Amounts,
    frozen: bool,
) -> None:
    own = policy(
        least=least,
        most=most,
        step=step,
        exceptions=(PolicyException("x", 0.0, 2e9, frozen=frozen),),
    )
    found = within(wanted, held, in_use, own, standing(own, START_S)).amounts
    assert found.covers(in_use)
    allowed = held if frozen else most
    assert allowed.at_least(in_use).covers(found)
    if not frozen:
        assert found.covers(least.at_most(most))


def test_amounts_are_raised_to_the_next_step_and_by_no_more_than_allowed() -> None:
    own = policy(step=Amounts(0.1, 0.0, 1e6), raise_most=Amounts(1.0, GIB, 1e9))
    rule = standing(own, START_S)
    found = within(Amounts(0.3, 7.0, 1_000_001.0), NOTHING, NOTHING, own, rule)
    assert list(found.amounts) == pytest.approx([0.3, 7.0, 2e6])
    fast = within(Amounts(5.0, 0.0, 0.0), Amounts(0.5, 0.0, 0.0), NOTHING, own, rule)
    assert fast.amounts.cpu_cores == pytest.approx(1.5)
    assert "raised by at most raise_most in a cycle" in fast.reasons


@given(demands(), SOME, st.floats(0.01, 5.0), st.floats(0.01, 100.0), st.floats(0, 10))
def test_no_other_amount_is_expected_to_cost_less(
    demand: Demand, other: float, hold: float, breach: float, change: float
) -> None:
    prices = Prices(Amounts(hold, 0, 0), Amounts(breach, 0, 0), change)
    held = other / 2
    choice = choose(Resource.CPU, demand, held, prices, 3600.0)
    rival = hold * other + breach * demand.shortfall(other) + (change if other != held else 0.0)
    assert choice.chosen.cost <= rival + 1e-6 * (1.0 + rival)


def test_expensive_breaches_make_it_hold_for_the_higher_quantile() -> None:
    demand = Demand((0.05, 0.5, 0.95), (1.0, 2.0, 4.0))
    dear = choose(Resource.CPU, demand, 0.0, Prices(Amounts(1, 0, 0), Amounts(20, 0, 0)), 5.0)
    cheap = choose(Resource.CPU, demand, 0.0, Prices(Amounts(1, 0, 0), Amounts(2, 0, 0)), 5.0)
    free = choose(Resource.CPU, demand, 0.0, Prices(Amounts(1, 0, 0), Amounts(0.5, 0, 0)), 5.0)
    assert dear.chosen.amount == pytest.approx(4.0)
    assert cheap.chosen.amount == pytest.approx(2.0)
    assert free.chosen.amount == 0.0


@given(demands(), SOME)
def test_shortfall_is_the_mean_of_what_is_missing(demand: Demand, amount: float) -> None:
    points = 4000
    mean = (
        sum(max(0.0, demand.quantile((i + 0.5) / points) - amount) for i in range(points)) / points
    )
    widest = demand.knots()[-1][1] - demand.knots()[0][1]
    assert demand.shortfall(amount) == pytest.approx(mean, rel=1e-2, abs=1e-2 * widest + 1e-9)


@given(AMOUNTS, AMOUNTS)
def test_regret_is_nothing_when_exactly_the_demand_was_held(held: Amounts, came: Amounts) -> None:
    assert regret_of(held, came, PRICES, 5.0).regret >= 0.0
    exact = regret_of(came, came, PRICES, 5.0)
    assert exact.regret == pytest.approx(0.0, abs=1e-9 * (1 + exact.cost))


def test_the_office_hours_of_a_schedule_are_those_of_its_zone() -> None:
    hours = Schedule("office", 8 * 60, 18 * 60, (0, 1, 2, 3, 4), least=BASE)
    own = policy(zone="Europe/Berlin", schedules=(hours,))
    assert standing(own, START_S + 7 * 3600 + 1800).least == BASE  # 08:30 in Berlin
    assert standing(own, START_S + 6 * 3600 + 1800).least == NOTHING  # 07:30
    assert standing(own, START_S + 3 * 86400 + 9 * 3600).least == NOTHING  # Saturday


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    own = policy(schedules=(Schedule("night", 22 * 60, 2 * 60, (2,), mode=Mode.FORECAST_ONLY),))
    wednesday_23, thursday_1, wednesday_1 = 23 * 3600, 25 * 3600, 3600
    modes = [standing(own, START_S + at).mode for at in (wednesday_23, thursday_1, wednesday_1)]
    assert modes == [Mode.FORECAST_ONLY, Mode.FORECAST_ONLY, Mode.ACTIVE]


def test_an_exception_goes_before_a_schedule() -> None:
    own = policy(
        schedules=(Schedule("always", 0, 0, least=BASE),),
        exceptions=(PolicyException("maintenance", START_S, START_S + 60, least=NOTHING),),
    )
    assert standing(own, START_S + 59).least == NOTHING
    assert standing(own, START_S + 60).least == BASE
    assert standing(own, START_S).by == ("always", "maintenance")


def test_the_first_policy_that_matches_a_device_holds() -> None:
    first, second = policy(name="edges", devices=("e*",)), policy(name="rest")
    assert policy_of("e1", (first, second)) is first
    assert policy_of("r1", (first, second)) is second
    assert policy_of("r1", (first,)) is None


SIZES = (
    ShadowSize("small", Amounts(1, GIB, 1e8), Amounts(0.05, 0, 0)),
    ShadowSize("large", Amounts(4, 8 * GIB, 1e9), Amounts(0.05, 0, 0)),
)


def test_the_smallest_shadow_that_suffices_is_taken() -> None:
    little = split(Amounts(0.5, GIB / 2, 1e7), SIZES, {}).amounts
    assert little["large"] == SIZES[1].idle
    much = split(Amounts(3.0, GIB, 1e8), SIZES, {}).amounts
    assert much["small"] == SIZES[0].idle
    warm = split(Amounts(0.5, GIB / 2, 1e7), SIZES, {}, frozenset({"large"})).amounts
    assert warm["small"] == SIZES[0].idle


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.sets(st.sampled_from(["small", "large"])))
def test_what_shadows_get_and_what_no_shadow_takes_is_what_was_wanted(
    wanted: Amounts, small: Amounts, large: Amounts, warm: set[str]
) -> None:
    in_use = {"small": small, "large": large}
    found = split(wanted, SIZES, in_use, frozenset(warm))
    total = found.amounts["small"] + found.amounts["large"] + found.unplaced
    for name, size in zip(("small", "large"), SIZES, strict=True):
        assert found.amounts[name].covers(in_use[name])
        limit = size.most.at_least(in_use[name])
        assert (limit * (1 + 1e-9)).covers(found.amounts[name])
    # Rounding of the difference of large numbers.
    assert (total * (1 + 1e-9) + Amounts(1e-3, 1e-3, 1e-3)).covers(wanted)


@given(
    st.lists(st.tuples(AMOUNTS, AMOUNTS, st.floats(0, 1e6)), min_size=1, max_size=6),
    st.floats(0, 1e7),
)
def test_a_budget_is_kept_unless_what_must_be_held_exceeds_it(
    many: list[tuple[Amounts, Amounts, float]], budget: float
) -> None:
    price = Amounts(1.0, 0.5, 0.1)
    wishes = [
        Wish(f"r{at}", floor, floor + more, saving) for at, (floor, more, saving) in enumerate(many)
    ]
    found, over = granted(wishes, price, budget)
    cost = sum(price.dot(found[one.device]) for one in wishes)
    assert cost <= budget * (1 + 1e-9) + over + 1e-6
    assert all(one.wanted.covers(found[one.device]) for one in wishes)
    assert all(found[one.device].covers(one.floor) for one in wishes)


def test_a_tight_budget_goes_to_the_device_that_saves_most() -> None:
    price, one = Amounts(1.0, 0, 0), Amounts(2.0, 0, 0)
    found, over = granted([Wish("a", NOTHING, one, 1.0), Wish("b", NOTHING, one, 5.0)], price, 3.0)
    assert [found["a"].cpu_cores, found["b"].cpu_cores, over] == pytest.approx([1.0, 2.0, 0.0])


def test_a_forecast_whose_quantiles_fall_is_refused_by_the_name_of_its_device() -> None:
    rows = ((Amounts(0.5, 0, 0), Amounts(0.4, 0, 0)),)
    with pytest.raises(ValueError, match=r"forecast of r7: quantiles .* not fall"):
        ResourceForecast("r7", START_S, (5.0,), (0.1, 0.9), rows)
    assert NO_LIMIT.covers(BASE)
