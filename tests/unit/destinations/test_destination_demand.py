"""What is foreseen for a destination at a location: from its history, or borrowed where it has none."""

from __future__ import annotations

import pytest

from controller.destinations.foresight import (
    DemandForecastSettings,
    DestinationForesight,
    DestinationOutlook,
    most_until,
)
from controller.model.destinations import Location
from controller.observe.access import AccessHistory, AccessStep
from controller.observe.access_readings import ELSEWHERE, Cell
from controller.observe.access_settings import AccessSettings
from controller.observe.locations import SourceLocations
from ml.forecasting.forecast import Forecast

LOCATIONS = (
    Location("rome", "south", ("10.1.0.0/16",)),
    Location("oslo", "north", ("10.2.0.0/16",)),
)
STEP_S = 60.0
STEPS = 60


def history(
    rates_cps: dict[Cell, float], growth_cps: dict[Cell, float] | None = None
) -> AccessHistory:
    made = AccessHistory(
        SourceLocations(LOCATIONS), ("rome", "oslo"), AccessSettings(cells=64, counters=64)
    )
    made.load(
        AccessStep(
            (number + 1) * STEP_S,
            {
                cell: (rate + (growth_cps or {}).get(cell, 0.0) * number) * STEP_S
                for cell, rate in rates_cps.items()
            },
        )
        for number in range(STEPS)
    )
    return made


OLD: dict[Cell, float] = {
    (1, "rome"): 30.0, (1, "oslo"): 10.0, (2, "rome"): 60.0, (2, "oslo"): 20.0,
    (3, "oslo"): 8.0, (1, ELSEWHERE): 5.0,
}  # fmt: skip
NOW_S = STEPS * STEP_S


def look(
    own: AccessHistory, since_s: dict[int, float], similar: dict[int, tuple[int, ...]] | None = None
) -> DestinationOutlook:
    return DestinationForesight(similar=similar).look(own, NOW_S, since_s)


def at(outlook: DestinationOutlook, level: float = 0.5) -> dict[Cell, float]:
    return {(one.service, one.location): one.at(level) for one in outlook.cells}


def test_steady_demand_is_foreseen_as_it_is_and_only_where_it_can_be_led() -> None:
    found = look(history(OLD), {1: 0.0, 2: 0.0, 3: 0.0})
    assert at(found) == {
        cell: pytest.approx(rate, rel=0.05) for cell, rate in OLD.items() if cell[1] != ELSEWHERE
    }
    assert found.new == {}
    assert (1, ELSEWHERE) in found.forecasts


def test_demand_that_moves_to_a_location_is_foreseen_there_before_it_has_come() -> None:
    own = history(OLD, {(1, "oslo"): 0.5, (1, "rome"): -0.3})
    cells = at(look(own, {1: 0.0, 2: 0.0, 3: 0.0}))
    assert cells[1, "oslo"] > 1.05 * own.rate((1, "oslo"), 1)
    assert cells[1, "rome"] < 0.95 * own.rate((1, "rome"), 1)


def test_a_new_destination_is_expected_where_its_peers_are_wanted() -> None:
    found = look(history(OLD), {1: 0.0, 2: 0.0, 3: 0.0, 9: NOW_S}, {9: (1, 2)})
    cells = at(found)
    # Half way between the sums 40 and 80, three quarters of it in Rome.
    assert cells[9, "rome"] == pytest.approx(45.0, rel=0.05)
    assert cells[9, "oslo"] == pytest.approx(15.0, rel=0.05)
    assert found.new == {9: 2}
    every = look(history(OLD), {1: 0.0, 2: 0.0, 3: 0.0, 9: NOW_S})
    assert every.new == {9: 3}
    assert at(every, 0.9)[9, "rome"] > at(every)[9, "rome"] > at(every, 0.1)[9, "rome"] > 0


def test_what_a_new_destination_has_itself_outweighs_what_it_borrowed() -> None:
    own = history(OLD)
    own.load(
        AccessStep(
            NOW_S + number * STEP_S,
            {cell: rate * STEP_S for cell, rate in {**OLD, (9, "oslo"): 300.0}.items()},
        )
        for number in (1, 2, 3)
    )
    now_s = NOW_S + 3 * STEP_S
    since_s = {1: 0.0, 2: 0.0, 9: NOW_S}
    cells = at(DestinationForesight(similar={9: (1, 2)}).look(own, now_s, since_s))
    assert cells[9, "oslo"] == pytest.approx(300.0, rel=0.02)
    assert cells[9, "rome"] < 1.0


def test_a_destination_that_nobody_asks_for_loses_what_it_borrowed() -> None:
    since_s = {1: 0.0, 2: 0.0, 9: NOW_S - 3600.0}
    cells = at(look(history(OLD), since_s))
    assert cells[9, "rome"] + cells[9, "oslo"] == pytest.approx(20 / 3600, rel=0.02)


def test_without_any_peer_nothing_is_foreseen() -> None:
    assert look(history({}), {9: NOW_S}).cells == ()


def test_new_destinations_cost_no_more_than_is_allowed() -> None:
    since_s = {1: 0.0, 2: 0.0, **dict.fromkeys(range(100, 400), NOW_S)}
    foresight = DestinationForesight(DemandForecastSettings(most_cold=50))
    found = foresight.look(history(OLD), NOW_S, since_s)
    assert sum(one.service >= 100 for one in found.cells) == 50
    assert len(found.new) == 25  # whole destinations


def test_of_very_many_new_destinations_those_expected_to_have_most_are_kept() -> None:
    since_s = {1: 0.0, 2: 0.0, **dict.fromkeys(range(100, 400), 0.0), 250: NOW_S}
    foresight = DestinationForesight(DemandForecastSettings(most_cold=2))
    found = foresight.look(history(OLD), NOW_S, since_s)
    assert [one.service for one in found.cells if one.service >= 100] == [250, 250]


def test_destinations_that_are_no_more_have_no_demand() -> None:
    assert {one.service for one in look(history(OLD), {2: 0.0}).cells} == {2}


def test_demand_that_will_have_ended_counts_for_as_long_as_it_lasts() -> None:
    ends = Forecast("1@rome", 0.0, (5.0, 10.0, 20.0), (0.5,), ((8.0,), (6.0,), (0.0,)), "boosting")
    assert most_until(ends, 20.0, 0.5) == 8.0
    begins = Forecast("1@rome", 0.0, (5.0, 10.0, 20.0), (0.5,), ((0.0,), (6.0,), (9.0,)), "trend")
    assert most_until(begins, 20.0, 0.5) == 9.0
    assert most_until(begins, 10.0, 0.5) == 6.0
