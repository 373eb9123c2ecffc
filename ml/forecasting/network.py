"""A small network beside the trees: all horizons' medians at once, smooth where trees are steps.

Two hidden layers (128, 64; rectified) and a straight way from inputs to outputs, Huber loss that is all but the
absolute error, Adam (Kingma and Ba 2014) with half a cosine of the rate. In training three tenths of
the inputs are blanked at a time (Srivastava et al., "Dropout", 2014): they overlap much, and a
network that relies on single ones learns the history by heart. Alone it is about as good as the
trees; four tenths of it in the median made the mean better (docs/foresight.md). Plain numpy: a training takes
seconds, and a model is a few arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.series import Floats

HIDDEN = (128, 64)
BATCH = 256
PASSES = (4, 12)  # over the rows, least and most
ROWS_SEEN = 1_000_000  # in all passes together
BLANKED = 0.3  # of the inputs, drawn anew for every row of a batch
RATE, LAST_RATE = 3e-3, 0.02  # the first rate, and what share of it is left at the end
DECAY = 1e-3
HUBER = 0.1  # of the mean absolute outcome: errors below this count as squares
FARTHEST = 30.0  # mean absolute outcomes: no outcome counts for more
REACH = 5.0  # standard deviations: no input counts for more
LEAST_WEIGHT, MOST_WEIGHT = 0.2, 3.0

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """shared: columns that are the same at every horizon, own: those that are not. centre, spread:
    of the arcsinh of its inputs, (inputs,). layers: weights and offsets in turn. direct: weights of
    the straight way, (inputs, horizons). size: what an output of 1 means per horizon, in units.
    """

    shared: tuple[int, ...]
    own: tuple[int, ...]
    centre: Floats
    spread: Floats
    layers: tuple[Floats, ...]
    direct: Floats
    size: Floats

    def medians(self, inputs: Floats) -> Floats:
        """inputs: (horizons, rows, columns). In units beyond the base, (rows, horizons)."""
        rows = _standard(_side_by_side(inputs, self.shared, self.own), self.centre, self.spread)
        state = rows
        for weights, offsets in zip(self.layers[:-2:2], self.layers[1:-2:2], strict=True):
            state = np.maximum(state @ weights + offsets, 0.0)
        bent = state @ self.layers[-2] + self.layers[-1]
        return np.asarray((bent + rows @ self.direct) * self.size)


def teach(
    inputs: Floats, outcome: Floats, used: Sequence[int], weight: Floats, seed: int
) -> Network:
    """inputs: (horizons, rows, columns). outcome: (rows, horizons), in units, NaN where unknown.

    used: the columns to learn from. weight: (rows,), how much a row counts.
    """
    shared, own = _columns(inputs, used)
    wide = _side_by_side(inputs, shared, own)
    tamed = np.arcsinh(wide)
    known = np.isfinite(tamed)
    number = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, tamed, 0.0).sum(axis=0) / number
    spread = np.sqrt(np.where(known, (tamed - centre) ** 2, 0.0).sum(axis=0) / number)
    spread = np.where(spread > 1e-6, spread, np.inf)  # what never changes says nothing
    rows = _standard(wide, centre, spread).astype(np.float32)
    size = np.maximum(np.nanmean(np.abs(outcome), axis=0), 1e-9)
    told = np.isfinite(outcome)
    target = np.where(told, np.clip(outcome / size, -FARTHEST, FARTHEST), 0.0).astype(np.float32)
    counts = (np.clip(weight, LEAST_WEIGHT, MOST_WEIGHT)[:, None] * told).astype(np.float32)
    *layers, direct = (
        np.asarray(one, dtype=np.float64) for one in _descend(rows, target, counts, seed)
    )
    return Network(shared, own, centre, spread, tuple(layers), direct, size)


def _columns(inputs: Floats, used: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Those that are the same at all horizons, and the others."""
    first = inputs[0]
    same = np.ones(first.shape[1], dtype=np.bool_)
    for other in inputs[1:]:
        same &= ((other == first) | (np.isnan(other) & np.isnan(first))).all(axis=0)
    return tuple(one for one in used if same[one]), tuple(one for one in used if not same[one])


def _side_by_side(inputs: Floats, shared: tuple[int, ...], own: tuple[int, ...]) -> Floats:
    """(rows, shared columns and each horizon's own)."""
    return np.concatenate(
        [inputs[0][:, list(shared)], *(one[:, list(own)] for one in inputs)], axis=1
    )


def _standard(wide: Floats, centre: Floats, spread: Floats) -> Floats:
    """Unknown ones are 0, the middle."""
    scaled = np.clip((np.arcsinh(wide) - centre) / spread, -REACH, REACH)
    scaled[np.isnan(scaled)] = 0.0
    return np.asarray(scaled)


def _descend(rows: Singles, target: Singles, counts: Singles, seed: int) -> list[Singles]:
    """Weights and offsets in turn, and the straight way's weights last."""
    draws = np.random.default_rng(seed)
    layers = _begin(rows.shape[1], target.shape[1], draws)
    first = [np.zeros_like(one) for one in layers]
    second = [np.zeros_like(one) for one in layers]
    passes = int(np.clip(ROWS_SEEN // len(rows), *PASSES))
    each = max(1, len(rows) // BATCH)
    step = 0
    for _ in range(passes):
        order = draws.permutation(len(rows))
        for begin in range(0, each * BATCH, BATCH):
            some = order[begin : begin + BATCH]
            seen = rows[some]
            kept = draws.random(seen.shape, dtype=np.float32) >= BLANKED
            seen = seen * kept / np.float32(1.0 - BLANKED)
            slopes = _slopes(layers, seen, target[some], counts[some])
            cosine = 0.5 * (1.0 + np.cos(np.pi * step / (passes * each)))
            step += 1
            rate = RATE * (LAST_RATE + (1.0 - LAST_RATE) * cosine)
            rate *= np.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step)
            for layer, mean, power, slope in zip(layers, first, second, slopes, strict=True):
                mean += np.float32(0.1) * (slope - mean)
                power += np.float32(0.001) * (slope * slope - power)
                layer -= np.float32(rate) * mean / (np.sqrt(power) + np.float32(1e-8))
    return layers


def _begin(inputs: int, outputs: int, draws: np.random.Generator) -> list[Singles]:
    sizes = (inputs, *HIDDEN, outputs)
    layers: list[Singles] = []
    for before, after in pairwise(sizes):
        shape = (before, after)
        layers.append(draws.normal(0.0, np.sqrt(2.0 / before), shape).astype(np.float32))
        layers.append(np.zeros(after, dtype=np.float32))
    layers[-2] *= np.float32(0.1)  # begin near persistence
    layers.append(np.zeros((inputs, outputs), dtype=np.float32))
    return layers


def _slopes(
    layers: list[Singles], rows: Singles, target: Singles, counts: Singles
) -> list[Singles]:
    """Of the mean loss, by backpropagation."""
    *bent, direct = layers
    states = [rows]
    for place in range(0, len(bent) - 2, 2):
        states.append(np.maximum(states[-1] @ bent[place] + bent[place + 1], np.float32(0)))
    error = states[-1] @ bent[-2] + bent[-1] + rows @ direct - target
    slope = np.clip(error / np.float32(HUBER), -1, 1) * counts / np.float32(len(rows))
    decay = np.float32(DECAY)
    found: list[Singles] = [np.zeros(0, dtype=np.float32)] * len(bent)
    straight = rows.T @ slope + decay * direct
    for place in range(len(bent) - 2, -1, -2):
        state = states[place // 2]
        found[place] = state.T @ slope + decay * bent[place]
        found[place + 1] = slope.sum(axis=0)
        if place:
            slope = (slope @ bent[place].T) * (state > 0)
    return [*found, straight]
