"""Real connections over loopback: what the client program says of every way in which one can end."""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from topologies.load.backend import Served
from topologies.load.client import Load
from topologies.load.schedule import Planned

DURATION_S = 0.3


def connect(
    server: Callable[[], asyncio.Protocol] | None,
    *,
    count: int = 1,
    duration_s: float = DURATION_S,
    answer_timeout_s: float = 5.0,
) -> list[dict[str, Any]]:
    """Records of `count` connections to that server (None: nobody listens)."""
    records: list[dict[str, Any]] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server or asyncio.Protocol, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        if server is None:
            listener.close()
        arguments = argparse.Namespace(
            name="c1",
            start=time.monotonic(),
            interval=0.05,
            connect_timeout=5.0,
            answer_timeout=answer_timeout_s,
        )
        planned = tuple(Planned(n, 0.0, duration_s, 1, "127.0.0.1", port) for n in range(count))
        await Load(arguments, records.append).run(planned, asyncio.Event())
        listener.close()

    asyncio.run(play())
    return records


class Misbehaving(Served):
    """Answers the first request, then does what it is told."""

    def __init__(self, act: Callable[[asyncio.Transport], None], *, answers: int = 1) -> None:
        super().__init__(b"b1")
        self._act = act
        self._answers = answers

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._answers:
            self._answers -= 1
            super().data_received(data)
        else:
            self._act(self._transport)


def reset(transport: asyncio.Transport) -> None:
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def test_a_connection_that_lives_its_life_is_ok() -> None:
    records = connect(lambda: Served(b"b1"), count=20)
    assert [record["outcome"] for record in records] == ["ok"] * 20
    for record in records:
        assert record["answers"] == record["requests"] > 1
        assert record["backends"] == ["b1"]
        assert record["end_s"] - record["start_s"] >= DURATION_S


def test_a_reset_of_the_syn_is_a_refusal() -> None:
    (record,) = connect(None)
    assert record["outcome"] == "refused"
    assert "connect_ms" not in record


def test_a_reset_in_the_middle_of_its_life_breaks_a_connection() -> None:
    (record,) = connect(lambda: Misbehaving(reset))
    assert record["outcome"] == "broken"


def test_a_close_by_the_server_before_its_time_breaks_a_connection() -> None:
    (record,) = connect(lambda: Misbehaving(lambda transport: transport.close()))
    assert (record["outcome"], record["error"]) == ("broken", "closed by the server")


def test_a_server_that_falls_silent_breaks_a_connection() -> None:
    (record,) = connect(lambda: Misbehaving(lambda _: None), answer_timeout_s=0.2, duration_s=2.0)
    assert (record["outcome"], record["error"]) == ("broken", "silent for 0.2 s")


def test_a_reset_before_the_first_answer_is_told_apart() -> None:
    (record,) = connect(lambda: Misbehaving(reset, answers=0))
    assert record["outcome"] == "reset"


def test_an_answer_out_of_turn_breaks_a_connection() -> None:
    class Wrong(Served):
        def data_received(self, data: bytes) -> None:
            super().data_received(b"9\n")

    (record,) = connect(lambda: Wrong(b"b1"))
    assert (record["outcome"], record["error"]) == ("broken", "answer 9 where 1 was due")


def test_two_backends_in_one_connection_are_both_named() -> None:
    class Changing(Served):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._name = b"b2"

    (record,) = connect(lambda: Changing(b"b1"))
    assert record["backends"] == ["b1", "b2"]
