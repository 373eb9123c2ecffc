"""The whole of it: daemon, command line, pool, agents, switches, and a client outside that asks the instances."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from topologies.bench.addresses.watch import Watch
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.host_agents import start_agents
from topologies.net import Network

HOSTS = ("b1", "b2")
READY_S = 90.0
ROOT = Path(__file__).parents[2]
WARM = 2
INTERNAL, EXTERNAL = "10.64.0.0/26", "198.51.100.0/26"


class Umbra:
    """The daemon as a process, and the command line."""

    def __init__(self, directory: Path, plain: dict[str, Any]) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self._port = sock.getsockname()[1]
        plain["api"] = {"port": self._port}
        self._file = directory / "umbra.yaml"
        self._file.write_text(yaml.safe_dump(plain))
        self._log = directory / "daemon.log"
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    @contextmanager
    def running(self, end: signal.Signals = signal.SIGINT) -> Iterator[None]:
        command = [sys.executable, "-m", "controller.cli", "run", "--config", str(self._file)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stderr=log, env=self._environment)
        try:
            yield
        finally:
            process.send_signal(end)
            process.wait(20)
        expected = 0 if end == signal.SIGINT else -end
        assert process.returncode == expected, self._log.read_text()[-2000:]

    def __call__(self, *arguments: str) -> Any:
        """The JSON that a command prints; None when it fails."""
        url = f"http://127.0.0.1:{self._port}"
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli", *arguments, "--json", "--api", url],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=self._environment,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The API's JSON; None when there is no answer, or a refusal."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        try:
            with httpx.Client(timeout=10, trust_env=False) as client:
                answer = client.post(url, json=body) if body is not None else client.get(url)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def until_warm(self) -> None:
        """Wait until there are as many warm addresses as there may be."""
        deadline_s = time.monotonic() + READY_S
        while True:
            found = self.ask("shards")
            if found is not None and found["subdivisions"][0]["counts"]["held"] == WARM:
                return
            assert time.monotonic() < deadline_s, f"{found}\n{self._log.read_text()[-3000:]}"
            time.sleep(0.1)


def outside(address: str) -> str:
    """The public address of an internal one."""
    place = int(ipaddress.ip_address(address)) - int(ipaddress.ip_network(INTERNAL)[0])
    return str(ipaddress.ip_network(EXTERNAL)[place])


@pytest.fixture
def world(kind: str, tmp_path: Path) -> Iterator[tuple[Umbra, Network, dict[str, Any]]]:
    """A fabric with two hosts and their agents; the daemon is still to be started."""
    service = (ServiceSpec("web", routers=("r1",)),)
    spec = ClosSpec(edges=1, spines=1, routers=1, backends=2, clients=1, services=service)
    plain = configuration(spec)
    plain["store"] = {"path": str(tmp_path / "umbra.db")}
    plain["audit"] = {"path": str(tmp_path / "audit.jsonl")}
    with Network(plain, kind, tmp_path) as network:
        agents = start_agents(network, HOSTS, tmp_path / "agents")
        wiring = [network.wiring.host(name) for name in HOSTS]
        plain["addresses"] = {
            "pool": str(tmp_path / "pool.db"),
            "history": str(tmp_path / "instances.db"),
            "period_s": 0.5,
            "reconcile_s": 2.0,
            "warm": {"at_least": WARM, "at_most": WARM},
            "shards": {"ipv4_addresses": 16},
            "subdivisions": [
                {
                    "name": "pod",
                    "prefixes": [INTERNAL],
                    "external": EXTERNAL,
                    "hosts": [
                        {
                            "name": one.name,
                            "port": f"{one.switch}:{one.port}",
                            "agent": str(tmp_path / "agents" / f"{one.name}.sock"),
                        }
                        for one in wiring
                    ],
                }
            ],
        }
        yield Umbra(tmp_path, plain), network, agents


def test_an_instance_gets_a_warm_address_and_serves_and_a_crash_disturbs_nobody(
    world: tuple[Umbra, Network, dict[str, Any]],
) -> None:
    umbra, network, agents = world
    with umbra.running(signal.SIGKILL):
        umbra.until_warm()
        held = umbra("address", "list", "--state", "held")["addresses"]
        first = min(held, key=lambda one: one["sequence"])
        external = outside(first["address"])
        with Watch(network, "connect", external) as watch:
            taken = umbra("address", "take", "pod", "web-1")
            said = watch.said()
        assert (taken["address"], taken["mac"]) == (first["address"], first["mac"])
        assert (taken["warm"], taken["external"]) == (True, external)
        assert said["name"] == "web-1"
    with Watch(network, "ping", external) as watch:
        with umbra.running():  # another run of the controller begins, and ends
            umbra.until_warm()
            again = umbra("address", "take", "pod", "web-1")
            assert (again["address"], again["sequence"]) == (taken["address"], taken["sequence"])
            assert again["again"]
            nodes = umbra.ask("nodes")
            assert all(node["reconciled"] for node in nodes)
        pinged = watch.said(True)
    last_ns = max(sent for sent, _ in pinged["answers"])
    assert len(pinged["answers"]) > 100
    assert [at for at in pinged["unanswered"] if at < last_ns] == []
    states = [asyncio.run(agent.host.state()) for agent in agents.values()]
    assert [one.name for state in states for one in state.instances] == ["web-1"]


def test_without_warm_addresses_the_same_call_allocates_and_what_is_released_cools_down(
    world: tuple[Umbra, Network, dict[str, Any]],
) -> None:
    umbra, network, _ = world
    with umbra.running():
        umbra.until_warm()
        with ThreadPoolExecutor(8) as several:
            bodies = [{"subdivision": "pod", "owner": f"web-{number}"} for number in range(8)]
            taken = list(several.map(lambda body: umbra.ask("addresses/take", body), bodies))
        assert {one["warm"] for one in taken} == {True, False}
        cold = next(one for one in taken if not one["warm"])
        with Watch(network, "connect", cold["external"]) as watch:
            assert watch.said()["name"] == cold["owner"]
        assert umbra("address", "release", cold["address"], cold["owner"])["released"]
        listed = umbra("address", "list", "--state", "cooling")["addresses"]
        assert cold["address"] in {one["address"] for one in listed}
        more = umbra("address", "take", "pod", "another")
        assert more["address"] not in {one["address"] for one in taken}
