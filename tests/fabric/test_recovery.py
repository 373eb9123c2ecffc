"""A switch that vanishes and comes back empty: programmed again, without a write to any other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from harness.fabric import SMALLEST, Running, running, wait_reconciled

SPEC = replace(SMALLEST, base_port=53000)


async def until_down(fabric: Running, name: str) -> None:
    async with asyncio.timeout(10):
        while fabric.driver.status()[name].up:
            await asyncio.sleep(0.02)


def answer(fabric: Running) -> str:
    """What a client gets that asks the service, by a real TCP connection."""
    address = fabric.config["services"][0]["address"]
    code = (
        f"import socket; s = socket.create_connection(('{address}', 80), 3); "
        "s.sendall(b'1\\n'); print(s.recv(100).decode())"
    )
    return fabric.network.output("c1", ["python3", "-c", code])


def serve(fabric: Running) -> None:
    """A backend that says who it is."""
    address = fabric.config["services"][0]["address"]
    code = f"""
import socketserver

class Name(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(10)
        self.request.sendall(b"b1")

socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("{address}", 80), Name).serve_forever()
"""
    fabric.network.run("b1", ["python3", "-c", code])


def test_a_router_that_comes_back_empty_is_programmed_without_touching_the_others(
    kind: str, tmp_path: Path
) -> None:
    with running(kind, SPEC, tmp_path) as fabric:
        serve(fabric)
        fabric.weights("web", {"r1": 60, "r2": 40})
        before = fabric.driver.status()
        fabric.network.switch("r1").kill()
        fabric.do(until_down(fabric, "r1"))
        assert fabric.driver.status()["r1"].last_error
        fabric.network.switch("r1").start()
        fabric.network.switch("r1").wait_ready()
        wait_reconciled(fabric)
        after = fabric.driver.status()
        assert after["r1"].updates == 2 * before["r1"].updates
        for name in ("e1", "s1", "r2"):
            assert after[name] == before[name]
        assert answer(fabric).strip() == "b1"


def test_an_edge_that_comes_back_gets_the_weights_in_force(kind: str, tmp_path: Path) -> None:
    with running(kind, SPEC, tmp_path) as fabric:
        serve(fabric)
        fabric.weights("web", {"r1": 60, "r2": 40})
        in_force = fabric.do(fabric.driver.slots_in_force())
        fabric.network.switch("e1").kill()
        fabric.do(until_down(fabric, "e1"))
        fabric.network.switch("e1").start()
        fabric.network.switch("e1").wait_ready()
        wait_reconciled(fabric)
        assert fabric.do(fabric.driver.slots_in_force()) == in_force
        assert answer(fabric).strip() == "b1"


def test_reconciling_again_writes_nothing(kind: str, tmp_path: Path) -> None:
    with running(kind, SPEC, tmp_path) as fabric:
        report = fabric.do(fabric.driver.reconcile())
        assert set(report.updates.values()) == {0}
        assert report.failed == ()
