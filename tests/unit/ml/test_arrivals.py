"""A surge seen within fractions of a second, and hardly ever one that is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.surges.arrivals import ArrivalSurge
from ml.surges.detector import MAX_SEVERITY, Surge

PERIOD_S = 0.2


def watch(rate: Callable[[float], float], length_s: float, seed: int) -> list[Surge]:
    random, detector = np.random.default_rng(seed), ArrivalSurge()
    seen = []
    for index in range(int(length_s / PERIOD_S)):
        t_s = (index + 1) * PERIOD_S
        seen.append(detector.update(t_s, int(random.poisson(rate(t_s) * PERIOD_S)), PERIOD_S))
    return seen


def first(seen: list[Surge], from_s: float) -> float:
    start = int(from_s / PERIOD_S)
    assert not any(one.active for one in seen[:start])
    for index, one in enumerate(seen[start:]):
        if one.active:
            return (index + 1) * PERIOD_S
    return math.inf


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rate", "within_s"), [(20.0, 1.2), (100.0, 0.4), (500.0, 0.2)])
def test_a_fourfold_surge_is_seen(rate: float, within_s: float, seed: int) -> None:
    seen = watch(lambda t: rate if t <= 60 else 4 * rate, 70.0, seed)
    assert first(seen, 60.0) <= within_s + 1e-9
    assert 1.0 <= max(one.severity for one in seen) <= MAX_SEVERITY


@pytest.mark.parametrize("seed", range(4))
def test_its_severity_grows_with_what_is_sure_of_it(seed: int) -> None:
    seen = watch(lambda t: 20.0 if t <= 60 else 80.0, 64.0, seed)
    active = [one.severity for one in seen if one.active]
    assert active == sorted(active)
    assert active[-1] >= 3.0, "four times as many"


@pytest.mark.parametrize("rate", [0.0, 0.5, 5.0, 50.0, 1000.0])
def test_a_constant_load_raises_no_alarm(rate: float) -> None:
    assert not any(one.active for one in watch(lambda _: rate, 1800.0, 3))


@pytest.mark.parametrize("seed", range(4))
def test_a_ramp_of_forty_seconds_and_a_swing_of_ten_minutes_are_no_surge(seed: int) -> None:
    ramp = watch(lambda t: 20 + min(40.0, max(0.0, t - 60.0)), 160.0, seed)
    assert not any(one.active for one in ramp)
    swing = watch(lambda t: 60 * (1 + 0.6 * math.sin(2 * math.pi * t / 600)), 1800.0, seed)
    assert not any(one.active for one in swing)


def test_bursts_of_several_connections_raise_the_scale_not_the_alarm() -> None:
    random, detector = np.random.default_rng(5), ArrivalSurge()
    for index in range(9000):
        count = 4 * int(random.poisson(2.0))  # clients open four at a time
        one = detector.update((index + 1) * PERIOD_S, count, PERIOD_S)
        assert not one.active or index * PERIOD_S < 60.0


def test_what_lasts_is_normal_and_its_end_is_no_surge() -> None:
    seen = watch(lambda t: 80.0 if 60 < t <= 150 else 20.0, 300.0, 1)
    active = [one.active for one in seen]
    assert any(active[300:310])
    assert not any(active[int(90 / PERIOD_S) :])


def test_a_missed_poll_is_a_longer_interval_and_no_surge() -> None:
    random, detector = np.random.default_rng(2), ArrivalSurge()
    t_s = 0.0
    for index in range(2000):
        seconds = 3 * PERIOD_S if index % 5 == 0 else PERIOD_S
        t_s += seconds
        assert not detector.update(t_s, int(random.poisson(50 * seconds)), seconds).active


def test_after_a_long_gap_it_begins_anew() -> None:
    detector = ArrivalSurge()
    for index in range(300):
        detector.update((index + 1) * PERIOD_S, 4, PERIOD_S)
    assert not detector.update(1000.0, 90_000, 940.0).active
    assert not detector.update(1000.2, 400, PERIOD_S).active, "warming up"


def test_a_sample_out_of_order_is_refused() -> None:
    detector = ArrivalSurge()
    detector.update(5.0, 1.0, PERIOD_S)
    with pytest.raises(ValueError, match="comes after"):
        detector.update(5.0, 1.0, PERIOD_S)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 5.0), st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(-1.0))
        ),
        max_size=200,
    )
)
def test_severity_is_between_zero_and_five_and_only_while_active(
    samples: list[tuple[float, float]],
) -> None:
    detector, t_s = ArrivalSurge(), 0.0
    for seconds, count in samples:
        t_s += seconds
        surge = detector.update(t_s, count, seconds)
        assert math.isfinite(surge.score)
        assert 0.0 <= surge.severity <= MAX_SEVERITY
        assert (surge.severity > 0) == surge.active
