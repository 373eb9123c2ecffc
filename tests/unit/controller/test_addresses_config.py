"""What a person sees who configures addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.addressing import settings
from controller.config import ConfigError, dump, load, parse
from harness.addressing import ADDRESSES_YAML
from harness.yaml_fabric import FABRIC_YAML

BGP = """\
  bgp:
    local_as: 65000
    router_id: 10.255.0.1
    peers:
      - {name: border, address: 192.0.2.1, remote_as: 65001, next_hop: 10.1.1.1, password_file: border.key}
    attachments: [{prefix: 0.0.0.0/0, port: "e1:9", mac: 02:00:00:00:09:01}]
  router_files:
    - name: core
      kind: bird
      path: core.conf
      router_id: 10.0.0.9
      local_as: 65009
      next_hop: 10.1.1.1
      umbra: {address: 10.255.0.1, remote_as: 65000}
"""
GOOD = FABRIC_YAML + ADDRESSES_YAML


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="f.yaml")
    return str(caught.value)


def test_without_the_section_nothing_of_it_is_there() -> None:
    config = parse(FABRIC_YAML)
    assert config.addresses is None
    assert settings.subdivisions(config) == ()
    assert settings.hosts(config) == ()


def test_a_good_section_becomes_subdivisions_and_hosts() -> None:
    config = parse(GOOD)
    pod, rack = settings.subdivisions(config)
    assert (pod.name, pod.switch, pod.external) == ("pod", "s1", "198.51.100.0/24")
    assert settings.families(rack) == (4, 6)
    first = settings.hosts(config)[0]
    assert (first.switch, first.port, first.gateway) == ("s1", 20, "10.2.1.1")
    assert parse(dump(config)) == config


def test_files_are_meant_from_the_configuration_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + BGP)
    with pytest.raises(ConfigError, match=r"bgp\.peers\[0\]\.password_file: there is no file"):
        load(file)
    (tmp_path / "border.key").write_text("secret\n")
    config = load(file)
    assert config.addresses is not None
    assert config.addresses.pool == str(tmp_path / "umbra-addresses.db")
    assert settings.hosts(config)[0].agent == tmp_path / "h1.sock"
    bgp = settings.bgp_settings(config.addresses)
    assert bgp is not None
    assert bgp.peers[0].password == "secret"
    core = settings.router_file(config.addresses, config.addresses.router_files[0])
    assert core.path == tmp_path / "core.conf"
    assert core.community_as == 65000


def test_a_password_is_never_in_the_words_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(settings.PasswordError, match="is empty"):
        settings.password(str(tmp_path / "empty"))
    with pytest.raises(settings.PasswordError, match="readable"):
        settings.password(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_least: 2", "at_least: 9, at_most: 3", "warm.at_least: 9 is more than at_most (3)"),
        ("name: rack", "name: pod", "subdivisions[1].name: pod is at addresses.subdivisions[0]"),
        ("10.65.0.0/24", "10.64.0.0/25", "overlaps 10.64.0.0/24, a prefix of pod"),
        ("10.65.0.0/24", "10.2.1.0/24", "overlaps 10.2.1.0/24, the subnet of s1"),
        ("10.65.0.0/24", "10.65.0.0/29", "has 8 addresses, a shard has 16"),
        ("10.65.0.0/24", "10.65.0.1/24", "write a prefix such as"),
        ("198.51.100.0/24", "198.51.100.0/25", "has 128 addresses for 256 internal ones"),
        ("s1:20", "s9:20", "there is no switch s9"),
        ("s1:20", "s1:1", "a link uses port s1:1"),
        ("s1:21", "e1:21", "a subdivision's hosts hang on one switch"),
        ("s1:21", "s1:20", "s1:20 is at addresses.subdivisions[0].hosts[0].port already"),
        ("agent: h2.sock", "agent: h1.sock", "h1.sock is at"),
        ("name: h2", "name: h1", "h1 is at"),
        ("agent: h2.sock", f"agent: {'x' * 120}", "is too long for a Unix socket"),
        ("instances: elsewhere", "instances: somewhere", "it should be: 'agents' or 'elsewhere'"),
        (
            "[10.64.0.0/24]",
            '[10.64.0.0/24, "fd00:64::/64"]',
            "fd00:64::/64 is IPv6: umbra's agents",
        ),
        ("at_least: 2", "at_leats: 2", "did you mean `at_least`?"),
        ("next_hop: 10.1.1.1, password", "password", "border would be told no route"),
        ("192.0.2.1, remote", "192.0.2.1, switch: e7, remote", "there is no switch e7"),
        ("192.0.2.1, remote", '192.0.2.1, local_address: "::1", remote', "is not of IPv4"),
        ('"e1:9"', '"e1:1"', "a link uses port e1:1"),
        ("local_as: 65000", "local_as: 4200000000", "has no AS of 16 bits"),
        ("      next_hop: 10.1.1.1\n      umbra", "      # umbra", "neither learn shards nor"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_remedy(old: str, new: str, said: str) -> None:
    text = GOOD + BGP
    assert old in text
    told = problem(text.replace(old, new, 1) if old != "s1:20" else text.replace(old, new))
    assert said in told
    assert "; " in told


def test_an_event_can_concern_a_subdivision() -> None:
    event = (
        "{name: sale, start: 2026-01-01T00:00:00Z, end: 2026-01-02T00:00:00Z, subdivisions: [pod]}"
    )
    config = parse(f"forecast: {{events: [{event}]}}\n" + GOOD)
    assert config.forecast.events[0].subdivisions == ("pod",)
    told = problem(f"forecast: {{events: [{event.replace('pod', 'pud')}]}}\n" + GOOD)
    assert "there is no subdivision pud; name one of addresses.subdivisions" in told


def test_the_numbers_of_warm_addresses_reach_the_planner() -> None:
    config = parse(GOOD.replace("at_least: 2", "at_least: 2, at_most: 5, early_s: 3, warm_up_s: 1"))
    assert config.addresses is not None
    found = settings.range_settings(config.addresses)
    assert (found.at_least, found.at_most, found.early_s, found.window_s) == (2, 5, 3.0, 3.0)


def test_an_agents_socket_may_lie_in_a_deep_folder() -> None:
    text = GOOD.replace("agent: h2.sock", f"agent: {'folder/' * 20}h2.sock")
    assert text != GOOD
    assert parse(text).addresses is not None
