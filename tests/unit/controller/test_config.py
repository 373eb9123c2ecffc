"""What a person sees who writes a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import Config, ConfigError, dump, load, parse
from controller.model import Port, Stage
from harness.yaml_fabric import FABRIC_YAML as GOOD


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="f.yaml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_file_becomes_a_fabric() -> None:
    config = parse(GOOD)
    fabric = config.fabric()
    assert [switch.name for switch in fabric.stage(Stage.ROUTER)] == ["r1", "r2"]
    assert fabric.switch("r1").capacity == 400
    assert fabric.switch("e1").mac == "02:00:00:00:01:01"
    assert fabric.links[1].a == Port("r1", 1)
    assert fabric.links[1].delay_ms == 2.0
    assert fabric.backend("b1").port == Port("s1", 9)
    assert fabric.services[0].routers == ("r1",)
    assert config.cycle.max_shift_pct == 50
    assert config.forecast.horizons_s == (5, 10, 20, 30, 60, 120)


def test_what_is_dumped_reads_back_the_same() -> None:
    config = parse(GOOD + "cycle: {period_s: 0.5, predictive: false}\np4: {json: a.json}\n")
    assert parse(dump(config)) == config


@given(
    period_s=st.floats(0.1, 5),
    shift=st.integers(1, 50),
    one_in=st.sampled_from([1, 2, 64]),
    host=st.sampled_from(["127.0.0.1", "localhost", "::1"]),
)
def test_any_settings_survive_a_dump(period_s: float, shift: int, one_in: int, host: str) -> None:
    plain = parse(GOOD).model_dump(by_alias=True)
    plain["cycle"]["period_s"] = period_s
    plain["cycle"]["max_shift_pct"] = shift
    plain["digests"]["sample_one_in"] = one_in
    plain["api"]["host"] = host
    config = Config.model_validate(plain)
    assert parse(dump(config)) == config


def test_names_that_yaml_1_1_would_take_for_something_else_stay_names() -> None:
    text = changed("name: c1,", "name: on,")
    config = parse(text.replace("02:00:00:00:04:01", "10:10:10:10:10:10"))
    assert config.clients[0].name == "on"
    assert config.clients[0].mac == "10:10:10:10:10:10"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            changed("label: 301", "labl: 301"),
            ["f.yaml:7", "switches[2].labl", "did you mean `label`"],
        ),
        (changed("label: 401", "label: 302"), ["f.yaml:18", "302 is the label of switches[3]"]),
        (changed("device_id: 22", "device_id: 21"), ["switches[3].device_id", "21"]),
        (changed("label: 301", "label: 15"), ["switches[2].label", "15", "16"]),
        (changed("b: s1:2", "b: s1:1"), ["f.yaml:13", "links[1].b", "links[0].b"]),
        (changed("port: e1:9", "port: e7:9"), ["f.yaml:16", "no switch e7"]),
        (changed("port: e1:9", "port: e1:510"), ["clients[0].port", "509"]),
        (changed("capacity: 400, ", ""), ["f.yaml:7", "r1 has no connection capacity"]),
        (changed("threshold_available: 100", "threshold_available: 400"), ["below the capacity"]),
        (changed("capacity: 400", "capacity: 9000"), ["only 8192 places", "table_size"]),
        (changed("subnet: 10.1.1.0/24", "subnet: 10.1.1.0/24, capacity: 3"), ["only routers"]),
        (changed("10.100.0.1", "10.1.1.9"), ["f.yaml:20", "host subnet 10.1.1.0/24 of e1"]),
        (changed("ip: 10.1.1.10", "ip: 10.1.1.1"), ["gateway", "10.1.1.2"]),
        (changed("ip: 10.1.1.10", "ip: 10.9.1.10"), ["outside 10.1.1.0/24"]),
        (changed("subnet: 10.2.1.0/24", "subnet: 10.1.0.0/16"), ["overlaps 10.1.1.0/24 of e1"]),
        (changed("subnet: 10.1.1.0/24", "subnet: 10.1.1.7/24"), ["switches[0].subnet"]),
        (changed("routers: [r1]", "routers: [s1]"), ["services[0].routers[0]", "a spine"]),
        (changed("routers: [r1]", "routers: [r1, r1]"), ["named twice"]),
        (changed("routers: [r1]", "routers: []"), ["services[0].routers"]),
        (changed("backends: [b1]", "backends: [b2]"), ["no backend b2"]),
        (changed("  - {a: r2:1, b: s1:3}\n", ""), ["no links lead from e1 to r2"]),
        (changed("umbra: 1", "umbra: 2"), ["f.yaml:1", "umbra"]),
        (GOOD + "umbra: 1\n", ["f.yaml:21", "second time", "line 1"]),
        (GOOD + "cycle: {period: 2}\n", ["f.yaml:21", "cycle.period", "period_s"]),
        (GOOD + "cycle: {predictive: yes}\n", ["cycle.predictive", "'yes'"]),
        (GOOD + "cycle: {max_shift_pct: 60}\n", ["cycle.max_shift_pct", "60", "50"]),
        (GOOD + "digests: {sample_one_in: 3}\n", ["power of two"]),
        (GOOD + "forecast: {horizons_s: [5, 5]}\n", ["ascending"]),
        (GOOD + "api: {host: 0.0.0.0}\n", ["token_file"]),
        (GOOD + "shadows: {overrides: {r1: [r1]}}\n", ["its own shadow"]),
        (GOOD + "shadows: {overrides: {r9: [r1]}}\n", ["no router r9"]),
        (GOOD + "failover: {dead_after_ms: 50}\n", ["three probes", "at least 75 ms"]),
        (GOOD + "failover: {confirm_ms: 200}\n", ["longer than dead_after_ms"]),
        (GOOD + "idle: &a {tcp_s: 60}\nstore: *a\n", ["aliases", "f.yaml:21"]),
        ("umbra: [", ["not YAML"]),
        ("umbra: " + "9" * 5000, ["too long"]),
        ("[" * 3000 + "]" * 3000, ["nested too deeply"]),
        ("", ["no keys"]),
        ("- 1\n", ["no keys"]),
    ],
)
def test_a_mistake_is_named_with_its_line_key_and_remedy(text: str, said: list[str]) -> None:
    message = problem(text)
    for part in said:
        assert part in message, message
    assert message.startswith("f.yaml")
    assert ";" in message  # the remedy


def test_all_mistakes_are_told_at_once_in_file_order() -> None:
    message = problem(changed("label: 401", "label: 302").replace("a: e1:1", "a: e5:1"))
    first, second = message.index("no switch e5"), message.index("302 is the label")
    assert first < second


def test_events_need_a_zone_and_known_names() -> None:
    event = "forecast: {events: [{name: x, start: %s, end: 2026-01-02T00:00:00Z, services: [%s]}]}"
    assert "zone" in problem(GOOD + event % ("2026-01-01T00:00:00", "web"))
    assert "no service wep" in problem(GOOD + event % ("2026-01-01T00:00:00Z", "wep"))
    assert "ends before" in problem(GOOD + event % ("2027-01-01T00:00:00Z", "web"))
    config = parse(GOOD + event % ("2026-01-01T01:00:00+01:00", "web"))
    assert config.forecast.events[0].start == 1767225600.0


def test_a_mistake_in_a_calendar_is_told_with_the_place_in_both_files(tmp_path: Path) -> None:
    file, plan = tmp_path / "umbra.yaml", tmp_path / "plan.yaml"
    file.write_text(GOOD + "forecast: {calendars: [plan.yaml], calendar_zone: Europe/Berlin}\n")
    with pytest.raises(ConfigError, match=r"umbra\.yaml:21: forecast\.calendars\[0\]: .*No such"):
        load(file)
    plan.write_text("- {name: x, start: 2026-01-01, end: 2026-01-02, services: [wep]}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    said = f"{plan}:1: [0].services: there is no service 'wep'; did you mean `web`?"
    assert said in str(caught.value)
    plan.write_text("- {name: x, start: 2026-01-01, end: 2026-01-02, services: [web]}\n")
    assert load(file).forecast.calendars == (str(plan),)
    assert "Europe/Berlin" in problem(GOOD + "forecast: {calendar_zone: Berlin}\n")


def test_file_names_are_relative_to_the_file_and_must_exist(tmp_path: Path) -> None:
    file = tmp_path / "umbra.yaml"
    file.write_text(GOOD + "p4: {json: build/x.json}\n")
    with pytest.raises(ConfigError, match="there is no file") as caught:
        load(file)
    assert str(tmp_path / "build" / "x.json") in str(caught.value)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "x.json").write_text("{}")
    config = load(file)
    assert config.p4.json_path == str(tmp_path / "build" / "x.json")
    assert config.store.path == str(tmp_path / "umbra.db")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_says_so(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "umbra.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"umbra\.yaml: "):
        load(file)


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
