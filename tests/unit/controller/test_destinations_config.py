"""What a person sees who configures destinations."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import ConfigError, dump, load, parse
from controller.destinations import settings
from controller.graph.graph import GraphError
from controller.graph.stores import PASSWORD, open_graph
from harness.destinations import CYCLE_YAML, DESTINATIONS_YAML, SITES_YAML
from harness.yaml_fabric import FABRIC_YAML

MORE = """\
  latencies: [{a: west, b: east, round_trip_ms: 35}]
  services:
    - {service: web, similar: [dns], copies: [{site: east, routers: [r2]}]}
  graph: {neo4j: {url: "bolt://127.0.0.1:7687"}}
"""
GOOD = CYCLE_YAML + SITES_YAML + DESTINATIONS_YAML + MORE


def test_without_the_section_nothing_of_it_is_there() -> None:
    assert parse(FABRIC_YAML).destinations is None


def test_a_good_section_becomes_destinations_sites_and_rules(tmp_path: Path) -> None:
    (tmp_path / "umbra.yaml").write_text(GOOD)
    config = load(tmp_path / "umbra.yaml")
    section = config.destinations
    assert section is not None
    [web] = settings.destinations(config, section)  # dns has no backend at another site
    assert (web.name, web.primary_site, web.sites) == ("web", "west", ("east",))
    assert settings.copy_routers(config, section) == {(1, "east"): ("r2",)}
    east, west = settings.sites(config, section)
    assert (east.routers, east.spare_cps, west.spare_cps) == (("r2", "r3"), 100.0, None)
    assert settings.similar(config, section) == {1: (2,)}
    assert settings.access_settings(config, section).keep == 600
    assert settings.redirect_settings(section).hold_s == 5.0
    assert section.graph.path == str(tmp_path / "umbra-graph.db")
    assert parse(dump(config)) == config


def test_a_service_may_have_no_copies() -> None:
    config = parse(GOOD.replace("similar: [dns], ", "standby: false, "))
    assert config.destinations is not None
    assert settings.destinations(config, config.destinations) == ()


def test_a_database_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + "  geo_database: geo.mmdb\n")
    with pytest.raises(ConfigError, match=r"destinations\.geo_database: there is no file"):
        load(file)


def test_the_password_of_a_graph_server_comes_from_the_environment_only() -> None:
    config = parse(GOOD)
    assert config.destinations is not None
    with pytest.raises(GraphError, match=f"set {PASSWORD}"):
        open_graph(config.destinations.graph, {})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("counters: 64", "counters: 8", "access.counters: 8 is less than cells (16)"),
        ("keep_s: 600", "keep_s: 100", "access.keep_s: 100 s are fewer than 120 steps"),
        (
            "keep_s: 600, cells: 16, counters: 64",
            "keep_s: 6710887, cells: 16, counters: 64",
            "access: 16 cells, each with keep_s / step_s = 6710887 samples, take 1639 MiB",
        ),
        ("horizons_s: [1", "horizons_s: [0.5", "horizons_s: 0.5 s is shorter than access.step_s"),
        ("ahead_s: 2", "ahead_s: 5", "ahead_s: 5 s is beyond the last of horizons_s (4 s)"),
        ("period_s: 1.0", "period_s: 2.0", "access.step_s: 1 s is shorter than period_s (2 s)"),
        ("period_s: 0.5", "period_s: 0.8", "step_s: 1 s is shorter than two cycles (0.8 s each)"),
        ("hold_max_s: 20", "hold_max_s: 2", "hold_max_s: 2 s is shorter than hold_s (5 s)"),
        ("{name: east, spare", "{name: north, spare", "no switch is of site north"),
        ("{a: west, b: east", "{a: west, b: north", "latencies[0].b: no switch is of site north"),
        ("site: east, prefixes", "site: north, prefixes", "no edge is of site north"),
        ("{name: rome", "{name: oslo", "locations[1].name: oslo is the name of another"),
        ("{name: rome", "{name: elsewhere", "elsewhere is the name of another"),
        ("[10.1.2.0/24]", "[10.1.1.0/24]", "10.1.1.0/24 is of oslo already"),
        ("[10.1.2.0/24]", "[10.1.2.1/24]", "write a prefix such as"),
        ("prefixes: [10.1.2.0/24]", "countries: [IT]", "there is no database; add geo_database"),
        ("site: east, prefixes", "prefixes", "nothing says how far rome is"),
        (", prefixes: [10.1.2.0/24]", "", "rome is nowhere; give it prefixes"),
        ("{service: web, similar", "{service: wbe, similar", "there is no service wbe"),
        ("similar: [dns]", "similar: [web]", "web is no other service"),
        ("copies: [{site: east", "copies: [{site: west", "web is at home at west"),
        ("copies: [{site: east", "copies: [{site: north", "no service router is of site north"),
        ("routers: [r2]}]", "routers: [r1]}]", "r1 is no service router of east"),
        ("backends: [b1, b2]", "backends: [b1]", "web has no backend at east"),
        (
            "routers: [r1], backends: [b1, b2]",
            "routers: [r1, r2], backends: [b1, b2]",
            "of several",
        ),
        ("bolt://", "http://", "write bolt://host:port"),
        ("placement: {keep_s", "placement: {kep_s", "did you mean `keep_s`?"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_remedy(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(old, new, 1), file="f.yaml")
    told = str(caught.value)
    assert said in told
    assert "f.yaml:" in told
    assert "; " in told
