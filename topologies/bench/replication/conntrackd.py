"""conntrackd beside our replication: the same connections through a forwarding namespace whose kernel tracks them, and
whose conntrackd (mode FTFW, over UDP) sends them to a second one.

Two network namespaces with a synchronisation link between them; both end with this process, and nothing outside them is
touched. The latency is that from the SYN to the first synchronisation message that names the connection, seen on
the link: writing it into the other side's cache, which comes after, is not counted.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from topologies.bench.built import Built
from topologies.bench.replication.schedule import HOLD_S, Pace
from topologies.bench.replication.tracking import track_connections
from topologies.bench.segments import ethernet, segment
from topologies.bench.timestamps import Ancillary, stamp, time_ns
from topologies.ending import end
from topologies.namespace import inside, quiet_network
from topologies.network_space import NetworkSpace
from topologies.offload import switch_off

PROGRAM = "conntrackd"
TRACKED = Path("/proc/thread-self/net/nf_conntrack")
CLIENT, SERVICE = "10.91.1.2", "10.91.2.2"
SYNC = ("10.91.3.1", "10.91.3.2")
MACS = {"in": "02:00:00:91:01:01", "out": "02:00:00:91:02:01"}
FAR_MAC = "02:00:00:91:00:02"
SYNC_UDP_PORT = 3780
SERVICE_PORT = 80
FIRST_PORT = 1024
DATA_BYTES = 1000  # of the client, in one segment
TIME_WAIT_S = 1  # so that a life ends, with its message, while somebody watches
START_S = 5.0
QUIET_S = 0.3
PATIENCE_S = 20.0
SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
ETH_P_ALL = 3
# conntrackd's protocol (network.h): types 0, 1 and 2 are new, update, delete
MESSAGE_DELETE = 2
ATTRIBUTE_PORT = 3
HEADER_BYTES = 8
RECEIVE_BUFFER = 32 << 20

CONFIG = """
Sync {{
    Mode FTFW {{
        DisableExternalCache off
    }}
    UDP {{
        IPv4_address {own}
        IPv4_Destination_Address {peer}
        Port {port}
        Interface sync
        SndSocketBuffer 1249280
        RcvSocketBuffer 1249280
        Checksum on
    }}
}}
General {{
    HashSize 32768
    HashLimit 131072
    LogFile {directory}/conntrackd.log
    LockFile {directory}/lock
    UNIX {{
        Path {directory}/ctl
    }}
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 8388608
    Filter From Userspace {{
        Protocol Accept {{
            TCP
        }}
    }}
}}
"""


def absent() -> str | None:
    """Why it cannot run here, or None."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed (Debian: apt install conntrackd)"
    return None


@dataclass(slots=True)
class Lives:
    """What was seen on the link of one run."""

    connections: int
    latencies_ms: list[float]
    state_bytes: int  # UDP payload of messages about connections, to the standby
    control_bytes: int  # UDP payload of acknowledgements and greetings, both ways
    wire_bytes: int  # whole frames, to the standby
    cached: int  # connections that the standby took


class Pair(Built):
    """An active and a standby gateway, each a network namespace with conntrackd; use as a context manager."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._spaces: list[NetworkSpace] = []
        self._ports = 0  # used so far: a port is never used twice
        self._active: socket.socket
        self.client: socket.socket
        self.server: socket.socket

    def _build(self) -> None:
        self._spaces = [self._stack.enter_context(NetworkSpace()) for _ in SYNC]
        active, standby = (space.pid for space in self._spaces)
        _ip("link", "add", "ct-in", "type", "veth", "peer", "name", "in", "netns", str(active))
        _ip("link", "add", "ct-out", "type", "veth", "peer", "name", "out", "netns", str(active))
        for far_end in ("ct-in", "ct-out"):
            self._stack.callback(_delete, far_end)
            _ip("link", "set", far_end, "up")
            switch_off(far_end)
        with inside(active):
            quiet_network()
            _ip(
                "link", "add", "sync", "type", "veth", "peer", "name", "sync", "netns", str(standby)
            )
            for name, address, host in (
                ("in", "10.91.1.1/24", CLIENT),
                ("out", "10.91.2.1/24", SERVICE),
                ("sync", f"{SYNC[0]}/24", None),
            ):
                _attach(name, address, host)
            _sysctl("ipv4/ip_forward", 1)
            track_connections()
            _sysctl("netfilter/nf_conntrack_tcp_timeout_time_wait", TIME_WAIT_S)
            self._active = self._stack.enter_context(_raw("sync", timestamps=True))
        with inside(standby):
            quiet_network()
            _attach("sync", f"{SYNC[1]}/24", None)
            track_connections()
        self.client = self._stack.enter_context(_raw("ct-in"))
        self.server = self._stack.enter_context(_raw("ct-out"))
        for number, space in enumerate(self._spaces):
            self._start_daemon(number, space)

    def _start_daemon(self, number: int, space: NetworkSpace) -> None:
        directory = self._directory / f"conntrackd-{number}"
        directory.mkdir()
        text = CONFIG.format(
            own=SYNC[number], peer=SYNC[1 - number], port=SYNC_UDP_PORT, directory=directory
        )
        (directory / "conf").write_text(text)
        process = space.start(PROGRAM, "-C", str(directory / "conf"), log=directory / "output")
        self._stack.callback(end, process)
        deadline_s = time.monotonic() + START_S
        while not (directory / "ctl").exists():
            if time.monotonic() > deadline_s:
                said = (directory / "output").read_text(errors="replace")[-500:]
                raise RuntimeError(f"conntrackd does not start: {said}")
            time.sleep(0.02)

    def _cached(self) -> int:
        """Connections that the standby's external cache ever took, by its own statistics."""
        config = self._directory / "conntrackd-1" / "conf"
        told = self._spaces[1].run(PROGRAM, "-C", str(config), "-s")
        _, _, external = told.partition("cache external:")
        found = re.search(r"connections created:\s+(\d+)", external)
        if found is None:
            raise RuntimeError(f"conntrackd gives no statistics: {told}")
        return int(found.group(1))

    def carry(self, rate_cps: float, connections: int) -> Lives:
        """So many connections, each a whole life, opened at this rate."""
        self._drain(QUIET_S, None)
        before = self._cached()
        seen = _Seen()
        opened_ns: dict[int, int] = {}
        opening = [(number / rate_cps, number, True) for number in range(connections)]
        closing = [(at_s + HOLD_S, number, False) for at_s, number, _ in opening]
        turns = sorted(opening + closing)
        pace = Pace([at_s for at_s, _, _ in turns])
        while not pace.done:
            for turn in pace.due():
                _, number, opens = turns[turn]
                port = FIRST_PORT + self._ports + number
                if opens:
                    opened_ns[port] = time.time_ns()
                    self._open(port)
                else:
                    self._close(port)
            self._drain(min(0.001, pace.wait_s()), seen)
        self._ports += connections
        deadline_s = time.monotonic() + TIME_WAIT_S + PATIENCE_S
        while time.monotonic() < deadline_s and seen.ended < connections:
            self._drain(0.2, seen)
            self._let_go()
        self._drain(QUIET_S, seen)
        latencies = [
            (seen.first_ns[port] - start_ns) / 1e6
            for port, start_ns in opened_ns.items()
            if port in seen.first_ns
        ]
        return Lives(
            connections,
            latencies,
            seen.state_bytes,
            seen.control_bytes,
            seen.wire_bytes,
            self._cached() - before,
        )

    def _let_go(self) -> None:
        """Have the kernel forget what is over: it does so when it is asked for a list, otherwise within a minute."""
        with inside(self._spaces[0].pid), contextlib.suppress(OSError):
            TRACKED.read_bytes()

    def _open(self, port: int) -> None:
        self.client.send(_forth(port, "S", 1000, 0))
        self.server.send(_back(port, "SA", 5000, 1001))
        self.client.send(_forth(port, "A", 1001, 5001))
        self.client.send(_forth(port, "PA", 1001, 5001, bytes(DATA_BYTES)))
        self.server.send(_back(port, "A", 5001, 1001 + DATA_BYTES))

    def _close(self, port: int) -> None:
        end = 1001 + DATA_BYTES
        self.client.send(_forth(port, "FA", end, 5001))
        self.server.send(_back(port, "FA", 5001, end + 1))
        self.client.send(_forth(port, "A", end + 1, 5002))

    def _drain(self, wait_s: float, seen: _Seen | None) -> None:
        """Read what is on the link until nothing came for so long."""
        while True:
            self._active.settimeout(max(1e-6, wait_s))
            try:
                data, ancillary, _, address = self._active.recvmsg(4096, 64)
            except (TimeoutError, BlockingIOError):
                return
            if seen is not None:
                seen.take(data, ancillary, address[2] == PACKET_OUTGOING)


class _Seen:
    """The synchronisation messages on the link so far."""

    def __init__(self) -> None:
        self.first_ns: dict[int, int] = {}  # client port → when the first message named it
        self.ended = 0
        self.state_bytes = self.wire_bytes = self.control_bytes = 0

    def take(self, frame: bytes, ancillary: Ancillary, outgoing: bool) -> None:
        """A frame of the link, with the kernel's time of it."""
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
            return
        length = int.from_bytes(frame[38:40], "big") - 8
        if outgoing:
            self.wire_bytes += len(frame)
        at_ns = time_ns(ancillary)
        for kind, message in messages(frame[42 : 42 + length]):
            if kind > MESSAGE_DELETE:
                self.control_bytes += len(message)
                continue
            self.state_bytes += len(message)
            self.ended += kind == MESSAGE_DELETE
            self.first_ns.setdefault(client_port(message), at_ns)


def messages(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, message) of each in a datagram. Bits of the header: 4 version, 4 type, 8 flags, 16 length, 32 sequence."""
    while len(payload) >= HEADER_BYTES:
        length = int.from_bytes(payload[2:4], "big")
        if length < HEADER_BYTES:
            return
        yield payload[0] & 0xF, payload[:length]
        payload = payload[(length + 3) & ~3 :]


def client_port(message: bytes) -> int:
    """Source port that a message names, from its attribute NTA_PORT; 0 without."""
    at = HEADER_BYTES
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("!HH", message, at)
        if kind == ATTRIBUTE_PORT:
            return int.from_bytes(message[at + 4 : at + 6], "big")
        at += max(4, (length + 3) & ~3)
    return 0


def _raw(interface: str, *, timestamps: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    if timestamps:
        stamp(sock)
    sock.bind((interface, ETH_P_ALL))
    return sock


def _forth(port: int, flags: str, sequence: int, acknowledged: int, payload: bytes = b"") -> bytes:
    packet = segment(
        (CLIENT, port),
        (SERVICE, SERVICE_PORT),
        flags,
        sequence=sequence,
        acknowledged=acknowledged,
        payload=payload,
    )
    return ethernet(MACS["in"], FAR_MAC, packet)


def _back(port: int, flags: str, sequence: int, acknowledged: int) -> bytes:
    packet = segment(
        (SERVICE, SERVICE_PORT),
        (CLIENT, port),
        flags,
        sequence=sequence,
        acknowledged=acknowledged,
    )
    return ethernet(MACS["out"], FAR_MAC, packet)


def _attach(name: str, address: str, host: str | None) -> None:
    if name in MACS:
        _ip("link", "set", name, "address", MACS[name])
    _ip("address", "add", address, "dev", name)
    _ip("link", "set", name, "up")
    switch_off(name)
    if host is not None:
        _ip("neighbour", "add", host, "lladdr", FAR_MAC, "dev", name, "nud", "permanent")


def _sysctl(name: str, value: int) -> None:
    Path("/proc/sys/net", name).write_text(str(value), encoding="ascii")


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def _delete(interface: str) -> None:
    subprocess.run(["ip", "link", "del", interface], check=False, capture_output=True)
