"""The trace benchmark judges what is held against what comes next, and its peers know no more than it does."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.generated import generated
from topologies.bench.resources import decisions, peers, traces
from topologies.bench.resources.traces import LEVELS, Trace, policy_for

STEP_S = 300.0


def steady(use: list[float], coming: list[float]) -> Trace:
    """One series; coming: what is predicted for the next sample, without any doubt."""
    values = np.asarray(use, dtype=np.float64)[:, None]
    rows = np.repeat(np.asarray(coming, dtype=np.float64)[:, None, None], len(LEVELS), axis=2)
    times_s = 1_700_006_400.0 + STEP_S * np.arange(len(use))
    return Trace("steady", STEP_S, times_s, values, rows, values[:1].repeat(300, axis=0))


def test_a_certain_forecast_holds_what_comes_and_nothing_more() -> None:
    use = [0.2, 0.3, 0.5, 0.6, 0.8]
    one = steady(use, [*use[1:], 0.8])
    held, _, regret = traces.play(traces.views(one, policy_for(STEP_S)), STEP_S)
    assert held[:, 0].tolist() == pytest.approx(use[1:])
    found = peers.score(held, one.use[1:])
    assert (found.missed_peak_pct, found.n) == (0.0, 4)
    assert found.slack_pct == pytest.approx(0.0, abs=1e-9)
    assert regret == pytest.approx(0.0, abs=1e-9)


def test_a_missed_peak_and_slack_are_counted_as_defined() -> None:
    held = np.array([[1.0], [1.0], [1.0], [1.0]])
    demand = np.array([[0.5], [1.5], [1.0], [np.nan]])
    found = peers.score(held, demand)
    assert found.missed_peak_pct == pytest.approx(100 / 3)
    assert found.slack_pct == pytest.approx(100 * 0.5 / 3)
    assert found.unmet_pct == pytest.approx(100 * 0.5 / 3.0)
    assert found.n == 3
    assert found.values()["missed_peak_pct"] == 33.333
    assert found.figures("x")["x.slack_pct"].value == 16.67


def test_a_trace_without_demand_is_refused() -> None:
    with pytest.raises(ValueError, match="choose another set"):
        peers.score(np.ones((3, 1)), np.zeros((3, 1)))


def test_the_reactive_peer_holds_the_ninetieth_percentile_and_its_margin() -> None:
    one = steady([0.5] * 10, [0.5] * 10)
    held = peers.reactive(one.before, one.use, STEP_S)
    # A bucket is 5 % wide; use is taken to be at its upper end.
    assert ((held >= 0.5 * 1.15) & (held <= 0.5 * 1.05 * 1.15)).all()
    late = steady([0.2] * 9 + [0.9], [0.2] * 10)
    assert peers.reactive(late.before, late.use, STEP_S)[-1, 0] < 0.3  # it does not see what comes


def test_the_fixed_headroom_keeps_to_the_last_known_use() -> None:
    one = steady([0.5, np.nan, 0.4, 0.4], [0.5] * 4)
    assert peers.headroom(one.use)[:, 0].tolist() == pytest.approx([0.65, 0.65, 0.52])


def test_a_policy_is_chosen_before_the_part_that_is_judged() -> None:
    data = generated(days=6, series=2, seed=5)
    learnt, judged = traces.traces(data)
    assert learnt.times_s[0] > data.split.train_end_s
    assert learnt.times_s[-1] <= data.split.calibration_end_s < judged.times_s[0]
    assert judged.times_s[0] == pytest.approx(data.split.test_start_s, abs=STEP_S)
    assert judged.times_s[-1] == data.times_s[-1]
    assert len(judged.before) > len(learnt.before) + len(learnt.use)
    policy, tried = traces.chosen(learnt)
    best = tried[f"{policy.prices.breach.cpu_cores:g}"]
    assert best["missed_at_most_pct"] < 1.0 or len(tried) == len(traces.BREACHES)
    for breach, found in list(tried.items())[:-1]:
        assert found["missed_at_most_pct"] >= 1.0, breach


def test_few_cycles_prove_less_than_many() -> None:
    few, many = peers.Score(0.0, 5.0, 0.0, 100), peers.Score(0.0, 5.0, 0.0, 10_000)
    assert traces.missed_at_most_pct(few) > 1.0 > traces.missed_at_most_pct(many) > 0.0
    assert traces.missed_at_most_pct(peers.Score(0.9, 5.0, 0.0, 1000)) > 0.9


def test_on_a_generated_trace_it_misses_few_peaks_with_less_slack_than_a_reactive_one() -> None:
    said: list[str] = []
    figures, versus, details = traces.run(said.append, quick=True)
    assert said == ["trace generated"]
    assert figures["generated.replay_same_pct"].value == 100.0
    assert (versus["oracle"]["slack_pct"], versus["oracle"]["missed_peak_pct"]) == (0.0, 0.0)
    slack_pct = figures["generated.slack_pct"].value
    assert slack_pct == pytest.approx(figures["slack_pct"].value, abs=0.01)
    assert slack_pct < float(versus["reactive_p90"]["generated.slack_pct"])
    assert figures["missed_peak_pct"].value < 3.0
    assert details["recorded"] is False
    assert set(details["policies"]) == {"generated"}


def test_the_figures_of_decisions_cover_as_many_devices_as_asked_for() -> None:
    said: list[str] = []
    figures = decisions.run(said.append, devices=5, cycles=2)
    assert said == ["cycles of 5 devices"]
    assert (
        figures["devices_per_cycle"].value,
        figures["cycle_p50_s"].n,
        figures["decision_p99_ms"].n,
    ) == (5.0, 2, 40)
