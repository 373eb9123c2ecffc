"""Long cables: a program that carries frames between pairs of interfaces, each a fixed time later.

    python -m topologies.delay um-0a:um-0b:10 um-1a:um-1b:25.5

Each argument is a cable: its two ends and the one-way delay in ms. The kernel's netem would do the same, where it is
built in; this works on every kernel. Order is kept; a queue beyond its limit drops, as a real one does.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

# linux/if_ether.h, linux/if_packet.h
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
MAX_FRAME_BYTES = 65535
MAX_QUEUED = 20_000  # frames per direction
RECEIVE_BUFFER_BYTES = 4 << 20
BATCH = 64
READY = b"ready\n"


@dataclass(slots=True)
class Direction:
    """One way through a cable. Pure: times come in as arguments (seconds of any one clock)."""

    delay_s: float
    limit: int = MAX_QUEUED
    dropped: int = 0
    _queue: deque[tuple[float, bytes]] = field(default_factory=deque)

    def put(self, frame: bytes, now_s: float) -> None:
        """A frame enters; it is dropped when the queue is full."""
        if len(self._queue) >= self.limit:
            self.dropped += 1
        else:
            self._queue.append((now_s + self.delay_s, frame))

    def due(self, now_s: float) -> list[bytes]:
        """Take out the frames whose time has come."""
        frames = []
        while self._queue and self._queue[0][0] <= now_s:
            frames.append(self._queue.popleft()[1])
        return frames

    def next_s(self) -> float | None:
        """When the next frame is due; None while there is none."""
        return self._queue[0][0] if self._queue else None


def _socket(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.bind((interface, ETH_P_ALL))
    return sock


def carry(cables: list[tuple[str, str, float]]) -> None:
    """Carry frames until the process is ended."""
    ways: dict[socket.socket, tuple[Direction, socket.socket]] = {}
    for a, b, delay_ms in cables:
        a_socket, b_socket = _socket(a), _socket(b)
        ways[a_socket] = (Direction(delay_ms / 1e3), b_socket)
        ways[b_socket] = (Direction(delay_ms / 1e3), a_socket)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    while True:
        due = [moment for way, _ in ways.values() if (moment := way.next_s()) is not None]
        wait_s = max(0.0, min(due) - time.monotonic()) if due else None
        # select, because its timeout is exact to the microsecond; epoll's is in whole milliseconds.
        readable, _, _ = select.select(list(ways), [], [], wait_s)
        now_s = time.monotonic()
        for sock in readable:
            way, _ = ways[sock]
            for _ in range(BATCH):
                try:
                    way.put(sock.recv(MAX_FRAME_BYTES), now_s)
                except BlockingIOError:
                    break
        for way, out in ways.values():
            for frame in way.due(time.monotonic()):
                try:
                    out.send(frame)
                except OSError:
                    way.dropped += 1


def main() -> None:
    """The program."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    cables = []
    for argument in sys.argv[1:]:
        a, b, delay_ms = argument.split(":")
        cables.append((a, b, float(delay_ms)))
    carry(cables)


if __name__ == "__main__":
    main()
