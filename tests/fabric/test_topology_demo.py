"""The demo as its user runs it: figures at the end, and nothing left behind however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 60.0
pytest.importorskip("mininet", reason="mininet is not installed")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def started_at(pid: int) -> str | None:
    """The process's start time: tells it from a later one with the same number. None if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def descendants(pid: int) -> dict[int, str]:
    """All processes below one, with their start times."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            begun = started_at(child)
            if begun is not None:
                found[child] = begun
                waiting.append(child)
    return found


def until(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return condition()


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo on the embedded switch, in a directory of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.cli", "demo", "--switch", "embedded", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "COLUMNS": "200",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(directory),
        },
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def under_way(process: subprocess.Popen[str]) -> dict[int, str]:
    """Wait until the first run's load is on; the processes of the demo at that moment."""

    def busy() -> bool:
        commands = []
        for pid in descendants(process.pid):
            try:
                commands.append(Path(f"/proc/{pid}/cmdline").read_bytes())
            except (FileNotFoundError, ProcessLookupError):
                continue
        return any(b"topologies.load.client" in command for command in commands)

    assert until(busy), "the load did not begin"
    return descendants(process.pid)


def gone(processes: dict[int, str]) -> bool:
    return all(started_at(pid) != begun for pid, begun in processes.items())


def networks(processes: Iterable[int] | None = None) -> set[str]:
    """Network namespaces that these processes (default: all) are in."""
    pids = processes or [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    ]
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
    return found - {os.readlink("/proc/self/ns/net")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_says_so_and_leaves_no_process_and_no_namespace(
    number: signal.Signals, tmp_path: Path
) -> None:
    with demo(tmp_path, "--seconds", "60") as process:
        processes = under_way(process)
        made = networks(processes)
        assert len(processes) > 20
        assert len(made) > 8  # the fabric's, and one per host
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "nothing is left behind" in output
        assert "Traceback" not in output
    assert gone(processes)
    assert not networks() & made
    assert list(tmp_path.iterdir()) == []


def test_even_a_killed_demo_leaves_no_process_and_no_namespace(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "60") as process:
        processes = under_way(process)
        made = networks(processes)
        process.kill()
        assert until(lambda: gone(processes))
    assert until(lambda: not networks() & made)


def test_a_switch_that_dies_ends_the_demo_with_its_name(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "60") as process:
        processes = under_way(process)
        switch = next(
            pid for pid in processes if b"um-s1-1" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(switch, signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "switch s1 (embedded) died of signal 9" in output
    assert "logs are in" in output
    assert gone(processes)


def test_the_demo_shows_what_prediction_is_worth(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "demo.html"
    arguments = ("--seconds", "45", "--json", str(figures), "--report", str(page))
    with demo(tmp_path, *arguments) as process:
        output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    result = json.loads(figures.read_text())
    reactive, predictive = result["runs"]["reactive"], result["runs"]["predictive"]
    assert result["switch"] == "embedded"
    assert reactive["connections"] == predictive["connections"] > 1000
    assert predictive["breach_s"] < reactive["breach_s"]
    assert predictive["refused_per_1000"] < reactive["refused_per_1000"]
    for run in (reactive, predictive):
        assert run["broken_per_1000"] == 0
        assert run["moved_per_1000"] == 0
        assert run["shifts"] > 0
        assert run["shifts_without_reason"] == 0
    assert predictive["lead_s"]
    assert all(lead > 0 for lead in predictive["lead_s"])
    without, with_ = reactive["failure"], predictive["failure"]
    assert (without["replication"], with_["replication"]) == (False, True)
    assert without["connections"] == with_["connections"] > 100
    assert without["broken"] > without["connections"] / 2
    assert with_["broken"] == 0
    later, sooner = reactive["sun"], predictive["sun"]
    assert (later["mode"], sooner["mode"]) == ("reactive", "predictive")
    for one in (later, sooner):
        assert one["connections"] > 100
        assert one["redirects"] > 0
        assert (one["unanswered"], one["moved"]) == (0, 0)
    cold, warm = reactive["bursts"], predictive["bursts"]
    assert (cold["held_ahead"], warm["held_ahead"]) == (False, True)
    assert cold["instances"] == warm["instances"] > 40
    assert cold["unanswered"] == warm["unanswered"] == cold["warm"] == 0
    assert warm["warm"] > warm["instances"] / 2
    alone, shadowed = reactive["resources"], predictive["resources"]
    assert (alone["way"], shadowed["way"]) == ("no_shadow", "umbra")
    assert alone["connections"] == shadowed["connections"] > 100
    assert alone["share_most_pct"] == 0 < shadowed["share_most_pct"]
    text = page.read_text()
    assert text.count("<svg") == 8
    assert "</html>" in text
