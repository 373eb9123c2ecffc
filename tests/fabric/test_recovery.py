"""A switch that vanishes and comes back empty: programmed again, without a write to any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from harness.whole import SMALLEST, Whole
from topologies.clos import configuration

WEB = 1
ASK = """
import socket
with socket.create_connection(("{address}", 80), 3) as sock:
    sock.sendall(b"?")
    print(sock.recv(100).decode())
"""
SERVE = """
import socketserver

class Name(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(10)
        self.request.sendall(b"b1")

socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("{address}", 80), Name).serve_forever()
"""


async def answer(whole: Whole) -> str:
    """What a client gets that asks the service, by a real TCP connection."""
    code = ASK.format(address=whole.config["services"][0]["address"])
    output = await asyncio.to_thread(whole.network.output, "c1", ["python3", "-c", code])
    return output.strip()


def serve(whole: Whole) -> None:
    """A backend that says who it is."""
    code = SERVE.format(address=whole.config["services"][0]["address"])
    whole.network.run("b1", ["python3", "-c", code])


async def restart(whole: Whole, name: str) -> None:
    """Kill a switch, wait until that is known, start it again, wait until it is programmed."""
    switch = whole.network.switch(name)
    switch.kill()
    await whole.until(lambda: not whole.driver.status()[name].up)
    assert whole.driver.status()[name].last_error
    switch.start()
    await whole.until(lambda: whole.driver.status()[name].reconciled)


def test_a_router_that_comes_back_empty_is_programmed_without_touching_the_others(
    kind: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with Whole(configuration(SMALLEST), kind, tmp_path) as whole:
            serve(whole)
            await whole.share(WEB, {"r1": 60, "r2": 40})
            before = whole.driver.status()
            await restart(whole, "r1")
            after = whole.driver.status()
            assert after["r1"].updates == 2 * before["r1"].updates
            for name in ("e1", "s1", "r2"):
                assert after[name] == before[name]
            assert await answer(whole) == "b1"

    asyncio.run(play())


def test_an_edge_that_comes_back_gets_the_weights_in_force(kind: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Whole(configuration(SMALLEST), kind, tmp_path) as whole:
            serve(whole)
            await whole.share(WEB, {"r1": 60, "r2": 40})
            in_force = await whole.driver.slots_in_force()
            await restart(whole, "e1")
            assert await whole.driver.slots_in_force() == in_force
            assert await answer(whole) == "b1"

    asyncio.run(play())


def test_reconciling_again_writes_nothing(kind: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Whole(configuration(SMALLEST), kind, tmp_path) as whole:
            report = await whole.driver.reconcile()
            assert set(report.updates.values()) == {0}
            assert report.failed == ()

    asyncio.run(play())
