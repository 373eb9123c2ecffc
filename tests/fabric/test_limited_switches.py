"""Switches of the emulated network in cgroups of their own: limited, counted, and nothing left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from controller.act.resources import Allocator, GroupTree, find
from controller.model.resources import NO_LIMIT, Amounts
from controller.observe.devices import DeviceUses
from topologies.clos import ClosSpec, configuration
from topologies.net import Network

SMALL = ClosSpec(edges=1, spines=1, routers=1, backends=1, clients=1)
LIMIT = Amounts(0.5, 256 << 20, 50e6)
ROOT = Path(__file__).resolve().parents[2]


def test_a_switch_is_limited_from_its_start_and_counted(kind: str, tmp_path: Path) -> None:
    network = Network(configuration(SMALL), kind, tmp_path, limits={"r1": LIMIT})
    places = network.places()
    with network, Allocator(places) as allocator:
        process = network.switch("r1").process
        assert process is not None
        entrance = find().memory / places["r1"].group / "cgroup.procs"
        assert str(process.pid) in entrance.read_text().split()
        read = allocator.read("r1")
        assert read.cpu_cores == pytest.approx(LIMIT.cpu_cores)
        assert read.memory_bytes == LIMIT.memory_bytes
        assert read.network_bps == pytest.approx(LIMIT.network_bps)
        assert allocator.read("e1") == NO_LIMIT
        found, failed = allocator.all_totals()
        assert failed == {}
        assert {one.device for one in found} == {"e1", "s1", "r1"}
        assert all(one.cpu_s > 0 and one.memory_bytes > 1 << 20 for one in found)
        uses = DeviceUses()
        uses.update(found)
        # The switch has no program and answers nothing, but the questions arrive.
        network.run("c1", ["ping", "-c", "3", "-i", "0.2", "10.1.1.1"]).wait(30.0)
        used = {one.device: one for one in uses.update(allocator.all_totals()[0])}
        assert used["e1"].received_bps > 0
        assert 0 <= used["r1"].limited <= 1
    own_run = Path(places["r1"].group).parent  # other runs on this machine come and go
    assert not any((root / own_run).exists() for root in find().roots)


def test_a_switch_that_is_started_again_is_in_its_group_again(kind: str, tmp_path: Path) -> None:
    with Network(configuration(SMALL), kind, tmp_path, limits={}) as network:
        switch = network.switch("r1")
        switch.kill()
        switch.start()
        switch.wait_ready()
        entrance = find().cpu / network.places()["r1"].group / "cgroup.procs"
        assert switch.process is not None
        assert str(switch.process.pid) in entrance.read_text().split()


def test_a_limit_of_a_switch_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limits of r7: there is no such switch"):
        Network(configuration(SMALL), "embedded", tmp_path, limits={"r7": LIMIT})


STRUCK = """
import os, signal, sys
from pathlib import Path
from topologies import namespace
from topologies.clos import ClosSpec, configuration
from topologies.net import Network

def body() -> int:
    spec = ClosSpec(edges=1, spines=1, routers=1, backends=1, clients=1)
    with Network(configuration(spec), "embedded", Path(sys.argv[1]), limits={}) as network:
        print(network.places()["r1"].group, flush=True)
        sys.stdin.readline()
    return 0

sys.exit(namespace.isolated(body))
"""


@pytest.mark.parametrize("how", ["INT", "KILL"])
def test_a_run_that_is_struck_leaves_no_group_behind(how: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("namespaces need root: run as root (sudo)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STRUCK, str(tmp_path / "run")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        group = process.stdout.readline().strip()
        assert (find().cpu / group).is_dir()
        process.send_signal(getattr(signal, f"SIG{how}"))
        process.wait(60.0)
    deadline_s = time.monotonic() + 60.0
    while how == "KILL" and (find().cpu / group).exists() and time.monotonic() < deadline_s:
        with GroupTree(
            f"test-{os.getpid()}"
        ):  # it could not; the next run does, when all have ended
            time.sleep(0.05)
    assert not (find().cpu / group).exists()
    assert not (find().memory / group).exists()


def test_infinite_amounts_limit_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("namespaces need root: run as root (sudo)")
    only_cpu = Amounts(1.0, math.inf, math.inf)
    with Network(configuration(SMALL), "embedded", tmp_path, limits={"r1": only_cpu}) as network:
        assert Allocator(network.places()).read("r1") == only_cpu
