"""All peers on one set: fitted on its past, asked at the same test origins, scored alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml.evaluation.dataset import QUANTILES, DataSet, first_horizons_s
from ml.evaluation.losses import Losses, losses, mean_losses
from ml.evaluation.peer import Absent, Peer
from ml.evaluation.splits import Integers, Origins, outcomes, rolling_origins
from ml.series import Floats

SEEDS = (0, 1, 2)
MAX_ROWS = 30_000
REFERENCE = "persistence"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What one peer gave on one set.

    rows: which of the set's origins it was asked for. losses: on these, the mean over its seeds.
    mae_by_seed: shape (seeds, horizons), in series' scales. fit_s, predict_s: of the first seed.
    """

    name: str
    rows: Integers
    losses: Losses
    mae_by_seed: Floats
    fit_s: float
    predict_s: float

    def nearer(self, horizons: int) -> Scored:
        """The same at the first so many horizons."""
        found = self.losses
        cut = Losses(*(one[:, :horizons] for one in (found.absolute, found.pinball, found.inside)))
        return replace(self, losses=cut, mae_by_seed=self.mae_by_seed[:, :horizons])


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Forecasts of one series at one horizon along a stretch of the test part, for a plot.

    times_s, outcome: shape (rows,); predicted: per peer (rows, quantiles).
    """

    target: str
    horizon_s: float
    times_s: Floats
    outcome: Floats
    predicted: dict[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class SetScore:
    """One set: its origins with the time of each (rows,), the peers that ran, and why others did not."""

    data: DataSet
    origins: Origins
    times_s: Floats
    scored: dict[str, Scored]
    absent: dict[str, str]
    example: Example

    def on_rows_of(self, name: str, other: str) -> Losses:
        """The losses of `other` on the origins that `name` was asked for."""
        rows, found = self.scored[name].rows, self.scored[other].losses
        if len(rows) == len(found.absolute):
            return found
        return Losses(found.absolute[rows], found.pinball[rows], found.inside[rows])

    def nearer(self) -> SetScore:
        """The same scores at the horizons of the first protocol alone."""
        kept = first_horizons_s(self.data)
        return replace(
            self,
            data=replace(self.data, horizons_s=kept),
            scored={name: one.nearer(len(kept)) for name, one in self.scored.items()},
        )


def evaluate(
    data: DataSet,
    peers: Sequence[Peer],
    *,
    seeds: Sequence[int] = SEEDS,
    max_rows: int = MAX_ROWS,
    progress: Callable[[str], None] = lambda _: None,
) -> SetScore:
    """Run every peer. Those that are not installed are noted with their reason.

    The test part is not looked at before this; nothing here chooses anything by it.
    """
    split = data.split
    origins = rolling_origins(
        data.values,
        data.times_s,
        split.test_start_s,
        split.test_end_s,
        data.horizon_steps[-1],
        max_rows,
    )
    if not len(origins):
        raise ValueError(f"data set {data.name}: no origin in its test part")
    scored: dict[str, Scored] = {}
    absent: dict[str, str] = {}
    shown: dict[str, Floats] = {}
    stretch = _stretch(data, origins)
    for peer in peers:
        rows = np.arange(len(origins))
        if peer.max_rows is not None and peer.max_rows < len(origins):
            rows = np.linspace(0, len(origins) - 1, peer.max_rows).astype(np.int64)
        try:
            scored[peer.name], first = _score(data, peer, origins, rows, seeds, progress)
        except Absent as reason:
            absent[peer.name] = str(reason)
            continue
        if len(rows) == len(origins):
            shown[peer.name] = first[stretch]
    middle = len(data.horizons_s) // 2
    part = origins.select(stretch)
    later = outcomes(data.values, part, data.horizon_steps)[:, middle]
    example = Example(
        data.series[int(part.series[0])].target,
        data.horizons_s[middle],
        data.times_s[part.index] + data.horizons_s[middle],
        later,
        {name: values[:, middle] for name, values in shown.items()},
    )
    return SetScore(data, origins, data.times_s[origins.index], scored, absent, example)


def _score(
    data: DataSet,
    peer: Peer,
    origins: Origins,
    rows: Integers,
    seeds: Sequence[int],
    progress: Callable[[str], None],
) -> tuple[Scored, Floats]:
    asked = origins.select(rows)
    later = outcomes(data.values, asked, data.horizon_steps)
    scale = data.scales()[asked.series]
    found: list[Losses] = []
    seconds: list[tuple[float, float]] = []
    first: Floats | None = None
    for seed in seeds if peer.seeded else seeds[:1]:
        progress(f"{data.name}: {peer.name}" + (f", seed {seed}" if peer.seeded else ""))
        began = time.perf_counter()
        fitted = peer.fit(data, seed)
        between = time.perf_counter()
        predicted = fitted.predict(data, asked)
        seconds.append((between - began, time.perf_counter() - between))
        if not np.isfinite(predicted).all():
            raise ValueError(f"{peer.name} left forecasts of {data.name} unknown")
        found.append(losses(later, predicted, scale, QUANTILES))
        first = predicted if first is None else first
    assert first is not None
    mae = np.stack([np.nanmean(one.absolute, axis=0) for one in found])
    return Scored(peer.name, rows, mean_losses(found), mae, *seconds[0]), first


def _stretch(data: DataSet, origins: Origins) -> Integers:
    """Rows of the series that moves most per unit of its level, for at most two days."""
    values = data.values
    level = np.nanmean(np.abs(values), axis=1)
    liveliest = int(np.argmax(data.scales() / np.maximum(level, 1e-9)))
    mine = np.flatnonzero(origins.series == liveliest)
    if not len(mine):
        mine = np.flatnonzero(origins.series == origins.series[0])
    times = data.times_s[origins.index[mine]]
    kept = mine[times <= times[0] + 2 * 86_400.0]
    return np.asarray(kept[:: max(1, len(kept) // 600)])
