"""Breach predictions as a part of the benchmark and of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import isfinite, nan

from ml.evaluation.bootstrap import Interval
from ml.evaluation.breaches import summary as breaches
from ml.evaluation.breaches.natural import LOGISTIC, SEEDS, SetBreaches
from ml.evaluation.breaches.ramp_lessons import LESSONS
from ml.evaluation.breaches.ramps import TRIALS, RampScore
from ml.evaluation.breaches.scores import BUDGET_INDEX, RATES, MethodScore
from ml.evaluation.breaches.summary import TestbedScore
from ml.evaluation.dataset import DataSet
from ml.evaluation.part import Measured, Part

MAX_ROWS, RAMPS = 50_000, 240
QUICK_ROWS, QUICK_RAMPS, QUICK_LESSONS, QUICK_TRIALS = 8_000, 24, 100, 20


def part(sets: Sequence[DataSet], *, quick: bool, progress: Callable[[str], None]) -> Part:
    """Breaches on recorded series, injected ramps, and simulated routers (not in a quick run)."""
    found: list[SetBreaches] = []
    injected: list[RampScore] = []
    told: list[str] = []
    rows = QUICK_ROWS if quick else MAX_ROWS
    number = QUICK_RAMPS if quick else RAMPS
    lessons, trials = (QUICK_LESSONS, QUICK_TRIALS) if quick else (LESSONS, TRIALS)
    for one in sets:
        progress(f"{one.name}: breaches")
        try:
            found.append(breaches.natural(one, SEEDS[:1] if quick else SEEDS, rows))
        except ValueError as reason:
            told.append(f"{one.name}: {reason}")
        progress(f"{one.name}: ramps")
        try:
            injected.append(breaches.ramps(one, 0, number, rows, lessons, trials))
        except ValueError as reason:
            told.append(f"{one.name}: {reason}")
    testbed = None
    if not quick:
        progress("breaches on simulated routers")
        testbed = breaches.on_testbed()
    figures = _over_all(found, injected)
    for score in found:
        figures |= _of_set(score)
    for ramp in injected:
        figures |= _of_ramps(ramp)
    if testbed is not None:
        figures |= _of_testbed(testbed)
    kept = {name: one for name, one in figures.items() if isfinite(one.value)}
    return Part(kept, _versus(found), "Breaches", _html(found, injected, testbed, told))


def _over_all(found: Sequence[SetBreaches], injected: Sequence[RampScore]) -> dict[str, Measured]:
    summary = breaches.summary(found, injected)
    events = sum(one.events for one in found)
    ramps = sum(one.ramps for one in injected)
    judged = len(summary.judged)
    return {
        "breach_f1_over_best_baseline": Measured(summary.over_best, "1", events, "higher"),
        "breach_sets_25_pct_better_pct": Measured(
            100.0 * len(summary.reached) / judged if judged else nan, "%", judged, "higher"
        ),
        "ramps_warned_pct": Measured(summary.ramps_warned_pct, "%", ramps, "higher"),
        "ramps_warned_by_half_of_lead_pct": Measured(summary.ramps_early_pct, "%", ramps, "higher"),
        "ramps_worst_false_alarms_per_day": Measured(
            summary.ramps_worst_false_per_day, "1/day", len(injected), "lower"
        ),
    }


def _of_set(one: SetBreaches) -> dict[str, Measured]:
    ours = one.methods[0]
    warned = round(ours.recall * one.events) if isfinite(ours.recall) else 0
    figures = {
        "breach_f1_over_best_baseline": Measured(one.ratio.value, "1", one.events, "higher"),
        "breach_f1_over_best_baseline_low": Measured(one.ratio.low, "1", one.events, "higher"),
        "breach_f1_over_best_baseline_high": Measured(one.ratio.high, "1", one.events, "higher"),
        "breach_recall_pct": Measured(100 * ours.recall, "%", one.events, "higher"),
        "false_alarms_per_day": Measured(ours.false_per_day, "1/day", round(one.days), "lower"),
        "lead_p10_s": Measured(ours.lead_p10_s, "s", warned, "higher"),
        "lead_p50_s": Measured(ours.lead_p50_s, "s", warned, "higher"),
        "lead_p90_s": Measured(ours.lead_p90_s, "s", warned, "higher"),
    }
    return {f"{one.data_set}.{name}": value for name, value in figures.items()}


def _of_ramps(one: RampScore) -> dict[str, Measured]:
    figures = {
        "ramps_climbed_warned_pct": Measured(one.climbed_warned_pct, "%", one.ramps, "higher"),
        "ramps_climbed_early_pct": Measured(one.climbed_early_pct, "%", one.ramps, "higher"),
        "ramps_matched_warned_pct": Measured(one.matched_warned_pct, "%", one.ramps, "higher"),
        "ramps_matched_early_pct": Measured(one.matched_early_pct, "%", one.ramps, "higher"),
        "ramps_lead_p10_s": Measured(one.lead_p10_s, "s", one.ramps, "higher"),
        "ramps_lead_p90_s": Measured(one.lead_p90_s, "s", one.ramps, "higher"),
        "ramps_warned_pct": Measured(one.warned_pct, "%", one.ramps, "higher"),
        "ramps_warned_by_half_of_lead_pct": Measured(one.early_pct, "%", one.ramps, "higher"),
        "ramps_false_alarms_per_day": Measured(one.false_per_day, "1/day", one.ramps, "lower"),
        "ramps_lead_p50_s": Measured(one.lead_p50_s, "s", one.ramps, "higher"),
    }
    return {f"{one.data_set}.{name}": value for name, value in figures.items()}


def _of_testbed(one: TestbedScore) -> dict[str, Measured]:
    figures = _of_set(one.found)
    name, events = one.found.data_set, one.found.events
    over = one.over_threshold
    figures[f"{name}.breach_f1"] = Measured(one.ours.mean_f1, "1", events, "higher")
    figures[f"{name}.breach_f1_of_threshold_only"] = Measured(
        one.threshold.mean_f1, "1", events, "higher"
    )
    for who, method in (("", one.ours), ("_of_threshold_only", one.threshold)):
        at = method.matched[BUDGET_INDEX]
        for percent, lead in (
            ("p10", at.lead_p10_s),
            ("p50", at.lead_p50_s),
            ("p90", at.lead_p90_s),
        ):
            figures[f"{name}.matched_lead_{percent}_s{who}"] = Measured(lead, "s", events, "higher")
    for suffix, value in (("", over.value), ("_low", over.low), ("_high", over.high)):
        figures[f"{name}.breach_f1_over_threshold_only{suffix}"] = Measured(
            value, "1", events, "higher"
        )
    figures[f"{name}.false_alarms_per_hour"] = Measured(
        one.ours.false_per_day / 24.0, "1/h", round(24 * one.found.days), "lower"
    )
    figures[f"{name}.hours"] = Measured(one.hours, "h", len(one.seeds), "higher")
    figures[f"{name}.judged_hours"] = Measured(one.judged_hours, "h", len(one.seeds), "higher")
    return figures


def _versus(found: Sequence[SetBreaches]) -> dict[str, dict[str, float | str]]:
    """Every method's recall and false alarms of the rule that calibration data chose for it, and its F1."""
    told: dict[str, dict[str, float | str]] = {}
    for one in found:
        for method in one.methods[1:]:
            name = method.method if method.method == LOGISTIC else f"breach_{method.method}"
            values = {
                f"{one.data_set}.breach_recall_pct": 100 * method.recall,
                f"{one.data_set}.false_alarms_per_day": method.false_per_day,
                f"{one.data_set}.lead_p50_s": method.lead_p50_s,
                f"{one.data_set}.breach_mean_f1": method.mean_f1,
            }
            known = {key: value for key, value in values.items() if isfinite(value)}
            told[name] = {**told.get(name, {}), **known}
    return told


def _html(
    found: Sequence[SetBreaches],
    injected: Sequence[RampScore],
    testbed: TestbedScore | None,
    told: Sequence[str],
) -> str:
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    parts = [
        f"<p class=quiet>F1 at equal realised rates of {rates} false alarms a day and series, mean over these rates. "
        "Recall, false alarms and leads: of the rule that the calibration part chose for "
        f"{RATES[BUDGET_INDEX]:g} false alarms a day; the rate that came of it stands beside.</p>"
    ]
    everything = [*found, *([testbed.found] if testbed is not None else [])]
    for one in everything:
        parts.append(_table(one))
    if injected:
        parts.append(_ramps(injected))
    parts += [f"<p class=quiet>{escape(line)}</p>" for line in told]
    return "".join(parts)


def _table(one: SetBreaches) -> str:
    head = (
        "<tr><th>method</th><th class=n>mean F1</th><th class=n>recall</th><th class=n>precision</th>"
        "<th class=n>false alarms a day</th><th class=n>lead p10, p50, p90</th></tr>"
    )
    rows = "".join(_row(method, first=not number) for number, method in enumerate(one.methods))
    return (
        f"<h2>{escape(one.data_set)}</h2><p class=quiet>{one.events} breaches in {one.days:.0f} series-days, "
        f"horizon {one.horizon_s:.0f} s; ours over the best simple rule ({escape(one.best)}): "
        f"{_interval(one.ratio)}, seeds {', '.join(f'{ratio:.2f}' for ratio in one.seed_ratios)}; "
        f"{_interval(one.ratio_at_budget)} at the rate that rules are chosen for. "
        f"Calibration gap of the probability {one.reliability.gap:.3f}.</p>"
        f"<table>{head}{rows}</table>"
    )


def _interval(one: Interval) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _row(one: MethodScore, *, first: bool) -> str:
    leads = ", ".join(
        f"{lead:.0f} s" if isfinite(lead) else "none"
        for lead in (one.lead_p10_s, one.lead_p50_s, one.lead_p90_s)
    )
    name = "umbra" if first else one.method
    return (
        f"<tr{' class=ours' if first else ''}><td>{escape(name)}</td><td class=n>{one.mean_f1:.3f}</td>"
        f"<td class=n>{100 * one.recall:.0f} %</td><td class=n>{100 * one.precision:.0f} %</td>"
        f"<td class=n>{one.false_per_day:.2f}</td><td class=n>{leads}</td></tr>"
    )


def _ramps(injected: Sequence[RampScore]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.data_set)}</td><td class=n>{one.ramps}</td><td class=n>{one.warned_pct:.1f} %</td>"
        f"<td class=n>{one.early_pct:.1f} %</td><td class=n>{one.false_per_day:.2f}</td>"
        f"<td class=n>{one.lead_p10_s:.0f}, {one.lead_p50_s:.0f}, {one.lead_p90_s:.0f} s</td></tr>"
        for one in injected
    )
    return (
        "<h2>Injected ramps</h2><table><tr><th>set</th><th class=n>ramps</th><th class=n>warned</th>"
        "<th class=n>by half of the lead</th><th class=n>false alarms a day</th>"
        f"<th class=n>lead p10, p50, p90</th></tr>{rows}</table>"
    )
