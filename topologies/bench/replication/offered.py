"""Whole lives of connections as frames, offered to a switch at a rate."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from topologies.bench.fixture import SERVICE
from topologies.bench.messages import Messages
from topologies.bench.replication.schedule import HOLD_S, Pace
from topologies.bench.segments import ethernet, segment

SERVICE_PORT = 80
FIRST_PORT, PORTS = 1024, 60_000  # client ports of one address
DATA = "PA"
PLAIN, SAMPLED = 1, 2  # third octet of a client's address: is its connection looked at?
# Where things are in a labelled frame: Ethernet 14 bytes, MPLS 4, IPv4 20
CLIENT_AT, CLIENT_PORT_AT, CHECKSUM_AT = 30, 38, 54


@dataclass(frozen=True, slots=True)
class Work:
    """Connections to be opened at a steady rate, each SYN and ACK; FIN after `hold_s`, except for one in `stay_one_in`.

    One in `sample_one_in` has a client address that tells it from the others (0: none).
    """

    rate_cps: float
    connections: int
    sample_one_in: int = 0
    stay_one_in: int = 0
    hold_s: float = HOLD_S
    data_bytes: int = 0  # in one segment behind the ACK

    def stays(self, number: int) -> bool:
        """Is this connection left open?"""
        return self.stay_one_in > 0 and number % self.stay_one_in == 0

    def sampled(self, number: int) -> bool:
        """Is this connection looked at?"""
        return self.sample_one_in > 0 and number % self.sample_one_in == 0


def client(number: int, sampled: bool) -> tuple[str, int]:
    """Address and port of a connection's client."""
    return (
        f"10.1.{SAMPLED if sampled else PLAIN}.{1 + number // PORTS}",
        FIRST_PORT + number % PORTS,
    )


class Frames:
    """Labelled frames from clients to the service; only what differs is written anew."""

    def __init__(self, target_mac: str, source_mac: str, label: int) -> None:
        self._macs = target_mac, source_mac
        self._label = label
        self._templates: dict[tuple[str, str, int], bytes] = {}

    def make(self, source: tuple[str, int], flags: str, payload_bytes: int = 0) -> bytes:
        """One segment of the client's."""
        key = source[0], flags, payload_bytes
        template = self._templates.get(key)
        if template is None:
            packet = segment(
                (source[0], 0), (SERVICE, SERVICE_PORT), flags, payload=bytes(payload_bytes)
            )
            template = ethernet(*self._macs, packet, label=self._label)
            self._templates[key] = template
        total = ~int.from_bytes(template[CHECKSUM_AT : CHECKSUM_AT + 2], "big") & 0xFFFF
        total += source[1]
        total = (total & 0xFFFF) + (total >> 16)
        return b"".join(
            (
                template[:CLIENT_PORT_AT],
                source[1].to_bytes(2, "big"),
                template[CLIENT_PORT_AT + 2 : CHECKSUM_AT],
                (~total & 0xFFFF).to_bytes(2, "big"),
                template[CHECKSUM_AT + 2 :],
            )
        )


class Offer:
    """The frames of some work in the order in which they are due, sent with one system call per burst (sendmmsg(2))."""

    def __init__(self, sock: socket.socket, frames: Frames, work: Work, first: int) -> None:
        """`first`: number of the first connection; numbers must not come twice on one switch."""
        turns: list[tuple[float, int, str]] = []
        for number in range(work.connections):
            at_s = number / work.rate_cps
            turns += [(at_s, number, "S"), (at_s, number, "A")]
            if work.data_bytes:
                turns.append((at_s, number, DATA))
            if not work.stays(number):
                turns.append((at_s + work.hold_s, number, "FA"))
        turns.sort(key=lambda turn: turn[0])  # stable: SYN stays before ACK
        made = [
            frames.make(
                client(first + number, work.sampled(number)),
                flags,
                work.data_bytes if flags == DATA else 0,
            )
            for _, number, flags in turns
        ]
        self._opens = [
            client(first + number, True) if flags == "S" and work.sampled(number) else None
            for _, number, flags in turns
        ]
        self._sock = sock
        self._messages = Messages(made)
        self._pace = Pace([at_s for at_s, _, _ in turns])
        self.opened_ns: dict[tuple[str, int], int] = {}  # sampled client → when its SYN was sent

    @property
    def done(self) -> bool:
        """Was everything sent?"""
        return self._pace.done

    def wait_s(self) -> float:
        """Until the next frame is due."""
        return self._pace.wait_s()

    def send_due(self) -> None:
        """Send what is due by now."""
        due = self._pace.due()
        at_ns = time.time_ns()
        for opened in self._opens[due.start : due.stop]:
            if opened is not None:
                self.opened_ns[opened] = at_ns
        sent = due.start
        while sent < due.stop:
            sent += self._messages.send(self._sock, sent, due.stop - sent)
