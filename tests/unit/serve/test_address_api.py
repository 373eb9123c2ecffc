"""What a tenant gets of the API and the command line: a real daemon with a pool, without switches and hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load
from controller.model import Subdivision
from controller.pool import Pool
from controller.serve import address_schemas as schemas
from harness.pools import assign
from harness.served import free_port, served
from harness.yaml_fabric import running_yaml

PATIENCE_S = 30.0
ADDRESSES = """\
addresses:
  period_s: 0.2
  shards: {ipv4_addresses: 16}
  subdivisions:
    - {name: lab, prefixes: ["10.66.0.0/24"], switch: s1, instances: elsewhere, quota: 5}
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The API of a daemon whose pool has shards of an earlier run."""
    file = tmp_path_factory.mktemp("addresses") / "umbra.yaml"
    file.write_text(running_yaml(0.2, free_port()) + ADDRESSES)
    config = load(file)
    assert config.addresses is not None
    with Pool(config.addresses.pool) as pool:
        pool.register(Subdivision("lab", ("10.66.0.0/24",), "main", "s1"))
        assign(pool, "10.66.0.0/28", "lab")
        assign(
            pool, "10.66.0.16/28", "lab"
        )  # whose addresses nobody gets: the first shard suffices
    with served(config, turning) as client:
        yield client


def turning(client: httpx.Client) -> bool:
    return bool(client.get("shards").json().get("turns", 0) > 1)


@pytest.fixture(scope="module")
def url(api: httpx.Client) -> str:
    """For the command line."""
    return str(api.base_url.copy_with(path="/"))


def umbra(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--api", url], env={"COLUMNS": "100"})


def test_the_same_request_twice_is_one_grant(api: httpx.Client) -> None:
    body = {"subdivision": "lab", "owner": "vm-1"}
    first, second = (api.post("addresses/take", json=body).json() for _ in range(2))
    schemas.Taken.model_validate(first)
    assert (first["address"], first["sequence"]) == (second["address"], second["sequence"])
    assert (first["again"], second["again"]) == (False, True)
    listed = api.get("addresses", params={"owner": "vm-1"}).json()
    schemas.AddressList.model_validate(listed)
    assert [one["address"] for one in listed["addresses"]] == [first["address"]]
    released = {"address": first["address"], "owner": "vm-1", "sequence": first["sequence"]}
    assert api.post("addresses/release", json=released).json() == {"released": True}
    assert api.post("addresses/release", json=released).json() == {"released": False}


def test_shards_are_told_with_their_demand_and_what_was_done(api: httpx.Client) -> None:
    state = api.get("shards").json()
    schemas.ShardsState.model_validate(state)
    assert state["shards"][0]["prefix"] == "10.66.0.0/28"
    assert state["subdivisions"][0]["counts"]["quota"] == 5
    assert state["subdivisions"][0]["demand"]["model"] == "running"


@pytest.mark.parametrize(
    ("path", "body", "status", "slug"),
    [
        ("take", {"subdivision": "nowhere", "owner": "a"}, 404, "unknown-address"),
        ("take", {"subdivision": "lab", "owner": ""}, 422, "invalid-request"),
        ("take", {"subdivision": "lab", "owner": "a", "family": 5}, 422, "invalid-request"),
        ("take", {"subdivision": "lab", "owner": "a", "family": 6}, 409, "addresses-full"),
        ("reserve", {"subdivision": "nowhere", "address": "10.66.0.28"}, 404, "unknown-address"),
        ("reserve", {"subdivision": "lab", "address": "10.66.0.200"}, 404, "unknown-address"),
        ("reserve", {"subdivision": "lab", "address": "x"}, 409, "address-refused"),
        (
            "reserve",
            {"subdivision": "lab", "address": "10.66.0.28", "owner": ""},
            422,
            "invalid-request",
        ),
        ("unreserve", {"subdivision": "lab", "address": "10.66.0.27"}, 409, "address-refused"),
        ("release", {"address": "10.1.1.1", "owner": "a"}, 404, "unknown-address"),
        ("release", {"address": "no address", "owner": "a"}, 409, "address-refused"),
    ],
)
def test_what_cannot_be_is_a_problem_with_a_remedy(
    api: httpx.Client, path: str, body: dict[str, Any], status: int, slug: str
) -> None:
    answer = api.post(f"addresses/{path}", json=body)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:umbra:{slug}"
    assert problem["detail"]
    assert problem["remedy"]


def test_a_reserved_address_is_its_owners_alone_until_the_reservation_is_given_up(
    api: httpx.Client,
) -> None:
    one = {"subdivision": "lab", "address": "10.66.0.28"}
    reserved = api.post("addresses/reserve", json=one | {"owner": "db"}).json()
    schemas.AddressState.model_validate(reserved)
    assert (reserved["state"], reserved["owner"]) == ("reserved", "db")
    again = api.post("addresses/reserve", json=one | {"owner": "db"})
    assert again.status_code == 200
    wanted = {"subdivision": "lab", "reserved": "10.66.0.28"}
    for refused in (
        api.post("addresses/take", json=wanted | {"owner": "somebody"}),
        api.post("addresses/reserve", json=one | {"owner": "somebody"}),
        api.post("addresses/reserve", json=one),
    ):
        assert refused.status_code == 409
        assert "db" in refused.text or "not reserved for 'somebody'" in refused.text
    taken = api.post("addresses/take", json=wanted | {"owner": "db"}).json()
    assert taken["address"] == "10.66.0.28"
    kept = api.post("addresses/unreserve", json=one).json()
    assert (kept["state"], kept["owner"]) == ("granted", "db")
    assert api.post("addresses/unreserve", json=one).status_code == 409
    body = {"address": "10.66.0.28", "owner": "db"}
    assert api.post("addresses/release", json=body).json()["released"]
    (after,) = [
        found
        for found in api.get("addresses", params={"state": "cooling"}).json()["addresses"]
        if found["address"] == "10.66.0.28"
    ]
    assert after["owner"] is None


def test_a_quota_is_kept(api: httpx.Client) -> None:
    taken = [
        api.post("addresses/take", json={"subdivision": "lab", "owner": f"q-{number}"})
        for number in range(6)
    ]
    assert [one.status_code for one in taken] == [200] * 5 + [409]
    for one in taken[:5]:
        grant = one.json()
        body = {"address": grant["address"], "owner": grant["owner"]}
        assert api.post("addresses/release", json=body).json()["released"]


def test_a_compaction_that_is_not_there_cannot_be_approved(api: httpx.Client) -> None:
    answer = api.post("shards/compact", json={"id": "abc"})
    assert answer.status_code == 409
    assert "nothing to compact" in answer.json()["detail"]


def test_a_person_takes_lists_and_releases_by_the_command_line(url: str) -> None:
    taken = umbra(url, "address", "take", "lab", "vm-7", "--json")
    assert taken.exit_code == 0, taken.stderr
    grant = json.loads(taken.stdout)
    listed = umbra(url, "address", "list", "--owner", "vm-7")
    assert grant["address"] in listed.stdout
    assert "granted" in listed.stdout
    again = umbra(url, "address", "take", "lab", "vm-7")
    assert f"{grant['address']} for vm-7: again" in again.stdout
    wrong = umbra(url, "address", "release", grant["address"], "somebody")
    assert wrong.exit_code == 1
    assert "vm-7" in wrong.stderr
    released = umbra(url, "address", "release", grant["address"], "vm-7")
    assert "cools down" in released.stdout
    shown = umbra(url, "shards")
    assert shown.exit_code == 0
    assert "10.66.0.0/28" in shown.stdout
    assert "Fragmentation of the free space" in shown.stdout
    refused = umbra(url, "shards", "compact", "abc", "--yes")
    assert refused.exit_code == 1


def test_a_person_reserves_by_the_command_line(url: str) -> None:
    kept = umbra(url, "address", "reserve", "lab", "10.66.0.30", "--owner", "db-2")
    assert "10.66.0.30 is kept for db-2" in kept.stdout
    stranger = umbra(url, "address", "take", "lab", "vm-8", "--reserved", "10.66.0.30")
    assert stranger.exit_code == 1
    assert "not reserved for 'vm-8'" in stranger.stderr
    taken = umbra(url, "address", "take", "lab", "db-2", "--reserved", "10.66.0.30")
    assert "10.66.0.30 for db-2" in taken.stdout, taken.stderr
    assert umbra(url, "address", "release", "10.66.0.30", "db-2").exit_code == 0
    listed = umbra(url, "address", "list", "--state", "reserved", "--json")
    assert [one["address"] for one in json.loads(listed.stdout)["addresses"]] == ["10.66.0.30"]
    ended = umbra(url, "address", "unreserve", "lab", "10.66.0.30", "--json")
    assert json.loads(ended.stdout)["state"] == "cooling"
    nobody = umbra(url, "address", "reserve", "lab", "10.66.0.29")
    assert "10.66.0.29 is kept from everybody" in nobody.stdout
    given_up = umbra(url, "address", "unreserve", "lab", "10.66.0.29")
    assert "10.66.0.29 is cooling: no longer reserved" in given_up.stdout


def test_bgp_sessions_can_be_asked_for_without_a_speaker(tmp_path: Any) -> None:
    result = CliRunner().invoke(app, ["bgp", "--run-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "no BGP speaker" in result.stderr
    file = tmp_path / "umbra.yaml"
    file.write_text(running_yaml(0.2, 8741) + ADDRESSES)
    result = CliRunner().invoke(app, ["bgp", "--config", str(file)])
    assert "no section addresses.bgp" in result.stderr
    bgp = "  bgp: {local_as: 65000, router_id: 10.255.0.1, run_dir: bgp}\n"
    file.write_text(file.read_text() + bgp)
    result = CliRunner().invoke(app, ["bgp", "--config", str(file)])
    assert f"no BGP speaker serves {tmp_path / 'bgp'}" in result.stderr.replace("\n", "")
