"""umbra-switch takes simple_switch_grpc's command line, and says what is wrong with another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unit.p4switch_server.client import PROGRAMS, Client

from p4switch.cli import main
from p4switch.errors import InvalidArgument
from p4switch.options import parse
from p4switch.switch import Switch

JSON = str(PROGRAMS / "server.json")


def test_a_command_line_of_bmv2_is_taken_as_it_is() -> None:
    options = parse(
        [
            "--device-id",
            "3",
            "-i",
            "1@s1-eth1",
            "-i",
            "2@s1-eth2",
            "--thrift-port",
            "9091",
            "--log-file",
            "s1",
            "-L",
            "warn",
            "--no-p4",
            "--",
            "--cpu-port",
            "510",
            "--grpc-server-addr",
            "127.0.0.1:50001",
            "--drop-port",
            "509",
        ]
    )
    assert options.ports == {1: "s1-eth1", 2: "s1-eth2"}
    assert (options.device_id, options.cpu_port, options.drop_port) == (3, 510, 509)
    assert options.grpc_address == "127.0.0.1:50001"
    assert options.program is None
    assert options.warnings == ("--thrift-port is accepted but unused",)


def test_the_default_address_is_for_this_host_only() -> None:
    assert parse([JSON]).grpc_address == "127.0.0.1:9559"
    assert parse([JSON]).program == Path(JSON)


def test_tls_needs_certificate_and_key() -> None:
    with pytest.raises(InvalidArgument, match="--grpc-server-cert"):
        parse(["--no-p4", "--", "--grpc-server-ssl"])
    with pytest.raises(InvalidArgument, match="--grpc-server-key"):
        parse(["--no-p4", "--", "--grpc-server-ssl", "--grpc-server-cert", "a.pem"])
    options = parse(["--no-p4", "--grpc-server-with-client-auth"])
    assert options.tls is None
    assert "--grpc-server-ssl" in options.warnings[0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--no-p4"),
        ([JSON, "--no-p4"], "not both"),
        (["--no-p4", "-i", "eth0"], "1@eth0"),
        (["--no-p4", "-i", "1@a", "-i", "1@b"], "port 1 is already on a"),
        (["--no-p4", "-i", "1@a", "-i", "2@a"], "interface a is already a port"),
        (["--no-p4", "--cpu-port", "0"], "--cpu-port 0"),
        (["--no-p4", "--cpu-port", "1", "-i", "1@a"], "port 1 is the CPU port"),
        (["--no-p4", "--dp-grpc-server-addr", "x:1"], "Switch.inject"),
        (["--no-p4", "--restore-state", "f"], "--restore-state is not implemented"),
        (["--no-p4", "--pcap"], "tcpdump"),
        (["--no-p4", "--pcap", "captures"], "--pcap is not implemented"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_remedy(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err


def test_a_missing_program_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such.json"]) == 1
    assert "program no-such.json: No such file" in capsys.readouterr().err


def test_a_missing_interface_is_named() -> None:
    with pytest.raises(InvalidArgument, match=r"no-such-if does not exist|CAP_NET_RAW"):
        Switch(grpc_address="127.0.0.1:0", ports={1: "no-such-if"})


def test_an_address_in_use_is_named(switch: Switch) -> None:
    with pytest.raises(InvalidArgument, match=r"cannot listen on .*--grpc-server-addr"):
        Switch(grpc_address=switch.grpc_address)


def test_the_generated_code_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show-code", JSON]) == 0
    source = capsys.readouterr().out
    compile(source, "generated", "exec")
    assert "def " in source


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_when_it_is_ready_and_ends_cleanly(sent: signal.Signals) -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "p4switch", "--no-p4", "--device-id", "4"),
            *("--", "--cpu-port", "510", "--grpc-server-addr", "127.0.0.1:0"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "ready" in line)
            address = line.split("gRPC on ")[1].split()[0].rstrip(",")
            with Client(address, 1, device_id=4) as client:
                assert client.notice() == (0, 1)
                client.push()
                process.send_signal(sent)
                assert process.wait(timeout=20) == 0
        finally:
            process.kill()
