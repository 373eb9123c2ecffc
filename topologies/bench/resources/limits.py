"""Do limits hold? What programs and a real switch get of CPU, memory and network, against what the allocator says.

cgroup v1 or v2, whichever this machine has; v2 also on another kernel, where that is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from topologies import user_mode
from topologies.bench.progress import Progress
from topologies.bench.resources import limits_groups, limits_switch
from topologies.bench.resources.limits_groups import Measured, largest_error_pct
from topologies.bench.result import Figure
from topologies.switches import choose

SECONDS, QUICK_SECONDS = 3.0, 1.0
GUEST_S = 120.0
Parts = tuple[dict[str, Figure], dict[str, dict[str, float | str]], dict[str, Any]]


def run(switch: str, run_dir: Path, progress: Progress, *, quick: bool = False) -> Parts:
    """Figures, peers (none), details: every (asked, got, reached). An error is that of limits that were reached: a
    machine that has no more to give proves nothing about them.
    """
    seconds = QUICK_SECONDS if quick else SECONDS
    rows: dict[str, list[Measured]] = {}
    progress("limits: programs that never rest")
    here = limits_groups.measured(seconds)
    rows |= {name: here[name] for name in ("cpu", "memory")}
    figures: dict[str, Figure] = {}
    progress("limits: a flooded switch")
    with limits_switch.shadow(choose(switch), run_dir) as (device, allocator):
        rows["switch_cpu"] = limits_switch.cpu(device, allocator, seconds)
        rows["network"] = limits_switch.network(device, allocator, seconds)
        changes = limits_switch.change_ms(allocator)
    for name, value in zip(("", "_with_network"), changes, strict=True):
        n = limits_switch.CHANGES - 1
        figures[f"limit_change{name}_p99_ms"] = Figure(value, "ms", n, "lower")
    details: dict[str, Any] = {"cgroup": here["version"]}
    absent = user_mode.unavailable()
    if absent is None:
        progress("limits: cgroup v2 on another kernel")
        there = _on_other_kernel(run_dir, seconds)
        rows |= {
            f"v2_{name}": [Measured(*one) for one in there[name]] for name in ("cpu", "memory")
        }
    else:
        details["v2"] = absent
    for name, own in rows.items():
        reached = sum(one.reached for one in own)
        if reached:
            error_pct = largest_error_pct(own)
            figures[f"limit_{name}_error_pct"] = Figure(error_pct, "%", reached, "lower")
    details["asked_got_reached"] = rows
    return figures, {}, {"limits": details}


def _on_other_kernel(run_dir: Path, seconds: float) -> dict[str, Any]:
    module = [limits_groups.__name__, str(seconds)]
    found: dict[str, Any] = json.loads(user_mode.run(module, run_dir / "v2", GUEST_S))
    return found
