"""Creations and terminations become series; they survive a restart; what they foresee is what the planners ask."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.addressing.foresight import AddressForesight
from controller.observe.instance_log import InstanceLog, InstanceLogError
from controller.observe.instances import InstanceEvent, InstanceHistory
from controller.plan.shards.demand import DemandSettings, demand_score, predict_demand
from controller.plan.shards.needs import need_of
from controller.plan.shards.profiles import ApplicationProfile, mean_instance
from ml.calendars.events import PlannedEvent
from ml.forecasting.forecast import Forecast
from ml.series import MEAN_DURATION_S, NEW_PER_S

MIDNIGHT_S = 1_704_067_200.0
WEB = ApplicationProfile("web", 1.0, 1024.0, 10e6, 20e6)
DATA = ApplicationProfile("data", 4.0, 8192.0, 40e6, 80e6)
PROFILES = {"web": WEB, "data": DATA}


def created(time_s: float, name: str = "pod", profile: str = "web") -> InstanceEvent:
    return InstanceEvent(time_s, name, "owner", True, profile)


def ended(time_s: float, lived_s: float, profile: str = "web") -> InstanceEvent:
    return InstanceEvent(time_s, "pod", "owner", False, profile, lived_s=lived_s)


def test_creations_and_terminations_become_samples_of_whole_steps() -> None:
    history = InstanceHistory(60.0)
    history.load([created(5.0), created(30.0, profile="data"), created(70.0), ended(100.0, 95.0)])
    history.advance(130.0)
    (one,) = history.instances()
    assert one.times_s.tolist() == [60.0, 120.0]
    assert one.values.tolist() == [2.0, 2.0]
    assert one.channel(NEW_PER_S).tolist() == pytest.approx([2 / 60, 1 / 60])
    means = one.channel(MEAN_DURATION_S).tolist()
    assert math.isnan(means[0])
    assert means[1] == 95.0
    assert history.mix("pod") == {"data": 1, "web": 1}
    assert history.running("pod") == 2


def test_a_long_silence_costs_no_time_and_keeps_the_last_steps() -> None:
    history = InstanceHistory(60.0, keep_steps=10)
    history.add(created(5.0))
    history.advance(1e9)
    (one,) = history.creations()
    assert len(one) == 10
    assert 1e9 - 60.0 < one.times_s[-1] <= 1e9


def test_what_really_runs_overrules_what_was_counted() -> None:
    history = InstanceHistory()
    history.load([created(1.0), created(2.0)])
    history.correct({"pod": {"web": 7, "data": 0}, "other": {"data": 2}})
    assert history.mix("pod") == {"web": 7}
    assert history.running("other") == 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 300)), max_size=60))
def test_no_count_is_ever_negative_and_no_creation_lost(
    operations: list[tuple[bool, float]],
) -> None:
    history, now_s, made = InstanceHistory(60.0, keep_steps=1000), 1000.0, 0
    for create, passed_s in operations:
        now_s += passed_s
        history.add(created(now_s) if create else ended(now_s, 1.0))
        made += create
    history.advance(now_s + 60.0)
    counted = sum(float(one.values.sum()) for one in history.creations())
    assert round(counted * 60.0) == made
    for one in history.instances():
        assert (one.values >= 0).all()


def test_the_log_gives_back_after_a_restart_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "instances.sqlite"
    event = InstanceEvent(
        20.0, "pod", "vm-1", False, "web", "10.0.0.5", "10.0.0.0/26", 15.0, 0.5, 300.0, 1e6
    )
    log = InstanceLog(file, retention_s=100.0)
    log.add([event, created(10.0)])
    log.close()
    again = InstanceLog(file, retention_s=100.0)
    assert list(again.events(0.0)) == [created(10.0), event]
    assert list(again.events(15.0)) == [event]
    assert again.forget(115.0) == 1
    assert list(again.events(0.0)) == [event]
    again.close()


def test_a_file_that_is_no_log_is_named_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "instances.sqlite"
    file.write_bytes(b"not a database, but longer than its header " * 10)
    with pytest.raises(InstanceLogError, match=r"instances\.sqlite.*move the file away"):
        InstanceLog(file)


def day_after_day(days: int, at_hour: float, jobs: int) -> InstanceHistory:
    """A few creations an hour, and a job that starts so many at one minute of every day."""
    history = InstanceHistory()
    events = []
    for day in range(days):
        begin_s = MIDNIGHT_S + 86_400.0 * day
        events += [created(begin_s + 600.0 * number) for number in range(144)]
        events += [created(begin_s + 3600.0 * at_hour + 0.1 * number) for number in range(jobs)]
    events.sort(key=lambda event: event.time_s)
    history.load(events)
    return history


def test_a_job_of_every_day_is_expected_before_it_starts() -> None:
    history, foresight = day_after_day(3, 6.0, 60), AddressForesight()
    now_s = MIDNIGHT_S + 3 * 86_400.0 + 6 * 3600.0
    foresight.look(history, now_s - 300.0)
    before = foresight.expected(["pod"], now_s - 200.0, 20.0)["pod"]
    shortly = foresight.expected(["pod"], now_s - 5.0, 20.0)["pod"]
    assert before.per_s < 0.1
    assert shortly.per_s > 0.3
    assert shortly.why == "what came at this time of day before"


def test_an_announced_event_is_expected_before_it_begins_and_only_where_it_is() -> None:
    history = day_after_day(1, 6.0, 0)
    history.load([created(MIDNIGHT_S + 86_390.0, "other")])
    now_s = MIDNIGHT_S + 86_400.0
    event = PlannedEvent("campaign", now_s + 100.0, now_s + 4000.0, ("pod",), 50.0)
    foresight = AddressForesight(calendar=(event,))
    foresight.look(history, now_s)
    usual = foresight.expected(["pod", "other", "unknown"], now_s, 20.0)
    coming = foresight.expected(["pod", "other"], now_s + 85.0, 20.0)
    assert set(usual) == {"pod", "other"}
    assert coming["pod"].per_s == pytest.approx(50.0 / 600.0, rel=0.35)
    assert coming["pod"].per_s > 20 * usual["pod"].per_s
    assert coming["pod"].why == "an announced event"
    assert coming["other"].per_s == usual["other"].per_s


def test_what_came_before_an_event_is_not_taken_for_its_share_of_the_event() -> None:
    now_s = MIDNIGHT_S + 300.0
    history = InstanceHistory()
    history.load([created(MIDNIGHT_S + 10.0 * number) for number in range(30)])
    foresight = AddressForesight(
        calendar=(PlannedEvent("sale", now_s, now_s + 600.0, ("pod",), 16.0),)
    )
    foresight.look(history, now_s)
    coming = foresight.expected(["pod"], now_s, 5.0)["pod"]
    assert coming.per_s == pytest.approx(16.0 / 10.0, rel=0.25)


def test_an_event_for_the_bandwidth_alone_creates_nothing() -> None:
    event = PlannedEvent("backup", 100.0, 200.0, ("pod:bandwidth",), 3.0)
    foresight = AddressForesight(calendar=(event,))
    assert foresight.bandwidth_factor("pod", 50.0, 100.0) == pytest.approx(3.0)
    assert foresight.bandwidth_factor("pod", 300.0, 100.0) == 1.0
    assert foresight.bandwidth_factor("other", 50.0, 100.0) == 1.0


def test_running_instances_are_forecast_over_an_hour() -> None:
    history, foresight = day_after_day(1, 6.0, 0), AddressForesight()
    outlook = foresight.look(history, MIDNIGHT_S + 86_400.0)
    forecast = outlook.instances["pod"]
    assert forecast.horizons_s[-1] == 3600.0
    # 144 a day and none ends: six more within the hour.
    assert forecast.at(3600.0, 0.5) == pytest.approx(150.0, abs=4.0)


def forecast_of(values: tuple[tuple[float, ...], ...]) -> Forecast:
    return Forecast("pod", 0.0, (900.0, 3600.0), (0.05, 0.5, 0.95), values, "trend", 90.0)


def test_the_demand_is_the_highest_within_the_horizon() -> None:
    peak_first = forecast_of(((100.0, 150.0, 200.0), (50.0, 60.0, 70.0)))
    mean = mean_instance(PROFILES, {"web": 1}, "web")
    rules = DemandSettings(horizon_s=3600.0, most_growth=3.0)
    found = predict_demand("pod", peak_first, 90.0, mean, rules, 0.0)
    assert found.instances.low == pytest.approx(100.0)
    assert found.instances.expected == pytest.approx(150.0)
    assert found.instances.high == pytest.approx(200.0)
    assert found.bandwidth_bps.expected == pytest.approx(150 * 10e6)
    assert found.cpu_cores == pytest.approx(150.0)


@given(
    st.floats(0, 500),
    st.lists(st.floats(0, 1000), min_size=6, max_size=6),
    st.dictionaries(st.sampled_from(["web", "data", "new"]), st.floats(0, 100)),
    st.floats(0.5, 5),
)
def test_intervals_hold_what_is_expected_and_no_score_is_below_the_instances(
    running: float, drawn: list[float], mix: dict[str, float], factor: float
) -> None:
    rows = (tuple(sorted(drawn[:3])), tuple(sorted(drawn[3:])))
    mean = mean_instance(PROFILES, mix, "web")
    rules = DemandSettings()
    found = predict_demand("pod", forecast_of(rows), running, mean, rules, 0.0, factor)
    for one in (found.instances, found.bandwidth_bps):
        assert one.low <= one.expected <= one.high
    assert found.instances.high >= running
    assert found.instances.high <= found.score <= rules.weight_limit * found.instances.high
    need = need_of(found, 4, warm=3, cooling=2)
    assert need.addresses >= found.instances.high + 5
    assert need_of(found, 4, quota=10).addresses <= 10


def test_what_is_heavy_on_the_network_scores_higher_up_to_the_limit() -> None:
    rules = DemandSettings(reference_bps=10e6, weight_limit=1.5)
    assert demand_score(100.0, 100 * 5e6, rules) == 100.0
    assert demand_score(100.0, 100 * 12e6, rules) == pytest.approx(120.0)
    assert demand_score(100.0, 100 * 99e6, rules) == 150.0
    assert demand_score(0.0, 0.0, rules) == 0.0


def test_bandwidth_of_many_instances_varies_less_than_that_of_one() -> None:
    mean = mean_instance(PROFILES, {"web": 3, "data": 1}, "web")
    assert mean.network_bps == pytest.approx(17.5e6)
    alone = mean.bandwidth_bps(1, 0.95) / mean.bandwidth_bps(1, 0.5)
    many = mean.bandwidth_bps(400, 0.95) / mean.bandwidth_bps(400, 0.5)
    assert 1.0 < many < 1.15 < alone


def test_a_peak_of_one_application_is_the_profile_s_own() -> None:
    assert mean_instance(PROFILES, {}, "web").bandwidth_bps(1, 0.95) == pytest.approx(20e6)


def test_an_unknown_profile_counts_as_the_default() -> None:
    assert mean_instance(PROFILES, {"new": 5}, "data") == mean_instance(PROFILES, {}, "data")


def test_forecasts_of_the_same_history_are_the_same() -> None:
    results = []
    for _ in range(2):
        history, foresight = day_after_day(2, 6.0, 20), AddressForesight()
        foresight.look(history, MIDNIGHT_S + 2 * 86_400.0)
        results.append(foresight.expected(["pod"], MIDNIGHT_S + 2 * 86_400.0, 20.0))
    assert results[0] == results[1]
    assert np.isfinite(results[0]["pod"].per_s)
