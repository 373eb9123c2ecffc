"""`umbra bench forecast`: forecasts, breaches and surges on recorded series, beside their peers in the same run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ml.evaluation import timing
from ml.evaluation.baselines.lstm import Lstm
from ml.evaluation.baselines.persistence import Persistence, PersistenceMargin
from ml.evaluation.baselines.seasonal import SeasonalNaive
from ml.evaluation.baselines.statistical import Statistical, auto_arima, auto_ets
from ml.evaluation.boosted import Boosted
from ml.evaluation.breaches import part as breach_part
from ml.evaluation.dataset import DataSet, farther
from ml.evaluation.datasets import EVALUATED, NAMES, how_to_get, load
from ml.evaluation.figures import OURS, RIVAL, PeerSummary, Summary, summarise
from ml.evaluation.forecasts import MAX_ROWS, REFERENCE, SEEDS, SetScore, evaluate
from ml.evaluation.generated import generated
from ml.evaluation.part import Part
from ml.evaluation.peer import Peer
from ml.evaluation.report import html
from ml.evaluation.sources import DataMissing
from ml.evaluation.surges import part as surge_part
from topologies.bench.progress import Progress
from topologies.bench.result import Better, Figure, Result

QUICK_SETS = ("alibaba-300s", "azure", "surf")
QUICK_ROWS, QUICK_STATISTICAL_ROWS, QUICK_ROUNDS = 2000, 16, 4
PER_PEER: tuple[tuple[str, str, Better], ...] = (
    ("mae_over_persistence", "1", "lower"),
    ("pinball_over_persistence", "1", "lower"),
    ("coverage_pct", "%", "higher"),
    ("worst_day_coverage_pct", "%", "higher"),
)


def bench(
    progress: Progress,
    *,
    data: Path | None = None,
    sets: str | None = None,
    quick: bool = False,
    report: Path | None = None,
    nab: Path | None = None,
) -> Result:
    """Measure on the sets of the folder `data`; on generated series, said plainly, when there is none.

    sets: names, separated by commas. quick: three sets, one seed, smaller peers. report: a folder for
    forecast.html. nab: a checkout of the Numenta benchmark, for its scorer. Raises RuntimeError when a set is
    unknown or a file is missing.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    notes: list[str] = []
    names = _names(sets, quick)
    chosen = _sets(data, names, notes, progress)
    if quick:
        notes.append(
            "A quick run: one seed, fewer origins, peers with less effort. Not the figures."
        )
    # First, for it asks for most of others: what is missing shows at once, not after half an hour.
    surges = None if data is None else _surges(data, chosen, quick, nab, progress)
    scores = [
        evaluate(
            farther(one),
            _peers(quick),
            seeds=SEEDS[:1] if quick else SEEDS,
            max_rows=QUICK_ROWS if quick else MAX_ROWS,
            progress=progress,
        )
        for one in chosen
    ]
    progress("intervals")
    summary = summarise(scores)
    figures = _figures(summary) | _first(scores)
    parts: list[Part] = []
    if surges is not None:
        parts = [breach_part.part(chosen, quick=quick, progress=progress), surges]
    for part in parts:
        figures |= {
            name: Figure(one.value, one.unit, one.n, one.better)
            for name, one in part.figures.items()
        }
    progress("serving and training times")
    figures |= _times(quick)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        told = {name: (one.value, one.unit) for name, one in figures.items()}
        sections = [(part.title, part.html) for part in parts]
        page = html(summary, scores, figures=told, notes=notes, sections=sections)
        (report / "forecast.html").write_text(page)
    details = {"notes": notes, **_details(scores, summary)}
    return Result("forecast", figures, _versus(summary, parts), details)


def _names(sets: str | None, quick: bool) -> tuple[str, ...]:
    if sets is None:
        return QUICK_SETS if quick else EVALUATED
    names = tuple(name.strip() for name in sets.split(",") if name.strip())
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise RuntimeError(f"no data set {', '.join(unknown)!r}; there are {', '.join(NAMES)}")
    return names


def _sets(
    data: Path | None, names: Sequence[str], notes: list[str], progress: Progress
) -> list[DataSet]:
    if data is None:
        notes.append(
            "GENERATED DATA, not recorded: these figures are no evidence of anything. For recorded series name "
            f"their folder with --data DIR or UMBRA_DATA. {how_to_get(names)}."
        )
        return [generated()]
    found = []
    for name in names:
        progress(f"reading {name}")
        try:
            found.append(load(name, data))
        except DataMissing as error:
            raise RuntimeError(str(error)) from error
    return found


def _peers(quick: bool) -> list[Peer]:
    rows = QUICK_STATISTICAL_ROWS if quick else None
    statistical = [
        one if rows is None else Statistical(one.name, one.make, max_rows=rows)
        for one in (auto_ets(), auto_arima())
    ]
    lstm = Lstm(max_rounds=QUICK_ROUNDS) if quick else Lstm()
    return [Persistence(), PersistenceMargin(), SeasonalNaive(), *statistical, lstm, Boosted(OURS)]


def _values(one: PeerSummary) -> dict[str, float]:
    values = {
        "mae_over_persistence": one.mae_ratio.value,
        "pinball_over_persistence": one.pinball_ratio.value,
        "coverage_pct": one.coverage_pct,
        "worst_day_coverage_pct": one.worst_day_coverage_pct,
    }
    return {name: value for name, value in values.items() if isfinite(value)}  # no day to judge


def _figures(summary: Summary) -> dict[str, Figure]:
    ours = summary.peers[OURS]
    values = _values(ours)
    figures = {
        name: Figure(values[name], unit, ours.forecasts, better)
        for name, unit, better in PER_PEER
        if name in values
    }
    for name, found in (("mae", ours.mae_ratio), ("pinball", ours.pinball_ratio)):
        figures[f"{name}_over_persistence_low"] = Figure(found.low, "1", ours.cells, "lower")
        figures[f"{name}_over_persistence_high"] = Figure(found.high, "1", ours.cells, "lower")
    rival = summary.peers.get(RIVAL)
    if (
        rival is not None
        and rival.ours_over is not None
        and rival.ours_better_cells_pct is not None
    ):
        figures["cells_better_than_lstm_pct"] = Figure(
            rival.ours_better_cells_pct, "%", rival.cells, "higher"
        )
        for name in ("value", "low", "high"):
            suffix = "" if name == "value" else f"_{name}"
            figures[f"mae_over_lstm{suffix}"] = Figure(
                getattr(rival.ours_over, name), "1", rival.cells, "lower"
            )
    for data_set, peers in summary.sets.items():
        mine = peers[OURS]
        values = _values(mine)
        for name, unit, better in PER_PEER:
            if name in values:
                figures[f"{data_set}.{name}"] = Figure(values[name], unit, mine.forecasts, better)
    return figures


def _first(scores: Sequence[SetScore]) -> dict[str, Figure]:
    """Our figures over the cells of the first protocol alone, as `…_first`."""
    ours = summarise([one.nearer() for one in scores]).peers[OURS]
    values = _values(ours)
    found = {
        f"{name}_first": Figure(values[name], unit, ours.cells, better)
        for name, unit, better in PER_PEER
        if name in values
    }
    for name, one in (("mae", ours.mae_ratio), ("pinball", ours.pinball_ratio)):
        for suffix in ("low", "high"):
            found[f"{name}_over_persistence_first_{suffix}"] = Figure(
                getattr(one, suffix), "1", ours.cells, "lower"
            )
    return found


def _times(quick: bool) -> dict[str, Figure]:
    rounds = timing.predict_s(5 if quick else 15)
    wall_ms = [1000 * one.wall_s for one in rounds]
    figures = {
        "predict_1000_ms": Figure(median(wall_ms), "ms", len(rounds), "lower"),
        "predict_1000_max_ms": Figure(max(wall_ms), "ms", len(rounds), "lower"),
        "predict_1000_cpu_ms": Figure(
            median(1000 * one.cpu_s for one in rounds), "ms", len(rounds), "lower"
        ),
    }
    if not quick:
        took = timing.train_s()
        figures["train_s"] = Figure(took.wall_s, "s", 1, "lower")
        figures["train_cpu_s"] = Figure(took.cpu_s, "s", 1, "lower")
    return figures


def _surges(
    data: Path, sets: Sequence[DataSet], quick: bool, nab: Path | None, progress: Progress
) -> Part:
    names = [one.name for one in sets]
    try:
        return surge_part.part(data, names, quick=quick, nab=nab, progress=progress)
    except DataMissing as error:
        raise RuntimeError(str(error)) from error


def _versus(summary: Summary, parts: Sequence[Part]) -> dict[str, dict[str, float | str]]:
    told: dict[str, dict[str, float | str]] = {}
    for name, one in summary.peers.items():
        if name == OURS:
            continue
        told[name] = dict(_values(one))
        for data_set, peers in summary.sets.items():
            if name in peers:
                told[name] |= {f"{data_set}.{key}": v for key, v in _values(peers[name]).items()}
    for name, why in summary.absent.items():
        told.setdefault(name, {"absent": why})
    for part in parts:
        for name, values in part.versus.items():
            told[name] = {**told.get(name, {}), **values}
    return told


def _details(scores: Sequence[SetScore], summary: Summary) -> dict[str, Any]:
    return {
        "reference": f"ratios are to {REFERENCE} on the same origins, geometric means over cells",
        "sets": [
            {
                "name": score.data.name,
                "source": score.data.source,
                "step_s": score.data.step_s,
                "series": len(score.data.series),
                "left_out": dict(score.data.left_out),
                "origins": len(score.origins),
                "absent": score.absent,
                "fit_s": {name: round(one.fit_s, 2) for name, one in score.scored.items()},
                "mae_by_seed": {n: one.mae_by_seed.tolist() for n, one in score.scored.items()},
            }
            for score in scores
        ],
        "peers": {name: _known(asdict(one)) for name, one in summary.peers.items()},
        "cells": [_known(asdict(one)) for one in summary.cells],
    }


def _known(values: Any) -> Any:
    """What cannot be told (NaN) becomes null: JSON has no other word for it."""
    if isinstance(values, dict):
        return {name: _known(value) for name, value in values.items()}
    return None if isinstance(values, float) and not isfinite(values) else values
