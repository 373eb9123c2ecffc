"""A replay in numbers, each beside persistence's on the same moments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.backtesting.replay import Replay
from ml.evaluation.bootstrap import Interval, interval, resampled_means
from ml.evaluation.losses import Losses, geometric_mean, losses, worst_day_coverage_pct
from ml.life.version import plain
from ml.score import pinball
from ml.series import Floats

BINS = 10  # of reliability


@dataclass(frozen=True, slots=True)
class Horizon:
    """One horizon over all targets. mae, pinball: in units of each target's mean change per step.
    mae_ratio, pinball_ratio: to persistence's (with the quantiles of past changes), with intervals.
    coverage_pct: of the outermost quantiles. brier: of exceeding the threshold; None without one.
    """

    horizon_s: float
    mae: float
    pinball: float
    mae_ratio: Interval
    pinball_ratio: Interval
    coverage_pct: float
    brier: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """One target over all horizons."""

    target: str
    forecasts: int
    mae_ratio: float
    pinball_ratio: float
    coverage_pct: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of forecasts with a probability in this bin: how often the threshold was exceeded."""

    forecast: float
    came: float
    number: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The whole. models: share of forecasts by model, percent. nominal_pct: of the band."""

    forecasts: int
    targets: int
    mae_over_persistence: float
    pinball_over_persistence: float
    coverage_pct: float
    nominal_pct: float
    worst_day_coverage_pct: float
    models: dict[str, float]
    horizons: tuple[Horizon, ...]
    each: tuple[Target, ...]
    levels: tuple[tuple[float, float], ...]  # quantile level, share of outcomes at or below
    reliability: tuple[Reliability, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def figures(replay: Replay, seed: int = 0) -> Figures:
    """Judge a replay. seed: of the block bootstrap (95 % intervals)."""
    levels = replay.settings.quantiles
    mine = losses(replay.outcome, replay.predicted, replay.scale, levels)
    its = losses(replay.outcome, replay.still, replay.scale, levels)
    # "It stays as it is" is the last value; the median of past changes belongs to its quantiles.
    still = np.abs(replay.outcome - replay.last[:, None]) / replay.scale[:, None]
    ratios = _ratios(replay, mine, its, still, seed)
    horizons = tuple(
        Horizon(
            horizon_s,
            float(np.nanmean(mine.absolute[:, index])),
            float(np.nanmean(mine.pinball[:, index])),
            ratios[0][index],
            ratios[1][index],
            100.0 * float(np.nanmean(mine.inside[:, index])),
            _brier(replay, index),
        )
        for index, horizon_s in enumerate(replay.settings.horizons_s)
    )
    names, number = np.unique(replay.model, return_counts=True)
    return Figures(
        forecasts=len(replay),
        targets=len(np.unique(replay.target)),
        mae_over_persistence=geometric_mean([one.mae_ratio.value for one in horizons]),
        pinball_over_persistence=geometric_mean([one.pinball_ratio.value for one in horizons]),
        coverage_pct=100.0 * float(np.nanmean(mine.inside)),
        nominal_pct=100.0 * (levels[-1] - levels[0]),
        worst_day_coverage_pct=worst_day_coverage_pct(
            mine.inside, replay.times_s, float(replay.times_s.min())
        ),
        models={
            str(name): 100.0 * float(count) / len(replay)
            for name, count in zip(names, number, strict=True)
        },
        horizons=horizons,
        each=_each(replay, mine, its, still),
        levels=tuple(
            (level, _below(replay.outcome, replay.predicted[:, :, index]))
            for index, level in enumerate(levels)
        ),
        reliability=_reliability(replay),
    )


def relative_loss_over_time(replay: Replay, parts: int = 48) -> tuple[Floats, Floats]:
    """(middles of equal parts of the time, Unix seconds; pinball loss relative to persistence's in
    each, NaN where there is none).
    """
    levels = replay.settings.quantiles
    mine = pinball(replay.outcome, replay.predicted, levels) / replay.scale[:, None]
    its = pinball(replay.outcome, replay.still, levels) / replay.scale[:, None]
    edges = np.linspace(replay.times_s.min(), replay.times_s.max() + 1e-6, parts + 1)
    part = np.searchsorted(edges, replay.times_s, side="right") - 1
    found = np.full(parts, np.nan)
    for index in range(parts):
        rows = part == index
        if rows.any() and np.nansum(its[rows]) > 0:
            found[index] = np.nansum(mine[rows]) / np.nansum(its[rows])
    return (edges[1:] + edges[:-1]) / 2, found


def _ratios(
    replay: Replay, mine: Losses, its: Losses, still: Floats, seed: int
) -> tuple[list[Interval], list[Interval]]:
    longest_s = replay.settings.horizons_s[-1]
    parts = [mine.absolute, still, mine.pinball, its.pinball]
    drawn = resampled_means(parts, replay.times_s, longest_s, seed)
    found: tuple[list[Interval], list[Interval]] = ([], [])
    for index in range(len(replay.settings.horizons_s)):
        for kind in (0, 1):
            over, under = parts[2 * kind][:, index], parts[2 * kind + 1][:, index]
            value = float(np.nanmean(over) / np.nanmean(under))
            replicates = drawn[2 * kind][:, index] / drawn[2 * kind + 1][:, index]
            found[kind].append(interval(value, replicates))
    return found


def _each(replay: Replay, mine: Losses, its: Losses, still: Floats) -> tuple[Target, ...]:
    found = []
    for index, name in enumerate(replay.targets):
        rows = replay.target == index
        if not rows.any() or not np.isfinite(replay.outcome[rows]).any():
            continue
        known = its.pinball[rows]
        if np.nansum(known) <= 0 or np.nansum(still[rows]) <= 0:
            continue
        found.append(
            Target(
                name,
                int(rows.sum()),
                float(np.nansum(mine.absolute[rows]) / np.nansum(still[rows])),
                float(np.nansum(mine.pinball[rows]) / np.nansum(known)),
                100.0 * float(np.nanmean(mine.inside[rows])),
            )
        )
    return tuple(sorted(found, key=lambda one: one.pinball_ratio))


def _below(outcome: Floats, level: Floats) -> float:
    known = np.isfinite(outcome)
    return float((outcome <= level)[known].mean())


def _brier(replay: Replay, index: int) -> float | None:
    if replay.above is None or replay.threshold is None:
        return None
    known = np.isfinite(replay.outcome[:, index])
    came = replay.outcome[known, index] > replay.threshold
    return float(((replay.above[known, index] - came) ** 2).mean())


def _reliability(replay: Replay) -> tuple[Reliability, ...]:
    if replay.above is None or replay.threshold is None:
        return ()
    known = np.isfinite(replay.outcome)
    said, came = replay.above[known], (replay.outcome > replay.threshold)[known]
    part = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return tuple(
        Reliability(float(said[rows].mean()), float(came[rows].mean()), int(rows.sum()))
        for index in range(BINS)
        if (rows := part == index).any()
    )
