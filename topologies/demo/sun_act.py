"""The demo's act that follows the sun: a compressed day at two sites, once with redirects after what was asked for of
late, once after what is forecast. All else is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from topologies.sun import Mode, Sun
from topologies.sun_load import Day
from topologies.sun_run import live

DAY = Day(period_s=20.0, awake_per_s=15.0)
STEP_S = 0.5  # of the history
RUNS = (
    ("reactive", Mode.REACTIVE),
    ("predictive", Mode.PREDICTIVE),
)  # which run of the demo stands for which


def act(
    kind: str,
    directory: Path,
    seed: int,
    *,
    mode: Mode,
    say: Callable[[str], None] = lambda _message: None,
) -> Sun:
    """Build the two sites and live through a day. Raises WorldError."""
    return asyncio.run(live(kind, directory, seed, DAY, mode, step_s=STEP_S, say=say))
