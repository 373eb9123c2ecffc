"""`umbra bench replication` with little work, on real switches: what it finds is right, however fast the machine is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

# The command with little to do.
COMMAND = """
import sys
from controller.cli import app
from topologies import bench
from topologies.bench.replication import frame as replication

LITTLE = replication.Extent(
    rates_cps=(100,), samples=20, parts=(0.5,), start_cps=100, trial_s=0.2, precision=0.9, counted=30, injected=150,
    injected_cps=200, losses=(0.1,), overload_s=0.2, most_overload=400,
)
bench.BENCHES["quick"] = lambda switch, run_dir, progress: replication.bench(
    switch, run_dir, lambda text: (print(run_dir, file=sys.stderr), progress(text)), LITTLE
)
app(["bench", "quick", "--json", "--switch", sys.argv[1]])
"""


def start(kind: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def result(kind: str) -> dict[str, Any]:
    """What the benchmark reports."""
    process = start(kind)
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_life_costs_few_bytes_and_every_loss_is_repaired(result: dict[str, Any]) -> None:
    value = {name: figure["value"] for name, figure in result["figures"].items()}
    assert value["records_per_connection"] >= 3
    assert value["bytes_per_connection"] <= 60
    assert value["wire_bytes_per_connection"] > value["bytes_per_connection"]
    assert value["records_lost_loss_10pct"] > 0
    assert value["gaps_loss_10pct"] > 0
    assert value["entries_wrong_loss_10pct"] > 0
    assert value["entries_wrong_after_loss_10pct"] == 0
    assert value["entries_wrong_after_overload"] == 0
    assert {"latency_p50_ms_100cps", "latency_p99_ms_100cps"} <= value.keys()
    assert 0 <= value["max_cps"] < value["saturated_cps"]
    assert ("latency_p99_ms_max" in value) == (value["max_cps"] > 0)
    peer = result["versus"]["conntrackd"]
    if shutil.which("conntrackd"):
        assert peer["bytes_per_connection"] > value["bytes_per_connection"]
    else:
        assert "not installed" in peer["absent"]


def test_an_interrupt_leaves_nothing_behind() -> None:
    process = start("embedded")
    assert process.stderr is not None
    run_dir = Path(process.stderr.readline().strip())
    assert run_dir.is_dir()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline_s = time.monotonic() + 30
    while not (switches := children.read_text().split()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert switches
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not run_dir.exists()
    deadline_s = time.monotonic() + 10
    # One that was just being started is ended by the kernel, a moment after its parent.
    while any(map(runs, switches)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not [pid for pid in switches if runs(pid)]


def runs(pid: str) -> bool:
    """Is there such a process, and is it more than a name that nobody has asked for yet?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
