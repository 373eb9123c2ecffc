"""One real switch process with a cable in every port: bytes in, bytes out. For tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from topologies.namespace import dying
from topologies.offload import switch_off
from topologies.switches import BMV2, BMV2_PROGRAM, command, listening
from topologies.wiring import SwitchWiring

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
MTU = 2000
RECEIVE_BUFFER = 8 << 20
QUIET_S = 0.08  # nothing more is expected when nothing came for so long
PATIENCE_S = 3.0
START_TIMEOUT_S = 30.0


def unavailable(kind: str) -> str | None:
    """Why this kind of switch cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces and raw sockets: run as root (sudo)"
    if kind == BMV2 and shutil.which(BMV2_PROGRAM) is None:
        return f"{BMV2_PROGRAM} (BMv2) is not installed"
    return None


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class SingleSwitch:
    """A switch with ports 1..n; use it as a context manager, in a network namespace of one's own.

    `kind` is "embedded" or "bmv2"; the switch's output goes to `run_dir`. enter: makes of its command one that starts
    it somewhere, such as in a cgroup.
    """

    def __init__(
        self,
        kind: str,
        ports: int,
        run_dir: Path,
        *,
        device_id: int = 1,
        enter: Callable[[list[str]], list[str]] = list,
    ) -> None:
        self.kind = kind
        self._enter = enter
        self.device_id = device_id
        grpc_port = free_port()
        self.address = f"127.0.0.1:{grpc_port}"
        self.wiring = SwitchWiring(
            name=f"single{device_id}",
            device_id=device_id,
            grpc_host="127.0.0.1",
            grpc_port=grpc_port,
            thrift_port=free_port(),
            interfaces=tuple((port, f"sw{device_id}-{port}") for port in range(1, ports + 1)),
        )
        self.sockets: dict[int, socket.socket] = {}
        self._log = run_dir / f"{kind}-{device_id}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SingleSwitch:
        try:
            for port, name in self.wiring.interfaces:
                self._plug(port, name)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for sock in self.sockets.values():
            sock.close()
        for _port, name in self.wiring.interfaces:
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("link", "del", name)

    def peer(self, port: int) -> str:
        """The far end of a port's cable."""
        return f"pt{self.device_id}-{port}"

    @property
    def pid(self) -> int:
        """Process id of the switch (0 when it does not run)."""
        return self._process.pid if self._process else 0

    def _plug(self, port: int, name: str) -> None:
        peer = self.peer(port)
        _ip("link", "add", name, "type", "veth", "peer", "name", peer)
        for end in (name, peer):
            _ip("link", "set", end, "mtu", str(MTU), "up")
            switch_off(end)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sockets[port] = sock
        sock.bind((peer, 0))
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def start(self) -> None:
        """Start the process; returns when it serves P4Runtime. RuntimeError with the end of its log if it does not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                dying(self._enter(command(self.kind, self.wiring))), stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            if listening(self.wiring.grpc_host, self.wiring.grpc_port):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.kind} switch did not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End the process as a crash would (SIGKILL); its tables and registers are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, port: int, packet: bytes) -> None:
        """Put a packet on the cable of a port."""
        self.sockets[port].send(packet)

    def receive(
        self, count: int | None = None, *, quiet_s: float = QUIET_S
    ) -> list[tuple[int, bytes]]:
        """What came out: waits for `count` packets (None: until it is quiet), then for strays."""
        got: list[tuple[int, bytes]] = []
        ends = {sock.fileno(): (port, sock) for port, sock in self.sockets.items()}
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            enough = count is None or len(got) >= count
            ready, _, _ = select.select(list(ends), [], [], quiet_s if enough else 0.2)
            if not ready and enough:
                break
            for fileno in ready:
                port, sock = ends[fileno]
                got.append((port, sock.recv(MTU + 100)))
        return got

    def exchange(
        self, port: int, packet: bytes, count: int | None = None
    ) -> list[tuple[int, bytes]]:
        """Send one packet and return everything that comes out."""
        self.send(port, packet)
        return self.receive(count)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)
