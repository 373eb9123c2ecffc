"""What happens on the cable between a router and its shadow while connections are offered.

Latency is taken at the wire. A sampled connection's SYN goes to the primary (t0); its OPEN record leaves the primary
for the shadow, and right behind it, on the same cable, the harness puts an ACK of the same connection, labelled for the
shadow. The switch works on frames of a port in order: when that ACK leaves the shadow for the backend that the record
names (t1, the kernel's time stamp), the shadow's register was written. The harness's own reaction is in the figure.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from topologies.bench.messages import MOST, Messages
from topologies.bench.replication.offered import (
    CLIENT_AT,
    CLIENT_PORT_AT,
    SAMPLED,
    Frames,
    Offer,
    Work,
)
from topologies.bench.replication.routers import (
    BACKEND_SIDE,
    EDGE_SIDE,
    LABELS,
    PEER_SIDE,
    PRIMARY,
    SHADOW,
    Records,
    Routers,
    mac,
)
from topologies.bench.timestamps import Ancillary, stamp, time_ns
from topologies.bench.traffic import received

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
TICK_S = 0.001  # frames of one millisecond leave together
QUIET_S = 0.1  # nothing more comes when nothing came for so long
PATIENCE_S = 10.0
BUDGET = 64  # frames of one socket before the next gets its turn
# Where things are in a record's frame: Ethernet 14, MPLS 4, IPv4 20, UDP 8, record 12, binding 2, tuple 13
RECORD_AT, BINDING_AT, TUPLE_AT = 46, 58, 60
KIND_OPEN = 1
FLOOD_CLIENT = "10.1.3.1"
UDP_LENGTH_AT = 42

Take = Callable[[bytes, Ancillary], None]


@dataclass(slots=True)
class Crossed:
    """What one piece of work came to.

    steps_ms: of each latency, in the primary, in the harness, in the shadow; wrong: sampled ACKs that left the shadow
    for another backend than the record said; achieved_cps: how fast the harness really opened connections.
    """

    records: Records = field(default_factory=lambda: Records(0, 0, 0))
    latencies_ms: list[float] = field(default_factory=list)
    steps_ms: list[tuple[float, ...]] = field(default_factory=list)
    wrong: int = 0
    achieved_cps: float = 0.0


@dataclass(slots=True)
class Relayed:
    """Frames from the primary to the shadow through the harness: all, and those that it dropped."""

    frames: int = 0
    dropped: int = 0
    payload_bytes: int = 0  # of UDP
    wire_bytes: int = 0


def to_primary() -> Frames:
    """Frames of clients as the edge sends them."""
    return Frames(mac(PRIMARY), mac("e1"), LABELS[PRIMARY])


def crossed(routers: Routers, work: Work, first: int, *, flood_pps: float = 0.0) -> Crossed:
    """Offer the work with the kernel as cable. `first`: number of the first connection, never used before.

    flood_pps: packets of unknown connections that go to the shadow meanwhile, by the way that the records take.
    """
    found = Crossed()
    before = routers.records()
    tap, out = routers.primary.sockets[PEER_SIDE], routers.shadow.sockets[BACKEND_SIDE]
    offer = Offer(routers.primary.sockets[EDGE_SIDE], to_primary(), work, first)
    behind = Frames(mac(SHADOW), mac(PRIMARY), LABELS[SHADOW])
    steps: dict[tuple[str, int], tuple[int, int]] = {}  # record on the cable, ACK behind it
    wanted: dict[tuple[str, int], int] = {}  # sampled client → the backend that its record named

    def opened(frame: bytes, ancillary: Ancillary) -> None:
        source = _client(frame, TUPLE_AT, TUPLE_AT + 9)
        wanted[source] = int.from_bytes(frame[BINDING_AT : BINDING_AT + 2], "big")
        packet = behind.make(source, "A")
        steps[source] = time_ns(ancillary), time.time_ns()
        routers.shadow.sockets[PEER_SIDE].send(packet)

    def left(frame: bytes, ancillary: Ancillary) -> None:
        source = _client(frame, CLIENT_AT, CLIENT_PORT_AT)
        if source not in wanted:
            return
        label = int.from_bytes(frame[14:17], "big") >> 4
        if label != wanted.pop(source):
            found.wrong += 1
        else:
            times_ns = (offer.opened_ns[source], *steps[source], time_ns(ancillary))
            found.steps_ms.append(tuple((b - a) / 1e6 for a, b in pairwise(times_ns)))
            found.latencies_ms.append((times_ns[-1] - times_ns[0]) / 1e6)

    with routers.cable(), only_sampled(tap):
        stamp(tap)
        stamp(out)
        start_s = time.perf_counter()
        flood = _Flood(routers, flood_pps) if flood_pps else None
        _serve({tap: opened, out: left}, offer, flood)
        elapsed_s = time.perf_counter() - start_s - work.hold_s
        found.achieved_cps = work.connections / max(elapsed_s, 1e-9)
        _settle(routers, {tap: opened, out: left})
    found.records = routers.records().since(before)
    return found


def relayed(routers: Routers, work: Work, first: int, *, loss: float, seed: int) -> Relayed:
    """Offer the work with the harness as cable, which drops this share of the records at random."""
    found = Relayed()
    chance = random.Random(seed)
    tap, shadow = routers.primary.sockets[PEER_SIDE], routers.shadow.sockets[PEER_SIDE]
    _empty(tap)

    def take(frame: bytes, _: Ancillary) -> None:
        found.frames += 1
        found.payload_bytes += int.from_bytes(frame[UDP_LENGTH_AT : UDP_LENGTH_AT + 2], "big") - 8
        found.wire_bytes += len(frame)
        if chance.random() < loss:
            found.dropped += 1
        else:
            shadow.send(frame)

    offer = Offer(routers.primary.sockets[EDGE_SIDE], to_primary(), work, first)
    _serve({tap: take}, offer)
    _settle(routers, {tap: take})
    return found


class _Flood:
    """Packets that make the shadow work and change nothing in it."""

    def __init__(self, routers: Routers, rate_pps: float) -> None:
        frames = Frames(mac(SHADOW), mac(PRIMARY), LABELS[SHADOW])
        packets = [frames.make((FLOOD_CLIENT, 1024 + number), "A") for number in range(MOST)]
        self._messages = Messages(packets)
        self._sock = routers.shadow.sockets[PEER_SIDE]
        self._rate_pps = rate_pps
        self._start_s = time.perf_counter()
        self._sent = 0

    def send_due(self) -> None:
        """Send what is due by now, but no more than a burst."""
        due = int((time.perf_counter() - self._start_s) * self._rate_pps) - self._sent
        if due > 0:
            self._sent += due
            self._messages.send(self._sock, 0, due)


def _serve(
    readers: Mapping[socket.socket, Take], offer: Offer, flood: _Flood | None = None
) -> None:
    while not offer.done:
        offer.send_due()
        if flood is not None:
            flood.send_due()
        _read(readers, min(TICK_S, offer.wait_s()))


def _read(readers: Mapping[socket.socket, Take], wait_s: float) -> None:
    ready, _, _ = select.select(list(readers), [], [], wait_s)
    for sock in ready:
        for _ in range(BUDGET):
            try:
                frame, ancillary, _, _ = sock.recvmsg(2048, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            readers[sock](frame, ancillary)


def _settle(routers: Routers, readers: Mapping[socket.socket, Take]) -> None:
    """Go on until both switches have sent nothing for a while."""
    ends = (
        routers.primary.peer(PEER_SIDE),
        routers.primary.peer(BACKEND_SIDE),
        routers.shadow.peer(BACKEND_SIDE),
    )
    last_s = start_s = time.perf_counter()
    seen = 0
    while (now_s := time.perf_counter()) - last_s < QUIET_S and now_s - start_s < PATIENCE_S:
        _read(readers, TICK_S)
        packets = sum(received(end) for end in ends)
        if packets != seen:
            seen, last_s = packets, now_s


def _client(frame: bytes, address_at: int, port_at: int) -> tuple[str, int]:
    return socket.inet_ntoa(frame[address_at : address_at + 4]), int.from_bytes(
        frame[port_at : port_at + 2], "big"
    )


def _empty(sock: socket.socket) -> None:
    while True:
        try:
            sock.recv(2048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


@contextlib.contextmanager
def only_sampled(sock: socket.socket) -> Iterator[None]:
    """For a `with` block the socket gets only OPEN records of sampled connections (classic BPF, socket(7))."""
    code = (
        (0x30, 0, 0, RECORD_AT),  # load the byte with the kind
        (0x54, 0, 0, 0x0F),
        (0x15, 0, 3, KIND_OPEN),  # another kind: drop
        (0x30, 0, 0, TUPLE_AT + 2),  # third octet of the client's address
        (0x15, 0, 1, SAMPLED),
        (0x06, 0, 0, 0xFFFF),  # take the frame
        (0x06, 0, 0, 0),  # drop it
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    attached = struct.pack("HP", len(code), ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
    try:
        _empty(sock)
        yield
    finally:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
