"""A ramp's load is the same for the same seed, and its figures say what clients experienced."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.bench.resources.ramp import summary
from topologies.demo import ramp_report
from topologies.load.analysis import Attempt
from topologies.ramps import NONE, REACTIVE, UMBRA, Moment, RampRun, RampShape

SHAPE = RampShape(10.0, 40.0, calm_s=2.0, rise_s=2.0, hold_s=1.0, fall_s=1.0, after_s=1.0)


def attempt(number: int, connect_ms: float | None, outcome: str = "ok") -> Attempt:
    return Attempt(number, "c1", 1, number / 100, number / 100 + 0.5, 0.1, outcome, connect_ms, ())


def moment(time_s: float, cores: float, share_pct: int = 0, *, warm: bool = False) -> Moment:
    return Moment(time_s, cores, 0.0, 0.05, 0.1, share_pct, warm)


def run(way: str = UMBRA, *, failed: int = 0, share_pct: int = 30) -> RampRun:
    attempts = [attempt(n, 1.0 + n) for n in range(100 - failed)]
    attempts += [attempt(100 - n, None, "timeout") for n in range(failed)]
    moments = (
        moment(0.0, 0.05),
        moment(0.5, 0.1, warm=True),
        moment(1.0, 0.096, share_pct, warm=True),
        moment(1.5, 0.05),
    )
    reasons = ((1.0, "95% <expected>, above 75%"),) if share_pct else ()
    return RampRun(way, SHAPE, 0.1, tuple(attempts), moments, reasons)


def test_a_ramp_offers_the_same_connections_for_the_same_seed_and_more_on_its_top() -> None:
    planned = SHAPE.planned(3, 1, "10.100.0.1", 80)
    assert planned == SHAPE.planned(3, 1, "10.100.0.1", 80)
    assert planned != SHAPE.planned(4, 1, "10.100.0.1", 80)
    calm = sum(one.start_s < 1.0 for one in planned)
    top = sum(4.0 <= one.start_s < 5.0 for one in planned)
    assert top > 2 * calm
    assert max(one.start_s for one in planned) < SHAPE.seconds == 7.0


def test_a_connection_that_never_came_about_counts_as_the_time_out() -> None:
    assert run().connect_ms(99) == 99.0
    assert run(failed=2).connect_ms(99) == 5000.0
    assert run(failed=2).connect_ms(98) == 98.0
    assert run(failed=2).refused_per_1000 == 20.0


def test_it_is_told_when_the_shadow_was_warm_when_traffic_moved_and_how_long_the_router_was_full() -> (
    None
):
    one = run()
    assert (one.warm_s, one.moved_s, one.share_most_pct, one.full_s) == (0.5, 1.0, 30, 1.0)
    still = run(NONE, share_pct=0)
    assert (still.moved_s, still.share_most_pct) == (None, 0)
    assert still.to_json()["moved_s"] is None
    assert one.to_json()["connect_p99_ms"] == 99.0


def test_a_run_without_connections_has_no_latency() -> None:
    empty = RampRun(NONE, SHAPE, 0.1, (), ())
    assert math.isnan(empty.connect_ms(99))
    assert empty.refused_per_1000 == 0.0


def test_figures_are_those_with_the_forecast_and_the_others_stand_beside_them() -> None:
    found = {
        NONE: [run(NONE, failed=50, share_pct=0)],
        REACTIVE: [run(REACTIVE, failed=10), run(REACTIVE)],
        UMBRA: [run()],
    }
    figures, versus = summary(found, 0.1)
    assert figures["ramp_connect_p99_ms"].value == 99.0
    assert figures["ramp_refused_per_1000"].value == 0.0
    assert (figures["ramp_primary_full_s"].unit, figures["ramp_capacity_cores"].value) == ("s", 0.1)
    assert set(versus) == {NONE, REACTIVE}
    assert versus[NONE]["ramp_refused_per_1000"] == 500.0
    assert versus[REACTIVE]["ramp_refused_per_1000"] == 50.0


def test_the_section_tells_both_runs_and_escapes_reasons() -> None:
    text = ramp_report.section({"reactive": run(REACTIVE, failed=3), "predictive": run()})
    assert "With a shadow sized by use alone" in text
    assert "With a shadow sized by the forecast" in text
    assert "95% &lt;expected&gt;" in text
    assert text.count("<svg") == 1
    assert "30 %" in text
