"""Missed peaks and slack of the shadow manager on recorded and generated series, beside others on the same samples.

Every series is one device's demand, as a share of the largest value of its training part. In each cycle (one step
of the series) what is decided from samples up to now is held until the next sample, and compared with that sample.
A forecaster is trained on the first 60 % of a set. On the next 20 % the policy is chosen, from a fixed list. Then it is
trained anew with these, and the last 20 % is judged (`ml.evaluation.splits`: nothing is shuffled, nothing of a later
part is known before).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from controller.model.resources import Amounts, Mode, Policy, Prices, ResourceForecast
from controller.plan.resources import (
    DeviceView,
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
    update_shadow_resources,
)
from controller.plan.resources.replay import digest, replay, to_line
from ml.evaluation.dataset import DataSet
from ml.evaluation.datasets import load
from ml.evaluation.generated import generated
from ml.forecasting.boosting import train
from ml.forecasting.rolling import roll
from ml.series import Floats
from ml.settings import Settings
from topologies.bench.progress import Progress
from topologies.bench.resources.peers import Score, headroom, oracle, reactive, score
from topologies.bench.result import Figure

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
SETS = ("alibaba-300s", "google", "azure", "surf", "bitbrains", "worldcup")
# Prices of a breach, in those of holding: demand is to be met in 98 to 99.75 % of the cycles.
BREACHES = (50.0, 80.0, 125.0, 200.0, 400.0)
GOAL_MISSED_PCT = 1.0
CONFIDENCE = (
    0.95  # with which a policy that is chosen misses less than the goal, were cycles independent
)
GIVE_BACK_CYCLES = 2
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One set, ready to be played.

    use: (moments, series), shares of the largest training value, NaN: missing; row i + 1 is the demand of the cycle
    decided at row i. quantiles: (moments, series, levels), alike, one step ahead. before: use up to the first moment.
    """

    name: str
    step_s: float
    times_s: Floats
    use: Floats
    quantiles: Floats
    before: Floats


def policy_for(step_s: float, breach: float = 125.0) -> Policy:
    """breach: what a breach costs, in units of what holding costs: demand is to be met in 1 - 1 / breach of the
    cycles.
    """
    return Policy(
        name="traces",
        base=Amounts(1.0, 1.0, 1.0),
        mode=Mode.ACTIVE,
        prices=Prices(Amounts(1.0, 1.0, 1.0), Amounts(breach, breach, breach)),
        give_back_cycles=GIVE_BACK_CYCLES,
        doubt_s=2 * step_s,
    )


def traces(data: DataSet, seed: int = 0) -> tuple[Trace, Trace]:
    """The part on which the policy is chosen, and the one that is judged; each forecast by a model that was trained on
    all before it.
    """
    split = data.split
    return (
        _trace(data, split.train_end_s, split.calibration_start_s, split.calibration_end_s, seed),
        _trace(data, split.calibration_end_s, split.test_start_s, split.test_end_s, seed),
    )


def _trace(data: DataSet, trained_s: float, start_s: float, end_s: float, seed: int) -> Trace:
    """Train up to `trained_s`, forecast one step ahead from each sample in [start_s, end_s]."""
    settings = Settings(
        metric=data.name,
        horizons_s=(data.step_s,),
        quantiles=LEVELS,
        step_s=data.step_s,
        min_history_s=0.0,
        companions=data.companions,
    )
    times = data.times_s
    model = train([one.until(trained_s) for one in data.series], settings, seed)
    first = int(np.searchsorted(times, start_s))
    after = int(np.searchsorted(times, end_s, side="right"))
    rolled = roll(model, data.series, float(times[first]), float(times[after - 1]))
    split_s = data.split.train_end_s
    training = data.values[:, : int(np.searchsorted(times, split_s, side="right"))]
    # Of a series that is 0 throughout its training, the unit itself is the scale.
    scale = np.nanmax(training, axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    return Trace(
        data.name,
        data.step_s,
        times[first:after],
        data.values[:, first:after].T / scale,
        rolled.values[:, :, 0] / scale[None, :, None],
        data.values[:, :first].T / scale,
    )


def views(one: Trace, policy: Policy) -> list[tuple[ManagerView, float]]:
    """The inputs of every cycle with its time. What is missing is taken to be as it was last."""
    found = []
    last = np.nan_to_num(one.use[0])
    rows = np.maximum.accumulate(np.maximum(one.quantiles, 0.0), axis=2)
    for moment, now_s in enumerate(one.times_s[:-1].tolist()):
        last = np.where(np.isfinite(one.use[moment]), one.use[moment], last)
        devices = []
        for place, used in enumerate(last.tolist()):
            row = rows[moment, place]
            forecast = None
            if np.isfinite(row).all():
                quantiles = (tuple(Amounts(value, 0.0, 0.0) for value in row.tolist()),)
                forecast = ResourceForecast(str(place), now_s, (one.step_s,), LEVELS, quantiles)
            use, primary = Amounts(used, 0.0, 0.0), Amounts(1.0, 0.0, 0.0)
            devices.append(DeviceView(str(place), use, primary, forecast))
        found.append((ManagerView(tuple(devices), (policy,)), now_s))
    return found


def play(
    inputs: Sequence[tuple[ManagerView, float]], step_s: float
) -> tuple[Floats, list[ManagerPlan], float]:
    """What the shadow manager holds after each cycle (cycles, devices), its plans, and all regret, as a share of what
    the best decisions would have cost.
    """
    settings, state = ManagerSettings(step_s), ManagerState()
    plans, held = [], []
    regret = best = 0.0
    for view, now_s in inputs:
        plan, state = update_shadow_resources(view, state, now_s, settings)
        by = {one.device: one for one in plan.decisions}
        held.append([by[device.device].amounts.cpu_cores for device in view.devices])
        for decision in plan.decisions:
            if decision.regret is not None:
                regret += decision.regret.regret
                best += decision.regret.best
        plans.append(plan)
    return np.asarray(held, dtype=np.float64), plans, regret / best if best > 0 else 0.0


def chosen(one: Trace) -> tuple[Policy, dict[str, Any]]:
    """The policy with the cheapest breach that surely misses less than the goal on this part, else the one with the
    dearest; and what was seen of each that was tried.
    """
    tried: dict[str, Any] = {}
    policy = policy_for(one.step_s, BREACHES[-1])
    for breach in BREACHES:
        policy = policy_for(one.step_s, breach)
        held, _, _ = play(views(one, policy), one.step_s)
        found = score(held, one.use[1:])
        at_most_pct = missed_at_most_pct(found)
        tried[f"{breach:g}"] = found.values() | {"missed_at_most_pct": round(at_most_pct, 3)}
        if at_most_pct < GOAL_MISSED_PCT:
            break
    return policy, tried


def missed_at_most_pct(found: Score) -> float:
    """The upper confidence bound of the share of missed cycles (Clopper and Pearson 1934)."""
    missed = found.missed_peak_pct / 100.0 * found.n
    return 100.0 * float(beta.ppf(CONFIDENCE, missed + 1.0, max(found.n - missed, 1.0)))


def replays_alike(
    inputs: Sequence[tuple[ManagerView, float]], plans: Sequence[ManagerPlan], step_s: float
) -> tuple[bool, int]:
    """Whether the first day, written as lines and decided again, gives the same plans bit for bit; its cycles."""
    cycles = min(len(inputs), max(1, round(DAY_S / step_s)))
    lines = [to_line(view, now_s) for view, now_s in inputs[:cycles]]
    again = digest(replay(lines, ManagerSettings(step_s)))
    return again == digest(plans[:cycles]), cycles


def judge(one: Trace, policy: Policy) -> tuple[dict[str, Figure], Score, dict[str, Score]]:
    """Figures of one set, named after it; its score, and those of the peers."""
    inputs = views(one, policy)
    held, plans, regret = play(inputs, one.step_s)
    demand = one.use[1:]
    ours = score(held, demand)
    same, cycles = replays_alike(inputs, plans, one.step_s)
    figures = ours.figures(one.name) | {
        f"{one.name}.regret_over_best": Figure(round(regret, 3), "1", ours.n, "lower"),
        f"{one.name}.replay_same_pct": Figure(100.0 if same else 0.0, "%", cycles, "higher"),
    }
    peers = {
        "reactive_p90": reactive(one.before, one.use, one.step_s),
        "fixed_headroom": headroom(one.use),
        "oracle": oracle(one.use),
    }
    return figures, ours, {name: score(amounts, demand) for name, amounts in peers.items()}


def run(
    progress: Progress, *, data: Path | None = None, sets: Sequence[str] = SETS, quick: bool = False
) -> tuple[dict[str, Figure], dict[str, dict[str, float | str]], dict[str, Any]]:
    """The generated set, and those of the folder `data`; the mean over the recorded sets, if there are any, goes by the
    plain names. quick: a short generated set, and one recorded one. Raises DataMissing when a file is not there.
    """
    figures: dict[str, Figure] = {}
    versus: dict[str, dict[str, float | str]] = {}
    policies: dict[str, Any] = {}
    scores: dict[str, dict[str, Score]] = {}
    names = () if data is None else tuple(sets[:1] if quick else sets)
    for name in ("generated", *names):
        progress(f"trace {name}")
        if data is None or name == "generated":
            own = generated(days=6, series=2) if quick else generated()
        else:
            own = load(name, data)
        learnt, judged = traces(own)
        policy, tried = chosen(learnt)
        found, ours, theirs = judge(judged, policy)
        figures |= found
        policies[name] = {"breach": policy.prices.breach.cpu_cores, "tried": tried}
        scores[name] = {"": ours, **theirs}
        for peer, one in theirs.items():
            versus.setdefault(peer, {}).update(
                {f"{name}.{key}": value for key, value in one.values().items()}
            )
    judged_sets = names or ("generated",)
    for key in ("missed_peak_pct", "slack_pct", "unmet_pct"):
        means = {
            peer: float(np.mean([getattr(scores[name][peer], key) for name in judged_sets]))
            for peer in scores["generated"]
        }
        number = sum(scores[name][""].n for name in judged_sets)
        figures[key] = Figure(round(means.pop(""), 3), "%", number, "lower")
        for peer, value in means.items():
            versus[peer][key] = round(value, 3)
    return figures, versus, {"policies": policies, "recorded": bool(names)}
