"""The load's schedules: the same for the same seed, and as many connections as the curve says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topologies.load.curves import Constant, Curve, Diurnal, Ramp, Sum, Surge
from topologies.load.schedule import Demand, arrivals, deal, load, save, schedule

RATES = st.floats(0, 50)
SECONDS = st.floats(0.5, 60)
CURVES = st.one_of(
    st.builds(Constant, RATES),
    st.builds(Ramp, RATES, RATES, SECONDS, SECONDS, SECONDS, SECONDS),
    st.builds(Diurnal, RATES, RATES, SECONDS),
    st.builds(Surge, RATES, RATES, SECONDS, SECONDS),
)


@given(curve=st.one_of(CURVES, st.builds(lambda a, b: Sum((a, b)), CURVES, CURVES)), at=SECONDS)
def test_no_curve_exceeds_its_peak_or_falls_below_nothing(curve: Curve, at: float) -> None:
    assert 0 <= curve.rate_per_s(at) <= curve.peak_per_s * (1 + 1e-9)


@pytest.mark.parametrize(
    "curve",
    [
        Constant(20.0),
        Ramp(5.0, 40.0, 20.0, 15.0, 30.0, 10.0),
        Diurnal(2.0, 30.0, 60.0),
        Surge(5.0, 60.0, 30.0, 10.0),
    ],
)
def test_as_many_connections_arrive_as_the_curve_promises(curve: Curve) -> None:
    step_s = 0.01
    expected = sum(curve.rate_per_s(index * step_s) * step_s for index in range(12000))
    counts = [len(list(arrivals(seed, curve, 120.0))) for seed in range(20)]
    # The mean of 20 Poisson counts has a deviation of sqrt(expected / 20).
    assert abs(sum(counts) / 20 - expected) < 5 * math.sqrt(expected / 20)


def test_a_ramp_goes_up_holds_and_comes_back() -> None:
    ramp = Ramp(5.0, 25.0, start_s=10.0, rise_s=10.0, hold_s=5.0, fall_s=5.0)
    assert [ramp.rate_per_s(t) for t in (0, 10, 15, 20, 24.9, 27.5, 40)] == pytest.approx(
        [5, 5, 15, 25, 25, 15, 5]
    )


def demands(rate: float = 10.0) -> list[Demand]:
    return [Demand(n, f"10.100.0.{n}", 80, Constant(rate), 8.0) for n in (1, 2)]


def test_both_runs_get_the_same_connections() -> None:
    assert schedule(7, demands(), 30.0) == schedule(7, demands(), 30.0)
    assert schedule(7, demands(), 30.0) != schedule(8, demands(), 30.0)


def test_one_service_does_not_disturb_the_others_arrivals() -> None:
    alone = [c.start_s for c in schedule(7, demands()[:1], 30.0)]
    together = [c.start_s for c in schedule(7, demands(), 30.0) if c.service == 1]
    assert alone == together


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_connections_are_in_order_and_last_about_as_long_as_asked(seed: int) -> None:
    planned = schedule(seed, demands(), 20.0)
    assert [c.start_s for c in planned] == sorted(c.start_s for c in planned)
    assert [c.id for c in planned] == list(range(len(planned)))
    assert all(6.0 <= c.duration_s <= 10.0 and c.start_s < 20.0 for c in planned)


def test_every_connection_is_dealt_to_exactly_one_client() -> None:
    planned = schedule(1, demands(), 20.0)
    hands = deal(planned, ["c1", "c2", "c3"])
    assert sorted(c.id for hand in hands.values() for c in hand) == [c.id for c in planned]
    sizes = [len(hand) for hand in hands.values()]
    assert max(sizes) - min(sizes) <= 1


def test_a_saved_schedule_is_read_back_as_it_was(tmp_path: Path) -> None:
    planned = schedule(1, demands(), 5.0)
    save(tmp_path / "plan", planned)
    assert load(tmp_path / "plan") == planned
