"""A user's Ryu application beside umbra's, on embedded switches in this process. Needs no root."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from os_ken import cfg
from os_ken.base.app_manager import SERVICE_BRICKS, AppManager
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from controller import ryu_app, ryu_events
from controller.events import NodeFailed
from p4switch.switch import Switch

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
CPU_PORT = 510
CLIENT_PORT = 9
SPINE_PORT = 1
CAPACITY = 40
THRESHOLD = 20
R1, R2 = 301, 302
SWITCHES = {"e1": 1, "s1": 11, "r1": 21, "r2": 22}

FABRIC = """\
umbra: 1
cycle: {{period_s: 0.2, predictive: false}}
api: {{port: {api}}}
switches:
  - {{name: e1, stage: edge, device_id: 1, address: "{e1}", label: 101,
     mac: 02:00:00:00:01:01, subnet: 10.1.1.0/24}}
  - {{name: s1, stage: spine, device_id: 11, address: "{s1}", label: 201,
     mac: 02:00:00:00:02:01, subnet: 10.2.1.0/24}}
  - {{name: r1, stage: router, device_id: 21, address: "{r1}", label: 301,
     mac: 02:00:00:00:03:01, capacity: 40, threshold_available: 20}}
  - {{name: r2, stage: router, device_id: 22, address: "{r2}", label: 302,
     mac: 02:00:00:00:03:02, capacity: 40, threshold_available: 20}}
links:
  - {{a: e1:1, b: s1:1}}
  - {{a: r1:1, b: s1:2}}
  - {{a: r2:1, b: s1:3}}
clients:
  - {{name: c1, port: e1:9, ip: 10.1.1.10, mac: 02:00:00:00:04:01}}
backends:
  - {{name: b1, port: s1:9, ip: 10.2.1.10, mac: 02:00:00:00:05:01, label: 401}}
services:
  - {{id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}}
"""

USER_APP = '''\
from os_ken.base import app_manager
from os_ken.controller.handler import set_ev_cls

from controller import ryu_events


class Reacting(app_manager.OSKenApp):
    """A user's application: it remembers what it was told, and one of its handlers is broken."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shifts = []
        self.failed = []
        self.recovered = []

    @set_ev_cls(ryu_events.EventShift)
    def on_shift(self, ev):
        self.shifts.append((ev.decision, ev.outcome))
        self.logger.info("reacting to %s of %s", ev.decision.kind.value, ev.decision.router)

    @set_ev_cls(ryu_events.EventNodeFailed)
    def on_failed(self, ev):
        self.failed.append(ev.node)
        raise KeyError("a fault in a user's handler")

    @set_ev_cls(ryu_events.EventNodeRecovered)
    def on_recovered(self, ev):
        self.recovered.append(ev.node)
'''


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(what: Callable[[], object], words: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline_s, f"did not happen: {words}"
        time.sleep(0.02)


def api_url(config: Path) -> str:
    port = int(config.read_text().partition("port: ")[2].partition("}")[0])
    return f"http://127.0.0.1:{port}/api/v1"


def reconciled(config: Path) -> bool:
    """Whether the controller has brought every switch to its plan."""
    try:
        nodes = httpx.get(f"{api_url(config)}/nodes", trust_env=False).json()
    except httpx.TransportError:
        return False
    return all(node["up"] and node["reconciled"] for node in nodes)


def syn(source_port: int) -> Any:
    return IP(src="10.1.1.10", dst="10.100.0.1") / TCP(sport=source_port, dport=80, flags="S")


def at_edge(source_port: int) -> bytes:
    """A client's SYN as it reaches the edge."""
    return bytes(Ether(src="02:00:00:00:04:01", dst="02:00:00:00:01:01") / syn(source_port))


def at_router(source_port: int) -> bytes:
    """The same as it reaches r1."""
    ether = Ether(src="02:00:00:00:01:01", dst="02:00:00:00:03:01", type=0x8847)
    return bytes(ether / MPLS(label=R1, s=1, ttl=64) / syn(source_port))


@pytest.fixture
def switches() -> Iterator[dict[str, Switch]]:
    """Every switch of the fabric, empty, as one that was just switched on."""
    running: dict[str, Switch] = {}
    try:
        for name, device_id in SWITCHES.items():
            running[name] = Switch(device_id, "127.0.0.1:0", cpu_port=CPU_PORT).start()
        yield running
    finally:
        for switch in running.values():
            switch.stop()


@pytest.fixture
def config(switches: dict[str, Switch], tmp_path: Path) -> Path:
    """A configuration of these switches."""
    addresses = {name: switch.grpc_address for name, switch in switches.items()}
    file = tmp_path / "umbra.yaml"
    file.write_text(FABRIC.format(api=free_port(), **addresses))
    return file


@pytest.fixture
def user_app(tmp_path: Path) -> Path:
    file = tmp_path / "reacting.py"
    file.write_text(USER_APP)
    return file


@pytest.fixture
def manager(config: Path, user_app: Path) -> Iterator[AppManager]:
    """os-ken's own application manager with both applications running."""
    manager = AppManager()
    manager.load_apps(["controller.ryu_app", str(user_app)])
    cfg.CONF.set_override("umbra_config", str(config))
    try:
        manager.instantiate_apps(**manager.create_contexts())
        yield manager
    finally:
        manager.close()
        cfg.CONF.clear_override("umbra_config")
    assert not SERVICE_BRICKS
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("umbra")]
    assert not left


def edge_labels(edge: Switch, source_ports: range) -> Counter[int]:
    """Which routers the edge chooses for new connections."""
    chosen: Counter[int] = Counter()
    for port in source_ports:
        for _, packet in edge.inject(CLIENT_PORT, at_edge(port)):
            layer = Ether(packet)
            if MPLS in layer:
                chosen[layer[MPLS].label] += 1
    return chosen


def test_a_users_application_reacts_to_a_shift_that_traffic_caused(
    manager: AppManager, config: Path, switches: dict[str, Switch]
) -> None:
    app = manager.applications["Reacting"]
    wait_for(lambda: reconciled(config), "all switches up and reconciled")
    assert edge_labels(switches["e1"], range(1000, 1100)) == {R1: 100}

    for port in range(2000, 2000 + CAPACITY - THRESHOLD + 5):
        switches["r1"].inject(SPINE_PORT, at_router(port))
    wait_for(
        lambda: any(d.kind.value == "shift" and o.written for d, o in app.shifts), "a written shift"
    )
    decision, outcome = next((d, o) for d, o in app.shifts if d.kind.value == "shift")
    assert decision.router == "r1"
    assert decision.trigger == "reactive"
    assert decision.reason
    assert decision.shadows == ("r2",)
    assert outcome.decision_id == decision.id
    assert outcome.written == ("e1",)
    assert edge_labels(switches["e1"], range(3000, 3100))[R2] >= decision.shift_after_pct


def test_a_weight_set_through_the_api_is_written_exactly_and_is_an_event(
    manager: AppManager, config: Path, switches: dict[str, Switch]
) -> None:
    app = manager.applications["Reacting"]
    wait_for(lambda: reconciled(config), "all switches up and reconciled")
    weight = f"{api_url(config)}/routers/r1/weight"
    assert httpx.post(weight, json={"shift_pct": 30}, trust_env=False).status_code == 200
    wait_for(lambda: app.shifts, "the event")
    decision, outcome = app.shifts[0]
    assert (decision.kind.value, decision.router, decision.shift_after_pct) == ("manual", "r1", 30)
    assert outcome.written == ("e1",)
    assert edge_labels(switches["e1"], range(1000, 1100)) == {R1: 70, R2: 30}
    url = f"{api_url(config)}/decisions"
    found = httpx.get(url, params={"kind": "manual"}, trust_env=False).json()
    assert [item["id"] for item in found] == [decision.id]
    assert found[0]["written"] == ["e1"]


def test_a_lost_switch_and_its_return_are_events_and_a_broken_handler_ends_nothing(
    manager: AppManager, config: Path, switches: dict[str, Switch]
) -> None:
    app = manager.applications["Reacting"]
    wait_for(lambda: reconciled(config), "all switches up and reconciled")
    address = switches["s1"].grpc_address
    switches["s1"].stop()
    wait_for(lambda: app.failed == ["s1"], "the loss of s1")
    # on_failed has raised by now; the application must still hear the next event.
    switches["s1"] = Switch(SWITCHES["s1"], address, cpu_port=CPU_PORT).start()
    wait_for(lambda: app.recovered == ["s1"], "the return of s1")


def test_after_a_stop_the_switches_forward_as_before(
    config: Path, user_app: Path, switches: dict[str, Switch]
) -> None:
    manager = AppManager()
    manager.load_apps(["controller.ryu_app", str(user_app)])
    cfg.CONF.set_override("umbra_config", str(config))
    manager.instantiate_apps(**manager.create_contexts())
    core = manager.applications["umbra"].core
    try:
        wait_for(lambda: reconciled(config), "all switches up and reconciled")
    finally:
        manager.close()
        cfg.CONF.clear_override("umbra_config")
    assert not core.is_alive()
    assert core.failure is None
    assert edge_labels(switches["e1"], range(1000, 1100)) == {R1: 100}


def test_an_application_that_never_finishes_loses_events_but_holds_nobody_up(
    manager: AppManager, config: Path
) -> None:
    app = manager.applications["Reacting"]
    own = manager.applications["umbra"]
    wait_for(lambda: reconciled(config), "all switches up and reconciled")
    release = threading.Event()
    app.event_handlers[ryu_events.EventNodeFailed] = [lambda ev: release.wait()]
    try:
        for number in range(app.events.maxsize + 20):
            own.publisher.offer(NodeFailed(f"n{number}", 0.0))
        wait_for(lambda: own.publisher.dropped > 0, "events dropped")
        assert own.publisher.is_alive()
    finally:
        release.set()


def test_without_a_configuration_the_application_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UMBRA_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"--umbra-config FILE or set UMBRA_CONFIG"):
        ryu_app.configuration()


def test_the_environment_names_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBRA_CONFIG", "fabric.yaml")
    assert ryu_app.configuration() == "fabric.yaml"


def listening(pid: int) -> set[int]:
    """TCP ports on which a process listens."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_umbra_ryu_hosts_both_opens_no_openflow_port_and_ends_cleanly(
    number: signal.Signals,
    config: Path,
    user_app: Path,
    switches: dict[str, Switch],
    tmp_path: Path,
) -> None:
    log_path = tmp_path / "ryu.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "controller.cli",
                "ryu",
                "--config",
                str(config),
                str(user_app),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        wait_for(
            lambda: process.poll() is not None or reconciled(config),
            "all switches up and reconciled",
        )
        assert process.poll() is None, log_path.read_text()
        assert listening(process.pid) == {httpx.URL(api_url(config)).port}
        for port in range(2000, 2000 + CAPACITY - THRESHOLD + 5):
            switches["r1"].inject(SPINE_PORT, at_router(port))
        wait_for(lambda: "reacting to shift of r1" in log_path.read_text(), "the reaction")
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0, log_path.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert f"{number.name}: stopping" in log_path.read_text()
    assert "applications: umbra, Reacting" in log_path.read_text()
