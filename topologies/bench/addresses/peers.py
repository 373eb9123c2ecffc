"""What the peers of the warm range do on the same fortnight: fixed targets (AWS's way), and reacting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controller.plan.addresses.settings import RangeSettings
from ml.series import Floats
from topologies.bench.addresses.instance_trace import Trace

WARM_TARGETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200)
DEFAULT_WARM = 5  # a common value of WARM_IP_TARGET
ASKED_PCT = 99.0
Target = Callable[[int, Floats], Floats]  # cycle, used → addresses to hold; (copies, subdivisions)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A trace by cycles, shape (cycles, subdivisions). grants: in the cycle; used: at its beginning.

    What runs at the trace's beginning has its address already and is no grant.
    """

    names: tuple[str, ...]
    grants: npt.NDArray[np.int64]
    used: npt.NDArray[np.int64]
    warm_up_cycles: int


def asked(trace: Trace, settings: RangeSettings) -> Asked:
    """ValueError unless the warm-up takes a whole number of cycles, at least one."""
    ahead = round(settings.warm_up_s / settings.cycle_s)
    if ahead < 1 or abs(ahead * settings.cycle_s - settings.warm_up_s) > 1e-9:
        raise ValueError("the warm-up must take 1, 2, … cycles in this measurement")
    cycles = int((trace.end_s - trace.begin_s) / settings.cycle_s)
    starts_s = trace.begin_s + settings.cycle_s * np.arange(cycles + 1)
    grants, used = [], []
    for one in trace.subjects:
        ended_s = np.sort(one.created_s + one.lasting_s)
        begun = np.searchsorted(one.created_s, starts_s, "right")
        used.append((begun - np.searchsorted(ended_s, starts_s, "right"))[:-1])
        grants.append(np.diff(begun))
    names = tuple(one.name for one in trace.subjects)
    return Asked(names, np.stack(grants, axis=1), np.stack(used, axis=1), ahead)


def fixed_targets(wanted: Asked) -> dict[str, dict[str, float | str]]:
    """The common fixed target, and the best ones in hindsight; see `demand`."""
    minimums = (0, round(float(wanted.used.mean())), round(float(wanted.used.max(axis=0).mean())))
    pairs = [(warm, minimum) for minimum in minimums for warm in WARM_TARGETS]
    warm = np.array([[float(one)] for one, _ in pairs])
    least = np.array([[float(one)] for _, one in pairs])
    target = np.empty((len(pairs), len(wanted.names)))

    def held(_: int, used: Floats) -> Floats:
        np.subtract(least, used, out=target)
        np.maximum(target, warm, out=target)
        return target

    cold, unused = _played(wanted, held, len(pairs))
    total, used = wanted.grants.sum(axis=0), wanted.used.sum(axis=0)
    hit_pct = 100.0 * (1.0 - cold.sum(axis=1) / total.sum())
    unused_pct = 100.0 * unused.sum(axis=1) / used.sum()
    found: dict[str, dict[str, float | str]] = {
        f"fixed_warm_{DEFAULT_WARM}": _row(hit_pct, unused_pct, pairs.index((DEFAULT_WARM, 0)))
    }
    enough = [place for place in range(len(pairs)) if hit_pct[place] >= ASKED_PCT]
    if enough:
        best = min(enough, key=lambda place: float(unused_pct[place]))
        found["fixed_warm_target"] = _row(hit_pct, unused_pct, best) | {
            "setting": f"WARM_IP_TARGET={pairs[best][0]} MINIMUM_IP_TARGET={pairs[best][1]}"
        }
    else:
        found["fixed_warm_target"] = {"absent": f"none up to {WARM_TARGETS[-1]} reaches it"}
    found["fixed_per_subdivision"] = _each(cold, unused, total, used)
    return found


def reactive(wanted: Asked) -> dict[str, float | str]:
    """Holds as many as were granted in the last window."""
    span = wanted.warm_up_cycles + 1
    so_far = np.vstack([np.zeros((1, len(wanted.names))), np.cumsum(wanted.grants, axis=0)])
    first = np.maximum(0, np.arange(len(wanted.grants)) - span)
    lately = so_far[:-1] - so_far[first]
    cold, unused = _played(wanted, lambda cycle, _: lately[cycle], 1)
    hit_pct = 100.0 * (1.0 - cold.sum(axis=1) / wanted.grants.sum())
    return _row(hit_pct, 100.0 * unused.sum(axis=1) / wanted.used.sum(), 0)


def _played(wanted: Asked, target: Target, copies: int) -> tuple[Floats, Floats]:
    """Cold grants and the sum of unused addresses, shape (copies, subdivisions).

    Written for speed: a fortnight has 600,000 cycles. All counts are whole or half numbers, so no order of adding
    changes the sums.
    """
    shape = (copies, len(wanted.names))
    stock, unused, warm_grants, more, less = (np.zeros(shape) for _ in range(5))
    warming = np.zeros((wanted.warm_up_cycles, *shape))
    pending = np.zeros(shape)  # the sum of `warming`
    grants = wanted.grants.astype(np.float64)
    used = wanted.used.astype(np.float64)
    asked_for: list[bool] = (wanted.grants.sum(axis=1) > 0).tolist()
    for cycle in range(len(grants)):
        slot = warming[cycle % len(warming)]
        stock += slot
        pending -= slot
        np.subtract(target(cycle, used[cycle]), stock, out=more)
        more -= pending
        np.maximum(more, 0.0, out=slot)
        pending += slot
        # What is too much is released, as far as it is warm already.
        np.negative(stock, out=less)
        np.maximum(more, less, out=less)
        np.minimum(less, 0.0, out=less)
        stock += less
        unused += stock
        unused += pending
        if asked_for[cycle]:
            warm = np.minimum(stock, grants[cycle])
            stock -= warm
            warm_grants += warm
            unused -= warm / 2.0
    return grants.sum(axis=0) - warm_grants, unused


def _each(
    cold: Floats, unused: Floats, total: Sequence[float] | Floats, used: Floats
) -> dict[str, float | str]:
    """The smallest plain target of every subdivision that reaches the share, or the largest there is."""
    cold, unused = cold[: len(WARM_TARGETS)], unused[: len(WARM_TARGETS)]
    rows = []
    for column in range(cold.shape[1]):
        hit_pct = 100.0 * (1.0 - cold[:, column] / max(1.0, float(total[column])))
        enough = np.flatnonzero(hit_pct >= ASKED_PCT)
        rows.append(int(enough[0]) if len(enough) else len(WARM_TARGETS) - 1)
    places = np.arange(cold.shape[1])
    sums = np.asarray(total, dtype=np.float64).sum()
    return {
        "warm_hit_pct": round(100.0 * (1.0 - float(cold[rows, places].sum()) / float(sums)), 3),
        "unused_over_used_pct": round(
            100.0 * float(unused[rows, places].sum()) / float(used.sum()), 3
        ),
        "setting": "WARM_IP_TARGET=" + ",".join(str(WARM_TARGETS[row]) for row in rows),
    }


def _row(hit_pct: Floats, unused_pct: Floats, place: int) -> dict[str, float | str]:
    return {
        "warm_hit_pct": round(float(hit_pct[place]), 3),
        "unused_over_used_pct": round(float(unused_pct[place]), 3),
    }
