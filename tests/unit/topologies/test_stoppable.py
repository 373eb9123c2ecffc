"""Signals that end a program end its work in order: what it made is taken down, and then it ends."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from topologies.stoppable import run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_work_is_taken_down_before_the_program_ends(number: signal.Signals) -> None:
    told: list[str] = []
    before = signal.getsignal(number)

    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            told.append("the other has ended")

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(other())
                await asyncio.sleep(0)
                os.kill(os.getpid(), number)
        finally:
            await asyncio.sleep(0)
            told.append("it is taken down")

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert told == ["the other has ended", "it is taken down"]
    assert signal.getsignal(number) is before


def test_work_that_ends_by_itself_gives_its_result_and_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work() -> int:
        assert signal.getsignal(signal.SIGTERM) is not before
        return 7

    assert run(work()) == 7
    assert signal.getsignal(signal.SIGTERM) is before


def test_work_that_cancels_itself_is_no_signal() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(work())
