"""The day that follows the sun: its load, who was served where, its figures, and its part of the page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topologies.demo.sun_report import section
from topologies.load.analysis import Attempt, Traffic
from topologies.sun import Change, Mode, Region, Sun, decided_sites, sun
from topologies.sun_load import Day, connections, curve, history
from topologies.two_sites import LOCATIONS

DAY = Day(period_s=12.0, awake_per_s=10.0, asleep_per_s=0.5)
SERVICES = [{"id": 1, "address": "10.100.0.1", "port": 80}]
REGIONS = {"c1": Region("north", "site1"), "c2": Region("south", "site2")}
REDIRECTED = Change(3.0, 3.02, 1, "south", "site1", "site2", "expected <there>")
RETURNED = Change(6.0, 6.02, 1, "south", "site2", "site1", "nobody is left")


@given(st.floats(0.0, 36.0, allow_nan=False))
def test_one_region_sleeps_while_the_other_is_wide_awake(time_s: float) -> None:
    rates = [curve(DAY, region).rate_per_s(time_s) for region in (0, 1)]
    assert min(rates) == pytest.approx(0.5)
    assert max(rates) <= 10.0 + 1e-9


def test_every_day_is_like_the_day_before() -> None:
    for region in (0, 1):
        own = curve(DAY, region)
        for tenth in range(120):
            time_s = tenth / 10.0
            assert own.rate_per_s(time_s + 12.0) == pytest.approx(own.rate_per_s(time_s))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_each_client_calls_when_it_is_awake_and_no_call_has_the_number_of_another(
    seed: int,
) -> None:
    found, number = connections(DAY, SERVICES, ("c1", "c2"), seed)
    ids = [one.id for own in found.values() for one in own]
    assert sorted(ids) == list(range(number))
    early = {name: sum(one.start_s < 4.0 for one in own) for name, own in found.items()}
    assert early["c1"] > early["c2"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 30.0))
def test_an_eve_changes_nothing_in_the_days_but_when_they_begin(seed: int, eve_s: float) -> None:
    alone, number = connections(DAY, SERVICES, ("c1", "c2"), seed)
    found, judged = connections(DAY, SERVICES, ("c1", "c2"), seed, eve_s)
    assert judged == number
    for client, own in found.items():
        assert [one.start_s for one in own] == sorted(one.start_s for one in own)
        days = [one for one in own if one.id < number]
        assert [one.id for one in days] == [one.id for one in alone[client]]
        for one, other in zip(days, alone[client], strict=True):
            assert one.start_s == pytest.approx(other.start_s + eve_s)
        eve = [one for one in own if one.id >= number]
        assert all(0.0 <= one.start_s < eve_s for one in eve)


def test_recorded_days_end_now_and_rise_and_fall_with_the_day() -> None:
    steps = history(DAY, 10, (1, 2), LOCATIONS, 0.5, 1000.0, seed=3)
    assert [one.end_s for one in steps][-2:] == [999.5, 1000.0]
    assert len(steps) == 10 * 24
    noon = sum(own.counts.get((1, "north"), 0.0) for own in steps[4::24])
    midnight = sum(own.counts.get((1, "north"), 0.0) for own in steps[16::24])
    assert noon > 10 * max(1.0, midnight) / 2


@pytest.mark.parametrize(
    ("time_s", "sites"),
    [
        (2.0, {"site1"}),
        (2.97, {"site1", "site2"}),  # about to be decided
        (3.01, {"site1", "site2"}),  # being written
        (4.0, {"site2"}),
        (6.01, {"site1", "site2"}),
        (7.0, {"site1"}),
    ],
)
def test_a_call_may_go_where_it_was_decided_and_while_that_is_written_to_either(
    time_s: float, sites: set[str]
) -> None:
    assert decided_sites((RETURNED, REDIRECTED), 1, "south", "site1", time_s) == sites
    assert decided_sites((RETURNED, REDIRECTED), 1, "north", "site1", time_s) == {"site1"}
    assert decided_sites((RETURNED, REDIRECTED), 2, "south", "site2", time_s) == {"site2"}


def attempt(
    number: int, client: str, start_s: float, backend: str | None, wait_ms: float
) -> Attempt:
    backends = () if backend is None else (backend,)
    outcome = "timeout" if backend is None else "ok"
    connect_ms = None if backend is None else wait_ms
    return Attempt(number, client, 1, start_s, start_s + 1.0, 0.0, outcome, connect_ms, backends)


def run(mode: Mode = Mode.PREDICTIVE) -> Sun:
    attempts = (
        attempt(0, "c1", 1.0, "b1", 2.0),
        attempt(1, "c2", 2.0, "b1", 22.0),
        attempt(2, "c2", 4.0, "b2", 2.0),
        attempt(3, "c2", 5.0, "b1", 22.0),  # it should have gone to site 2
        attempt(4, "c2", 5.5, None, 0.0),
    )
    return sun(
        mode,
        DAY,
        Traffic(attempts, (), 0),
        (REDIRECTED, RETURNED),
        regions=REGIONS,
        sites={"b1": "site1", "b2": "site2"},
        homes={1: "site1"},
    )


def test_figures_say_who_was_served_near_and_who_was_sent_astray() -> None:
    assert run().to_json() == {
        "mode": "predictive",
        "connections": 5,
        "unanswered": 1,
        "nearest_pct": 50.0,
        "misdirected_pct": 25.0,
        "connect_mean_ms": 12.0,
        "connect_p50_ms": 2.0,
        "connect_p90_ms": 22.0,
        "redirects": 2,
        "moved": 0,
    }
    assert [one.misdirected for one in run().calls] == [False, False, False, True, False]


def test_a_day_without_an_answer_has_no_figures() -> None:
    silent = Sun(Mode.STATIC, DAY, (), (), 0)
    assert math.isnan(silent.nearest_pct)
    assert silent.to_json()["connect_mean_ms"] is None


def test_the_section_has_a_plot_a_row_for_each_run_and_the_reasons_as_text() -> None:
    text = section({"reactive": run(Mode.REACTIVE), "predictive": run()})
    assert text.count("<svg") == 1
    assert text.count("50.0 %</td>") == 2
    assert text.count("expected &lt;there&gt;") == 2
    assert "expected <" not in text
