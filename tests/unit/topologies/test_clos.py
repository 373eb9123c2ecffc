"""The generated fabrics: valid, the same every time, and refused with a reason when they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import load
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.wiring import wire

SPECS = st.builds(
    ClosSpec,
    edges=st.integers(1, 6),
    spines=st.integers(1, 4),
    routers=st.integers(1, 6),
    backends=st.integers(1, 9),
    clients=st.integers(1, 9),
    sites=st.integers(1, 3),
)


@settings(max_examples=25, deadline=None)
@given(spec=SPECS)
def test_the_controller_accepts_every_generated_fabric(
    spec: ClosSpec, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path = tmp_path_factory.mktemp("clos") / "fabric.yaml"
    path.write_text(yaml.safe_dump(configuration(spec)))
    fabric = load(path).fabric()
    per_site = spec.edges + spec.spines + spec.routers
    assert len(fabric.switches) == per_site * spec.sites
    within = (spec.edges + spec.routers) * spec.spines * spec.sites
    between = spec.spines**2 * spec.sites * (spec.sites - 1) // 2
    assert len(fabric.links) == within + between


@settings(max_examples=25, deadline=None)
@given(spec=SPECS)
def test_no_two_things_share_an_address_a_label_or_a_port(spec: ClosSpec) -> None:
    config = configuration(spec)
    hosts = [*config["clients"], *config["backends"]]
    everything = [*config["switches"], *hosts]
    for values in (
        [thing["mac"] for thing in everything],
        [host["ip"] for host in hosts],
        [thing["label"] for thing in (*config["switches"], *config["backends"])],
        [switch["address"] for switch in config["switches"]],
        [host["port"] for host in hosts]
        + [end for link in config["links"] for end in (link["a"], link["b"])],
    ):
        assert len(values) == len(set(values))


def test_the_same_numbers_give_the_same_fabric() -> None:
    assert configuration(ClosSpec(sites=2)) == configuration(ClosSpec(sites=2))


def test_only_links_between_sites_are_slow() -> None:
    config = configuration(ClosSpec(sites=2, inter_site_delay_ms=25.0))
    site = {switch["name"]: switch["site"] for switch in config["switches"]}
    for link in config["links"]:
        ends = {site[link[end].split(":")[0]] for end in ("a", "b")}
        assert link["delay_ms"] == (25.0 if len(ends) == 2 else 0.0)


def test_each_service_gets_a_router_of_its_own_by_default() -> None:
    services = configuration(ClosSpec(routers=3))["services"]
    assert [service["routers"] for service in services] == [["r1"], ["r2"], ["r3"]]
    assert all(service["backends"] == ["b1", "b2", "b3", "b4"] for service in services)


def test_backends_of_a_service_are_at_its_routers_site() -> None:
    services = configuration(ClosSpec(sites=2, routers=1, backends=2))["services"]
    assert [service["backends"] for service in services] == [["b1", "b2"], ["b3", "b4"]]


def test_a_thousand_routers_fit() -> None:
    spec = ClosSpec(sites=20, routers=50, services=(ServiceSpec("web"),))
    config = configuration(spec)
    assert sum(switch["stage"] == "router" for switch in config["switches"]) == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": 0}, "edges is 0"),
        ({"edges": 300}, "there is one /24 for each"),
        ({"routers": 120}, "use fewer switches per site"),
        ({"backends": 1000}, "add spines"),
        ({"clients": 1000}, "add edges"),
    ],
)
def test_an_impossible_fabric_is_refused_with_a_remedy(
    arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ClosSpec(**arguments)  # type: ignore[arg-type]


def test_a_service_on_an_unknown_router_is_refused() -> None:
    with pytest.raises(ValueError, match="no router r9"):
        configuration(ClosSpec(services=(ServiceSpec("web", routers=("r9",)),)))


def test_hosts_know_their_gateway_and_backends_the_addresses_that_they_serve() -> None:
    wiring = wire(configuration(ClosSpec()))
    client, backend = wiring.host("c1"), wiring.host("b1")
    assert (client.switch, client.gateway, client.services) == ("e1", "10.1.1.1", ())
    assert (backend.switch, backend.gateway) == ("s1", "10.2.1.1")
    assert backend.services == ("10.100.0.1", "10.100.0.2", "10.100.0.3")


def test_every_port_of_a_switch_has_an_interface_of_its_own() -> None:
    wiring = wire(configuration(ClosSpec(sites=2)))
    names = [name for switch in wiring.switches for _, name in switch.interfaces]
    names += [host.interface for host in wiring.hosts]
    assert len(names) == len(set(names)) == 2 * (len(wiring.cables) + len(wiring.hosts))
    assert all(len(name) <= 15 and name.startswith("um-") for name in names)


def test_a_port_used_twice_is_refused() -> None:
    config = configuration(ClosSpec())
    config["clients"][0]["port"] = config["clients"][1]["port"]
    with pytest.raises(ValueError, match="used twice"):
        wire(config)


def test_a_host_on_a_switch_without_subnet_is_refused() -> None:
    config = configuration(ClosSpec())
    config["clients"][0]["port"] = "r1:101"
    with pytest.raises(ValueError, match="switch r1 has no subnet"):
        wire(config)
