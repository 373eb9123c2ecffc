"""The REST API in front of a real controller whose switches are not there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from controller.config import load
from controller.serve import model_schemas, schemas, shadow_schemas
from harness.served import free_port, served
from harness.yaml_fabric import running_yaml

PATIENCE_S = 30.0
FABRIC = running_yaml(0.1, "PORT")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The API of a controller that turns in a thread of its own."""
    port = free_port()
    file = tmp_path_factory.mktemp("api") / "umbra.yaml"
    file.write_text(FABRIC.replace("PORT", str(port)))
    with served(load(file), turning) as client:
        yield client


def turning(client: httpx.Client) -> bool:
    return bool(client.get("state").json()["cycle"]["number"] > 0)


def strictly(kind: Any, data: Any) -> None:
    """`data` has all the documented keys of `kind`, no others, and values of the right types."""
    checked = TypeAdapter(kind).validate_python(data)
    items = checked if isinstance(checked, list) else [checked]
    plain = data if isinstance(data, list) else [data]
    for item, given in zip(items, plain, strict=True):
        _same_keys(item, given)


def _same_keys(item: Any, given: Any) -> None:
    if isinstance(item, BaseModel):
        assert set(given) == set(type(item).model_fields)
        for name in type(item).model_fields:
            _same_keys(getattr(item, name), given[name])
    elif isinstance(item, list):
        for one, plain in zip(item, given, strict=True):
            _same_keys(one, plain)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("state", schemas.State),
        ("nodes", list[schemas.NodeState]),
        ("routers", list[schemas.RouterState]),
        ("routers/r1", schemas.RouterState),
        ("services", list[schemas.ServiceState]),
        ("forecasts", list[schemas.ForecastState]),
        ("health", schemas.Health),
        ("shadows", list[shadow_schemas.AssignmentState]),
        ("shadows/r1", shadow_schemas.WhyState),
    ],
)
def test_answers_have_the_documented_shape(api: httpx.Client, path: str, kind: Any) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    strictly(kind, answer.json())


def test_switches_that_are_not_there_are_shown_as_down(api: httpx.Client) -> None:
    nodes = api.get("nodes").json()
    assert [node["name"] for node in nodes] == ["e1", "s1", "r1", "r2"]
    assert not any(node["up"] for node in nodes)


def test_health_says_degraded_while_switches_are_missing(api: httpx.Client) -> None:
    health = api.get("health").json()
    assert health["status"] == "degraded"
    assert (health["nodes_up"], health["nodes"]) == (0, 4)
    assert health["version"] == "1.2.3"


@pytest.mark.parametrize(
    ("path", "slug", "key"),
    [
        ("addresses", "no-addresses", "section addresses"),
        ("destinations", "no-destinations", "section destinations"),
        ("resources", "no-resources", "resources.devices"),
    ],
)
def test_what_is_not_configured_is_answered_with_the_key_to_add(
    api: httpx.Client, path: str, slug: str, key: str
) -> None:
    problem = api.get(path).json()
    assert (problem["status"], problem["type"]) == (404, f"urn:umbra:{slug}")
    assert key in problem["remedy"]


def test_a_service_starts_with_all_its_shares_on_its_primaries(api: httpx.Client) -> None:
    (service,) = api.get("services").json()
    assert service["shares"] == [{"edge": "e1", "router": "r1", "pct": 100}]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "routers/r9", None),
        ("GET", "decisions?router=r9", None),
        ("POST", "freeze", {"router": "r9"}),
        ("POST", "unfreeze", {"router": "r9"}),
        ("POST", "routers/r9/weight", {"shift_pct": 10}),
        ("POST", "routers/e1/weight", {"shift_pct": 10}),
    ],
)
def test_an_unknown_router_is_a_problem_that_names_the_known_ones(
    api: httpx.Client, method: str, path: str, body: Any
) -> None:
    answer = api.request(method, path, json=body)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:umbra:unknown-router"
    assert answer.json()["remedy"] == "use one of: r1, r2"


def test_freezing_one_router_leaves_the_other_alone(api: httpx.Client) -> None:
    frozen = api.post("freeze", json={"router": "r1"}).json()
    routers = api.get("routers").json()
    thawed = api.post("unfreeze", json={"router": "r1"}).json()
    assert frozen["frozen_routers"] == ["r1"]
    assert [router["frozen"] for router in routers] == [True, False]
    assert thawed["frozen_routers"] == []


def test_freezing_all_lasts_until_all_are_unfrozen(api: httpx.Client) -> None:
    assert api.post("freeze", json={}).json()["frozen"] is True
    assert api.get("state").json()["frozen"] is True
    thawed = api.post("unfreeze", json={}).json()
    assert thawed["frozen"] is False
    assert thawed["frozen_routers"] == []


def test_a_weight_set_by_hand_is_kept_until_it_is_given_back(api: httpx.Client) -> None:
    assert api.post("routers/r2/weight", json={"shift_pct": 30}).json()["manual_pct"] == 30
    assert api.get("routers/r2").json()["manual_pct"] == 30
    assert api.post("routers/r2/weight", json={"shift_pct": None}).json()["manual_pct"] is None


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("routers/r1/weight", {"shift_pct": 101}, "shift_pct"),
        ("routers/r1/weight", {"shift_pct": -1}, "shift_pct"),
        ("routers/r1/weight", {"shift_pct": "30"}, "shift_pct"),
        ("routers/r1/weight", {}, "shift_pct"),
        ("freeze", {"routr": "r1"}, "routr"),
        ("freeze", {"router": 1}, "router"),
        ("dry-run", {"on": "yes"}, "on"),
        ("dry-run", [], "body"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_the_name_of_its_field(
    api: httpx.Client, path: str, body: Any, named: str
) -> None:
    answer = api.post(path, json=body)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
    assert answer.json()["remedy"]


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_json_is_refused(api: httpx.Client, content: bytes) -> None:
    answer = api.post("freeze", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["type"] == "urn:umbra:invalid-request"
    assert answer.json()["remedy"]


def test_dry_run_is_switched_on_and_off(api: httpx.Client) -> None:
    for on in (True, False):
        assert api.post("dry-run", json={"on": on}).json()["dry_run"] is on
        assert api.get("state").json()["dry_run"] is on


def test_decisions_are_the_newest_first_and_can_be_chosen(api: httpx.Client) -> None:
    begun_s = time.time()
    for router in ("r1", "r2", "r1"):
        api.post("freeze", json={"router": router})
        api.post("unfreeze", json={"router": router})

    def some(**params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.get("decisions", params=params).json()
        return found

    found = some(since_s=begun_s, limit=1000)
    strictly(list[schemas.DecisionState], found)
    orders = [d for d in found if d["trigger"] == "freeze"]
    assert [d["router"] for d in orders] == ["r1", "r1", "r2", "r2", "r1", "r1"]
    assert [d["kind"] for d in orders] == ["unfreeze", "freeze"] * 3
    assert len({d["id"] for d in orders}) == 6
    times = [d["time_s"] for d in found]
    assert times == sorted(times, reverse=True)
    assert len(some(limit=2)) == 2
    assert {d["router"] for d in some(router="r2")} == {"r2"}
    assert {d["kind"] for d in some(kind="freeze")} == {"freeze"}
    assert some(since_s=time.time() + 60) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "kind=nonsense"])
def test_a_query_out_of_range_is_refused(api: httpx.Client, query: str) -> None:
    answer = api.get(f"decisions?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


def test_a_method_that_a_path_does_not_have_is_a_problem_too(api: httpx.Client) -> None:
    answer = api.get("freeze")
    assert answer.status_code == 405
    assert answer.json()["type"] == "urn:umbra:wrong-method"


def test_the_gate_stands_before_the_api(api: httpx.Client) -> None:
    assert api.get("state", headers={"Host": "evil.example"}).status_code == 421
    assert api.post("freeze", content="{}", headers={"Content-Type": "text/plain"}).status_code == (
        415
    )
    assert api.get("state").json()["frozen"] is False


def test_the_openapi_document_describes_every_path_and_its_problems(api: httpx.Client) -> None:
    document = api.get("openapi.json").json()
    assert document["info"]["version"] == "1.2.3"
    paths = {path.removeprefix("/api/v1/") for path in document["paths"]}
    assert paths == {
        "addresses/reserve",
        "addresses/unreserve",
        "destinations",
        "destinations/copies",
        "graph",
        "ab",
        "ab/start",
        "ab/stop",
        "resources",
        "resources/decisions",
        "health",
        "state",
        "nodes",
        "routers",
        "routers/{name}",
        "routers/{name}/weight",
        "routers/{name}/drain",
        "routers/{name}/undrain",
        "services",
        "shadows",
        "shadows/{name}",
        "forecasts",
        "models",
        "models/promote",
        "models/rollback",
        "decisions",
        "addresses",
        "addresses/take",
        "addresses/release",
        "shards",
        "shards/compact",
        "freeze",
        "unfreeze",
        "dry-run",
    }
    weight = document["paths"]["/api/v1/routers/{name}/weight"]["post"]["responses"]
    assert {"200", "404", "415", "422"} <= set(weight)
    assert "RouterState" in str(weight["200"])


def test_the_models_are_told_before_any_was_trained(api: httpx.Client) -> None:
    found = api.get("models").json()
    strictly(model_schemas.ModelsState, found)
    assert found["serving"] == "cold-start"
    assert found["versions"] == []
    assert api.get("state").json()["models"]["serving"] == "cold-start"


def test_a_version_that_is_not_there_cannot_be_promoted(api: httpx.Client) -> None:
    answer = api.post("models/promote", json={"version": "20260101T000000Z-00000000"})
    assert answer.status_code == 409
    assert "there is no version" in answer.json()["detail"]
    assert answer.json()["remedy"] == "there are: none"


def test_without_a_champion_before_there_is_no_rollback(api: httpx.Client) -> None:
    answer = api.post("models/rollback", json={})
    assert answer.status_code == 409
    assert "promote the version" in answer.json()["remedy"]
