"""From the scores of all sets to the figures: ratios per cell, their geometric means, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.bootstrap import Interval, interval, resampled_means
from ml.evaluation.forecasts import REFERENCE, SetScore
from ml.evaluation.losses import cell_means, geometric_mean, worst_day_coverage_pct
from ml.series import Floats

OURS = "umbra"
RIVAL = "lstm"
BOOTSTRAP_SEED = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer on one set at one horizon; losses in series' scales, ratios to persistence's on the same
    origins. difference: our MAE minus the peer's there, with its interval (None for ourselves).
    """

    data_set: str
    horizon_s: float
    peer: str
    forecasts: int
    mae: float
    mae_ratio: float
    pinball_ratio: float
    coverage_pct: float
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class PeerSummary:
    """One peer over all its cells (geometric means of the ratios), with 95 % intervals.

    ours_over: our MAE over the peer's, on the same origins; below 1 we are better.
    """

    peer: str
    cells: int
    forecasts: int
    mae_ratio: Interval
    pinball_ratio: Interval
    coverage_pct: float
    worst_day_coverage_pct: float
    ours_over: Interval | None
    ours_better_cells_pct: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """peers: over all sets. sets: per set and peer. cells: everything behind them. absent: set → peer → why."""

    peers: dict[str, PeerSummary]
    sets: dict[str, dict[str, PeerSummary]]
    cells: tuple[Cell, ...]
    absent: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Ratios:
    """Of one peer on one set: point estimates (horizons,) and replicates (resamples, horizons)."""

    mae: Floats
    mae_resampled: Floats
    pinball: Floats
    pinball_resampled: Floats
    ours: Floats | None
    ours_resampled: Floats | None
    forecasts: int
    coverage_pct: float
    worst_day_pct: float


def summarise(scores: Sequence[SetScore]) -> Summary:
    """All figures. Deterministic: the bootstrap has a seed of its own."""
    ratios: dict[str, dict[str, _Ratios]] = {}
    cells: list[Cell] = []
    absent: dict[str, str] = {}
    for number, score in enumerate(scores):
        absent.update(score.absent)
        ratios[score.data.name] = {}
        for name in score.scored:
            found, rows = _ratios(score, name, BOOTSTRAP_SEED + number)
            ratios[score.data.name][name] = found
            cells += rows
    names = list(dict.fromkeys(name for one in ratios.values() for name in one))
    peers = {
        name: _summary(name, [one[name] for one in ratios.values() if name in one])
        for name in names
    }
    sets = {
        data: {name: _summary(name, [found]) for name, found in one.items()}
        for data, one in ratios.items()
    }
    return Summary(peers, sets, tuple(cells), absent)


def _ratios(score: SetScore, name: str, seed: int) -> tuple[_Ratios, list[Cell]]:
    mine = score.scored[name]
    times_s = score.times_s[mine.rows]
    reference = score.on_rows_of(name, REFERENCE)
    compared = [mine.losses.absolute, reference.absolute, mine.losses.pinball, reference.pinball]
    ours = None
    if OURS in score.scored and name != OURS:
        ours = score.on_rows_of(name, OURS).absolute
        compared.append(ours)
    means = [cell_means(one) for one in compared]
    again = resampled_means(compared, times_s, score.data.horizons_s[-1], seed)
    inside = mine.losses.inside
    covered = 100.0 * cell_means(inside)
    known = np.isfinite(inside).sum(axis=0)
    ratios = _Ratios(
        means[0] / means[1],
        _over(again[0], again[1]),
        means[2] / means[3],
        _over(again[2], again[3]),
        None if ours is None else means[4] / means[0],
        None if ours is None else _over(again[4], again[0]),
        int(known.sum()),
        float(covered.mean()),
        worst_day_coverage_pct(inside, times_s, score.data.split.test_start_s),
    )
    cells = [
        Cell(
            score.data.name,
            horizon_s,
            name,
            int(known[at]),
            float(means[0][at]),
            float(ratios.mae[at]),
            float(ratios.pinball[at]),
            float(covered[at]),
            None
            if ours is None
            else interval(float(means[4][at] - means[0][at]), again[4][:, at] - again[0][:, at]),
        )
        for at, horizon_s in enumerate(score.data.horizons_s)
    ]
    return ratios, cells


def _over(mine: Floats, theirs: Floats) -> Floats:
    """Ratios of resampled means; NaN, so not counted, where one of a few origins' draws holds no error at all."""
    ratio = np.full(mine.shape, np.nan)
    np.divide(mine, theirs, out=ratio, where=(mine > 0) & (theirs > 0))
    return ratio


def _summary(name: str, found: Sequence[_Ratios]) -> PeerSummary:
    theirs = [one.ours for one in found if one.ours is not None]
    ours = None
    better = None
    if theirs:
        drawn = [one.ours_resampled for one in found if one.ours_resampled is not None]
        ours = _geometric(theirs, drawn)
        better = 100.0 * float((np.concatenate(theirs) < 1.0).mean())
    days = [one.worst_day_pct for one in found if np.isfinite(one.worst_day_pct)]
    return PeerSummary(
        name,
        sum(len(one.mae) for one in found),
        sum(one.forecasts for one in found),
        _geometric([one.mae for one in found], [one.mae_resampled for one in found]),
        _geometric([one.pinball for one in found], [one.pinball_resampled for one in found]),
        float(np.mean([one.coverage_pct for one in found])),
        min(days) if days else float("nan"),
        ours,
        better,
    )


def _geometric(values: Sequence[Floats], replicates: Sequence[Floats]) -> Interval:
    """Geometric mean over all cells; the sets are resampled independently of each other."""
    drawn = np.exp(np.log(np.concatenate(replicates, axis=1)).mean(axis=1))
    return interval(geometric_mean(np.concatenate(values)), drawn)
