"""The demo's ramp act: more connections come than a router's processor can treat, once without a shadow, once with
one that is given what the forecast says. All else is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from topologies.ramp_fabric import RampError, play
from topologies.ramps import NONE, UMBRA, RampRun, RampShape
from topologies.stoppable import run

RUNS = (("reactive", NONE), ("predictive", UMBRA))  # which run of the demo stands for which
SHAPE = RampShape(0.06, 1.0, calm_s=1.5, rise_s=3.0, hold_s=1.5, fall_s=0.2, after_s=0.1)
# By the kind of switch: new connections per second at the top, and the router's processor time, such that it is full
# at about a third of them.
TOP_PER_S = {"embedded": 130.0, "bmv2": 45.0}
CAPACITY_CORES = {"embedded": 0.03, "bmv2": 0.05}


def act(
    kind: str,
    directory: Path,
    seed: int,
    *,
    way: str,
    say: Callable[[str], None] = lambda _message: None,
) -> RampRun:
    """Build the fabric, offer the load, and see what became of it. Raises RampError."""
    try:
        shape = SHAPE.times(TOP_PER_S[kind])
        return run(play(kind, directory, way, shape, seed, CAPACITY_CORES[kind], say))
    except RuntimeError as error:
        raise RampError(f"ramp: {error}") from error
