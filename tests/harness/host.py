"""A host with an agent, in a namespace of its own; its gateway is this process's network: a real kernel, with ARP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from controller.act.host_agent import READY
from controller.act.host_values import Holding, HostState
from controller.act.hosts import Host
from controller.act.namespaces import inside, new_namespace

GATEWAY, NETWORK = "10.77.0.1", "10.77.0.1/16"
HOST_ADDRESS = "10.77.0.2"
OUTER, UPLINK = "hz-gw", "hz-up"
PERIOD_S = 0.2

T = TypeVar("T")


def holding(number: int) -> Holding:
    """The address 10.77.1.NUMBER, with a MAC of its own."""
    return Holding(f"10.77.1.{number}", f"02:00:0a:4d:01:{number:02x}", GATEWAY)


def ip(*arguments: str) -> str:
    """Output of ip(8)."""
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def neighbour(address: str) -> str | None:
    """The MAC that this network's ARP cache has for an address."""
    [*found] = json.loads(ip("-j", "neigh", "show", "to", address, "dev", OUTER))
    return found[0].get("lladdr") if found else None


def ask(address: str, port: int = 80, timeout_s: float = 3.0) -> str:
    """The answer of an instance to one request. OSError when nobody serves."""
    with socket.create_connection((address, port), timeout=timeout_s) as connection:
        connection.sendall(b"hello\n")
        return connection.recv(200).decode().strip()


class AgentHost:
    """The host, its agent, and the controller's side of it."""

    def __init__(self, directory: Path, *, ephemeral: bool = True) -> None:
        self.namespace = new_namespace()
        self._path = directory / "host.sock"
        self._ephemeral = ephemeral
        self._loop = asyncio.new_event_loop()
        self.process: subprocess.Popen[bytes] | None = None
        self.host = Host("h1", self._path)
        self._plug()

    def _plug(self) -> None:
        ip("link", "add", OUTER, "type", "veth", "peer", "name", UPLINK)
        ip("link", "set", UPLINK, "netns", f"/proc/{os.getpid()}/fd/{self.namespace}")
        ip("address", "add", NETWORK, "dev", OUTER)
        ip("link", "set", OUTER, "up")
        with inside(self.namespace):
            ip("address", "add", f"{HOST_ADDRESS}/16", "dev", UPLINK)
            ip("link", "set", UPLINK, "up")
            ip("route", "add", "default", "via", GATEWAY)

    def start(self) -> None:
        """Start the agent; returns when it serves."""
        command = [sys.executable, "-m", "controller.act.host_agent", "--uplink", UPLINK]
        command += ["--socket", str(self._path), "--heartbeat-s", str(PERIOD_S)]
        with inside(self.namespace):
            self.process = subprocess.Popen(
                command + ["--ephemeral"] * self._ephemeral, stdout=subprocess.PIPE
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == READY.encode()

    def end(self, *, crash: bool = False) -> None:
        """End the agent, as asked or by a crash."""
        if self.process is not None:
            (self.process.kill if crash else self.process.terminate)()
            self.process.wait(10)
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this on the event loop of the host's connections."""
        return self._loop.run_until_complete(work)

    def state(self) -> HostState:
        """What runs there."""
        return self.do(self.host.state())

    def until(self, condition: Callable[[HostState], bool]) -> HostState:
        """Wait for a state of the host; TimeoutError when it does not come."""

        async def wait() -> HostState:
            async with asyncio.timeout(10):
                while not condition(state := await self.host.state()):
                    await asyncio.sleep(0.02)
                return state

        return self.do(wait())

    def ports(self) -> set[str]:
        """Ports of the host's bridge, the uplink aside."""
        with inside(self.namespace):
            links = json.loads(ip("-j", "link", "show", "master", "um-br"))
        return {link["ifname"] for link in links} - {UPLINK}

    def until_ports(self, count: int) -> None:
        """Wait until the bridge has so many ports. AssertionError when that does not come."""
        for _ in range(200):
            if len(self.ports()) == count:
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"the bridge has the ports {self.ports()}, not {count}")

    def close(self) -> None:
        """End everything."""
        self.do(self.host.close())
        self.end()
        self._loop.close()
        ip("link", "del", OUTER)
        os.close(self.namespace)


@contextmanager
def agent_host(directory: Path, *, ephemeral: bool = True) -> Iterator[AgentHost]:
    """A host with a running agent."""
    one = AgentHost(directory, ephemeral=ephemeral)
    try:
        one.start()
        yield one
    finally:
        one.close()
