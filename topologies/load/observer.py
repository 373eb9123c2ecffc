"""Sees at a backend, packet by packet, which router every connection comes through.

The router writes its own MAC address as the source of what it sends to a backend, and the backend
answers directly: so the source MAC of a client's packets names the router, whatever anybody
believes. A connection whose source MAC changes during its life has been moved.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# linux/if_ether.h, linux/if_packet.h, asm-generic/socket.h
ETH_P_IP = 0x0800
PACKET_HOST = 0
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER_BYTES = 4 << 20
HEADER_BYTES = 14 + 60 + 20  # Ethernet, longest IPv4 header, TCP without options
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
BATCH = 256

# Classic BPF (linux/filter.h): IPv4 TCP, first fragment; the kernel hands over the first HEADER_BYTES bytes only.
_FILTER = (
    (0x28, 0, 0, 12),  # ldh [12]              EtherType
    (0x15, 0, 5, ETH_P_IP),  # jeq IPv4, else drop
    (0x30, 0, 0, 23),  # ldb [23]              protocol
    (0x15, 0, 3, 6),  # jeq TCP, else drop
    (0x28, 0, 0, 20),  # ldh [20]              fragment offset
    (0x45, 1, 0, 0x1FFF),  # jset: a later fragment, drop
    (0x06, 0, 0, HEADER_BYTES),  # ret: keep the headers
    (0x06, 0, 0, 0),  # ret: drop
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@dataclass(slots=True)
class Seen:
    """One connection as its backend sees it. Times are seconds since the start of the load."""

    client: str
    client_port: int
    address: str
    port: int
    routers: list[str]  # in order of appearance; more than one: moved
    opened_s: float
    last_s: float
    closed_s: float | None = (
        None  # the client's first FIN or RST: from then on no router counts it as alive
    )
    packets: int = 1

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "kind": "seen",
            "client": self.client,
            "client_port": self.client_port,
            "address": self.address,
            "port": self.port,
            "routers": self.routers,
            "opened_s": round(self.opened_s, 4),
            "last_s": round(self.last_s, 4),
            "closed_s": None if self.closed_s is None else round(self.closed_s, 4),
            "packets": self.packets,
        }


Key = tuple[bytes, int]


@dataclass(slots=True)
class Tracker:
    """From packet headers to connections. Pure, so that it can be fed with any bytes. `routers`
    maps MACs to names.
    """

    routers: Mapping[bytes, str]
    write: Callable[[dict[str, Any]], None]
    _open: dict[Key, Seen] = field(default_factory=dict)

    def packet(self, frame: bytes, now_s: float) -> None:
        """One Ethernet frame (headers are enough) that came from the network. Anything but IPv4 TCP
        is ignored.
        """
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            return
        transport = 14 + 4 * (frame[14] & 15)
        if len(frame) < transport + 14:
            return
        flags = frame[transport + 13]
        key = (frame[26:34], int.from_bytes(frame[transport : transport + 4], "big"))
        router = self.routers.get(frame[6:12]) or frame[6:12].hex(":")
        seen = self._open.get(key)
        if flags & (SYN | ACK | RST | FIN) == SYN and (seen is None or seen.closed_s is not None):
            if seen is not None:
                self.write(seen.record())
            self._open[key] = Seen(
                client=socket.inet_ntoa(frame[26:30]),
                client_port=key[1] >> 16,
                address=socket.inet_ntoa(frame[30:34]),
                port=key[1] & 0xFFFF,
                routers=[router],
                opened_s=now_s,
                last_s=now_s,
            )
            return
        if seen is None:
            return
        seen.last_s = now_s
        seen.packets += 1
        if router not in seen.routers:
            seen.routers.append(router)
        if flags & (FIN | RST) and seen.closed_s is None:
            seen.closed_s = now_s

    def sweep(self, before_s: float) -> None:
        """Write and forget what was closed before that moment (the last packets of a connection
        follow its FIN).
        """
        for key in [
            key
            for key, seen in self._open.items()
            if seen.closed_s is not None and seen.closed_s < before_s
        ]:
            self.write(self._open.pop(key).record())

    def finish(self) -> None:
        """Write all that is left."""
        for seen in self._open.values():
            self.write(seen.record())
        self._open.clear()

    def live(self) -> dict[str, int]:
        """Connections alive now, per router."""
        counts: dict[str, int] = {}
        for seen in self._open.values():
            if seen.closed_s is None:
                counts[seen.routers[-1]] = counts.get(seen.routers[-1], 0) + 1
        return counts


class Observer:
    """An AF_PACKET socket with a kernel filter in front of a Tracker."""

    def __init__(self, interface: str, tracker: Tracker, start_monotonic_s: float) -> None:
        self.tracker = tracker
        self._start_s = start_monotonic_s
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in _FILTER)
        self._code = ctypes.create_string_buffer(code)
        program = _Program(len(_FILTER), ctypes.addressof(self._code))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(program))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        self.socket.bind((interface, ETH_P_IP))

    def read(self) -> bool:
        """Take what has arrived, at most BATCH packets; true if there may be more."""
        now_s = time.monotonic() - self._start_s
        for _ in range(BATCH):
            try:
                frame, address = self.socket.recvfrom(HEADER_BYTES)
            except BlockingIOError:
                return False
            if address[2] == PACKET_HOST:
                self.tracker.packet(frame, now_s)
        return True

    def lost(self) -> int:
        """Packets that the kernel dropped because we were too slow, since the last call
        (PACKET_STATISTICS).
        """
        statistics = self.socket.getsockopt(263, 6, 8)
        return int(struct.unpack("II", statistics)[1])
