"""Requests that share a transaction do not share their faults."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.pool import Full, Pool, Refused, Unavailable
from controller.pool.batch import Batch
from controller.pool.checkpoints import Checkpoints
from harness.pools import POD, assign


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(tmp_path / "pool.db") as opened:
        opened.register(POD)
        assign(opened, "10.0.0.0/25")
        yield opened


class Gate:
    """A request that keeps the others waiting until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, batch: Batch) -> None:
        self.entered.set()
        assert self.open.wait(10)


def test_many_threads_get_each_their_own(pool: Pool) -> None:
    found: list[str] = []

    def ask(number: int) -> None:
        for again in range(4):
            found.append(pool.take("pod", f"vm{number}-{again}").address)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 100
    assert pool.audit() == []


def test_requests_that_wait_are_committed_together(pool: Pool) -> None:
    gate = Gate()
    first = threading.Thread(target=pool._commits.run, args=(gate,))
    first.start()
    assert gate.entered.wait(10)
    futures = [pool.take_soon("pod", f"vm{number}") for number in range(50)]
    batches = [pool._commits.submit(lambda batch: batch) for _ in range(3)]
    gate.open.set()
    first.join()
    assert len({future.result().address for future in futures}) == 50
    assert len({id(future.result()) for future in batches}) == 1


def test_a_request_that_fails_halfway_leaves_nothing_and_harms_nobody(pool: Pool) -> None:
    gate = Gate()
    first = threading.Thread(target=pool._commits.run, args=(gate,))
    first.start()
    assert gate.entered.wait(10)

    def halfway(batch: Batch) -> None:
        batch.connection.execute("DELETE FROM shards")
        raise ZeroDivisionError("a fault of the program")

    good = [pool.take_soon("pod", "vm1")]
    bad = pool._commits.submit(halfway)
    good.append(pool.take_soon("pod", "vm2"))
    refused = pool.take_soon("pod", "vm3", reserved="10.0.0.9")
    gate.open.set()
    first.join()
    assert [future.result().address for future in good] == ["10.0.0.1", "10.0.0.2"]
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert isinstance(refused.exception(), Refused)
    assert pool.audit() == []


def test_a_pool_that_is_closed_finishes_what_waits_and_refuses_the_rest(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool.db")
    pool.register(POD)
    assign(pool, "10.0.0.0/28")
    futures = [pool.take_soon("pod", f"vm{number}") for number in range(20)]
    pool.close()
    assert sum(isinstance(future.exception(), Full) for future in futures) == 6
    with pytest.raises(Unavailable, match="closed"):
        pool.take("pod", "late")


def test_a_forked_process_is_told_to_open_its_own(pool: Pool) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pool.take("pod", "vm1")
        except Unavailable as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"open a pool in each process" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)


def test_a_thread_that_is_interrupted_while_it_waits_keeps_nobody_waiting(pool: Pool) -> None:
    gate = Gate()
    first = threading.Thread(target=pool._commits.run, args=(gate,))
    first.start()
    assert gate.entered.wait(10)
    second = pool.take_soon("pod", "vm1")
    request = pool._commits._queue[-1]
    pool._commits._give_up(request)  # as KeyboardInterrupt does
    third = pool.take_soon("pod", "vm2")
    gate.open.set()
    first.join()
    assert third.result(10).address == "10.0.0.1"
    assert not second.done()


class _SetAsItTimesOut(threading.Event):
    """Its first wait ends by time, and somebody sets it before the waiting thread has gone on."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        if self.waited.is_set():
            return super().wait(timeout)
        self.waited.set()
        assert super().wait(10.0)
        time.sleep(0.05)  # whoever set it goes on
        return False


def test_checkpoints_end_although_they_were_about_to_begin(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "pool.db")
    ending = _SetAsItTimesOut()
    checkpoints._ending = ending
    checkpoints.committed()
    assert ending.waited.wait(10.0)
    closing = threading.Thread(target=checkpoints.close, daemon=True)
    closing.start()
    closing.join(10.0)
    assert not closing.is_alive()
