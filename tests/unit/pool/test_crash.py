"""What was answered survives a kill -9 and a loss of power."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import AddressState
from controller.pool import Pool, Unavailable
from harness.disk import small_disk
from harness.pools import POD, assign, crashed

# Takes addresses for ever; tells each one only when it was answered.
TAKER = """
import sys
from controller.pool import Pool
with Pool(sys.argv[1]) as pool:
    number = 0
    while True:
        grant = pool.take("pod", f"vm{number}")
        print(grant.owner, grant.address, grant.sequence, flush=True)
        number += 1
"""


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    with Pool(path) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/24")
    taker = subprocess.Popen([sys.executable, "-c", TAKER, str(path)], stdout=subprocess.PIPE)
    assert taker.stdout is not None
    told = [taker.stdout.readline() for _ in range(40)]
    taker.kill()
    told += taker.stdout.readlines()
    taker.wait()
    with Pool(path) as pool:
        for line in told:
            owner, address, sequence = line.decode().split()
            grant = pool.take("pod", owner)
            assert (grant.address, grant.sequence) == (address, int(sequence))
        assert pool.audit() == []


def test_what_was_answered_is_in_the_synced_log(tmp_path: Path) -> None:
    """The disk's content at the moment of the answer is enough: nothing waits in the process."""
    with Pool(tmp_path / "pool.db") as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/24")
        grant = pool.take("pod", "vm1")
        left = crashed(tmp_path / "pool.db", tmp_path / "left")
    with Pool(left) as pool:
        assert pool.take("pod", "vm1") == grant


def test_every_commit_is_synced_before_it_is_answered(tmp_path: Path) -> None:
    """With SQLite's own word for it: FULL syncs the log at each commit."""
    with Pool(tmp_path / "pool.db") as pool:
        writer = pool._commits._connection
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_loss_of_power_in_the_middle_of_a_write_leaves_a_whole_past(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The log's end may be missing or torn: the pool then is as it was after one of its answers."""
    directory = tmp_path_factory.mktemp("pool")
    path = directory / "pool.db"
    answers: list[set[tuple[str, str, int]]] = [set()]
    with Pool(path) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/28")
        pool._commits._checkpoints.close()  # the log keeps all that follows
        pool._commits._checkpoints._connection = sqlite3.connect(":memory:")
        start = path.with_name("pool.db-wal").stat().st_size
        for number in range(6):
            grant = pool.take("pod", f"vm{number}")
            answers.append(answers[-1] | {(grant.owner, grant.address, grant.sequence)})
        end = path.with_name("pool.db-wal").stat().st_size
        kept = data.draw(st.integers(start, end))
        torn = data.draw(st.binary(max_size=200))
        left = crashed(path, directory / "left", lambda log: log[:kept] + torn)
    with Pool(left) as pool:
        assert pool.audit() == []
        found = pool.addresses("pod", state=AddressState.GRANTED)
        assert {(a.owner, a.address, a.sequence) for a in found} in answers


def fill(path: Path) -> None:
    """With all that its disk has room for."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_refuses_and_gives_nothing_away(tmp_path: Path) -> None:
    with small_disk(tmp_path, "16m") as disk, Pool(disk / "pool.db") as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/24")
        first = pool.take("pod", "first")
        filler = disk / "filler"
        fill(filler)
        taken = []
        with pytest.raises(Unavailable, match="make room on its disk"):
            taken += [pool.take("pod", f"vm{number}") for number in range(200)]
        filler.unlink()
        assert pool.take("pod", "first") == first
        assert len({pool.take("pod", f"vm{number}").address for number in range(200)}) == 200
        assert pool.audit() == []


def test_a_file_of_something_else_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "pool.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="move the file away"):
        Pool(tmp_path / "pool.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match="another version"):
        Pool(tmp_path / "other.db")
    with pytest.raises(Unavailable, match="directory exists"):
        Pool(tmp_path / "nowhere" / "pool.db")


def test_a_stopped_process_with_the_write_lock_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    with Pool(path, patience_s=0.2) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/24")
        holder = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sqlite3, sys, os, signal\n"
                "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                "connection.execute('BEGIN IMMEDIATE')\n"
                "print('locked', flush=True)\n"
                "os.kill(os.getpid(), signal.SIGSTOP)\n"
                "connection.execute('COMMIT')\n",
                str(path),
            ],
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            os.waitpid(holder.pid, os.WUNTRACED)
            with pytest.raises(Unavailable, match=f"process {holder.pid} has held the write lock"):
                pool.take("pod", "vm1")
            assert pool.counts("pod").granted == 0  # reading goes on
            holder.send_signal(signal.SIGCONT)
            holder.wait(10)
            assert pool.take("pod", "vm1").address == "10.0.0.1"
        finally:
            holder.kill()
            holder.wait()
