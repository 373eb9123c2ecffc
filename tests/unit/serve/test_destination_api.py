"""What a person gets of destinations by the API and the command line: a real daemon, without switches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load
from controller.graph.files import to_json
from controller.graph.graph import Graph
from controller.serve import destination_schemas as schemas
from controller.serve import destinations
from harness.destinations import DESTINATIONS_YAML, SITES_YAML
from harness.served import free_port, served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A client of a daemon that turns, and its configuration."""
    file = tmp_path_factory.mktemp("destinations") / "umbra.yaml"
    head = f"cycle: {{period_s: 0.2}}\napi: {{port: {free_port()}}}\n"
    own = DESTINATIONS_YAML.replace("period_s: 1.0", "period_s: 0.2")
    file.write_text(head + SITES_YAML + own)
    with served(load(file), turning) as client:
        yield client, file


def turning(client: httpx.Client) -> bool:
    return bool(client.get("destinations").json().get("turns", 0) > 1)


@pytest.fixture
def api(place: tuple[httpx.Client, Path]) -> httpx.Client:
    return place[0]


def umbra(api: httpx.Client, *arguments: str) -> Result:
    url = str(api.base_url.copy_with(path="/"))
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160", "UMBRA_API": url})


def test_the_state_is_as_the_api_describes_it(api: httpx.Client) -> None:
    state = schemas.DestinationsState.model_validate(api.get("destinations").json())
    [web] = state.destinations
    assert (web.service, web.primary_site, web.sites) == ("web", "west", ["east"])
    places = {one.name: one.latency_ms for one in state.locations}
    assert places["rome"]["west"] - places["rome"]["east"] == pytest.approx(40.0, abs=0.1)
    graph = schemas.GraphForm.model_validate(api.get("graph").json())
    assert "destination/web" in {one.node for one in graph.nodes}


def test_a_large_graph_is_put_into_words_beside_the_loop(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looping = []

    def spied(graph: Graph) -> bytes:
        try:
            looping.append(asyncio.get_running_loop())
        except RuntimeError:
            looping.append(None)
        return to_json(graph)

    monkeypatch.setattr(destinations, "to_json", spied)
    assert api.get("graph").json()["nodes"]
    assert looping == [None]


def test_a_copy_can_be_told_to_fail_and_to_be_well(api: httpx.Client) -> None:
    body = {"service": "web", "site": "east", "failed": True}
    acts = [one["act"] for one in api.post("destinations/copies", json=body).json()["steps"]]
    assert acts[0] == "mark-failed"
    body["failed"] = False
    acts = [one["act"] for one in api.post("destinations/copies", json=body).json()["steps"]]
    assert acts[0] == "mark-well"


def test_an_unknown_copy_is_refused_with_those_that_there_may_be(api: httpx.Client) -> None:
    body = {"service": "dns", "site": "east", "failed": True}
    answer = api.post("destinations/copies", json=body)
    assert answer.status_code == 404
    assert "web at east" in answer.json()["remedy"]
    odd = api.post("destinations/copies", json=body | {"service": "a: b"}).json()
    assert odd["detail"] == "no copy of a: b can be at east"
    assert odd["remedy"] == answer.json()["remedy"]


def test_the_commands_say_the_same(api: httpx.Client) -> None:
    shown = umbra(api, "destinations")
    assert shown.exit_code == 0
    assert "Demand" in shown.stdout
    assert "Standby copies" in shown.stdout
    plain = json.loads(umbra(api, "destinations", "--json").stdout)
    assert schemas.DestinationsState.model_validate(plain)
    told = umbra(api, "destinations", "fail", "web", "east")
    assert told.stdout == "web's copy at east fails\n"
    assert umbra(api, "destinations", "well", "web", "east").exit_code == 0
    assert umbra(api, "destinations", "fail", "web", "north").exit_code == 1


def test_the_graph_goes_into_files_and_back(
    place: tuple[httpx.Client, Path], tmp_path: Path
) -> None:
    api, config = place
    for name in ("graph.json", "graph.graphml"):
        file = str(tmp_path / name)
        done = umbra(api, "graph", "export", file, "--config", str(config))
        assert done.exit_code == 0, done.output
        done = umbra(api, "graph", "import", file, "--yes", "--config", str(config))
        assert "0 nodes and links written, 0 taken out" in done.stdout
    shown = json.loads(umbra(api, "graph", "show", "--json", "--config", str(config)).stdout)
    assert shown["nodes"] == {"destination": 1, "location": 2, "resource": 3, "site": 2}
    done = umbra(api, "graph", "picture", str(tmp_path / "g.svg"), "--config", str(config))
    assert done.exit_code == 0
    assert (tmp_path / "g.svg").read_bytes().startswith(b"<?xml")


def test_without_the_section_the_graph_has_no_place(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(SITES_YAML)
    done = CliRunner().invoke(app, ["graph", "show", "--config", str(file)])
    assert done.exit_code == 1
    assert "has no section destinations" in done.output
