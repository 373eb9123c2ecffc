"""What a neighbour and a client experience of a host that holds addresses ahead and hands them to instances."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.l2 import ARP, Ether

from controller.act.host_values import Holding
from controller.act.hosts import HostDown, HostRefused
from harness.host import (
    GATEWAY,
    HOST_ADDRESS,
    OUTER,
    AgentHost,
    agent_host,
    ask,
    holding,
    ip,
    neighbour,
)
from topologies.bench.addresses.client import echo
from topologies.single import unavailable

ONE, TWO = holding(1), holding(2)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[AgentHost]:
    """A host with an agent."""
    reason = unavailable("embedded")
    if reason:
        pytest.fail(reason)
    with agent_host(tmp_path) as one:
        yield one


class Pings:
    """Pings an address all the time, in a thread of its own."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._sock.connect((address, 0))
        self._sock.setblocking(False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.answered: set[int] = set()

    def _run(self) -> None:
        while not self._over.wait(0.001):
            self.sent += 1
            self._sock.send(echo(self.sent))
            self._read(0.0)
        self._read(0.5)

    def _read(self, wait_s: float) -> None:
        while len(self.answered) < self.sent and select.select([self._sock], [], [], wait_s)[0]:
            packet = self._sock.recv(2048)
            if packet[20] == 0:
                self.answered.add(struct.unpack_from("!I", packet, 24)[0])

    def __enter__(self) -> Pings:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._sock.close()

    def until_more(self, count: int) -> None:
        """Wait until so many more were answered."""
        wanted = len(self.answered) + count
        for _ in range(10_000):
            if len(self.answered) >= wanted:
                return
            threading.Event().wait(0.001)
        raise AssertionError("nothing answers")


def test_a_held_address_answers_pings_and_serves_nothing(host: AgentHost) -> None:
    host.do(host.host.hold([ONE, TWO]))
    with Pings(ONE.address) as pings:
        pings.until_more(20)
    assert len(pings.answered) == pings.sent
    assert neighbour(ONE.address) == ONE.mac
    with pytest.raises(ConnectionRefusedError):
        ask(ONE.address)
    assert [held.address for held in host.state().held] == [ONE.address, TWO.address]


def test_the_host_keeps_its_own_address_and_its_way_out(host: AgentHost) -> None:
    with Pings(HOST_ADDRESS) as pings:
        pings.until_more(5)
    assert len(pings.answered) == pings.sent


@pytest.mark.parametrize("separate", [False, True], ids=["its_namespace", "own_namespace"])
def test_no_ping_is_lost_while_an_address_is_handed_over(host: AgentHost, separate: bool) -> None:
    host.do(host.host.hold([ONE, TWO]))
    with Pings(ONE.address) as pings:
        pings.until_more(30)
        running = host.do(host.host.start("i1", ONE, separate=separate))
        pings.until_more(60)
    assert len(pings.answered) == pings.sent
    assert (running.warm, running.address, running.mac) == (True, ONE.address, ONE.mac)
    assert ask(ONE.address) == "i1 hello"
    assert neighbour(ONE.address) == ONE.mac
    state = host.state()
    assert [held.address for held in state.held] == [TWO.address]
    assert [one.name for one in state.instances] == ["i1"]
    host.until_ports(2)


def test_an_address_that_nobody_held_is_made_in_the_same_call(host: AgentHost) -> None:
    running = host.do(host.host.start("i1", ONE))
    assert not running.warm
    assert ask(ONE.address) == "i1 hello"
    assert neighbour(ONE.address) == ONE.mac


def test_starting_the_same_instance_twice_starts_one(host: AgentHost) -> None:
    first = host.do(host.host.start("i1", ONE))
    assert host.do(host.host.start("i1", ONE)).pid == first.pid
    with pytest.raises(HostRefused, match=r"instance i1 runs already, with 10\.77\.1\.1"):
        host.do(host.host.start("i1", TWO))


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("i2", ONE, "is that of instance i1"),
        ("i2", replace(TWO, mac=ONE.mac), "is held with the MAC"),
        ("no name", TWO, "is no name of an instance"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    host: AgentHost, name: str, wanted: Holding, words: str
) -> None:
    host.do(host.host.hold([TWO]))
    host.do(host.host.start("i1", ONE))
    with pytest.raises(HostRefused, match=words):
        host.do(host.host.start(name, wanted))
    with pytest.raises(HostRefused, match="is that of instance i1"):
        host.do(host.host.hold([ONE]))
    state = host.state()
    assert ([one.name for one in state.instances], len(state.held)) == (["i1"], 1)
    assert ask(ONE.address) == "i1 hello"


def test_heartbeats_put_a_neighbours_cache_right(host: AgentHost) -> None:
    host.do(host.host.hold([ONE]))
    wrong = "02:00:00:00:00:66"
    ip("neigh", "replace", ONE.address, "lladdr", wrong, "dev", OUTER, "nud", "stale")
    for _ in range(500):
        if neighbour(ONE.address) == ONE.mac:
            break
        threading.Event().wait(0.01)
    assert neighbour(ONE.address) == ONE.mac
    state = host.until(lambda state: state.held[0].silent_s is not None)
    assert not state.held[0].disputed


def test_heartbeats_end_with_the_shadow_instance(host: AgentHost) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as cable:
        cable.bind((OUTER, 0))
        cable.settimeout(3.0)
        host.do(host.host.hold([ONE]))
        frame = Ether(cable.recv(2048))
        assert (frame.src, frame[ARP].psrc) == (ONE.mac, ONE.address)
        assert host.do(host.host.unhold([ONE.address, TWO.address])) == (ONE.address,)
        cable.settimeout(0.0)
        with contextlib.suppress(BlockingIOError):
            while cable.recv(2048):  # what was on its way
                pass
        cable.settimeout(0.8)  # four periods
        with pytest.raises(TimeoutError):
            cable.recv(2048)
    assert host.ports() == set()


def test_who_claims_a_held_mac_does_not_get_its_packets(host: AgentHost) -> None:
    host.do(host.host.hold([ONE, TWO]))
    gateway_mac = ip("-br", "link", "show", OUTER).split()[2]
    thief = Ether(src=ONE.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=gateway_mac, psrc=GATEWAY, pdst=TWO.address
    )
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as cable:
        cable.bind((OUTER, 0))
        cable.send(bytes(thief))  # the held MAC seems to be behind the uplink
    with Pings(ONE.address) as pings:
        pings.until_more(20)
    assert len(pings.answered) == pings.sent


def test_an_instance_that_ends_leaves_nothing_behind(host: AgentHost) -> None:
    running = host.do(host.host.start("i1", ONE))
    os.kill(running.pid, signal.SIGKILL)
    host.until(lambda state: state.instances == ())
    assert host.ports() == set()
    assert not host.do(host.host.stop("i1"))
    host.do(host.host.start("i1", ONE))
    assert host.do(host.host.stop("i1"))
    assert (host.state().instances, host.ports()) == ((), set())


def test_an_instance_that_dies_just_when_it_is_stopped_takes_no_agent_with_it(
    host: AgentHost,
) -> None:
    host.do(host.host.hold([TWO]))
    running = host.do(host.host.start("i1", ONE))
    assert host.process is not None
    agent = host.process

    async def both() -> bool:
        agent.send_signal(signal.SIGSTOP)  # it sees the request and the end at one time
        stopping = asyncio.ensure_future(host.host.stop("i1"))
        await asyncio.sleep(0.1)
        os.kill(running.pid, signal.SIGKILL)
        await asyncio.sleep(0.1)
        agent.send_signal(signal.SIGCONT)
        return await stopping

    assert host.do(both())
    state = host.state()
    assert (state.instances, [held.address for held in state.held]) == ((), [TWO.address])
    assert agent.poll() is None


def test_instances_outlive_their_agent_and_the_next_one_finds_them(tmp_path: Path) -> None:
    with agent_host(tmp_path, ephemeral=False) as host:
        host.do(host.host.hold([TWO]))
        running = host.do(host.host.start("i1", ONE))
        try:
            host.end(crash=True)
            assert ask(ONE.address) == "i1 hello"
            with pytest.raises(HostDown, match="start it"):
                host.state()
            host.start()
            state = host.state()
            assert state.instances == (replace(running, ready_ms=0.0),)
            assert state.held == ()  # shadow instances have no process: they end with the agent
            host.do(host.host.hold([TWO]))
            assert host.do(host.host.stop("i1"))
            with pytest.raises(OSError, match=r"No route|timed out|unreachable"):
                ask(ONE.address, timeout_s=0.5)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has no parent that would end it
                os.kill(running.pid, signal.SIGKILL)


def test_holding_many_is_no_hindrance_to_a_start(host: AgentHost) -> None:
    async def both() -> bool:
        many = asyncio.ensure_future(host.host.hold([holding(number) for number in range(10, 60)]))
        await host.host.start("i1", ONE)
        early = not many.done()
        await many
        return early

    assert host.do(both())
    assert len(host.state().held) == 50
