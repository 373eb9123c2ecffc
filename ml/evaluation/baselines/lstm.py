"""A small LSTM (jax): one global network per set, from a window of samples to all quantiles.

Hochreiter and Schmidhuber 1997; direct multi-horizon quantile output as in Wen et al. 2017.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation.baselines.logistic import last_known
from ml.evaluation.dataset import QUANTILES, DataSet
from ml.evaluation.peer import Absent
from ml.evaluation.splits import Integers, Origins, outcomes, rolling_origins
from ml.series import Floats

WINDOW = 60  # steps
UNITS = 32
BATCH = 128
RATE = 2e-3
TRAIN_ROWS, CALIBRATION_ROWS = 40_000, 6_000
STEPS_PER_ROUND, MAX_ROUNDS, PATIENCE = 80, 20, 4
MAX_WEIGHT = 20.0
PREDICT_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Lstm:
    """32 units and a dense head of 32, Adam, pinball loss, early stopping on the calibration part.

    Sees the last 60 steps relative to the newest, in units of their mean absolute change, its
    companions (`DataSet.companions`) alike, the series' level and the time of day. Trains on the
    training part; rounds of 80 batches of 128 go on until the calibration part's loss has not
    fallen for 4 rounds (20 at most), and the best parameters stay. Quantiles are then corrected per
    horizon on the calibration part, as a split conformal prediction does.
    """

    name: str = "lstm"
    seeded: bool = True
    max_rows: int | None = None
    max_rounds: int = MAX_ROUNDS

    def fit(self, data: DataSet, seed: int) -> LstmFitted:
        """Train. Raises Absent without jax."""
        network = _network()
        split, steps = data.split, data.horizon_steps
        parts = []
        for start_s, end_s, most in (
            (split.begin_s, split.train_end_s, TRAIN_ROWS),
            (split.calibration_start_s, split.calibration_end_s, CALIBRATION_ROWS),
        ):
            origins = rolling_origins(data.values, data.times_s, start_s, end_s, steps[-1], most)
            origins = origins.select(origins.index >= WINDOW)
            parts.append((origins, outcomes(data.values, origins, steps)))
        training, calibration = (_examples(data, *part) for part in parts)
        parameters = _train(network, training, calibration, seed, self.max_rounds)
        raw = LstmFitted(network, parameters, np.zeros((len(steps), len(QUANTILES))))
        miss = calibration.outcome[:, :, None] - raw.scaled(calibration)
        corrections = np.nan_to_num(
            np.stack(
                [
                    np.nanquantile(miss[:, :, at], level, axis=0)
                    for at, level in enumerate(QUANTILES)
                ],
                axis=-1,
            )
        )
        corrections[:, QUANTILES.index(0.5)] = 0.0
        return LstmFitted(network, parameters, corrections)


@dataclass(frozen=True, slots=True, eq=False)
class LstmFitted:
    """corrections: shape (horizons, quantiles), in units of the window's mean absolute change."""

    network: Any
    parameters: Any
    corrections: Floats

    def scaled(self, examples: _Examples) -> Floats:
        """Quantiles of the change in units, shape (rows, horizons, quantiles)."""
        horizons = examples.outcome.shape[1]
        rows = len(examples.windows)
        found = np.empty((rows, horizons, len(QUANTILES)))
        for start in range(0, rows, PREDICT_ROWS):
            part = slice(start, start + PREDICT_ROWS)
            windows, context = examples.windows[part], examples.context[part]
            short = PREDICT_ROWS - len(windows)  # one shape, one compilation
            output = self.network.forward(
                self.parameters,
                np.pad(windows, ((0, short), (0, 0), (0, 0))),
                np.pad(context, ((0, short), (0, 0))),
            )
            kept = np.asarray(output, dtype=np.float64)[: len(windows)]
            found[part] = kept.reshape(-1, horizons, len(QUANTILES))
        return found * examples.spread[None, :, None]

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Quantiles in the series' units."""
        unknown = np.full((len(origins), len(data.horizons_s)), np.nan)
        examples = _examples(data, origins, unknown)
        change = np.sort(self.scaled(examples) + self.corrections, axis=-1)
        return np.asarray(examples.last[:, None, None] + change * examples.unit[:, None, None])


@dataclass(frozen=True, slots=True, eq=False)
class _Examples:
    """windows: (rows, WINDOW, 1 + companions). context: (rows, 4). outcome: the change in units,
    (rows, horizons).

    last and unit: (rows,). weight: what a unit is in terms of the series' scale, (rows,): the loss
    is then the one that forecasts are judged by. spread: (horizons,), the output's natural size.
    """

    windows: Floats
    context: Floats
    outcome: Floats
    last: Floats
    unit: Floats
    weight: Floats
    spread: Floats


def _examples(data: DataSet, origins: Origins, later: Floats) -> _Examples:
    values = last_known(data.values)
    scale = data.scales()[origins.series]
    back = np.arange(WINDOW - 1, -1, -1)
    at = np.maximum(origins.index[:, None] - back[None, :], 0)
    windows = values[origins.series[:, None], at]
    last = windows[:, -1]
    windows = np.where(np.isfinite(windows), windows, last[:, None])
    unit = np.maximum(np.abs(np.diff(windows, axis=1)).mean(axis=1), 0.05 * scale)
    # arcsinh tames spikes and leaves small changes alone
    shapes = [np.arcsinh((windows - last[:, None]) / unit[:, None])]
    shapes += [_companion(data, name, origins.series, at) for name in data.companions]
    angle = 2 * np.pi * data.times_s[origins.index] / 86_400.0
    context = np.stack(
        [np.sin(angle), np.cos(angle), np.log(unit / scale), np.arcsinh(last / scale) / 5], axis=1
    )
    return _Examples(
        np.stack(shapes, axis=2).astype(np.float32),
        context.astype(np.float32),
        (later - last[:, None]) / unit[:, None],
        last,
        unit,
        np.minimum(unit / scale, MAX_WEIGHT),
        np.sqrt(np.asarray(data.horizon_steps, dtype=np.float64)) ** 0.5,
    )


def _companion(data: DataSet, name: str, series: Integers, at: Integers) -> Floats:
    """A companion's windows as those of the series, (rows, WINDOW); 0 where it is not recorded."""
    unknown = np.full(len(data.times_s), np.nan)
    values = last_known(np.stack([one.channels.get(name, unknown) for one in data.series]))
    windows = values[series[:, None], at]
    change = np.abs(np.diff(windows, axis=1)).mean(axis=1)
    unit = np.where(change > 0, change, np.inf)
    return np.nan_to_num(np.arcsinh((windows - windows[:, -1:]) / unit[:, None]))


@dataclass(frozen=True, slots=True)
class _Network:
    """Pure functions of parameters: forward(parameters, windows, context) → (rows, outputs), and
    step(parameters, moments, count, rate, batch) → (parameters, moments), one step of Adam.
    """

    init: Any
    forward: Any
    loss: Any
    step: Any


def _network() -> _Network:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    try:
        import jax
        import jax.numpy as jnp
    except ImportError as error:
        raise Absent(f"jax is not installed (pip install 'umbra[baselines]'): {error}") from error
    levels = jnp.asarray(QUANTILES)

    def init(seed: int, channels: int, outputs: int) -> dict[str, Any]:
        keys = jax.random.split(jax.random.PRNGKey(seed), 4)

        def dense(key: Any, rows: int, columns: int) -> Any:
            return jax.random.normal(key, (rows, columns)) / np.sqrt(rows)

        bias = jnp.zeros(4 * UNITS).at[UNITS : 2 * UNITS].set(1.0)  # remember at first
        return {
            "input": dense(keys[0], channels, 4 * UNITS) * 0.5,
            "state": dense(keys[1], UNITS, 4 * UNITS),
            "bias": bias,
            "hidden": dense(keys[2], UNITS + 4, 32),
            "hidden_bias": jnp.zeros(32),
            "output": dense(keys[3], 32, outputs) * 0.1,
            "output_bias": jnp.zeros(outputs),
        }

    def forward(parameters: Any, windows: Any, context: Any) -> Any:
        rows = windows.shape[0]

        def cell(carry: Any, sample: Any) -> Any:
            hidden, memory = carry
            gates = sample @ parameters["input"] + hidden @ parameters["state"] + parameters["bias"]
            take, keep, give, new = jnp.split(gates, 4, axis=1)
            memory = jax.nn.sigmoid(keep) * memory + jax.nn.sigmoid(take) * jnp.tanh(new)
            hidden = jax.nn.sigmoid(give) * jnp.tanh(memory)
            return (hidden, memory), None

        zeros = jnp.zeros((rows, UNITS))
        (hidden, _), _ = jax.lax.scan(cell, (zeros, zeros), jnp.swapaxes(windows, 0, 1))
        joined = jnp.concatenate([hidden, context], axis=1)
        dense = jnp.tanh(joined @ parameters["hidden"] + parameters["hidden_bias"])
        return dense @ parameters["output"] + parameters["output_bias"]

    def loss(parameters: Any, windows: Any, context: Any, outcome: Any, weight: Any) -> Any:
        output = forward(parameters, windows, context)
        guess = output.reshape(outcome.shape[0], outcome.shape[1], len(QUANTILES))
        known = jnp.isfinite(outcome)
        error = jnp.where(known, outcome, 0.0)[:, :, None] - guess
        pinball = jnp.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
        weighted = jnp.where(known, pinball * weight, 0.0)
        return weighted.sum() / jnp.maximum(known.sum(), 1)

    def step(parameters: Any, moments: Any, count: Any, rate: Any, batch: Any) -> Any:
        slope = jax.grad(loss)(parameters, *batch)
        norm = jnp.sqrt(sum((one**2).sum() for one in jax.tree.leaves(slope)))
        slope = jax.tree.map(lambda one: one * jnp.minimum(1.0, 1.0 / (norm + 1e-9)), slope)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], slope)
        second = jax.tree.map(lambda m, g: 0.999 * m + 0.001 * g * g, moments[1], slope)
        rates = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        moved = jax.tree.map(
            lambda p, m, v: p - rates * m / (jnp.sqrt(v) + 1e-8), parameters, first, second
        )
        return moved, (first, second)

    return _Network(init, jax.jit(forward), jax.jit(loss), jax.jit(step))


def _train(
    network: _Network, training: _Examples, calibration: _Examples, seed: int, max_rounds: int
) -> Any:
    import jax

    draws = np.random.default_rng(seed)
    outputs = training.outcome.shape[1] * len(QUANTILES)
    parameters = network.init(seed, training.windows.shape[2], outputs)
    zeros = jax.tree.map(np.zeros_like, parameters)
    moments = (zeros, zeros)
    check = _batch(calibration, np.arange(len(calibration.windows)))
    best, best_loss, since = parameters, float("inf"), 0
    count = 0
    for turn in range(max_rounds):
        # half a cosine from the full rate to a twentieth
        rate = RATE * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * turn / max_rounds)))
        for _ in range(STEPS_PER_ROUND):
            count += 1
            rows = draws.integers(0, len(training.windows), BATCH)
            parameters, moments = network.step(
                parameters, moments, float(count), rate, _batch(training, rows)
            )
        now = float(network.loss(parameters, *check))
        if now < best_loss:
            best, best_loss, since = parameters, now, 0
        else:
            since += 1
            if since >= PATIENCE:
                break
    return best


def _batch(examples: _Examples, rows: Any) -> tuple[Floats, ...]:
    scaled = examples.outcome[rows] / examples.spread
    weight = examples.weight[rows, None] * examples.spread
    return (
        examples.windows[rows],
        examples.context[rows],
        scaled.astype(np.float32),
        np.broadcast_to(weight, scaled.shape).astype(np.float32),
    )
