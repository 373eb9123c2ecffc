"""A daemon as a process of its own, and the commands that talk to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.yaml_fabric import running_yaml

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60
FABRIC = running_yaml(0.2, "PORT")


class Running:
    """A daemon, and the command line pointed at it."""

    def __init__(self, directory: Path, *, token: str | None = None) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = directory / "umbra.yaml"
        self.config.write_text(FABRIC.replace("PORT", str(self.port)))
        if token is not None:
            self.token_file = directory / "token"
            self.token_file.write_text(token)
            self.token_file.chmod(0o600)
            text = self.config.read_text()
            self.config.write_text(text.replace("api: {", "api: {token_file: token, "))
        self.log_path = directory / "daemon.log"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "UMBRA_API": self.url,
            "COLUMNS": "120",
        }
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "controller.cli", "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env=self.environment,
            )

    def umbra(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "controller.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=self.environment,
        )

    def wait_ready(self, *, turns: int = 1) -> None:
        """Wait until it answers and has made so many turns: the first comes when it no longer waits for switches."""
        deadline_s = time.monotonic() + PATIENCE_S
        done = None
        while time.monotonic() < deadline_s and self.process.poll() is None:
            done = self.umbra("status", "--json")
            if done.returncode == 0 and json.loads(done.stdout)["cycle"]["number"] >= turns:
                return
        raise AssertionError(f"{done}: {self.log_path.read_text()}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("daemon"))
    try:
        running.wait_ready()
        yield running
        assert running.end(signal.SIGTERM) == 0, running.log_path.read_text()
        log = running.log_path.read_text()
        assert "Traceback" not in log, log
        assert log.rstrip().endswith("stopped")
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def test_status_shows_switches_routers_and_services(daemon: Running) -> None:
    shown = daemon.umbra("status").stdout
    assert "0 of 4 switches up" in shown
    for word in ("e1", "s1", "r1", "r2", "down", "10.100.0.1:80/tcp", "r1 100 %"):
        assert word in shown


def test_status_as_json_is_the_state(daemon: Running) -> None:
    state = json.loads(daemon.umbra("status", "--json").stdout)
    assert [router["name"] for router in state["routers"]] == ["r1", "r2"]


def test_routers_shows_only_routers(daemon: Running) -> None:
    shown = daemon.umbra("routers").stdout
    assert "r1" in shown
    assert "e1" not in shown


def test_freezing_and_unfreezing_say_what_is_frozen(daemon: Running) -> None:
    assert "frozen: r1" in daemon.umbra("freeze", "r1").stdout
    assert "nothing is frozen" in daemon.umbra("unfreeze", "r1").stdout
    assert "all routers are frozen" in daemon.umbra("freeze").stdout
    assert "nothing is frozen" in daemon.umbra("unfreeze").stdout


def test_a_weight_is_set_and_given_back(daemon: Running) -> None:
    done = daemon.umbra("weight", "r1", "30")
    assert done.returncode == 0
    assert "umbra weight r1 auto undoes it" in done.stdout
    assert json.loads(daemon.umbra("routers", "--json").stdout)[0]["manual_pct"] == 30
    assert daemon.umbra("weight", "r1", "auto").returncode == 0
    assert json.loads(daemon.umbra("routers", "--json").stdout)[0]["manual_pct"] is None


def test_draining_a_router_without_living_shadows_is_refused_with_the_remedy(
    daemon: Running,
) -> None:
    done = daemon.umbra("router", "drain", "r1")
    assert done.returncode == 1
    assert "no shadow of r1 lives" in done.stderr
    assert "bring one back first" in done.stderr
    done = daemon.umbra("router", "undrain", "r1")
    assert done.returncode == 0
    assert "r1 is in service" in done.stdout


def test_a_router_that_is_not_there_is_one_line_and_exit_code_1(daemon: Running) -> None:
    for arguments in (["freeze", "r9"], ["weight", "r9", "10"], ["decisions", "--router", "r9"]):
        done = daemon.umbra(*arguments)
        assert done.returncode == 1
        assert done.stderr.strip() == (
            "umbra: router 'r9' is not in the configuration; use one of: r1, r2"
        )


def test_dry_run_is_switched_on_and_off(daemon: Running) -> None:
    assert "nothing is written" in daemon.umbra("dry-run", "on").stdout
    assert "decisions are written" in daemon.umbra("dry-run", "off").stdout


def test_decisions_tell_who_did_what_and_follow_goes_on(daemon: Running) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "controller.cli", "decisions", "--follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=daemon.environment,
    ) as following:
        try:
            assert daemon.umbra("freeze", "r2").returncode == 0
            assert daemon.umbra("unfreeze", "r2").returncode == 0
            assert following.stdout is not None
            seen = []
            for line in following.stdout:
                seen.append(json.loads(line))
                if [d["kind"] for d in seen if d["router"] == "r2"][-2:] == ["freeze", "unfreeze"]:
                    break
            else:
                pytest.fail(f"--follow ended by itself after {seen}")
            following.send_signal(signal.SIGINT)
            assert following.wait(PATIENCE_S) == 0
        finally:
            following.kill()
    assert len({decision["id"] for decision in seen}) == len(seen)
    shown = daemon.umbra("decisions", "--router", "r2").stdout
    assert "freeze" in shown
    assert "r2" in shown


def test_a_second_daemon_on_the_same_port_says_what_is_wrong_and_ends(daemon: Running) -> None:
    done = daemon.umbra("run", "--config", str(daemon.config))
    assert done.returncode == 1
    assert f"127.0.0.1:{daemon.port}" in done.stderr
    assert "api.port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_daemon_with_a_token_tells_nobody_without_it_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    running = Running(tmp_path, token="a-token-of-enough-length\n")
    try:
        running.environment["UMBRA_TOKEN_FILE"] = str(running.token_file)
        running.wait_ready(turns=0)
        del running.environment["UMBRA_TOKEN_FILE"]
        without = running.umbra("status")
        assert without.returncode == 1
        assert "--token-file FILE" in without.stderr
        assert "r1" not in without.stdout
        given = running.umbra("freeze", "r1", "--token-file", str(running.token_file))
        assert "frozen: r1" in given.stdout
        assert running.end(signal.SIGINT) == 0
        assert "Traceback" not in running.log_path.read_text()
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
