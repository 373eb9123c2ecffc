"""The switch's ports and its packet thread: the one thread in which packets are processed."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sized
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from p4switch.errors import FailedPrecondition, InvalidArgument
from p4switch.rxring import RxRing, is_up
from p4switch.sender import BATCH, SendBuffer

LOG = logging.getLogger(__name__)

Outputs = list[tuple[int, bytes]]
PASSES = 32  # of recirculating packets, between two looks at the ports
RECIRCULATED = -1  # stands for a port in messages
RTMGRP_LINK = 1
REPAIR_PERIOD_S = 0.5


class Program(Protocol):
    """What the loop needs of a pipeline."""

    @property
    def pending(self) -> Sized:
        """Passes that wait for `resume`."""

    @property
    def submit(self) -> Callable[[bytes, int, int], Outputs]:
        """(packet, ingress port, now_us) → outputs of the first pass; others then wait."""

    def alone(self, packet: bytes, ingress_port: int, now_us: int) -> Outputs:
        """All passes of this packet, and of no other."""

    def resume(self, passes: int) -> Outputs:
        """At most so many of the passes that wait."""


@dataclass(frozen=True, slots=True)
class PortStats:
    """Packets and bytes since the start. rx_drops: the ring was full; tx_drops: the link refused."""

    rx_packets: int
    rx_bytes: int
    rx_drops: int
    tx_packets: int
    tx_bytes: int
    tx_drops: int


class Port:
    """One port on one interface."""

    def __init__(self, number: int, interface: str) -> None:
        """InvalidArgument says what is missing: the interface, or the rights."""
        self.number = number
        self.interface = interface
        try:
            self.ring = RxRing(interface)
        except PermissionError as error:
            raise InvalidArgument(
                f"port {number}: no right to open {interface}: needs CAP_NET_RAW; run as root"
            ) from error
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO) or "no interface" in str(error):
                raise InvalidArgument(
                    f"port {number}: interface {interface} does not exist; create it first, or "
                    "correct -i PORT@INTERFACE"
                ) from error
            raise InvalidArgument(f"port {number}: cannot open {interface}: {error}") from error
        self.outgoing: list[bytes] = []
        self.is_up = is_up(interface)
        self.rx_packets = 0
        self.rx_bytes = 0
        self.tx_packets = 0
        self.tx_bytes = 0
        self.tx_drops = 0

    def stats(self) -> PortStats:
        """The counts so far."""
        with contextlib.suppress(OSError):
            self.ring.update_drops()
        return PortStats(
            self.rx_packets,
            self.rx_bytes,
            self.ring.drops,
            self.tx_packets,
            self.tx_bytes,
            self.tx_drops,
        )


class PacketLoop:
    """Runs packets through the program and sends what it returns.

    A packet that recirculates takes turns with those that arrive: forwarding goes on meanwhile.

    `now_us` is the switch's clock; `on_cpu` gets packets that leave on cpu_port;
    `on_port_status` hears when a port has gone down or up (Port.is_up).
    """

    def __init__(
        self,
        ports: dict[int, str],
        program: Program | None,
        now_us: Callable[[], int],
        *,
        cpu_port: int | None = None,
        on_cpu: Callable[[bytes], None],
        on_port_status: Callable[[int], None],
    ) -> None:
        self._program = program
        self._now_us = now_us
        self._cpu_port = cpu_port
        self._on_cpu = on_cpu
        self._on_port_status = on_port_status
        self.ports: dict[int, Port] = {}
        try:
            for number, interface in ports.items():
                self.ports[number] = Port(number, interface)
        except BaseException:
            self._close_ports()
            raise
        self._buffer = SendBuffer()
        self._injected: deque[tuple[int, bytes, Future[Outputs] | None]] = deque()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK)
        self._is_stopped = False
        self.failures = 0
        """Packets dropped because the program raised an error that nobody foresaw."""
        self.unrouted = 0
        """Packets for a port that has no interface."""
        self._thread = threading.Thread(target=self._run, name="packets", daemon=True)

    def start(self) -> None:
        """Start the packet thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the packet thread and close the ports."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._thread.is_alive():
            os.eventfd_write(self._waker, 1)
            self._thread.join()
        while self._injected:
            _, _, result = self._injected.popleft()
            if result is not None:
                result.set_exception(FailedPrecondition("the switch is stopped"))
        self._close_ports()
        os.close(self._waker)

    def install(self, program: Program) -> None:
        """Packets that arrive from now on run through this program."""
        self._program = program

    def inject(self, port: int, packet: bytes, result: Future[Outputs] | None = None) -> None:
        """Any thread: process a packet as if it came in on `port`; `result` gets the outputs."""
        if self._is_stopped:
            if result is not None:
                result.set_exception(FailedPrecondition("the switch is stopped"))
            return
        self._injected.append((port, packet, result))
        os.eventfd_write(self._waker, 1)

    def _close_ports(self) -> None:
        for port in self.ports.values():
            port.ring.close()

    def _run(self) -> None:
        with (
            select.epoll() as poller,
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as links,
        ):
            links.bind((0, RTMGRP_LINK))
            links.setblocking(False)
            poller.register(self._waker, select.EPOLLIN)
            poller.register(links, select.EPOLLIN)
            by_fd = {port.ring.fileno(): port for port in self.ports.values()}
            for fd in by_fd:
                poller.register(fd, select.EPOLLIN)
            repair_s: float | None = None
            while not self._is_stopped:
                program = self._program
                is_busy = program is not None and len(program.pending) > 0
                if is_busy:
                    self._resume()
                    timeout_s: float | None = 0.0
                else:
                    timeout_s = None if repair_s is None else max(0.0, repair_s - time.monotonic())
                for fd, events in poller.poll(timeout_s):
                    port = by_fd.get(fd)
                    if port is not None:
                        if events & ~select.EPOLLIN:
                            LOG.debug(
                                "%s: %s", port.interface, os.strerror(port.ring.clear_error())
                            )
                            repair_s = time.monotonic()
                        self._drain(port)
                    elif fd == self._waker:
                        self._drain_injected()
                    else:
                        _discard(links)
                        repair_s = time.monotonic()
                if repair_s is not None and time.monotonic() >= repair_s:
                    repair_s = self._check_links()

    def _drain(self, port: Port) -> None:
        frames = port.ring.receive(BATCH)
        if not frames:
            return
        port.rx_packets += len(frames)
        port.rx_bytes += sum(map(len, frames))
        number, now_us, ports = port.number, self._now_us, self.ports
        program = self._program
        if program is None:
            return
        submit = program.submit
        busy: dict[int, Port] = {}
        for frame in frames:
            try:
                results = submit(frame, number, now_us())
            except Exception:
                self._failed(number)
                continue
            for egress, data in results:
                target = ports.get(egress)
                if target is not None:
                    target.outgoing.append(data)
                    busy[egress] = target
                else:
                    self._elsewhere(egress, data)
        for target in busy.values():
            self._flush(target)

    def _drain_injected(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._waker)
        injected = self._injected
        while injected:
            number, packet, result = injected.popleft()
            outputs = self._run_one(packet, number, whole=result is not None)
            if result is not None:
                result.set_result(list(outputs))
            self._send(outputs)

    def _run_one(self, packet: bytes, number: int, *, whole: bool) -> Outputs:
        program = self._program
        if program is None:
            return []
        try:
            run = program.alone if whole else program.submit
            return run(packet, number, self._now_us())
        except Exception:
            self._failed(number)
            return []

    def _resume(self) -> None:
        program = self._program
        if program is not None:
            try:
                outputs = program.resume(PASSES)
            except Exception:
                self._failed(RECIRCULATED)
            else:
                self._send(outputs)

    def _send(self, outputs: Outputs) -> None:
        for egress, data in outputs:
            target = self.ports.get(egress)
            if target is not None:
                target.outgoing.append(data)
                if len(target.outgoing) >= BATCH:
                    self._flush(target)
            else:
                self._elsewhere(egress, data)
        for target in self.ports.values():
            if target.outgoing:
                self._flush(target)

    def _elsewhere(self, egress: int, data: bytes) -> None:
        if egress == self._cpu_port:
            self._on_cpu(data)
        else:
            self.unrouted += 1

    def _failed(self, number: int) -> None:
        self.failures += 1
        if self.failures in (1, 10, 100, 1000):
            LOG.exception("packet from port %d dropped (failure %d)", number, self.failures)

    def _flush(self, port: Port) -> None:
        frames = port.outgoing
        port.outgoing = []
        port.tx_packets += len(frames)
        port.tx_bytes += sum(map(len, frames))
        port.tx_drops += self._buffer.send(port.ring.socket, frames)

    def _check_links(self) -> float | None:
        """Look at every link; the time of the next look when one is missing, else None."""
        is_missing = False
        for port in self.ports.values():
            try:
                present = socket.if_nametoindex(port.interface)
            except OSError:
                present = 0
            bound = port.ring.socket.getsockname()[0]
            if not present:
                is_missing = True
            elif bound != port.interface:
                with contextlib.suppress(OSError):
                    port.ring.bind()
                    LOG.info("port %d: interface %s is back", port.number, port.interface)
            up = bool(present) and is_up(port.interface)
            if up != port.is_up:
                port.is_up = up
                LOG.info(
                    "port %d (%s) is %s",
                    port.number,
                    port.interface,
                    "up" if up else "down" if present else "gone",
                )
                self._on_port_status(port.number)
        return time.monotonic() + REPAIR_PERIOD_S if is_missing else None


def _discard(links: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            links.recv(65536)
