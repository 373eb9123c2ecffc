"""One real switch process with a cable in every port: bytes in, bytes out."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

KINDS = ("embedded", "bmv2")
CPU_PORT = 510
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
QUIET_S = 0.08  # nothing more is expected when nothing came for so long
PATIENCE_S = 3.0


def unavailable(kind: str) -> str | None:
    """Why this kind of switch cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces and raw sockets: sudo make test"
    if kind == "bmv2" and shutil.which("simple_switch_grpc") is None:
        return "simple_switch_grpc (BMv2) is not installed"
    return None


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def command(kind: str, device_id: int, grpc_port: int, interfaces: Mapping[int, str]) -> list[str]:
    """Command line of a switch, the same flags for both kinds."""
    ports = [x for port, name in interfaces.items() for x in ("-i", f"{port}@{name}")]
    program = [sys.executable, "-m", "p4switch"] if kind == "embedded" else ["simple_switch_grpc"]
    return [
        *program,
        "--no-p4",
        "--device-id",
        str(device_id),
        *ports,
        "--log-level",
        "warn",
        "--",
        "--grpc-server-addr",
        f"127.0.0.1:{grpc_port}",
        "--cpu-port",
        str(CPU_PORT),
    ]


class Device:
    """A switch with ports 1..n. Use as a context manager."""

    def __init__(self, kind: str, ports: int, run_dir: Path, *, device_id: int = 1) -> None:
        self.kind = kind
        self.device_id = device_id
        self.grpc_port = free_port()
        self.address = f"127.0.0.1:{self.grpc_port}"
        self.interfaces = {port: f"sw{device_id}-{port}" for port in range(1, ports + 1)}
        self._peers = {port: f"pt{device_id}-{port}" for port in self.interfaces}
        self._log = run_dir / f"{kind}-{device_id}.log"
        self._sockets: dict[int, socket.socket] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Device:
        for port, name in self.interfaces.items():
            peer = self._peers[port]
            _ip("link", "add", name, "type", "veth", "peer", "name", peer)
            for end in (name, peer):
                _ip("link", "set", end, "mtu", "2000", "up")
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sock.bind((peer, 0))
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self._sockets[port] = sock
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for sock in self._sockets.values():
            sock.close()
        for name in self.interfaces.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("link", "del", name)

    def start(self) -> None:
        """Start the switch process, and wait until its P4Runtime server answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command(self.kind, self.device_id, self.grpc_port, self.interfaces),
                stdout=log,
                stderr=log,
            )
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                break
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.grpc_port), 0.2),
            ):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.kind} switch did not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End the switch process as a crash would (SIGKILL); its tables and registers are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, port: int, packet: bytes) -> None:
        """Put a packet on the cable of a port."""
        self._sockets[port].send(packet)

    def receive(self, count: int | None = None) -> list[tuple[int, bytes]]:
        """What came out: waits for `count` packets (None: until it is quiet), then for strays."""
        got: list[tuple[int, bytes]] = []
        ends = {sock.fileno(): (port, sock) for port, sock in self._sockets.items()}
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            enough = count is None or len(got) >= count
            ready, _, _ = select.select(list(ends), [], [], QUIET_S if enough else 0.2)
            if not ready and enough:
                break
            for fileno in ready:
                port, sock = ends[fileno]
                got.append((port, sock.recv(4096)))
        return got

    def exchange(
        self, port: int, packet: bytes, count: int | None = None
    ) -> list[tuple[int, bytes]]:
        """Send one packet and return everything that comes out."""
        self.send(port, packet)
        return self.receive(count)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)
