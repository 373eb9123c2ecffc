"""The network share of a device, on real interfaces: what all its ports send together, by the kernel's counters."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from controller.act.resources import AllocationError, Allocator, Place
from controller.act.resources.network import BURST_S, LEAST_BPS, QUEUE_MS, SharedPorts, counters
from controller.model.resources import NOTHING, Amounts

FRAME = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + b"x" * 1000
BPS = 4e6
SEND_S = 0.5


def ip(*arguments: str) -> None:
    """One command of ip(8)."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def filters(port: str, way: str = "egress") -> list[dict[str, object]]:
    """What is attached to a port."""
    command = ["tc", "-json", "filter", "show", "dev", port, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: list[dict[str, object]] = json.loads(done.stdout or "[]")
    return found


@pytest.fixture
def ports() -> Iterator[tuple[str, str]]:
    """Two ports of a device; their far ends are called so with an f at the end."""
    if os.geteuid() != 0:
        pytest.skip("interfaces need root: run as root (sudo)")
    names = tuple(f"um-{uuid4().hex[:4]}-{number}" for number in (1, 2))
    for name in names:
        ip("link", "add", name, "type", "veth", "peer", "name", f"{name}f")
        for end in (name, f"{name}f"):
            ip("link", "set", end, "up")
    yield names[0], names[1]
    for name in names:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def limited(bps: float) -> Amounts:
    """Nothing but the network."""
    return Amounts(math.inf, math.inf, bps)


def flood(ports: tuple[str, ...]) -> tuple[int, float]:
    """Send as much as goes on all ports by turns for a moment; (bytes that arrived, how long it took)."""
    sockets = []
    for port in ports:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind((port, 0))
        sockets.append(sock)
    before = sum(counters()[f"{port}f"][0] for port in ports)
    start_s = time.monotonic()
    while time.monotonic() < start_s + SEND_S:
        for sock in sockets:
            sock.send(FRAME)
    arrived = sum(counters()[f"{port}f"][0] for port in ports) - before
    elapsed_s = time.monotonic() - start_s
    for sock in sockets:
        sock.close()
    return arrived, elapsed_s


def test_all_ports_together_send_no_more_than_the_limit(ports: tuple[str, str]) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        given = allocator.set("r1", limited(BPS), NOTHING).given
        assert given.network_bps == BPS
        assert allocator.read("r1").network_bps == pytest.approx(BPS, rel=0.001)
        arrived, elapsed_s = flood(ports)
        most = BPS / 8 * (elapsed_s + BURST_S + QUEUE_MS / 1000) + 2 * 1500
        assert 0 < arrived <= 1.1 * most
        sent = allocator.totals("r1").sent_bytes
        assert sent >= arrived


def test_a_lifted_limit_limits_nothing(ports: tuple[str, str]) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        allocator.set("r1", limited(LEAST_BPS), NOTHING)
        allocator.set("r1", limited(math.inf), NOTHING)
        assert allocator.read("r1").network_bps == math.inf
        before = counters()[f"{ports[0]}f"][0]
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((ports[0], 0))
            for _ in range(100):
                sock.send(FRAME)
        assert counters()[f"{ports[0]}f"][0] - before >= 100 * len(FRAME)


def test_what_is_in_use_is_not_taken_away(ports: tuple[str, str]) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        applied = allocator.set("r1", limited(1e6), Amounts(network_bps=7e6))
        assert applied.given.network_bps == 7e6


def test_nothing_of_ours_is_left_and_all_that_is_anothers_stays(ports: tuple[str, str]) -> None:
    mine, shared = ports
    drop = ["protocol", "0x88b6", "u32", "match", "u32", "0", "0", "flowid", "1:1"]
    for arguments in (
        ["qdisc", "add", "dev", shared, "clsact"],
        ["filter", "add", "dev", shared, "egress", "pref", "1", *drop],
    ):
        subprocess.run(["tc", *arguments], check=True, capture_output=True)
    before = set(counters())
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        allocator.set("r1", limited(BPS), NOTHING)
        assert set(counters()) > before
        assert filters(mine)
    assert set(counters()) == before
    assert filters(mine) == []
    assert {one["pref"] for one in filters(shared)} == {1}


def test_the_next_controller_finds_the_limit_and_changes_it(ports: tuple[str, str]) -> None:
    place = {"r1": Place(ports=ports)}
    first = Allocator(place)
    first.set("r1", limited(BPS), NOTHING)
    first.close(keep=True)
    with Allocator(place) as second:
        assert second.read("r1").network_bps == pytest.approx(BPS, rel=0.001)
        second.set("r1", limited(2 * BPS), NOTHING)
        assert second.read("r1").network_bps == pytest.approx(2 * BPS, rel=0.001)
        assert len([one for one in filters(ports[0]) if "options" in one]) == 2  # table and rule
    assert SharedPorts("r1", ports).bps() == math.inf


def test_ports_that_were_made_anew_are_limited_again_by_the_same_order(
    ports: tuple[str, str],
) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        allocator.set("r1", limited(BPS), NOTHING)
        ip("link", "delete", ports[1])
        ip("link", "add", ports[1], "type", "veth", "peer", "name", f"{ports[1]}f")
        assert filters(ports[1]) == []
        allocator.set("r1", limited(BPS), NOTHING)
        assert all(len([one for one in filters(port) if "options" in one]) == 2 for port in ports)
        assert allocator.read("r1").network_bps == pytest.approx(BPS, rel=0.001)


def test_a_limit_that_somebody_took_away_is_made_again(ports: tuple[str, str]) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        allocator.set("r1", limited(BPS), NOTHING)
        ip("link", "delete", SharedPorts("r1", ports).bucket)
        allocator.set("r1", limited(BPS), NOTHING)
        assert allocator.read("r1").network_bps == pytest.approx(BPS, rel=0.001)


def test_limits_of_a_device_that_is_no_longer_managed_are_lifted(ports: tuple[str, str]) -> None:
    first = Allocator({"r1": Place(ports=ports)})
    first.set("r1", limited(BPS), NOTHING)
    first.close(keep=True)
    Allocator({"r1": Place(ports=ports)}).lift("r1")
    assert SharedPorts("r1", ports).bucket not in counters()
    assert filters(ports[0]) == []


def test_a_device_whose_ports_are_gone_can_be_closed(ports: tuple[str, str]) -> None:
    with Allocator({"r1": Place(ports=ports)}) as allocator:
        allocator.set("r1", limited(BPS), NOTHING)
        ip("link", "delete", ports[0])
        with pytest.raises(AllocationError, match=f"interface {ports[0]} of r1 does not exist"):
            allocator.totals("r1")
    assert SharedPorts("r1", ports).bucket not in counters()
