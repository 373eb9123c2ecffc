"""Limits of real cgroups, of the version that this machine has: what programs get, by the kernel's own accounts."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from controller.act.resources import AllocationError, Allocator, GroupTree, Place, find
from controller.act.resources.group import PERIOD_US
from controller.act.resources.groups import group
from controller.model.resources import NOTHING, Amounts, Resource
from controller.resources.limited import Limited
from controller.trouble import Troubles

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
SPIN = "while True: pass"
HOLD = f"kept = b'x' * ({30 * MIB})\nprint('held', flush=True)\nimport signal\nsignal.pause()"
TAKE = "kept = []\nfor _ in range(256): kept.append(b'x' * (1 << 20))"


@pytest.fixture
def tree() -> Iterator[GroupTree]:
    """A run of its own."""
    if os.geteuid() != 0:
        pytest.skip("cgroups need root: run as root (sudo)")
    with GroupTree(f"test-{uuid4().hex[:8]}") as made:
        yield made


@contextmanager
def inside(
    tree: GroupTree, name: str, program: str, wait_for: bytes = b""
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program in a group, until the block ends."""
    command = tree.command(name, [sys.executable, "-c", program])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if wait_for:
                assert process.stdout.readline().strip() == wait_for
            yield process
        finally:
            process.kill()


def until(condition: object, what: str) -> None:
    """Wait for it."""
    deadline_s = time.monotonic() + PATIENCE_S
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def test_a_busy_program_gets_its_share_of_each_period_and_no_more(tree: GroupTree) -> None:
    allocator = Allocator({"r1": Place(tree.make("r1"))})
    allocator.set("r1", Amounts(0.2, math.inf, math.inf), NOTHING)
    with inside(tree, "r1", SPIN):
        until(lambda: allocator.totals("r1").limited_periods > 5, "the limit never held it back")
        before = allocator.totals("r1")
        until(lambda: allocator.totals("r1").periods > before.periods + 100, "periods end")
        after = allocator.totals("r1")
    periods_s = (after.periods - before.periods) * PERIOD_US / 1e6
    share = (after.cpu_s - before.cpu_s) / periods_s
    assert 0.05 < share < 0.3
    assert after.limited_periods > before.limited_periods


def test_a_program_that_takes_more_memory_than_its_limit_ends_and_its_neighbour_does_not(
    tree: GroupTree,
) -> None:
    places = {name: Place(tree.make(name)) for name in ("r1", "r1s")}
    allocator = Allocator(places)
    allocator.set("r1s", Amounts(math.inf, 64 * MIB, math.inf), NOTHING)
    with inside(tree, "r1", HOLD, wait_for=b"held") as neighbour:
        taking = tree.command("r1s", [sys.executable, "-c", TAKE])
        done = subprocess.run(taking, capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == -signal.SIGKILL
        assert neighbour.poll() is None
        assert allocator.totals("r1").memory_bytes >= 30 * MIB


def test_memory_in_use_is_not_taken_away(tree: GroupTree) -> None:
    allocator = Allocator({"r1": Place(tree.make("r1"))})
    with inside(tree, "r1", HOLD, wait_for=b"held") as process:
        applied = allocator.set("r1", Amounts(1.0, 4 * MIB, math.inf), NOTHING)
        assert applied.held == (Resource.MEMORY,)
        assert applied.given.memory_bytes >= 30 * MIB
        assert allocator.read("r1") == applied.given
        assert process.poll() is None


def test_limits_of_a_shadow_that_is_configured_no_longer_are_lifted(tree: GroupTree) -> None:
    places = {name: Place(tree.make(name)) for name in ("r1s", "r2s")}
    allocator, kept = Allocator(places), [""]

    def lift(switch: str, place: Place) -> None:
        Allocator({switch: place}).lift(switch)

    def run(configured: dict[str, Place]) -> Limited:
        made = Limited(configured, lift, kept.append, Troubles())
        made.recall(kept[-1])
        asyncio.run(made.lift_removed())
        return made

    limits = Amounts(0.5, 64.0 * MIB, math.inf)
    run(places).add(places)
    for name in places:
        allocator.set(name, limits, NOTHING)
    run({"r2s": places["r2s"]})
    assert allocator.read("r1s") == Amounts(math.inf, math.inf, math.inf)
    assert allocator.read("r2s") == limits


def test_cpu_can_be_raised_lowered_and_given_back(tree: GroupTree) -> None:
    allocator = Allocator({"r1": Place(tree.make("r1"))})
    for cores in (0.5, 2.0, 0.05, 0.001, 64.0):
        allocator.set("r1", Amounts(cores, math.inf, math.inf), NOTHING)
        assert allocator.read("r1").cpu_cores == pytest.approx(cores, rel=0.01)
    allocator.set("r1", Amounts(math.inf, math.inf, math.inf), NOTHING)
    assert allocator.read("r1") == Amounts(math.inf, math.inf, math.inf)


def test_groups_together_count_as_much_as_their_number(tree: GroupTree) -> None:
    for number in range(3):
        tree.make(f"r{number}")
    run = group(tree.mounts, f"umbra/{tree.run}")
    assert run.weight() == 3
    assert group(tree.mounts, "umbra").weight() >= 3  # other runs may be there, too
    tree.remove("r1")
    assert run.weight() == 2
    with GroupTree(f"test-{uuid4().hex[:8]}", weight=5) as heavy:
        heavy.make("a")
        heavy.make("b")
        assert group(heavy.mounts, heavy.path("a")).weight() == 5
        assert group(heavy.mounts, f"umbra/{heavy.run}").weight() == 10
        assert group(heavy.mounts, "umbra").weight() >= 12


def test_all_that_a_program_starts_is_in_its_group(tree: GroupTree) -> None:
    path = tree.make("r1")
    allocator = Allocator({"r1": Place(path)})
    child = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', '''{SPIN}''']).wait()"
    with inside(tree, "r1", child) as process:
        entrance = find().cpu / path / "cgroup.procs"
        until(lambda: len(entrance.read_text().split()) == 2, "the child is in the group, too")
        until(lambda: allocator.totals("r1").cpu_s > 0.2, "its time is counted")
        for pid in entrance.read_text().split():
            if int(pid) != process.pid:
                os.kill(int(pid), signal.SIGKILL)


def test_a_group_with_programs_is_not_removed_and_they_are_named(
    tree: GroupTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.act.resources.group.LEAVE_S", 0.05)
    tree.make("r1")
    with inside(tree, "r1", HOLD, wait_for=b"held") as process:
        with pytest.raises(AllocationError, match=rf"end the processes in it \({process.pid}\)"):
            tree.remove("r1")
        assert process.poll() is None
    tree.remove("r1")


def test_a_program_whose_group_is_gone_does_not_start_outside(tree: GroupTree) -> None:
    command = tree.command("never", [sys.executable, "-c", "print('started')"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert "never/cgroup.procs" in done.stderr


def run_directories(run: str) -> list[Path]:
    """Of one run, in every hierarchy."""
    return [root / "umbra" / run for root in find().roots]


def test_nothing_is_left_when_a_run_ends() -> None:
    if os.geteuid() != 0:
        pytest.skip("cgroups need root: run as root (sudo)")
    run = f"test-{uuid4().hex[:8]}"
    with GroupTree(run) as made:
        made.make("r1")
        with inside(made, "r1", HOLD, wait_for=b"held"):
            pass
        assert all((one / "r1").is_dir() for one in run_directories(run))
    assert not any(one.exists() for one in run_directories(run))


OTHER = """
import signal, sys
from controller.act.resources import GroupTree
tree = GroupTree(sys.argv[1])
tree.open()
tree.make("r1")
print("open", flush=True)
signal.pause()
"""


@contextmanager
def other_run(run: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has a run open, until it is killed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command: Sequence[str] = [sys.executable, "-c", OTHER, run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            yield process
        finally:
            process.kill()


def test_groups_of_a_killed_run_are_removed_by_the_next_and_those_of_a_living_one_stay(
    tree: GroupTree,
) -> None:
    killed, living = (f"test-{uuid4().hex[:8]}" for _ in range(2))
    with other_run(killed):
        pass
    assert all(one.is_dir() for one in run_directories(killed))
    with other_run(living), GroupTree(f"test-{uuid4().hex[:8]}"):
        assert not any(one.exists() for one in run_directories(killed))
        assert all((one / "r1").is_dir() for one in run_directories(living))
        assert all(one.is_dir() for one in run_directories(tree.run))
    with GroupTree(f"test-{uuid4().hex[:8]}"):
        assert not any(one.exists() for one in run_directories(living))
