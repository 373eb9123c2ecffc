"""Several processes on one file, some of which are killed, stopped, or never come back."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controller.model import Grant
from controller.pool import Pool
from harness.pools import POD, assign
from topologies.bench.addresses.chaos import Settings, run
from topologies.bench.addresses.ledger import Account, Held, judge
from topologies.bench.addresses.worker import JumpingClock, Worker

PATIENCE_S = 60.0


def test_no_address_is_had_by_two_or_lost_while_processes_are_killed_and_stopped() -> None:
    told = run(
        Settings(
            operations=4_000,
            workers=3,
            threads=6,
            tokens=300,
            look_s=2.0,
            gap_s=1.0,
            event_s=0.3,
            long_pause_s=4.0,
        )
    )
    assert told.operations >= 4_000
    assert told.duplicates == []
    assert told.early == []
    assert told.lost == []
    assert told.faults == []
    assert told.oldest_leak_s <= 60


def test_a_worker_that_was_stopped_ends_when_it_is_told_to_as_it_goes_on(tmp_path: Path) -> None:
    """The kernel then gives the signal to any of its threads."""
    path, ledger = tmp_path / "pool.db", tmp_path / "w1.ledger"
    with Pool(path) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/25")
    module = [sys.executable, "-m", "topologies.bench.addresses.worker"]
    for seed in range(3):
        process = subprocess.Popen([*module, path, ledger, POD.name, "1.0", "6", "20", str(seed)])
        try:
            before = len(ledger.read_bytes()) if ledger.exists() else 0
            deadline_s = time.monotonic() + PATIENCE_S
            while not ledger.exists() or len(ledger.read_bytes()) == before:
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def accounts(tmp_path_factory: pytest.TempPathFactory) -> list[Account]:
    """What one had from 1 s to 5 s another gets at 7 s."""
    directory = tmp_path_factory.mktemp("ledgers")
    first, second = Account(directory / "one"), Account(directory / "two")
    first.past.append(Held("a", "10.0.0.1", 7, 1.0, ended_s=5.0))
    second.past.append(Held("b", "10.0.0.1", 9, 7.0))
    return [first, second]


def test_the_judge_sees_nothing_wrong_with_one_after_the_other(accounts: list[Account]) -> None:
    verdict = judge(accounts, {}, cool_s=1.0)
    assert verdict.duplicates + verdict.early + verdict.faults == ()


def test_the_judge_sees_a_duplicate(accounts: list[Account]) -> None:
    accounts[0].past[0].ended_s = 8.0
    assert "a had it when b got it" in judge(accounts, {}, cool_s=1.0).duplicates[0]
    accounts[0].past[0].ended_s = None
    assert judge(accounts, {}, cool_s=1.0).duplicates
    assert judge(accounts, {accounts[0].path: 6.0}, cool_s=1.0).duplicates == ()


def test_the_judge_sees_early_reuse_and_changed_answers(accounts: list[Account]) -> None:
    assert "2.000 s after a" in judge(accounts, {}, cool_s=3.0).early[0]
    accounts[0].path.write_text("1.0 t? c\n2.0 t! c 10.0.0.2 3\n3.0 t? c\n4.0 t! c 10.0.0.3 4\n")
    accounts[0].read()
    assert "then 10.0.0.3" in judge(accounts, {}, cool_s=1.0).faults[0]


class Forgetful(Pool):
    """Says of every release that it ended a grant."""

    def release(self, address: str, owner: str, sequence: int) -> bool:
        super().release(address, owner, sequence)
        return True


class Broken(Pool):
    """Answers nobody."""

    def take(
        self,
        subdivision: str,
        owner: str,
        *,
        reserved: str | None = None,
        family: int | None = None,
    ) -> Grant:
        raise KeyError("grönt\n")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("kind", "fault"), [(Forgetful, "twice"), (Broken, "ended: KeyError(")])
def test_what_a_worker_sees_go_wrong_is_a_fault(
    tmp_path: Path, kind: type[Pool], fault: str
) -> None:
    clock = JumpingClock(random.Random(1))
    account = Account(tmp_path / "w1.ledger")
    with kind(tmp_path / "pool.db", clock=clock, cool_s=0.0) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/29")
        worker = Worker(pool, clock, account.path, POD.name, seed=1)
        running = threading.Thread(target=worker.run, args=(1, 1))
        running.start()
        left_s = PATIENCE_S
        while running.is_alive() and not account.faults and left_s > 0:
            running.join(0.01)
            left_s -= 0.01
            account.read()
        worker.ending.set()
        running.join()
    account.read()
    (told, *_) = judge([account], {}, cool_s=0.0).faults
    assert told.startswith("w1:0")
    assert fault in told
