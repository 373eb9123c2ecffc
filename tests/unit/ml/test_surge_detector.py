"""What is a surge, and what is only a busy day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import simulate
from ml.series import Series
from ml.surges.detector import MAX_SEVERITY, Surge, SurgeDetector, SurgeSettings


def watch(times_s: np.ndarray, values: np.ndarray) -> list[Surge]:
    detector = SurgeDetector()
    pairs = zip(times_s.tolist(), values.tolist(), strict=True)
    return [detector.update(t, value) for t, value in pairs]


def counts(series: Series) -> list[Surge]:
    return watch(series.times_s, series.values)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("field", ["values", "new_per_s"])
def test_a_fourfold_surge_is_flagged_within_three_samples(field: str, seed: int) -> None:
    series = simulate.connections(simulate.step(20, 80, 120), 160, 6.0, seed)
    seen = watch(series.times_s, series.channels.get(field, series.values))
    assert not any(one.active for one in seen[:120])
    assert any(one.active for one in seen[120:123])
    assert 1.0 <= max(one.severity for one in seen[120:130]) <= MAX_SEVERITY


@pytest.mark.parametrize("seed", range(4))
def test_a_diurnal_ramp_is_no_surge(seed: int) -> None:
    series = simulate.connections(simulate.diurnal(40, 0.6, 600), 3600, 6.0, seed)
    assert not any(one.active for one in counts(series))


@pytest.mark.parametrize("seed", range(4))
def test_a_planned_ramp_of_forty_seconds_is_no_surge(seed: int) -> None:
    series = simulate.connections(simulate.ramp(20, 60, 60, 40), 160, 6.0, seed)
    assert not any(one.active for one in counts(series))


def test_a_shift_that_lasts_becomes_normal_and_its_end_is_no_surge() -> None:
    rate = lambda t: np.where((t > 120) & (t < 300), 80.0, 20.0)  # noqa: E731
    series = simulate.connections(rate, 500, 6.0, 2)
    active = [one.active for one in counts(series)]
    assert any(active[120:130])
    assert not any(active[180:]), "neither the new level nor the fall back to the old one"


def test_a_surge_after_an_adopted_shift_is_flagged_again() -> None:
    rate = lambda t: np.where(t < 120, 20.0, np.where(t < 300, 80.0, 300.0))  # noqa: E731
    active = [one.active for one in counts(simulate.connections(rate, 340, 6.0, 2))]
    assert any(active[120:125])
    assert not any(active[200:300])
    assert any(active[300:304])


def test_missing_samples_and_gaps_change_nothing_and_raise_nothing() -> None:
    series = simulate.connections(simulate.flat(40), 600, 6.0, 1)
    values = series.values.copy()
    values[::7] = math.nan
    values[200:260] = math.nan
    seen = watch(series.times_s, values)
    assert not any(one.active for one in seen)
    assert all(one.score == 0.0 for one in seen[200:260])


def test_an_outlier_while_warming_up_does_not_blind_the_detector() -> None:
    series = simulate.connections(simulate.step(20, 80, 60), 90, 6.0, 3)
    values = series.values.copy()
    values[4] = 1000.0
    seen = watch(series.times_s, values)
    assert any(one.active for one in seen[60:70])


def test_one_lone_spike_is_over_when_its_hold_is() -> None:
    series = simulate.connections(simulate.flat(40), 120, 6.0, 1)
    values = series.values.copy()
    values[60] *= 3
    active = [one.active for one in watch(series.times_s, values)]
    assert active[60]
    assert not any(active[70:])


def test_a_sample_out_of_order_is_refused() -> None:
    detector = SurgeDetector()
    detector.update(5.0, 1.0)
    with pytest.raises(ValueError, match="comes after"):
        detector.update(5.0, 1.0)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.1, 100), st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(math.inf))
        ),
        max_size=80,
    )
)
def test_severity_is_between_zero_and_five_and_only_while_active(
    samples: list[tuple[float, float]],
) -> None:
    detector, t_s = SurgeDetector(), 0.0
    for gap_s, value in samples:
        t_s += gap_s
        surge = detector.update(t_s, value)
        assert math.isfinite(surge.score)
        assert 0.0 <= surge.severity <= MAX_SEVERITY
        assert (surge.severity > 0) == surge.active


@pytest.mark.parametrize("seed", range(2))
def test_hours_of_steady_load_raise_no_alarm_and_a_surge_after_them_is_seen_at_once(
    seed: int,
) -> None:
    series = simulate.connections(simulate.step(40, 160, 10_800), 10_830, 6.0, seed)
    active = [one.active for one in watch(series.times_s, series.channels["new_per_s"])]
    assert not any(active[:10_800])
    assert any(active[10_800:10_802])


def test_a_burst_at_the_same_time_of_three_days_is_no_surge_on_the_fourth() -> None:
    rng = np.random.default_rng(1)
    values = 100.0 + rng.normal(0.0, 2.0, 12 * 288)
    for day in range(12):
        values[day * 288 + 100 : day * 288 + 104] += 100.0
    values[11 * 288 + 240 :] += 100.0
    detector = SurgeDetector(SurgeSettings.measured())
    times_s = 300.0 * np.arange(len(values))
    active = [
        detector.update(t, v).active for t, v in zip(times_s.tolist(), values.tolist(), strict=True)
    ]
    assert not any(active[10 * 288 : 11 * 288 + 240]), "neither nightly burst"
    assert active[11 * 288 + 240], "but a rise at another time"


def test_scores_of_series_in_other_units_are_the_same() -> None:
    values = np.random.default_rng(2).normal(50.0, 5.0, 3000)
    values[2500] = 90.0
    scores = []
    for unit in (1.0, 1e-3, 1e6):
        detector = SurgeDetector(SurgeSettings.measured())
        scores.append([detector.update(60.0 * i, unit * v).score for i, v in enumerate(values)])
    assert scores[0] == pytest.approx(scores[1], abs=1e-2)
    assert scores[0] == pytest.approx(scores[2], abs=1e-2)
    assert 500 + int(np.argmax(scores[0][500:])) == 2500
