"""`umbra bench` as its user runs it: a fresh process, with the progress display on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

# The command with a benchmark that takes no time.
COMMAND = """
import os
import sys
from controller.cli import app
from topologies import bench

def quick(switch, run_dir, progress):
    progress(f"writing to {run_dir}")
    networks = [os.readlink(f"/proc/{pid}/ns/net") for pid in ("self", sys.argv.pop())]
    return bench.Result("quick", {"networks": bench.Figure(len(set(networks)), "", 1, "higher")})

bench.BENCHES["quick"] = quick
app(["bench", "quick", "--json"])
"""


def test_a_benchmark_runs_in_a_network_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["figures"]["networks"]["value"] == 2
