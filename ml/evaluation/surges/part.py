"""The surge detector's figures as a part of the benchmark and of the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from html import escape
from math import isfinite
from pathlib import Path

from ml.evaluation.part import Measured, Part
from ml.evaluation.surges import score as surges
from ml.evaluation.surges.score import SurgeFigures, Tally

NO_SCORER = (
    "its scorer is not part of umbra: clone github.com/numenta/NAB and name it with --nab or UMBRA_NAB"
    " (an interpreter with pandas runs it)"
)
QUICK_EVERY = 8  # of the series of a set, in a quick run


def part(
    data: Path,
    names: Sequence[str],
    *,
    quick: bool,
    nab: Path | None,
    progress: Callable[[str], None],
) -> Part:
    """Run the detector over the second halves of the sets, and NAB's scorer where it is. Raises DataMissing."""
    progress("surges" + ("" if nab is None else ", and the Numenta benchmark's scorer"))
    found = surges.evaluate(
        data,
        names=names,
        every=QUICK_EVERY if quick else 1,
        nab_dir=nab,
        nab_python=sys.executable if nab is not None else None,
    )
    return Part(_figures(found), _versus(found), "Surges", _html(found))


def _figures(found: SurgeFigures) -> dict[str, Measured]:
    seen = sum(one.natural + one.injected for one in found.sets)
    samples = sum(one.samples for one in found.sets)
    days = round(sum(one.series_days for one in found.sets))
    figures = {
        "surge_us": Measured(found.surge_us, "us", samples, "lower"),
        "surge_recall_pct": Measured(100 * found.recall, "%", seen, "higher"),
        "surge_recall_natural_pct": Measured(
            100 * found.recall_natural, "%", sum(one.natural for one in found.sets), "higher"
        ),
        "surge_delay_samples": Measured(found.delay_samples, "samples", seen, "lower"),
        "surge_false_runs_per_day": Measured(found.false_runs_a_day, "1/day", days, "lower"),
    }
    for name, value in (
        ("nab_standard", found.nab_standard),
        ("nab_standard_tuning_half", found.nab_tuning),
        ("nab_standard_frozen_half", found.nab_frozen),
    ):
        if value is not None:
            figures[name] = Measured(value, "1", 1, "higher")
    for one in found.sets:
        surged = one.natural + one.injected
        figures[f"{one.name}.surge_recall_pct"] = Measured(100 * one.recall, "%", surged, "higher")
        figures[f"{one.name}.surge_false_runs_per_day"] = Measured(
            one.false_runs_a_day, "1/day", round(one.series_days), "lower"
        )
    return {name: one for name, one in figures.items() if isfinite(one.value)}


def _versus(found: SurgeFigures) -> dict[str, dict[str, float | str]]:
    return {} if found.nab_standard is not None else {"nab_scorer": {"absent": NO_SCORER}}


def _html(found: SurgeFigures) -> str:
    rows = "".join(_row(one) for one in found.sets)
    told = (
        f"NAB standard profile {found.nab_standard:.1f}; on the half that was not used for tuning, with the other"
        f" half's threshold, {found.nab_frozen:.1f}."
        if found.nab_standard is not None and found.nab_frozen is not None
        else f"The Numenta benchmark is absent: {NO_SCORER}."
    )
    return (
        "<p class=quiet>Second halves of the series, one injected surge a day beside the natural ones. "
        f"{escape(told)} {found.surge_us:.0f} µs per sample.</p><table><tr><th>set</th><th class=n>natural seen</th>"
        "<th class=n>injected seen</th><th class=n>recall</th><th class=n>false runs a day</th>"
        f"<th class=n>series-days</th></tr>{rows}</table>"
    )


def _row(one: Tally) -> str:
    recall = f"{100 * one.recall:.0f} %" if isfinite(one.recall) else "none"
    return (
        f"<tr><td>{escape(one.name)}</td><td class=n>{one.natural_seen} of {one.natural}</td>"
        f"<td class=n>{one.injected_seen} of {one.injected}</td><td class=n>{recall}</td>"
        f"<td class=n>{one.false_runs_a_day:.2f}</td><td class=n>{one.series_days:.0f}</td></tr>"
    )
