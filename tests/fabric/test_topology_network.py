"""The emulated network: what it builds works, what dies is named, and nothing stays behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies import switch_node
from topologies.clos import ClosSpec, configuration
from topologies.net import Network
from topologies.switches import EMBEDDED, SwitchError, listening

SMALL = ClosSpec(edges=1, spines=1, routers=1, backends=1, clients=1)


def interfaces() -> set[str]:
    text = subprocess.run(
        ["ip", "-brief", "link"], capture_output=True, text=True, check=True
    ).stdout
    return {line.split()[0].split("@")[0] for line in text.splitlines()}


def test_every_switch_serves_and_afterwards_no_interface_and_no_process_is_left(
    kind: str, tmp_path: Path
) -> None:
    before = interfaces()
    with Network(configuration(SMALL), kind, tmp_path) as network:
        assert {"um-e1-1", "um-s1-1", "um-r1-1"} <= interfaces()
        assert all(listening("127.0.0.1", switch.grpc_port) for switch in network.wiring.switches)
        assert network.dead() == ()
        switches = [switch.process for switch in network.switches]
        program = network.run("c1", ["sleep", "1000"])
    assert interfaces() == before
    assert all(process is not None and process.poll() is not None for process in switches)
    assert program.poll() is not None


def test_hosts_have_their_addresses_and_no_offloads(kind: str, tmp_path: Path) -> None:
    with Network(configuration(SMALL), kind, tmp_path) as network:
        addresses = network.output("b1", ["ip", "-brief", "address"])
        assert "10.2.1.10/24" in addresses
        assert "10.100.0.1/32" in addresses
        assert "fe80" not in addresses
        assert "default via 10.1.1.1" in network.output("c1", ["ip", "route"])


def test_a_switch_that_dies_is_named_and_can_be_started_again(kind: str, tmp_path: Path) -> None:
    with Network(configuration(SMALL), kind, tmp_path) as network:
        switch = network.switch("s1")
        switch.kill()
        (obituary,) = network.dead()
        assert f"switch s1 ({kind}) died of signal 9" in obituary
        switch.start()
        switch.wait_ready()
        assert network.dead() == ()
        with pytest.raises(SwitchError, match="runs already"):
            switch.start()


def test_a_switch_that_does_not_start_is_named_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["/bin/sh", "-c", "echo no such interface; exit 3"]
    monkeypatch.setattr(switch_node, "command", lambda _kind, _wiring: broken)
    network = Network(configuration(SMALL), EMBEDDED, tmp_path)
    with pytest.raises(SwitchError, match=r"(?s)switch e1 .* ended with code 3.*no such interface"):
        network.__enter__()
    assert "um-e1-1" not in interfaces()


def test_a_cable_between_sites_takes_its_time(kind: str, tmp_path: Path) -> None:
    from socket import AF_PACKET, SOCK_RAW, htons, socket
    from time import monotonic

    spec = ClosSpec(*(1, 1, 1, 1, 1), sites=2, inter_site_delay_ms=40.0)
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + b"x" * 60
    with Network(configuration(spec), kind, tmp_path) as network:
        cable = next(cable for cable in network.wiring.cables if cable.delay_ms)
        with (
            socket(AF_PACKET, SOCK_RAW, htons(0x88B5)) as far,
            socket(AF_PACKET, SOCK_RAW, 0) as near,
        ):
            far.bind((cable.b_interface, 0x88B5))
            far.settimeout(5.0)
            near.bind((cable.a_interface, 0))
            sent_s = monotonic()
            near.send(frame)
            assert far.recv(2000) == frame
            assert monotonic() - sent_s >= 0.04
