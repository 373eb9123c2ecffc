"""What a person gets of API and command line about resources and comparisons: a real daemon without switches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load
from controller.serve import resource_schemas as schemas
from harness.served import free_port, served
from harness.yaml_fabric import running_yaml

RESOURCES = """\
resources:
  period_s: 0.2
  devices:
  - name: r1
    capacity: {cpu_cores: 1}
    place: {group: umbra-no-such-group/r1}
    shadows:
    - {name: shadow, switch: r2, place: {group: umbra-no-such-group/r2}}
  policies:
  - name: routers
    base: {cpu_cores: 1, memory_mib: 100, network_mbps: 100}
"""


def run(url: str, *arguments: str) -> Result:
    """The command, asking that daemon."""
    return CliRunner().invoke(app, [*arguments, "--api", url])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon with one device, whose groups nobody has made."""
    file = tmp_path_factory.mktemp("resources") / "umbra.yaml"
    file.write_text(running_yaml(0.2, free_port()) + RESOURCES)
    config = load(file)
    with served(config, turned):
        yield f"http://127.0.0.1:{config.api.port}"


def turned(client: httpx.Client) -> bool:
    answer = client.get("resources")
    return answer.is_success and answer.json()["turns"] > 0


def get(url: str, path: str) -> Any:
    return httpx.get(f"{url}/api/v1/{path}", trust_env=False).json()


def test_a_device_that_cannot_be_read_is_shown_as_unknown_with_the_reason_in_the_state(
    url: str,
) -> None:
    state = get(url, "resources")
    schemas.ResourcesState.model_validate(state)
    (device,) = state["devices"]
    assert (device["name"], device["use"], device["share_pct"]) == ("r1", None, 0)
    assert device["shadows"][0]["switch"] == "r2"
    assert "umbra-no-such-group/r1" in get(url, "state")["troubles"]["use of r1"]
    shown = run(url, "resources")
    assert shown.exit_code == 0, shown.output
    assert "nothing is known of it yet" in shown.output
    assert json.loads(run(url, "resources", "--json").output)["devices"] == state["devices"]


def test_decisions_of_a_device_that_is_not_managed_are_refused_with_those_that_are(
    url: str,
) -> None:
    shown = run(url, "resources", "decisions", "--device", "r9")
    assert shown.exit_code == 1
    assert "r9 is no device of resources.devices; there are r1" in " ".join(shown.output.split())
    assert json.loads(run(url, "resources", "decisions", "--json").output) == []


def test_what_cannot_be_compared_is_refused_with_the_reason(url: str) -> None:
    schemas.ComparisonsState.model_validate(get(url, "ab"))
    assert "no comparison runs" in run(url, "ab").output
    shown = run(url, "ab", "start", "r1", "r2", "--shares", "5,25")
    assert shown.exit_code == 1
    assert "r2 is a shadow of resources.devices" in " ".join(shown.output.split())
    shown = run(url, "ab", "stop", "r1")
    assert "no comparison with r1 runs" in " ".join(shown.output.split())
    for shares in ("five", "0.5,5"):
        shown = run(url, "ab", "start", "r1", "r2", "--shares", shares)
        assert shown.exit_code == 2
        assert "write whole percents" in " ".join(shown.output.split())


@pytest.mark.parametrize("shares", [[0.5, 5], [2.5], [0], [100], []])
def test_shares_that_slots_cannot_give_are_refused(url: str, shares: list[float]) -> None:
    body = {"primary": "r1", "variant": "r2", "shares_pct": shares}
    answer = httpx.post(f"{url}/api/v1/ab/start", json=body, trust_env=False)
    assert answer.status_code == 422
    assert "shares_pct" in answer.json()["detail"]
    assert "correct the fields" in answer.json()["remedy"]


def test_a_policy_with_an_error_is_told_with_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    wrong = RESOURCES.replace("name: routers", "name: routers\n    back_pct: 90")
    file.write_text(running_yaml(0.2, 1) + wrong)
    for command in (["resources", "check"], ["check"]):
        shown = CliRunner().invoke(app, [*command, str(file)])
        assert shown.exit_code == 1
        line = next(n for n, t in enumerate(file.read_text().splitlines(), 1) if "back_pct" in t)
        assert f"line {line}" in shown.output or f":{line}" in shown.output
        assert "resources.policies[0].back_pct" in shown.output
    file.write_text(running_yaml(0.2, 1) + RESOURCES)
    shown = CliRunner().invoke(app, ["resources", "check", str(file)])
    assert shown.output.strip() == "policy routers (forecast-only): r1"


def test_a_record_that_is_none_cannot_be_replayed(tmp_path: Path) -> None:
    file = tmp_path / "day.jsonl"
    shown = CliRunner().invoke(app, ["resources", "replay", str(file)])
    assert shown.exit_code == 2
    file.write_text("{}\n")
    shown = CliRunner().invoke(app, ["resources", "replay", str(file)])
    assert shown.exit_code == 2
    assert "line 1: this is no recorded cycle" in " ".join(shown.output.split())
