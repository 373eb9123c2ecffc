"""What connections experience of a Linux host that does 1:1 NAT by nftables, while its rows change."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from controller.act.namespaces import inside, new_namespace
from controller.act.nat import TABLE, NatHost
from controller.model import NatRow
from harness.host import ip

ROW = NatRow("10.78.0.5", "198.51.100.5")
OTHER = NatRow("10.78.0.6", "198.51.100.6")
INSIDE = ("10.78.0.0/24",)
OUTSIDER = "192.0.2.9"


class NatWorld:
    """An outsider (this process's network), the NAT host, and a network inside with two addresses."""

    def __init__(self, stack: ExitStack) -> None:
        self.nat, self.hosts = new_namespace(), new_namespace()
        stack.callback(os.close, self.nat)
        stack.callback(os.close, self.hosts)
        ip("link", "add", "hz-out", "type", "veth", "peer", "name", "hz-n0")
        stack.callback(ip, "link", "del", "hz-out")
        ip("link", "set", "hz-n0", "netns", self.path(self.nat))
        ip("address", "add", f"{OUTSIDER}/24", "dev", "hz-out")
        ip("link", "set", "hz-out", "up")
        ip("route", "add", "198.51.100.0/24", "via", "192.0.2.1")
        with inside(self.nat):
            ip("link", "add", "hz-n1", "type", "veth", "peer", "name", "hz-in")
            ip("link", "set", "hz-in", "netns", self.path(self.hosts))
            for name, address in (("hz-n0", "192.0.2.1/24"), ("hz-n1", "10.78.0.1/24")):
                ip("address", "add", address, "dev", name)
                ip("link", "set", name, "up")
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
                file.write("1")
        with inside(self.hosts):
            ip("link", "set", "lo", "up")
            for address in (ROW.internal, OTHER.internal):
                ip("address", "add", f"{address}/24", "dev", "hz-in")
            ip("link", "set", "hz-in", "up")
            ip("route", "add", "default", "via", "10.78.0.1")
            self.server = stack.enter_context(socket.create_server(("0.0.0.0", 80)))
        self.host = NatHost(("nsenter", f"--net={self.path(self.nat)}", "nft"))

    def path(self, namespace: int) -> str:
        """Where other programs find it."""
        return f"/proc/{os.getpid()}/fd/{namespace}"

    def reconcile(self, *rows: NatRow) -> int:
        """Make the NAT host hold these rows."""
        return asyncio.run(self.host.reconcile(rows, INSIDE))

    def nft(self, *arguments: str) -> str:
        """Output of nft on the NAT host."""
        with inside(self.nat):
            done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def connect(self, address: str) -> tuple[socket.socket, socket.socket, str]:
        """A connection from outside: client's end, server's end, and who the server thinks it is."""
        client = socket.create_connection((address, 80), timeout=2.0)
        served, _ = self.server.accept()
        return client, served, served.getsockname()[0]


@pytest.fixture
def world() -> Iterator[NatWorld]:
    """The three networks."""
    if shutil.which("nft") is None:
        pytest.fail(
            "nft is not installed: run tools/setup.sh test (Debian: apt-get install nftables)"
        )
    with ExitStack() as stack:
        yield NatWorld(stack)


def test_the_outside_reaches_an_address_as_soon_as_its_row_is_there(world: NatWorld) -> None:
    world.reconcile(ROW)
    client, served, local = world.connect(ROW.external)
    with client, served:
        assert local == ROW.internal
        served.sendall(b"from inside")
        assert client.recv(100) == b"from inside"
    with pytest.raises(OSError, match=r"timed out|No route|unreachable"):
        socket.create_connection((OTHER.external, 80), timeout=0.5)


def test_a_connection_from_inside_comes_from_the_external_address(world: NatWorld) -> None:
    world.reconcile(ROW)
    with socket.create_server((OUTSIDER, 0)) as outside:
        port = outside.getsockname()[1]
        for internal, seen in ((ROW.internal, ROW.external), (OTHER.internal, OTHER.internal)):
            ip("route", "replace", "10.78.0.0/24", "via", "192.0.2.1")
            with inside(world.hosts):
                client = socket.socket()
            with client:
                client.bind((internal, 0))
                client.settimeout(2.0)
                client.connect((OUTSIDER, port))
                served, peer = outside.accept()
                served.close()
                assert peer[0] == seen


def test_connections_live_while_other_rows_come_and_go(world: NatWorld) -> None:
    world.reconcile(ROW)
    client, served, _ = world.connect(ROW.external)
    with client, served:
        for rows in ((ROW, OTHER), (ROW,), (ROW, OTHER)):
            world.reconcile(*rows)
            client.sendall(b"still there")
            assert served.recv(100) == b"still there"
    client, served, local = world.connect(OTHER.external)
    with client, served:
        assert local == OTHER.internal


def test_inside_an_address_may_be_called_by_its_external_one(world: NatWorld) -> None:
    world.reconcile(ROW, OTHER)
    with inside(world.hosts):
        client = socket.socket()
    with client:
        client.settimeout(2.0)
        client.bind((ROW.internal, 0))
        client.connect((OTHER.external, 80))
        served, peer = world.server.accept()
        with served:
            assert (served.getsockname()[0], peer[0]) == (OTHER.internal, ROW.external)


def test_programs_of_the_nat_host_itself_reach_external_addresses(world: NatWorld) -> None:
    world.reconcile(ROW)
    with inside(world.nat):
        ip("route", "add", "default", "via", OUTSIDER)
        client = socket.socket()
    with client:
        client.settimeout(2.0)
        client.connect((ROW.external, 80))
        served, _ = world.server.accept()
        with served:
            assert served.getsockname()[0] == ROW.internal


def test_only_what_differs_is_written_and_other_tables_are_left_alone(world: NatWorld) -> None:
    world.nft("add", "table", "ip", "somebody_elses")
    assert world.reconcile(ROW) > 0
    assert world.reconcile(ROW) == 0
    assert world.reconcile(ROW, OTHER) == 2
    assert asyncio.run(world.host.read()).rows == {ROW, OTHER}
    assert "somebody_elses" in world.nft("list", "tables")


def test_a_table_that_somebody_spoiled_is_put_right(world: NatWorld) -> None:
    world.reconcile(ROW)
    world.nft("flush", "chain", "ip", TABLE, "prerouting")
    assert world.reconcile(ROW) > 0
    client, served, _ = world.connect(ROW.external)
    client.close()
    served.close()
    listing = json.loads(world.nft("-j", "list", "table", "ip", TABLE))
    assert sum("rule" in item for item in listing["nftables"]) == 4
