"""A backend's program: serves its service addresses and observes the traffic. One process per
backend.

    python -m topologies.load.backend --name b1 --listen 10.100.0.1:80 --interface um-b1-0 \\
        --router r1=02:00:00:03:00:01 --start 1234.5 --output b1.jsonl

A request is a line with a number; the answer is a line with the backend's name and the same number.
When the client has sent its last byte the backend closes too. Once a second a line {"kind": "live",
...} goes to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from topologies.load.endpoint import endpoint
from topologies.load.observer import Observer, Tracker

REPORT_S = 1.0
LINGER_S = 5.0
BACKLOG = 1024


class Served(asyncio.Protocol):
    """One connection from a client."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._transport is not None and lines:
            self._transport.write(b"".join(b"%s %s\n" % (self._name, line) for line in lines))

    def eof_received(self) -> bool:
        return False  # the client is done: close our side too

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


def report(value: dict[str, Any]) -> None:
    """One line for whoever watches."""
    print(json.dumps(value), flush=True)


async def serve(arguments: argparse.Namespace, output: TextIO) -> None:
    """Serve and observe until SIGTERM."""
    loop = asyncio.get_running_loop()
    routers = {bytes.fromhex(mac.replace(":", "")): name for name, mac in arguments.router}
    tracker = Tracker(routers, lambda record: print(json.dumps(record), file=output))
    observer = Observer(arguments.interface, tracker, arguments.start)
    loop.add_reader(observer.socket, observer.read)
    name = arguments.name.encode()
    for address, port in arguments.listen:
        await loop.create_server(lambda: Served(name), address, port, backlog=BACKLOG)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    report({"kind": "ready"})
    lost = 0
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), REPORT_S)
        except TimeoutError:
            now_s = time.monotonic() - arguments.start
            tracker.sweep(now_s - LINGER_S)
            lost += observer.lost()
            report({"kind": "live", "time_s": round(now_s, 3), "routers": tracker.live()})
    while observer.read():
        pass
    tracker.finish()
    print(
        json.dumps({"kind": "end", "lost_packets": lost + observer.lost()}), file=output, flush=True
    )


def _router(text: str) -> tuple[str, str]:
    name, _, mac = text.partition("=")
    return name, mac


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description="Serve service addresses and observe the connections."
    )
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--listen", type=endpoint, action="append", required=True, metavar="ADDRESS:PORT"
    )
    parser.add_argument("--interface", required=True)
    parser.add_argument("--router", type=_router, action="append", default=[], metavar="NAME=MAC")
    parser.add_argument("--start", type=float, required=True, metavar="MONOTONIC_S")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with arguments.output.open("w", encoding="utf-8") as output:
        try:
            asyncio.run(serve(arguments, output))
        except OSError as error:
            sys.exit(f"backend {arguments.name}: {error}")


if __name__ == "__main__":
    main()
