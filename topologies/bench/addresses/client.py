"""A client that watches an address: pings it, or asks for a connection, every millisecond.

    python -m topologies.bench.addresses.client ping 198.51.100.5
    python -m topologies.bench.addresses.client connect 198.51.100.5 80

It says READY, and when it ends (by SIGTERM, or when it is served) a line of JSON. `ping`: [sent, received] of every
answer, and when those without an answer were sent. `connect`: when the first SYN-ACK came, and the first answer to a
request. Times are in nanoseconds (Unix time): the kernel's of what was received, the program's own of what was sent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import signal
import socket
import struct
import time

from topologies.bench.segments import checksum, segment
from topologies.bench.timestamps import Ancillary, stamp, time_ns

READY = "ready"
INTERVAL_S = 0.001
ECHO, ECHO_REPLY = 8, 0
SYN_ACK, RST = 0x12, 0x04
FIRST_PORT, PORTS = 20000, 20000
REQUEST_TIMEOUT_S = 5.0


def echo(number: int) -> bytes:
    """An echo request with a sequence number of 32 bits (identifier and sequence number of RFC 792)."""
    head = struct.pack("!BBHI", ECHO, 0, 0, number)
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


class Ping:
    """Sends echo requests, and keeps when each was answered."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.connect((address, 0))
        self._base = int(time.time_ns()) & 0xFFF00000
        self._sent_ns: list[int] = []
        self._answers: dict[int, int] = {}
        self.done = False

    def send(self) -> None:
        """One more."""
        packet = echo(self._base + len(self._sent_ns))
        self._sent_ns.append(time.time_ns())
        with contextlib.suppress(OSError):  # unreachable: it counts as sent
            self.socket.send(packet)

    def take(self, packet: bytes, ancillary: Ancillary) -> None:
        """An IP packet came."""
        if len(packet) >= 28 and packet[20] == ECHO_REPLY:
            number = struct.unpack_from("!I", packet, 24)[0] - self._base
            if 0 <= number < len(self._sent_ns):
                self._answers.setdefault(number, time_ns(ancillary))

    def found(self) -> dict[str, object]:
        """What to report."""
        pairs = [[self._sent_ns[number], at] for number, at in sorted(self._answers.items())]
        lost = [at for number, at in enumerate(self._sent_ns) if number not in self._answers]
        return {"answers": pairs, "unanswered": lost}


class Connect:
    """Sends SYNs from ever new ports until one is accepted, then asks in earnest."""

    def __init__(self, address: str, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.socket.connect((address, 0))
        self._target = (address, port)
        self._own = self.socket.getsockname()[0]
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._number = self._refused = 0
        self._accepted_ns = self._answered_ns = 0
        self._name = ""
        self.done = False

    def send(self) -> None:
        """One more."""
        source = self._own, FIRST_PORT + self._number % PORTS
        self._number += 1
        with contextlib.suppress(OSError):
            self._raw.sendto(
                segment(source, self._target, "S", sequence=self._number), self._target
            )

    def take(self, packet: bytes, ancillary: Ancillary) -> None:
        """An IP packet came."""
        if len(packet) < 40 or struct.unpack_from("!H", packet, 20)[0] != self._target[1]:
            return
        flags = packet[33]
        self._refused += bool(flags & RST)
        if flags & 0x3F == SYN_ACK:
            self._accepted_ns = time_ns(ancillary)
            with socket.create_connection(self._target, timeout=REQUEST_TIMEOUT_S) as connection:
                connection.sendall(b"1\n")
                self._name = connection.recv(200).split(b" ")[0].decode()
                self._answered_ns = time.time_ns()
            self.done = True

    def found(self) -> dict[str, object]:
        """What to report."""
        return {
            "accepted_ns": self._accepted_ns,
            "answered_ns": self._answered_ns,
            "name": self._name,
            "refused": self._refused,
        }


def watch(work: Ping | Connect) -> None:
    """Send at the interval, take what comes, until done or told to end."""
    stamp(work.socket)
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, end)
    print(READY, flush=True)
    next_s = time.monotonic()
    while not (work.done or told):
        wait_s = max(0.0, next_s - time.monotonic())
        ready, _, _ = select.select([work.socket], [], [], wait_s)
        if ready:
            packet, ancillary, _, _ = work.socket.recvmsg(2048, 64)
            work.take(packet, ancillary)
        if time.monotonic() >= next_s:
            work.send()
            next_s = max(next_s + INTERVAL_S, time.monotonic())


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Watch an address.")
    parser.add_argument("what", choices=("ping", "connect"))
    parser.add_argument("address")
    parser.add_argument("port", type=int, nargs="?", default=80)
    arguments = parser.parse_args()
    ping = arguments.what == "ping"
    work = Ping(arguments.address) if ping else Connect(arguments.address, arguments.port)
    watch(work)
    print(json.dumps(work.found()), flush=True)


if __name__ == "__main__":
    main()
