"""A client host's program: keeps connections open and talks on every one of them, all the time.

    python -m topologies.load.talker --name c1 --first 1000000 --to 10.100.0.1:80 --connections 500 \\
        --output c1

On each connection it sends a small request, waits for the answer, and asks again `--interval` seconds
later (jittered by half of it). Every answer must come from the same backend and carry the number that is
due. A connection that ends otherwise than by its client's wish is reported with the reason and replaced by
a new one. One epoll loop for all: a thousand requests a second cost a few per cent of a core.

OUTPUT.exchanges holds every exchange, OUTPUT.events every opening and end (see `exchanges`). Once a
second a line with counts goes to standard output. SIGUSR1 has every connection close and replaced by a
new one, SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from topologies.load import exchanges
from topologies.load.endpoint import endpoint

REPORT_S = 1.0
AGAIN_S = 0.5  # a broken connection is replaced after so long
LONG_S = 0.1  # below, TCP cannot have sent anything again: its shortest time-out is 200 ms
TOTAL_RETRANSMITS = struct.Struct("100xI")  # tcpi_total_retrans in struct tcp_info (linux/tcp.h)


class State(Enum):
    """Of a place's connection."""

    NONE = 0
    CONNECTING = 1
    ASKING = 2  # a request is on its way
    IDLE = 3
    CLOSING = 4


class Place:
    """Holds one connection after the other. `connection` is the number of the present one."""

    __slots__ = (
        "asked_s",
        "backend",
        "connection",
        "end_s",
        "rest",
        "retransmits",
        "sequence",
        "since_s",
        "sock",
        "state",
    )

    def __init__(self) -> None:
        self.connection = 0
        self.state = State.NONE
        self.sock: socket.socket | None = None
        self.since_s = 0.0  # when it entered its state
        self.end_s = float("inf")
        self.asked_s = 0.0
        self.sequence = 0
        self.retransmits = 0
        self.backend = b""
        self.rest = b""


class Talker:
    """All connections of one host."""

    def __init__(self, arguments: argparse.Namespace, log: BinaryIO, events: TextIO) -> None:
        self._arguments = arguments
        self._to: tuple[str, int] = arguments.to
        self._log = log
        self._events = events
        self._chance = random.Random(f"{arguments.seed}/{arguments.name}")
        self._epoll = select.epoll()
        self._places: dict[int, Place] = {}  # by file descriptor
        self._due: list[tuple[float, int, Place]] = []
        self._turn = 0
        self._next = int(arguments.first)
        self._ended = False
        self._all = [Place() for _ in range(arguments.connections)]
        self.answers = 0
        self.ends: dict[str, int] = {}

    def run(self) -> None:
        """Talk until SIGTERM."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # a parent may have blocked it
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGUSR1, self._renew)
        start_s = time.monotonic()
        for index, place in enumerate(self._all):
            self._later(start_s + index / self._arguments.opened_per_s, place)
        print(json.dumps({"kind": "ready"}), flush=True)
        report_s = start_s + REPORT_S
        while not self._ended:
            now_s = time.monotonic()
            while self._due and self._due[0][0] <= now_s:
                self._act(heapq.heappop(self._due)[2], now_s)
            if now_s >= report_s:
                report_s = now_s + REPORT_S
                self._read(0.0)  # who was stopped for a while has answers waiting
                self._sweep(now_s)
                self._report(now_s)
            wait_s = report_s - now_s
            if self._due:
                wait_s = max(0.0, min(wait_s, self._due[0][0] - now_s))
            self._read(wait_s)
        self._log.flush()
        self._events.flush()
        print(json.dumps({"kind": "end"}), flush=True)

    def _end(self, *_: object) -> None:
        self._ended = True

    def _renew(self, *_: object) -> None:
        for place in self._all:
            place.end_s = 0.0

    def _read(self, wait_s: float) -> None:
        for descriptor, _ in self._epoll.poll(wait_s):
            if descriptor in self._places:  # it may have ended within this batch
                self._ready(self._places[descriptor])

    def _later(self, when_s: float, place: Place) -> None:
        self._turn += 1
        heapq.heappush(self._due, (when_s, self._turn, place))

    def _act(self, place: Place, now_s: float) -> None:
        if place.state is State.NONE:
            self._open(place, now_s)
        elif place.state is State.IDLE:
            if now_s >= place.end_s:
                place.state, place.since_s = State.CLOSING, now_s
                assert place.sock is not None
                with contextlib.suppress(OSError):  # what was wrong is told by the next event
                    place.sock.shutdown(socket.SHUT_WR)
            else:
                self._ask(place, now_s)

    def _open(self, place: Place, now_s: float) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        place.sock, place.state, place.since_s = sock, State.CONNECTING, now_s
        place.connection = self._next
        self._next += 1
        place.sequence = place.retransmits = 0
        place.backend = place.rest = b""
        life_s = self._arguments.life
        place.end_s = now_s + self._chance.expovariate(1.0 / life_s) if life_s else float("inf")
        self._places[sock.fileno()] = place
        self._epoll.register(sock.fileno(), select.EPOLLOUT)
        error = sock.connect_ex(self._to)
        if error not in (0, errno.EINPROGRESS):
            self._over(place, exchanges.UNCONNECTED, os.strerror(error))

    def _ask(self, place: Place, now_s: float) -> None:
        assert place.sock is not None
        place.sequence += 1
        place.state, place.asked_s, place.since_s = State.ASKING, now_s, now_s
        try:
            place.sock.send(b"%d %d\n" % (place.connection, place.sequence))
        except OSError as error:
            self._over(place, exchanges.RESET, str(error))

    def _ready(self, place: Place) -> None:
        sock = place.sock
        assert sock is not None
        if place.state is State.CONNECTING:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                refused = error == errno.ECONNREFUSED
                how = exchanges.REFUSED if refused else exchanges.UNCONNECTED
                self._over(place, how, os.strerror(error))
            else:
                self._epoll.modify(sock.fileno(), select.EPOLLIN)
                self._ask(place, time.monotonic())
            return
        try:
            data = sock.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._over(place, exchanges.RESET, str(error))
            return
        if not data:
            closing = place.state is State.CLOSING
            self._over(place, exchanges.CLOSED if closing else exchanges.ENDED_BY_SERVER)
            return
        *lines, place.rest = (place.rest + data).split(b"\n")
        for line in lines:
            if place.sock is not None:
                self._answered(place, line)

    def _answered(self, place: Place, line: bytes) -> None:
        now_s = time.monotonic()
        name, _, number = line.partition(b" ")
        if place.backend and name != place.backend:
            self._over(place, exchanges.OTHER_BACKEND, line.decode(errors="replace"))
            return
        if place.state is not State.ASKING or number != b"%d" % place.sequence:
            due = f"{line.decode(errors='replace')!r} where {place.sequence} was due"
            self._over(place, exchanges.WRONG, due)
            return
        if not place.backend:
            place.backend = name
            self._event("opened", place, now_s, backend=name.decode(errors="replace"))
        again = 0
        if now_s - place.asked_s > LONG_S and place.sock is not None:
            info = place.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            total = TOTAL_RETRANSMITS.unpack(info)[0]
            again, place.retransmits = total - place.retransmits, total
        self._log.write(exchanges.pack(place.connection, again, place.asked_s, now_s))
        self.answers += 1
        place.state, place.since_s = State.IDLE, now_s
        interval_s = self._arguments.interval
        self._later(now_s + interval_s * self._chance.uniform(0.5, 1.5), place)

    def _over(self, place: Place, how: str, error: str = "") -> None:
        """The connection has ended; the place gets a new one."""
        now_s = time.monotonic()
        sock = place.sock
        assert sock is not None
        del self._places[sock.fileno()]
        self._epoll.unregister(sock.fileno())
        if how in (exchanges.SILENT, exchanges.WRONG, exchanges.OTHER_BACKEND):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        asked_s = place.asked_s if place.state is State.ASKING else None
        self.ends[how] = self.ends.get(how, 0) + 1
        if not place.backend and how in exchanges.BROKEN:
            # Accepted, and never answered: the opening is told now, with an unknown backend.
            self._event("opened", place, place.since_s, backend="")
        self._event("ended", place, now_s, how=how, error=error, asked_s=asked_s)
        place.sock, place.state = None, State.NONE
        self._later(now_s + (0.0 if how == exchanges.CLOSED else AGAIN_S), place)

    def _sweep(self, now_s: float) -> None:
        """Give up what has been silent for too long."""
        limit_s = self._arguments.answer_timeout
        for place in self._all:
            if now_s - place.since_s < limit_s:
                continue
            if place.state in (State.ASKING, State.CLOSING):
                self._over(place, exchanges.SILENT, f"no answer for {limit_s:g} s")
            elif place.state is State.CONNECTING:
                self._over(place, exchanges.UNCONNECTED, f"no answer for {limit_s:g} s")

    def _report(self, now_s: float) -> None:
        self._log.flush()
        self._events.flush()
        asking = [place.asked_s for place in self._all if place.state is State.ASKING]
        live = sum(bool(place.backend) for place in self._all if place.sock is not None)
        report = {
            "kind": "talk",
            "time_s": now_s,
            "live": live,
            "answers": self.answers,
            "waiting_since_s": min(asking, default=now_s),
            "ends": self.ends,
        }
        print(json.dumps(report), flush=True)

    def _event(self, kind: str, place: Place, time_s: float, **more: Any) -> None:
        event = {"kind": kind, "connection": place.connection, "time_s": time_s}
        print(json.dumps(event | more), file=self._events)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Talk on many connections, all the time.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--to", type=endpoint, required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first connection")
    parser.add_argument("--output", type=Path, required=True, help="without its ending")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interval", type=float, default=1.0, metavar="S")
    parser.add_argument("--life", type=float, default=0.0, metavar="S", help="mean; 0: for ever")
    parser.add_argument("--opened-per-s", type=float, default=100.0)
    parser.add_argument("--answer-timeout", type=float, default=10.0, metavar="S")
    arguments = parser.parse_args()
    try:
        with (
            arguments.output.with_suffix(".exchanges").open("wb") as log,
            arguments.output.with_suffix(".events").open("w", encoding="utf-8") as events,
        ):
            Talker(arguments, log, events).run()
    except OSError as error:
        sys.exit(f"talker {arguments.name}: {error}")


if __name__ == "__main__":
    main()
