"""The embedded switch on real interfaces (veth pairs in the test run's own network namespace)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from unit.p4switch_server.client import CPU_PORT, Client, l2_entry, update

from p4switch.switch import Switch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: needs CAP_NET_RAW")

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
TIMEOUT_S = 5.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def add_link(number: int) -> None:
    """swp<number>, the switch's end, and host<number>."""
    ip("link", "add", f"swp{number}", "type", "veth", "peer", "name", f"host{number}")
    for name in (f"swp{number}", f"host{number}"):
        ip("link", "set", name, "addrgenmode", "none", "mtu", "9000", "up")


class Host:
    """What is plugged into a port: sends and receives whole frames."""

    def __init__(self, number: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((f"host{number}", ETH_P_ALL))
        self.socket.settimeout(TIMEOUT_S)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)

    def send(self, frame: bytes) -> None:
        self.socket.send(frame)

    def receive(self) -> bytes:
        """The next frame that came from the switch."""
        while True:
            frame, address = self.socket.recvfrom(1 << 16)
            if address[2] != socket.PACKET_OUTGOING:
                return frame

    def hears_nothing(self) -> bool:
        self.socket.settimeout(0.1)
        try:
            self.receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)
        return False

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def links() -> Iterator[None]:
    add_link(1)
    add_link(2)
    yield
    for number in (1, 2):
        subprocess.run(["ip", "link", "del", f"host{number}"], capture_output=True, check=False)


@pytest.fixture
def switch(links: None) -> Iterator[Switch]:
    """Port 1 on swp1, port 2 on swp2; 0xA is behind port 1 and 0xB behind port 2."""
    with (
        Switch(
            grpc_address="127.0.0.1:0", ports={1: "swp1", 2: "swp2"}, cpu_port=CPU_PORT
        ) as started,
        Client(started.grpc_address) as client,
    ):
        assert client.notice()[0] == 0
        client.push()
        client.write(
            update("INSERT", l2_entry(0xA, port=1)), update("INSERT", l2_entry(0xB, port=2))
        )
        yield started


@pytest.fixture
def hosts(links: None) -> Iterator[dict[int, Host]]:
    made = {number: Host(number) for number in (1, 2)}
    yield made
    for host in made.values():
        host.close()


def frame(dst: int, payload: bytes = bytes(50), ether_type: bytes = b"\x12\x34") -> bytes:
    return dst.to_bytes(6, "big") + bytes(5) + b"\x07" + ether_type + payload


def eventually(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def test_frames_cross_the_switch_unchanged_and_are_counted(
    switch: Switch, hosts: dict[int, Host]
) -> None:
    for size in (46, 1000, 1486, 4000, 8900):
        sent = frame(0xB, bytes(i % 251 for i in range(size)))
        hosts[1].send(sent)
        assert hosts[2].receive() == sent
    stats = switch.port_stats()
    assert (stats[1].rx_packets, stats[2].tx_packets) == (5, 5)
    assert stats[1].rx_bytes == stats[2].tx_bytes == 5 * 14 + 46 + 1000 + 1486 + 4000 + 8900
    assert stats[1].rx_drops == stats[2].tx_drops == 0


def test_order_is_kept_through_batches(switch: Switch, hosts: dict[int, Host]) -> None:
    sent = [frame(0xB, i.to_bytes(4, "big") + bytes(46)) for i in range(500)]
    for one in sent:
        hosts[1].send(one)
    assert [hosts[2].receive() for _ in sent] == sent


def test_a_vlan_tag_stays_in_its_frame(switch: Switch, hosts: dict[int, Host]) -> None:
    tagged = frame(0xB, b"\x00\x2a\x08\x00" + bytes(46), ether_type=b"\x81\x00")
    hosts[1].send(tagged)
    # Not even the receiving host's kernel may show it to us without its tag.
    hosts[2].socket.setsockopt(263, 8, 1)  # PACKET_AUXDATA
    data, auxiliary, _, _ = hosts[2].socket.recvmsg(1 << 16, 64)
    tag = auxiliary[0][2][16:20] if auxiliary else b""
    assert data == frame(0xB, bytes(46), ether_type=b"\x08\x00")
    assert int.from_bytes(tag[:2], "little") == 0x2A


def test_the_switch_does_not_hear_what_it_sends_itself(
    switch: Switch, hosts: dict[int, Host]
) -> None:
    hosts[1].send(frame(0xA))
    assert hosts[1].receive() == frame(0xA)
    assert hosts[1].hears_nothing()
    assert switch.port_stats()[1].rx_packets == 1


def test_a_link_that_goes_down_and_up_works_again(switch: Switch, hosts: dict[int, Host]) -> None:
    ip("link", "set", "swp2", "down")
    hosts[1].send(frame(0xB))
    assert eventually(lambda: switch.port_stats()[2].tx_drops == 1)
    hosts[1].send(frame(0xA))
    assert hosts[1].receive() == frame(0xA)
    ip("link", "set", "swp2", "up")
    hosts[1].send(frame(0xB))
    assert hosts[2].receive() == frame(0xB)
    hosts[2].send(frame(0xA))
    assert hosts[1].receive() == frame(0xA)


def test_an_interface_that_vanishes_and_returns_works_again(
    switch: Switch, hosts: dict[int, Host]
) -> None:
    hosts[2].close()
    ip("link", "del", "swp2")
    hosts[1].send(frame(0xB))
    hosts[1].send(frame(0xA))
    assert hosts[1].receive() == frame(0xA)
    add_link(2)
    hosts[2] = Host(2)

    def is_back() -> bool:
        hosts[1].send(frame(0xB))
        return not hosts[2].hears_nothing()

    assert eventually(is_back)
    hosts[2].send(frame(0xA))
    assert hosts[1].receive() == frame(0xA)


def test_a_packet_out_leaves_on_its_port(switch: Switch, hosts: dict[int, Host]) -> None:
    switch.inject(CPU_PORT, (2 << 7).to_bytes(2, "big") + frame(0xB))
    assert hosts[2].receive() == frame(0xB)
