"""Command lines of the two switches."""

from __future__ import annotations

import shutil

import pytest

from topologies import switches
from topologies.switches import BMV2, EMBEDDED, SwitchError, choose, command
from topologies.wiring import SwitchWiring

WIRING = SwitchWiring("e1", 7, "127.0.0.1", 50007, 30007, ((1, "um-e1-1"), (101, "um-e1-101")))
PORTS = ["-i", "1@um-e1-1", "-i", "101@um-e1-101"]


def test_the_embedded_switch_takes_the_same_flags_without_the_separator() -> None:
    line = command(EMBEDDED, WIRING)
    assert line[1:] == [
        *("-m", "p4switch", "--device-id", "7", *PORTS, "--no-p4"),
        *("--grpc-server-addr", "127.0.0.1:50007", "--cpu-port", "510"),
    ]


@pytest.mark.parametrize("thrift", [True, False])
def test_bmv2_gets_a_thrift_port_only_when_it_knows_the_option(
    thrift: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switches, "has_thrift", lambda: thrift)
    line = command(BMV2, WIRING)
    general, target = line[: line.index("--")], line[line.index("--") + 1 :]
    assert ("--thrift-port" in general) == thrift
    assert target == ["--grpc-server-addr", "127.0.0.1:50007", "--cpu-port", "510"]


def test_auto_falls_back_to_the_embedded_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    assert choose("auto") == EMBEDDED
    with pytest.raises(SwitchError, match="install BMv2"):
        choose(BMV2)


def test_an_unknown_switch_is_refused_with_the_choices() -> None:
    with pytest.raises(SwitchError, match="choose auto, embedded or bmv2"):
        choose("ovs")
