"""What a person sees who types `umbra`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from controller.cli import app
from harness.yaml_fabric import FABRIC_YAML as GOOD
from topologies.clos import ClosSpec, configuration

COMMANDS = [
    "run",
    "check",
    "ryu",
    "doctor",
    "version",
    "status",
    "routers",
    "decisions",
    "shadows",
    "shards",
    "destinations",
    "graph",
    "bgp",
    "address",
    "freeze",
    "unfreeze",
    "weight",
    "dry-run",
    "models",
    "train",
    "backtest",
    "demo",
    "bench",
]
ASKING = [
    ["status"],
    ["routers"],
    ["decisions"],
    ["decisions", "--follow"],
    ["shadows"],
    ["shadows", "why", "r1"],
    ["shards"],
    ["shards", "compact", "x", "--yes"],
    ["destinations"],
    ["destinations", "fail", "web", "east"],
    ["destinations", "well", "web", "east"],
    ["address", "take", "pod", "web-1"],
    ["address", "release", "10.64.0.1", "web-1"],
    ["address", "list"],
    ["freeze"],
    ["unfreeze", "r1"],
    ["weight", "r1", "30"],
    ["dry-run", "on"],
    ["models"],
    ["models", "list"],
    ["models", "show", "x"],
    ["models", "promote", "x"],
    ["models", "rollback"],
]


def umbra(*arguments: str, **environment: str) -> Result:
    """Run a command as a terminal of 100 columns would show it."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", **environment})


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = umbra(command, "--help")
    assert result.exit_code == 0
    assert f"Example: umbra {command}" in result.stdout


def test_the_first_screen_names_every_command() -> None:
    result = umbra("--help")
    for command in COMMANDS:
        assert f" {command} " in result.stdout


@pytest.mark.parametrize("arguments", ASKING)
def test_without_a_daemon_one_line_says_so_and_the_exit_code_is_2(arguments: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = umbra(*arguments, "--api", url)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert url in lines[0]
    assert "connection refused" in lines[0]
    assert "umbra run --config" in lines[0]


def test_the_environment_names_the_daemon() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = umbra("status", UMBRA_API=url)
    assert result.exit_code == 2
    assert url in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://[::1", "http://"])
def test_an_address_that_is_none_is_one_line_too(url: str) -> None:
    result = umbra("status", "--api", url)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert url in result.stderr


def test_something_else_on_the_port_is_recognised() -> None:
    program = (
        "import http.server, sys\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler)\n"
        "print(server.server_port, flush=True)\n"
        "server.handle_request()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        result = umbra("status", "--api", f"http://127.0.0.1:{port}")
    assert result.exit_code == 2
    assert "no umbra daemon" in result.stderr


@pytest.mark.parametrize("pct", ["much", "3.5", "-1", ""])
def test_a_weight_that_is_no_number_is_refused_before_anything_is_asked(pct: str) -> None:
    result = umbra("weight", "r1", "--", pct)
    assert result.exit_code == 2
    assert "whole number of percent" in result.stderr


def test_a_good_file_fits(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD)
    result = umbra("check", str(file))
    assert result.exit_code == 0
    assert (
        "fits: 1 edge, 1 spine, 2 service routers, 3 links, 1 backend, 1 service" in result.stdout
    )


def test_every_problem_of_a_bad_file_is_a_line_with_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(
        GOOD.replace("capacity: 400", "capacitty: 400", 1).replace("port: 80", "port: 0")
    )
    result = umbra("check", str(file))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{file}:8: switches[2].capacitty: unknown key")
    assert "`capacity`" in lines[0]
    assert lines[1].startswith(f"{file}:20: services[0].port: ")


def test_a_bad_file_as_json_has_line_key_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + "colour: red\n")
    result = umbra("check", str(file), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    (problem,) = report["problems"]
    assert problem["key"] == "colour"
    assert problem["line"] == 21
    assert problem["remedy"]


@pytest.mark.parametrize(("per_router", "most"), [(1, 13), (2, 12), (3, 11)])
def test_more_named_primaries_than_a_shadow_has_numbers_for_are_refused_where_they_begin(
    per_router: int, most: int, tmp_path: Path
) -> None:
    file = tmp_path / "umbra.yaml"
    fabric = yaml.safe_dump(configuration(ClosSpec(routers=20)))
    fabric += f"shadows:\n  per_router: {per_router}\n  overrides:\n"
    named = [f"    r{number}: [r20, r1]\n" for number in range(2, most + 3)]
    file.write_text(fabric + "".join(named[:most]))
    assert umbra("check", str(file)).exit_code == 0
    file.write_text(fabric + "".join(named))
    result = umbra("check", str(file))
    assert result.exit_code == 1
    line = fabric.count("\n") + most + 1
    key = f"shadows.overrides.r{most + 2}[1]"
    shown = result.stderr.replace("\n", " ")
    assert f"{file}:{line}: {key}: r1 is named as the shadow of {most + 1} routers" in shown
    assert f"at most {most} " in shown
    assert "name another for 1 of them" in shown


def test_an_api_open_to_other_machines_without_a_token_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + "api: {host: 0.0.0.0}\n")
    for command in (["check", str(file)], ["run", "--config", str(file)]):
        result = umbra(*command)
        assert result.exit_code == 1
        assert "api.token_file" in result.stderr


def test_a_token_file_that_others_can_read_is_refused_offline(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-enough-length\n")
    token.chmod(0o644)
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + "api: {host: 0.0.0.0, token_file: token}\n")
    result = umbra("check", str(file))
    assert result.exit_code == 1
    assert f"chmod 600 {token}" in result.stderr


@pytest.mark.parametrize("command", ["run", "ryu"])
def test_the_daemon_does_not_start_with_a_bad_file(command: str, tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text("umbra: 2\n")
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli", command, "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 1
    assert f"{file}:1: umbra: " in done.stderr
    assert "Traceback" not in done.stderr


def test_ryu_without_a_configuration_says_how_to_name_one() -> None:
    result = umbra("ryu", UMBRA_CONFIG="")
    assert result.exit_code == 2
    assert "--config FILE" in result.stderr


def test_ryu_names_an_application_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD)
    result = umbra("ryu", "--config", str(file), str(tmp_path / "gone.py"))
    assert result.exit_code == 2
    assert "gone.py: no such file" in result.stderr


def test_the_version_is_there_for_people_and_for_programs() -> None:
    assert umbra("version").stdout.startswith("umbra ")
    assert set(json.loads(umbra("version", "--json").stdout)) >= {"umbra", "python", "finsy"}


def test_python_dash_m_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli", "version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.stdout.startswith("umbra ")


def test_looking_at_the_daemon_loads_neither_grpc_nor_scikit_learn() -> None:
    program = (
        "import sys, controller.cli\n"
        "print(sorted({'grpc', 'sklearn', 'finsy', 'os_ken', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.stdout.strip() == "[]"
