"""A client host's program: opens connections when its schedule says so, whatever happens (open loop).

    python -m topologies.load.client --name c1 --schedule c1.plan --start 1234.5 --output c1.jsonl

Every connection connects, sends a small request at once and every `--interval` seconds, and when
its time is over sends its FIN and waits for the server's. What became of it is one JSON line:

- ok: all requests answered, both sides closed in order
- refused: the SYN was answered with a reset
- timeout: no connection within `--connect-timeout`
- reset: accepted, and reset, closed or silent before the first answer
- broken: accepted, answered, and then reset, closed by the other side, or silent for `--answer-timeout`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from topologies.load.schedule import Planned, load

REPORT_S = 1.0


class Connection(asyncio.Protocol):
    """The life of one connection, from the first request to the last byte."""

    def __init__(self, duration_s: float, interval_s: float, answer_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._duration_s = duration_s
        self._interval_s = interval_s
        self._answer_timeout_s = answer_timeout_s
        self._transport: asyncio.Transport | None = None
        self._next: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._end_s = 0.0
        self._rest = b""
        self._finished = False  # our FIN is sent
        self.sent = 0
        self.answered = 0
        self.bytes_out = 0
        self.bytes_in = 0
        self.host = ""
        self.port = 0
        self.backends: list[str] = []
        self.error: str | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.host, self.port = transport.get_extra_info("sockname")[:2]
        self._end_s = self._loop.time() + self._duration_s
        self._ask()

    def _ask(self) -> None:
        if self._transport is None:
            return
        left_s = self._end_s - self._loop.time()
        if left_s <= 0.0:
            self._finished = True
            self._transport.write_eof()
        else:
            self.sent += 1
            request = b"%d\n" % self.sent
            self.bytes_out += len(request)
            self._transport.write(request)
            self._next = self._loop.call_later(min(self._interval_s, left_s), self._ask)
        if self._patience is None:
            self._patience = self._loop.call_later(self._answer_timeout_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            name, _, number = line.partition(b" ")
            backend = name.decode(errors="replace")
            if backend not in self.backends:
                self.backends.append(backend)
            self.answered += 1
            if number != b"%d" % self.answered and self.error is None:
                self.error = (
                    f"answer {number.decode(errors='replace')} where {self.answered} was due"
                )
        if lines and self._patience is not None:
            self._patience.cancel()
            self._patience = None
            if self.answered < self.sent or self._finished:
                self._patience = self._loop.call_later(self._answer_timeout_s, self._give_up)

    def eof_received(self) -> bool:
        if not self._finished:
            self.error = "closed by the server"
        return False

    def _give_up(self) -> None:
        self.error = f"silent for {self._answer_timeout_s:g} s"
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.error = str(exc)
        for timer in (self._next, self._patience):
            if timer is not None:
                timer.cancel()
        self._transport = None
        if not self.lost.done():
            self.lost.set_result(None)

    def outcome(self) -> str:
        """What became of an accepted connection."""
        if self.error is None and self._finished and self.answered == self.sent:
            return "ok"
        return "broken" if self.answered else "reset"


class Load:
    """All connections of one client host."""

    def __init__(
        self, arguments: argparse.Namespace, write: Callable[[dict[str, Any]], None]
    ) -> None:
        self._arguments = arguments
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()
        self.started = 0
        self.outcomes: Counter[str] = Counter()

    async def run(self, planned: tuple[Planned, ...], ended: asyncio.Event) -> None:
        """Open every connection at its time, then wait until the last has ended."""
        for connection in planned:
            wait_s = self._arguments.start + connection.start_s - time.monotonic()
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), wait_s)
            if ended.is_set():
                break
            task = asyncio.create_task(self._live(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.started += 1
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _live(self, planned: Planned) -> None:
        arguments = self._arguments
        loop = asyncio.get_running_loop()
        begun_s = time.monotonic()
        record: dict[str, Any] = {
            "kind": "connection",
            "id": planned.id,
            "client": arguments.name,
            "service": planned.service,
            "start_s": round(begun_s - arguments.start, 4),
            "late_ms": round((begun_s - arguments.start - planned.start_s) * 1e3, 2),
        }
        connection = Connection(planned.duration_s, arguments.interval, arguments.answer_timeout)
        try:
            async with asyncio.timeout(arguments.connect_timeout):
                await loop.create_connection(lambda: connection, planned.address, planned.port)
        except TimeoutError:
            outcome = "timeout"
        except ConnectionRefusedError:
            outcome = "refused"
        except OSError as error:
            outcome = "reset" if isinstance(error, ConnectionResetError) else "timeout"
            record["error"] = str(error)
        else:
            record["connect_ms"] = round((time.monotonic() - begun_s) * 1e3, 3)
            await connection.lost
            outcome = connection.outcome()
            record |= {
                "host": connection.host,
                "port": connection.port,
                "backends": connection.backends,
                "requests": connection.sent,
                "answers": connection.answered,
                "bytes_out": connection.bytes_out,
                "bytes_in": connection.bytes_in,
            }
            if connection.error:
                record["error"] = connection.error
        record["end_s"] = round(time.monotonic() - arguments.start, 4)
        record["outcome"] = outcome
        self.outcomes[outcome] += 1
        self._write(record)

    def progress(self) -> dict[str, Any]:
        """A line for whoever watches."""
        return {
            "kind": "progress",
            "time_s": round(time.monotonic() - self._arguments.start, 3),
            "started": self.started,
            "live": len(self._tasks),
            "outcomes": dict(self.outcomes),
        }


async def run(arguments: argparse.Namespace, output: TextIO) -> None:
    """Make the load; after SIGTERM there are no new connections, and those that live end in their time."""
    load_ = Load(arguments, lambda record: print(json.dumps(record), file=output))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    planned = load(arguments.schedule)
    task = asyncio.create_task(load_.run(planned, ended))
    print(json.dumps({"kind": "ready", "planned": len(planned)}), flush=True)
    while not task.done():
        await asyncio.wait({task}, timeout=REPORT_S)
        print(json.dumps(load_.progress()), flush=True)
    await task
    output.flush()
    print(json.dumps({"kind": "end"}), flush=True)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Open real connections as a schedule says.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--schedule", type=Path, required=True)
    parser.add_argument("--start", type=float, required=True, metavar="MONOTONIC_S")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--interval", type=float, default=2.0, metavar="S")
    parser.add_argument("--connect-timeout", type=float, default=5.0, metavar="S")
    parser.add_argument("--answer-timeout", type=float, default=10.0, metavar="S")
    arguments = parser.parse_args()
    try:
        with arguments.output.open("w", encoding="utf-8") as output:
            asyncio.run(run(arguments, output))
    except OSError as error:
        sys.exit(f"client {arguments.name}: {error}")


if __name__ == "__main__":
    main()
