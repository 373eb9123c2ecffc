"""When a subdivision will be full."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.pool import Counts, Pool, exhaustion
from harness.pools import POD, assign
from ml.forecasting.forecast import Forecast

HOUR_S = 3600.0


def counts(
    granted: int, capacity: int, *, cooling: int = 0, reserved: int = 0, quota: int | None = None
) -> Counts:
    free = capacity - granted - cooling - reserved
    return Counts(capacity, free, 0, granted, cooling, reserved, 0, quota)


def forecast(*values: tuple[float, float, float], last: float) -> Forecast:
    """At 1 h, 2 h, …; at 10 %, 50 % and 90 %."""
    horizons = tuple(HOUR_S * (1 + index) for index in range(len(values)))
    return Forecast("pod", 0.0, horizons, (0.1, 0.5, 0.9), values, "boosting", last)


def test_demand_that_grows_fills_the_pool_at_the_crossing() -> None:
    demand = forecast((110, 120, 140), (130, 150, 200), (150, 180, 260), last=100)
    found = exhaustion("pod", counts(100, 170), demand, (0.5, 0.9))
    assert found.full_in_s[0.9] == pytest.approx(1.5 * HOUR_S)
    assert found.full_in_s[0.5] == pytest.approx(HOUR_S * (2 + 20 / 30))
    assert found.sentence == "pod is full in 2 h (90%), 3 h (50%)"


def test_enough_room_is_told_with_the_horizon() -> None:
    found = exhaustion("pod", counts(10, 100), forecast((10, 20, 30), last=10), (0.5, 0.9))
    assert found.full_in_s == {0.5: None, 0.9: None}
    assert found.sentence == "pod is not full within 1 h"


def test_what_is_reserved_cooling_or_beyond_the_quota_is_no_room() -> None:
    demand = forecast((50, 50, 50), last=50)
    assert exhaustion("pod", counts(50, 100, cooling=20, reserved=5), demand).limit == 75
    assert exhaustion("pod", counts(50, 100, quota=60), demand).limit == 60


def test_a_full_subdivision_is_full_now() -> None:
    found = exhaustion("pod", counts(10, 10), forecast((1, 1, 1), last=10))
    assert set(found.full_in_s.values()) == {0.0}
    assert found.sentence == "pod is full: 10 of 10 addresses are granted"


def test_the_pool_answers_for_its_own_subdivisions(tmp_path: Path) -> None:
    with Pool(tmp_path / "pool.db") as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/29")
        pool.take("pod", "vm1")
        found = pool.exhaustion("pod", forecast((2, 4, 11), last=1), (0.9,))
    assert found.full_in_s[0.9] == pytest.approx(HOUR_S / 2)


@given(st.lists(st.tuples(*[st.floats(0, 500)] * 3), min_size=1, max_size=5), st.integers(0, 400))
def test_a_higher_quantile_is_never_full_later(
    rows: list[tuple[float, float, float]], limit: int
) -> None:
    ordered = [tuple(sorted(row)) for row in rows]
    demand = forecast(*ordered, last=0.0)  # type: ignore[arg-type]
    full = exhaustion("pod", counts(0, limit), demand, (0.5, 0.9)).full_in_s
    if full[0.5] is not None:
        assert full[0.9] is not None
        assert full[0.9] <= full[0.5] + 1e-6
