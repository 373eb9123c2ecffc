"""Packets through one switch: at a rate, and one by one."""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path

from topologies.bench.messages import Messages
from topologies.bench.search import highest_rate
from topologies.single import SingleSwitch

BURST_S = 0.001  # packets of one millisecond leave together
DRAIN_S = 0.3
LEAST_PPS = 200  # below, a switch is said to carry nothing
MOST_PPS = 1_000_000  # above, it is the sender that is measured


class Blaster:
    """Sends the same few packets over and over, a burst at a time."""

    def __init__(self, sock: socket.socket, packets: list[bytes], most: int = 1024) -> None:
        self._sock = sock
        self._messages = Messages([packets[index % len(packets)] for index in range(most)])

    def burst(self, count: int) -> int:
        """Send up to `count` packets; returns how many the kernel took."""
        return self._messages.send(self._sock, 0, count)


def plain_socket(interface: str) -> socket.socket:
    """For sending only: protocol 0 receives nothing."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    return sock


def received(interface: str) -> int:
    """Packets that arrived on an interface of this network so far (/sys shows another namespace's)."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            return int(numbers.split()[1])
    raise KeyError(interface)


def delivered_ratio(
    device: SingleSwitch, blaster: Blaster, out_ports: list[int], rate_pps: float, seconds: float
) -> tuple[float, float]:
    """Offer packets at a steady rate; returns (delivered / sent, delivered per second)."""
    before = sum(received(device.peer(port)) for port in out_ports)
    sent = 0
    start_s = time.perf_counter()
    while (elapsed_s := time.perf_counter() - start_s) < seconds:
        due = int(elapsed_s * rate_pps) - sent
        if due > 0:
            sent += blaster.burst(due)
        else:
            time.sleep(BURST_S / 2)
    elapsed_s = time.perf_counter() - start_s
    time.sleep(DRAIN_S)
    arrived = sum(received(device.peer(port)) for port in out_ports) - before
    return arrived / max(1, sent), arrived / elapsed_s


def highest_rate_pps(
    device: SingleSwitch,
    blaster: Blaster,
    out_ports: list[int],
    *,
    seconds: float = 1.5,
    loss: float = 0.001,
    start_pps: float = 4000,
    precision: float = 0.04,
) -> tuple[float, int]:
    """The highest steady rate with at most `loss` lost, by doubling and bisection; and how many rates were tried."""

    def carry(rate_pps: float) -> float | None:
        ratio, carried_pps = delivered_ratio(device, blaster, out_ports, rate_pps, seconds)
        return carried_pps if ratio >= 1 - loss else None

    found = highest_rate(carry, start_pps, precision=precision, least=LEAST_PPS, most=MOST_PPS)
    return found.sustained, found.tried


def round_trips_us(device: SingleSwitch, port: int, packet: bytes, count: int) -> list[float]:
    """Time from a packet's send to its arrival behind the switch, one packet at a time; lost ones are left out."""

    times_us: list[float] = []
    poll = select.poll()
    by_fileno = {sock.fileno(): sock for sock in device.sockets.values()}
    for fileno in by_fileno:
        poll.register(fileno, select.POLLIN)
    device.receive(0)
    for _ in range(count):
        start_ns = time.perf_counter_ns()
        device.send(port, packet)
        for fileno, _event in poll.poll(200):
            by_fileno[fileno].recv(4096)
            times_us.append((time.perf_counter_ns() - start_ns) / 1000)
        time.sleep(0.0005)
    return times_us
