"""The measurement of warm hits: what comes out of it follows from what goes in, and nothing is lost on the way."""

from pathlib import Path

import numpy as np
import pytest

from controller.plan.addresses.settings import RangeSettings
from ml.evaluation.sources import DataMissing
from topologies.bench.addresses.demand import simulate, told
from topologies.bench.addresses.instance_trace import (
    BEGIN_S,
    HOUR_S,
    WORLDCUP_DAYS,
    WORLDCUP_FILE,
    Subject,
    Trace,
    generated,
    recorded,
)
from topologies.bench.addresses.peers import WARM_TARGETS, asked, fixed_targets, reactive
from topologies.bench.addresses.sharding import sharding_figures

SETTINGS = RangeSettings(cycle_s=10.0, warm_up_s=10.0)


def steady(hours: float = 3.0, every_s: float = 5.0) -> Trace:
    created_s = np.arange(BEGIN_S + 1.0, BEGIN_S + hours * HOUR_S, every_s)
    subject = Subject("pod", created_s, np.full(len(created_s), 600.0))
    return Trace("steady", BEGIN_S, BEGIN_S + hours * HOUR_S, (subject,))


def test_every_creation_is_a_grant_and_every_running_instance_is_counted() -> None:
    trace = generated(3, days=2)
    wanted = asked(trace, SETTINGS)
    for row, subject in enumerate(trace.subjects):
        running = wanted.used[0, row]
        assert wanted.grants[:, row].sum() + running == len(subject.created_s)
        assert (np.diff(subject.created_s) >= 0).all()
    assert generated(3, days=2).subjects[0].created_s.tolist() == (
        trace.subjects[0].created_s.tolist()
    )


def test_the_unannounced_campaign_is_not_in_the_calendar() -> None:
    assert len(generated(1).calendar) == 3
    assert all(event.targets for event in generated(1).calendar)


def test_steady_creations_are_warm_but_for_the_beginning() -> None:
    trace = steady()
    wanted = asked(trace, SETTINGS)
    passed = simulate(trace, wanted, SETTINGS)
    found = told(wanted, passed, SETTINGS)
    assert found["grants"] == len(trace.subjects[0].created_s)
    assert passed.cold[18:].sum() == 0
    assert (passed.unused >= 0).all()
    assert simulate(trace, wanted, SETTINGS).unused.tolist() == passed.unused.tolist()


def test_a_fixed_target_holds_what_it_says_and_no_more() -> None:
    wanted = asked(steady(), SETTINGS)
    peers = fixed_targets(wanted)
    # Two come per cycle, and what is asked for is warm one cycle later: four are enough.
    assert peers["fixed_per_subdivision"]["setting"] == "WARM_IP_TARGET=4"
    assert float(peers["fixed_warm_target"]["warm_hit_pct"]) >= 99.0
    assert peers["fixed_warm_5"]["unused_over_used_pct"] == pytest.approx(
        100 * 4.0 / wanted.used.mean(), rel=0.02
    )


def test_reacting_holds_what_the_last_window_took() -> None:
    found = reactive(asked(steady(), SETTINGS))
    assert float(found["warm_hit_pct"]) >= 99.0
    assert max(WARM_TARGETS) > 100


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="surf_month_tasks"):
        recorded("surf", tmp_path)


def test_a_quick_look_sees_the_first_days_of_a_trace_as_they_are() -> None:
    whole = generated(1, days=3)
    short = whole.first(1)
    wanted, all_of_it = asked(short, SETTINGS), asked(whole, SETTINGS)
    cycles = len(wanted.grants)
    assert cycles == 8640
    assert wanted.grants.tolist() == all_of_it.grants[:cycles].tolist()
    assert wanted.used.tolist() == all_of_it.used[:cycles].tolist()
    assert whole.first(9).end_s == whole.end_s


def test_a_warm_up_that_is_no_whole_number_of_cycles_is_refused() -> None:
    with pytest.raises(ValueError, match="1, 2, … cycles"):
        asked(steady(), RangeSettings(cycle_s=2.0, warm_up_s=3.0))


def test_instances_find_room_in_shards_once_there_are_some() -> None:
    trace = steady()
    passed = simulate(trace, asked(trace, SETTINGS), SETTINGS)
    found = {name: one.value for name, one in sharding_figures(trace, passed.looks).items()}
    before = sum(one <= passed.looks[0][0] + 60.0 for one in trace.subjects[0].created_s)
    refused = found["shards.refused_pct"] * trace.creations / 100
    assert refused <= before - 62 + 1, "what came before anything was known, beyond the first shard"
    assert found["shards.routes_per_subdivision"] <= 2


def test_what_a_recorded_site_needs_at_first_runs_already(tmp_path: Path) -> None:
    file = tmp_path / WORLDCUP_FILE.removesuffix(".gz")
    file.parent.mkdir()
    minutes = int(WORLDCUP_DAYS[1]) * 1440
    counts = ["2000"] * (minutes - 60) + ["3000"] * 60  # eight instances, then twelve
    file.write_text("period,count\n" + "\n".join(f"{i},{one}" for i, one in enumerate(counts)))
    wanted = asked(recorded("worldcup", tmp_path), SETTINGS)
    assert wanted.used[0].tolist() == [8]
    assert wanted.grants.sum() == 4
