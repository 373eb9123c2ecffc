"""What a caller learns: who answered and when, of servers that are there, that come late, and that never come."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from topologies.load import caller
from topologies.load.calls import Calls
from topologies.load.programs import LoadError

LOOPBACK = "127.0.0.1"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = await reader.readline()
    writer.write(b"i7 " + line)
    writer.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def test_the_first_answer_has_a_name_and_a_time() -> None:
    async def story() -> None:
        async with await asyncio.start_server(_answer, LOOPBACK, 0) as server:
            before_ns = time.time_ns()
            found = await caller.call(LOOPBACK, server.sockets[0].getsockname()[1])
        assert found is not None
        assert found[1] == "i7"
        assert before_ns <= found[0] <= time.time_ns()

    asyncio.run(story())


def test_a_server_that_begins_late_is_reached_all_the_same() -> None:
    async def story() -> None:
        port = free_port()
        calling = asyncio.create_task(caller.call(LOOPBACK, port))
        await asyncio.sleep(0.05)
        assert not calling.done()
        async with await asyncio.start_server(_answer, LOOPBACK, port):
            found = await calling
        assert found is not None

    asyncio.run(story())


def test_an_answer_that_is_lost_is_asked_for_again() -> None:
    asked = []

    async def deaf_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if len(asked) > 1:
            writer.write(b"i7 1\n")
        else:
            await reader.read()
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(deaf_at_first, LOOPBACK, 0) as server:
            assert await caller.call(LOOPBACK, server.sockets[0].getsockname()[1]) is not None

    asyncio.run(story())
    assert len(asked) == 2


def test_nobody_answers_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "PATIENCE_S", 0.2)
    assert asyncio.run(caller.call(LOOPBACK, free_port())) is None


def test_calls_that_cross_get_their_own_answers_and_learn_of_the_callers_end(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        path = tmp_path / "calls"
        serving = await asyncio.start_unix_server(caller._serve, path)
        calls = Calls(*await asyncio.open_unix_connection(path))
        listening = asyncio.create_task(calls.listen())

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            await asyncio.sleep(0.05)
            writer.write(b"slow " + line)
            writer.close()

        async with (
            await asyncio.start_server(slow, LOOPBACK, 0) as one,
            await asyncio.start_server(_answer, LOOPBACK, 0) as other,
        ):
            ports = [server.sockets[0].getsockname()[1] for server in (one, other)]
            found = await asyncio.gather(*(calls.call(LOOPBACK, port) for port in ports))
        assert [answer.name for answer in found if answer is not None] == ["slow", "i7"]
        pending = asyncio.create_task(calls.call(LOOPBACK, free_port()))
        await asyncio.sleep(0)
        calls._reader.feed_eof()  # the program has ended
        with pytest.raises(LoadError, match="ended early"):
            await pending
        await listening
        calls._writer.close()
        serving.close()

    asyncio.run(story())
