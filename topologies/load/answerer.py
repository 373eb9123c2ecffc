"""A backend's program for talkers: names itself in every answer, and checks that requests come in order.

    python -m topologies.load.answerer --name b1 --listen 10.100.0.1:80 --output b1.connections

A request is a line "CONNECTION NUMBER", its answer "NAME NUMBER"; when the number is not the one that is
due, or the connection is not the one that it was, the answer says so. The numbers of all connections that
it served are written to OUTPUT, one a line. Once a second a line goes to standard output with the resets
that this host's TCP sent (RFC 9293, section 3.5.2: for segments that belong to none of its connections).
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

from topologies.load.endpoint import endpoint

REPORT_S = 1.0
BACKLOG = 4096


def resets_sent() -> int:
    """Segments with RST that TCP of this network namespace has sent (OutRsts in /proc/net/snmp)."""
    lines = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("OutRsts")])


class Served:
    """One connection: whose it is, and the last number that came on it."""

    __slots__ = ("connection", "number", "rest", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.connection = b""
        self.number = 0
        self.rest = b""


class Answerer:
    """All connections of one backend, in one epoll loop."""

    def __init__(self, name: str, listen: list[tuple[str, int]], output: TextIO) -> None:
        self._name = name.encode()
        self._output = output
        self._epoll = select.epoll()
        self._listening: dict[int, socket.socket] = {}
        self._served: dict[int, Served] = {}
        self._ended = False
        for address in listen:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
            self._listening[sock.fileno()] = sock
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Answer until SIGTERM."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # a parent may have blocked it
        signal.signal(signal.SIGTERM, self._end)
        print(json.dumps({"kind": "ready"}), flush=True)
        report_s = time.monotonic()
        while not self._ended:
            now_s = time.monotonic()
            if now_s >= report_s:
                report_s = now_s + REPORT_S
                self._output.flush()
                report = {"kind": "answer", "live": len(self._served), "resets": resets_sent()}
                print(json.dumps(report), flush=True)
            for descriptor, _ in self._epoll.poll(max(0.0, report_s - now_s)):
                listening = self._listening.get(descriptor)
                if listening is not None:
                    self._accept(listening)
                elif descriptor in self._served:
                    self._read(self._served[descriptor])
        self._output.flush()
        print(json.dumps({"kind": "end"}), flush=True)

    def _end(self, *_: object) -> None:
        self._ended = True

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return  # no more, or it has gone again
            sock.setblocking(False)
            self._served[sock.fileno()] = Served(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read(self, served: Served) -> None:
        try:
            data = served.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._epoll.unregister(served.sock.fileno())
            del self._served[served.sock.fileno()]
            served.sock.close()
            return
        *lines, served.rest = (served.rest + data).split(b"\n")
        answers = b"".join(self._answer(served, line) for line in lines)
        if answers:
            try:
                served.sock.send(answers)
            except OSError:
                return  # the next event tells

    def _answer(self, served: Served, line: bytes) -> bytes:
        connection, _, number = line.partition(b" ")
        if not served.connection:
            served.connection = connection
            print(connection.decode(errors="replace"), file=self._output)
        served.number += 1
        if connection != served.connection or number != b"%d" % served.number:
            due = b"%s %d" % (served.connection, served.number)
            return b"%s got %s, due was %s\n" % (self._name, line, due)
        return b"%s %s\n" % (self._name, number)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Answer talkers.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--listen", type=endpoint, action="append", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        with arguments.output.open("w", encoding="utf-8") as output:
            Answerer(arguments.name, arguments.listen, output).run()
    except OSError as error:
        sys.exit(f"answerer {arguments.name}: {error}")


if __name__ == "__main__":
    main()
