"""The REST API in front of a real controller whose switches are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from controller.config import Config, parse
from controller.daemon import Controller
from controller.serve import schemas
from controller.serve.access import decide
from controller.serve.app import make_app

T = TypeVar("T")
BASE = "http://127.0.0.1:8741"
FABRIC = """\
umbra: 1
cycle: {period_s: 0.1}
switches:
  - {name: e1, stage: edge, device_id: 1, address: "127.0.0.1:1", label: 101,
     mac: 02:00:00:00:01:01, subnet: 10.1.1.0/24}
  - {name: s1, stage: spine, device_id: 11, address: "127.0.0.1:1", label: 201,
     mac: 02:00:00:00:02:01, subnet: 10.2.1.0/24}
  - {name: r1, stage: router, device_id: 21, address: "127.0.0.1:1", label: 301,
     mac: 02:00:00:00:03:01, capacity: 400, threshold_available: 100}
  - {name: r2, stage: router, device_id: 22, address: "127.0.0.1:1", label: 302,
     mac: 02:00:00:00:03:02, capacity: 400, threshold_available: 100}
links:
  - {a: e1:1, b: s1:1}
  - {a: r1:1, b: s1:2}
  - {a: r2:1, b: s1:3}
clients:
  - {name: c1, port: e1:9, ip: 10.1.1.10, mac: 02:00:00:00:04:01}
backends:
  - {name: b1, port: s1:9, ip: 10.2.1.10, mac: 02:00:00:00:05:01, label: 401}
services:
  - {id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A small fabric that keeps its store in a directory of its own."""
    file = tmp_path / "umbra.yaml"
    file.write_text(FABRIC)
    return parse(FABRIC, file=str(file), base=tmp_path)


def with_api(config: Config, use: Callable[[httpx.AsyncClient, Controller], Awaitable[T]]) -> T:
    """Call `use` while the controller turns and its API answers."""

    async def main() -> T:
        controller = Controller(config)
        app = make_app(controller, decide("127.0.0.1", None), "1.2.3")
        running = asyncio.create_task(controller.run())
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url=f"{BASE}/api/v1/"
            ) as http:
                await until_turning(http)
                return await use(http, controller)
        finally:
            await controller.stop()
            await running

    return asyncio.run(main())


async def until_turning(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await http.get("state")).json()["cycle"]["number"] < 1:
            await asyncio.sleep(0.02)


def get(config: Config, path: str) -> httpx.Response:
    async def use(http: httpx.AsyncClient, _: Controller) -> httpx.Response:
        return await http.get(path)

    return with_api(config, use)


def post(config: Config, path: str, body: Any) -> httpx.Response:
    async def use(http: httpx.AsyncClient, _: Controller) -> httpx.Response:
        return await http.post(path, json=body)

    return with_api(config, use)


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
    ],
)
def test_answers_have_the_documented_shape(config: Config, path: str, kind: Any) -> None:
    answer = get(config, path)
    assert answer.status_code == 200
    strictly(kind, answer.json())


def test_switches_that_are_not_there_are_shown_as_down(config: Config) -> None:
    nodes = get(config, "nodes").json()
    assert [node["name"] for node in nodes] == ["e1", "s1", "r1", "r2"]
    assert not any(node["up"] for node in nodes)


def test_health_says_degraded_while_switches_are_missing(config: Config) -> None:
    health = get(config, "health").json()
    assert health["status"] == "degraded"
    assert (health["nodes_up"], health["nodes"]) == (0, 4)
    assert health["version"] == "1.2.3"


def test_a_service_starts_with_all_its_shares_on_its_primaries(config: Config) -> None:
    (service,) = get(config, "services").json()
    assert service["shares"] == [{"edge": "e1", "router": "r1", "pct": 100}]


def test_an_unknown_router_is_a_problem_that_names_the_known_ones(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> list[httpx.Response]:
        return [
            await http.get("routers/r9"),
            await http.get("decisions", params={"router": "r9"}),
            await http.post("freeze", json={"router": "r9"}),
            await http.post("unfreeze", json={"router": "r9"}),
            await http.post("routers/r9/weight", json={"shift_pct": 10}),
            await http.post("routers/e1/weight", json={"shift_pct": 10}),
        ]

    for answer in with_api(config, use):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:umbra:unknown-router"
        assert answer.json()["remedy"] == "use one of: r1, r2"


def test_freezing_one_router_leaves_the_other_alone_and_is_recorded(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> tuple[Any, Any, Any, Any]:
        frozen = (await http.post("freeze", json={"router": "r1"})).json()
        routers = (await http.get("routers")).json()
        thawed = (await http.post("unfreeze", json={"router": "r1"})).json()
        async with asyncio.timeout(10):
            while len(found := (await http.get("decisions")).json()) < 2:
                await asyncio.sleep(0.02)
        return frozen, routers, thawed, found

    frozen, routers, thawed, found = with_api(config, use)
    assert frozen["frozen_routers"] == ["r1"]
    assert [router["frozen"] for router in routers] == [True, False]
    assert thawed["frozen_routers"] == []
    assert [decision["kind"] for decision in reversed(found)] == ["freeze", "unfreeze"]
    strictly(list[schemas.DecisionState], found)


def test_freezing_all_freezes_every_router(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> tuple[Any, Any]:
        frozen = (await http.post("freeze", json={})).json()
        thawed = (await http.post("unfreeze", json={})).json()
        return frozen, thawed

    frozen, thawed = with_api(config, use)
    assert frozen["frozen"] is True
    assert thawed["frozen"] is False
    assert thawed["frozen_routers"] == []


def test_a_weight_set_by_hand_is_kept_until_it_is_given_back(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> tuple[Any, Any]:
        by_hand = (await http.post("routers/r1/weight", json={"shift_pct": 30})).json()
        back = (await http.post("routers/r1/weight", json={"shift_pct": None})).json()
        return by_hand, back

    by_hand, back = with_api(config, use)
    assert by_hand["manual_pct"] == 30
    assert back["manual_pct"] is None


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
    config: Config, path: str, body: Any, named: str
) -> None:
    answer = post(config, path, body)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
    assert answer.json()["remedy"]


def test_a_body_that_is_no_json_is_refused(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> httpx.Response:
        return await http.post("freeze", content=b"{", headers={"Content-Type": "application/json"})

    assert with_api(config, use).status_code == 422


def test_dry_run_is_switched_on_and_off(config: Config) -> None:
    async def use(http: httpx.AsyncClient, controller: Controller) -> list[bool]:
        seen = []
        for on in (True, False):
            await http.post("dry-run", json={"on": on})
            seen.append((await http.get("state")).json()["dry_run"])
        return seen

    assert with_api(config, use) == [True, False]


def test_decisions_are_the_newest_first_and_can_be_chosen(config: Config) -> None:
    async def use(http: httpx.AsyncClient, _: Controller) -> dict[str, Any]:
        for router in ("r1", "r2", "r1"):
            await http.post("freeze", json={"router": router})
            await http.post("unfreeze", json={"router": router})
        async with asyncio.timeout(10):
            while len(found := (await http.get("decisions")).json()) < 6:
                await asyncio.sleep(0.02)

        async def some(**params: Any) -> Any:
            return (await http.get("decisions", params=params)).json()

        return {
            "all": found,
            "limited": await some(limit=2),
            "r2": await some(router="r2"),
            "freeze": await some(kind="freeze"),
            "since": await some(since_s=found[0]["time_s"]),
            "future": await some(since_s=found[0]["time_s"] + 60),
        }

    got = with_api(config, use)
    times = [decision["time_s"] for decision in got["all"]]
    assert times == sorted(times, reverse=True)
    assert got["limited"] == got["all"][:2]
    assert [decision["router"] for decision in got["r2"]] == ["r2", "r2"]
    assert {decision["kind"] for decision in got["freeze"]} == {"freeze"}
    assert got["all"][0] in got["since"]
    assert got["future"] == []
    assert len({decision["id"] for decision in got["all"]}) == 6


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "kind=nonsense"])
def test_a_query_out_of_range_is_refused(config: Config, query: str) -> None:
    answer = get(config, f"decisions?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


def test_the_openapi_document_describes_every_path_and_its_problems(config: Config) -> None:
    document = get(config, "openapi.json").json()
    assert document["info"]["version"] == "1.2.3"
    paths = {path.removeprefix("/api/v1/") for path in document["paths"]}
    assert paths == {
        "health",
        "state",
        "nodes",
        "routers",
        "routers/{name}",
        "routers/{name}/weight",
        "services",
        "forecasts",
        "decisions",
        "freeze",
        "unfreeze",
        "dry-run",
    }
    weight = document["paths"]["/api/v1/routers/{name}/weight"]["post"]["responses"]
    assert {"200", "404", "415", "422"} <= set(weight)
    assert "RouterState" in str(weight["200"])
