"""What warns of breaches beside a forecaster: the same in training and in serving, kept and read again."""

from __future__ import annotations

import numpy as np
import pytest

from ml.breaches.alarm import AlarmRule
from ml.breaches.breach import breach
from ml.breaches.crossing_inputs import NAMES, SHORT_COLUMNS, SPAN, crossing_inputs, recent_inputs
from ml.breaches.exceedance import exceedance_odds
from ml.breaches.lessons import by_own_limits, by_quantiles, lessons, thinned
from ml.breaches.warner import Alarms, Warner, inputs_of, together
from ml.breaches.warner_training import Taught, train_warner
from ml.evaluation.breaches.testbed import LIMIT, simulated_runs
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.life import model_file
from ml.series import Series
from ml.settings import Settings
from ml.windows import rolling, stacked

SETTINGS = Settings(
    horizons_s=(5.0, 30.0), min_history_s=600.0, max_rows=3000, iterations=20, side_iterations=10
)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@pytest.fixture(scope="module")
def runs() -> tuple[Series, ...]:
    """Three routers over an hour, second by second."""
    return simulated_runs((0,), hours=1.0).series


@pytest.fixture(scope="module")
def taught(runs: tuple[Series, ...]) -> Taught:
    return train_warner(runs, SETTINGS, {one.target: LIMIT for one in runs}, 480.0)


@pytest.fixture(scope="module")
def warner(taught: Taught) -> Warner:
    assert taught.warner is not None, taught.report.reason
    return taught.warner


def test_the_rule_warns_of_most_breaches_and_more_than_the_rule_without_training(
    taught: Taught,
) -> None:
    report = taught.report
    assert report.accepted
    assert report.events >= 10
    assert report.false_per_day <= 0.5 * report.budget_per_day
    assert report.recall > report.simple_recall
    assert report.f1 > report.simple_f1


def test_a_smaller_budget_gives_a_stricter_rule(runs: tuple[Series, ...], warner: Warner) -> None:
    strict = train_warner(runs, SETTINGS, {}, 60.0)
    assert strict.report.false_per_day <= 30.0
    assert strict.report.recall < warner.report.recall


def test_a_load_without_crossings_gets_no_rule_and_is_told_why() -> None:
    times_s = np.arange(1.0, 3001.0)
    calm = Series("r1", times_s, 100.0 - times_s / 100.0 + np.arange(3000) % 2)
    found = train_warner([calm], SETTINGS, {"r1": 175.0}, 24.0)
    assert found.warner is None
    assert not found.report.accepted
    assert "crossings in the newest quarter; a rule needs 10" in found.report.reason


def test_no_samples_at_all_are_no_obstacle() -> None:
    found = train_warner([], SETTINGS, {}, 24.0)
    assert found.warner is None


def test_it_is_kept_in_a_model_file_and_says_the_same_when_read_again(
    runs: tuple[Series, ...], warner: Warner
) -> None:
    read: Warner = model_file.loads(model_file.dumps({"warner": warner}))["warner"]
    assert read.rule == warner.rule
    assert read.report == warner.report
    forecaster = Forecaster(SETTINGS)
    now_s = float(runs[0].times_s[1800])
    forecasts = forecaster.predict(runs, now_s)
    limits = {one.target: LIMIT for one in runs}
    said = warner.probabilities(runs, limits, forecasts, now_s)
    assert said.keys() == limits.keys()
    assert read.probabilities(runs, limits, forecasts, now_s) == said


def test_a_row_is_the_same_among_others_as_alone_and_knows_no_future(
    runs: tuple[Series, ...], warner: Warner
) -> None:
    now_s = float(runs[0].times_s[2000])
    forecaster = Forecaster(SETTINGS)
    forecasts = forecaster.predict(runs, now_s)
    limits = {one.target: LIMIT for one in runs}
    together_said = warner.probabilities(runs, limits, forecasts, now_s)
    for one in runs:
        recent = one.until(now_s).since(now_s - 240.0)
        alone = warner.probabilities([recent], limits, forecasts, now_s)
        assert alone[one.target] == pytest.approx(together_said[one.target], abs=1e-9)
    grids = [one.resampled(1.0) for one in runs]
    ends = np.array([2000])
    trained = inputs_of(
        stacked([rolling(grid, SPAN, ends) for grid in grids]),
        np.full(3, LIMIT), warner.horizon, 1.0, True,
    )  # fmt: skip
    assert np.isfinite(trained).any(axis=1).all()


def test_columns_of_the_last_minute_are_those_of_the_whole_history() -> None:
    one = simulated_runs((1,), hours=0.2, routers=1).series[0]
    ends = np.array([100, 300, 650])
    whole = crossing_inputs(one.values, one.times_s, ends, LIMIT, 30, 1.0)
    windows = rolling(one, SPAN, ends)
    recent = recent_inputs(windows.values, windows.times_s, np.full(3, LIMIT), 30)
    known = [*range(SHORT_COLUMNS), *range(len(NAMES) - 5, len(NAMES))]
    np.testing.assert_array_equal(whole[:, known], recent[:, known])
    rest = sorted({*range(len(NAMES))} - {*known})
    assert np.isnan(recent[:, rest]).all()


def test_a_router_without_a_present_sample_has_no_probability(
    runs: tuple[Series, ...], warner: Warner
) -> None:
    now_s = float(runs[0].times_s[2000])
    late = runs[0].until(now_s - 10.0)
    short = runs[1].until(now_s).since(now_s - 5.0)
    forecasts = Forecaster(SETTINGS).predict(runs, now_s)
    limits = {one.target: LIMIT for one in runs}
    assert warner.probabilities([late, short], limits, forecasts, now_s) == {}
    assert warner.probabilities(runs, {}, forecasts, now_s) == {}
    assert warner.probabilities(runs, limits, {}, now_s) == {}


def test_many_forecasts_at_once_exceed_a_limit_as_likely_as_each_alone() -> None:
    rows = np.array([[[90, 95, 100, 105, 112]], [[10, 11, 12, 13, 14]], [[50, 50, 60, 80, 90]]])
    values = np.asarray(rows, dtype=np.float64)
    odds = exceedance_odds(values, LEVELS, np.array([108.0, 12.0, 200.0]))
    for row, limit, one in zip(rows.tolist(), (108.0, 12.0, 200.0), odds.tolist(), strict=True):
        forecast = Forecast("r", 0.0, (5.0,), LEVELS, (tuple(row[0]),), "trend", float("nan"))
        alone = breach(forecast, limit).probability
        # The logistic map is within 0.01 of the normal distribution everywhere.
        assert 1 / (1 + np.exp(-one)) == pytest.approx(alone, abs=0.011)
    nothing = exceedance_odds(np.full((1, 2, 5), np.nan), LEVELS, np.array([1.0]))
    assert np.isnan(nothing).all()


def test_classifier_and_forecast_meet_half_way_in_log_odds() -> None:
    both = together(np.array([0.5, 0.9, 0.9]), np.array([0.0, -np.log(9.0), np.nan]))
    np.testing.assert_allclose(both, [0.5, 0.5, 0.9])


def test_an_alarm_stands_for_its_time_and_counts_each_sample_once() -> None:
    alarms = Alarms(AlarmRule(0.6, 2, 10.0))
    assert not alarms.update("r1", 1.0, 0.9, above=False)
    assert not alarms.update("r1", 1.0, 0.9, above=False), "the same sample is no second one"
    assert alarms.update("r1", 2.0, 0.9, above=False)
    assert not alarms.update("r2", 2.0, 0.9, above=False)
    assert alarms.update("r1", 11.0, 0.0, above=False)
    assert not alarms.update("r1", 12.0, 0.0, above=False)
    assert not alarms.update("r1", 3.0, 0.9, above=False), "the clock was set back: anew"
    assert alarms.update("r1", 4.0, 0.9, above=False)


def test_lessons_are_of_samples_below_their_limit_with_a_known_outcome(
    runs: tuple[Series, ...],
) -> None:
    start_s, end_s = float(runs[0].times_s[600]), float(runs[0].times_s[3000])
    part = (30, 1.0, 600)
    own = by_own_limits(runs, start_s, end_s, {runs[0].target: LIMIT}, *part)
    assert {one.row for one in own} == {0}
    many = by_quantiles(runs, start_s, end_s, (0.8, 0.95), *part)
    assert len({one.threshold for one in many}) > 10
    made = lessons(runs, own + many, channels=True, most=500)
    assert 300 < len(made) < 700
    for row in range(len(made)):
        values = runs[made.series[row]].values
        end = int(made.ends[row])
        assert values[end] <= made.limits[row]
        assert made.crossed[row] == (values[end + 1 : end + 31] > made.limits[row]).any()
    few = thinned(many, 3000)
    assert 0 < sum(int(one.eligible.sum()) for one in few) < 6000
