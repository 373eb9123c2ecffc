"""A policy section reads as it is written; what contradicts itself is told with its key, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from controller.config import Config, ConfigError, dump, lines, load, parse
from controller.config.errors import Problem
from controller.config.resources import ResourcesConfig, check
from controller.model.resources import NO_LIMIT, Amounts, Mode
from controller.plan.ab import Rules
from controller.plan.resources.rules import standing
from harness.yaml_fabric import FABRIC_YAML

GOOD = """\
resources:
  prewarm: {at_once: 2}
  policies:
  - name: routers
    devices: [r*]
    mode: active
    base: {cpu_cores: 2, memory_mib: 1024, network_mbps: 1000}
    least: {cpu_cores: 0.1}
    most: {cpu_cores: 8, memory_mib: 8192}
    step: {cpu_cores: 0.1}
    shadows:
    - {name: small, most: {cpu_cores: 1}, idle: {cpu_cores: 0.05}}
    - {name: large}
    prices:
      hold: {cpu_core_h: 0.04, memory_gib_h: 0.005, network_gbps_h: 0.02}
      breach: {cpu_core_h: 2, memory_gib_h: 1, network_gbps_h: 1}
    budget_per_h: 3.5
    zone: Europe/Berlin
    schedules:
    - {name: office, days: [mon, tue], from: 08:00, to: 18:30, least: {cpu_cores: 1}}
    exceptions:
    - {name: change freeze, start: 2026-12-24T00:00:00Z, end: 2026-12-27T00:00:00Z, frozen: true}
"""


def read(text: str) -> tuple[ResourcesConfig, list[Problem], list[int]]:
    """The section, its problems, and their lines."""
    raw, where = lines.read(text, "umbra.yaml")
    section = ResourcesConfig.model_validate(raw["resources"])
    problems = check(section, ["r1", "r2", "e1"])
    return section, problems, [lines.line_of(one.path, where) for one in problems]


def test_a_policy_reads_as_it_is_written() -> None:
    section, problems, _ = read(GOOD)
    (found,) = section.planned()
    assert problems == []
    assert found.base == Amounts(2, 1024 * 2**20, 1e9)
    assert found.most == Amounts(8, 8192 * 2**20, float("inf"))
    assert found.prices.hold.memory_bytes * 2**30 == pytest.approx(0.005)
    assert [one.most for one in found.shadows][1] == NO_LIMIT
    assert (found.schedules[0].start_min, found.schedules[0].days) == (480, (0, 1))
    assert section.prewarm.settings().at_once == 2
    assert standing(found, found.exceptions[0].start_s).frozen


def test_a_policy_that_says_no_mode_only_forecasts() -> None:
    section, _, _ = read(GOOD.replace("    mode: active\n", ""))
    assert section.planned()[0].mode is Mode.FORECAST_ONLY


@pytest.mark.parametrize(
    ("before", "after", "key", "line", "remedy"),
    [
        ("[r*]", "[x*]", "devices[0]", 5, "there are r1, r2, e1"),
        ("least: {cpu_cores: 0.1}", "least: {cpu_cores: 9}", "least.cpu_cores", 8, "lower it"),
        (
            "idle: {cpu_cores: 0.05}",
            "idle: {cpu_cores: 2}",
            "shadows[0].idle.cpu_cores",
            12,
            "lower",
        ),
        ("name: large", "name: small", "shadows[1].name", 13, "give it its own"),
        ("cpu_core_h: 2", "cpu_core_h: 0.01", "prices.breach.cpu_core_h", 16, "dearer"),
        (", least: {cpu_cores: 1}", "", "schedules[0]", 20, "set least, most or mode"),
        ("2026-12-27", "2026-12-23", "exceptions[0].end", 22, "later than start"),
        ("    zone", "    back_pct: 80.0\n    zone", "back_pct", 18, "less than full_pct"),
    ],
)
def test_a_contradiction_is_told_with_its_key_line_and_remedy(
    before: str, after: str, key: str, line: int, remedy: str
) -> None:
    assert before in GOOD
    _, problems, places = read(GOOD.replace(before, after, 1))
    assert [one.key for one in problems] == [f"resources.policies[0].{key}"]
    assert places == [line]
    assert remedy in problems[0].remedy


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("from: 08:00", "from: 25:00", ("policies", 0, "schedules", 0, "from")),
        ("budget_per_h: 3.5", "budget_per_h: -1", ("policies", 0, "budget_per_h")),
        ("mode: active", "mode: eager", ("policies", 0, "mode")),
        ("    step:", "    steps:", ("policies", 0, "steps")),
        ("[mon, tue]", "[monday]", ("policies", 0, "schedules", 0, "days", 0)),
        ("zone: Europe/Berlin", "zone: Berlin", ("policies", 0, "zone")),
        ("at_once: 2", "at_once: 0", ("prewarm", "at_once")),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_key(
    before: str, after: str, path: tuple[str | int, ...]
) -> None:
    assert before in GOOD
    with pytest.raises(ValidationError) as caught:
        read(GOOD.replace(before, after, 1))
    assert [one["loc"] for one in caught.value.errors()] == [path]


def test_the_policy_in_the_documentation_reads() -> None:
    page = Path(__file__).parents[3] / "docs" / "resource-shadowing.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    section, problems, _ = read(example)
    assert problems == []
    assert section.planned()[0].mode is Mode.FORECAST_ONLY


WHOLE = """\
resources:
  record: {}
  devices:
  - name: r1
    capacity: {cpu_cores: 1}
    place: {group: lab/r1}
    shadows:
    - {name: shadow, switch: r2, place: {group: lab/r2}}
  policies:
  - name: routers
    base: {cpu_cores: 1, memory_mib: 100, network_mbps: 100}
"""


def whole(old: str = "", new: str = "") -> Config:
    """The whole file with that section, changed."""
    text = WHOLE.replace(old, new) if old else WHOLE
    return parse(FABRIC_YAML + text, file="umbra.yaml", base=Path("/lab"))


def test_the_section_is_part_of_the_file_and_its_record_lies_beside_it() -> None:
    config = whole()
    assert config.resources is not None
    assert config.resources.record is not None
    assert config.resources.record.path == "/lab/umbra-resources"
    assert parse(dump(config)) == config


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("name: r1", "name: e1", "devices[0].name", "e1 is no router"),
        ("name: r1", "name: r9", "devices[0].name", "there is no switch r9"),
        ("switch: r2", "switch: r1", "shadows[0].switch", "r1 is named in"),
        ("switch: r2", "switch: r1", "shadows[0].switch", "r1 is a primary of service web"),
        ("lab/r2", "lab/r1", "shadows[0].place.group", "lab/r1 is the group of"),
        ("lab/r2", "/sys/r2", "shadows[0].place.group", "/sys/r2 is no name of a control group"),
        ("lab/r2", "lab/../r2", "shadows[0].place.group", "is no name of a control group"),
        ("{name: shadow,", "{name: small,", "devices[0].shadows", "has a shadow shadow"),
        ("name: routers", "name: routers\n    devices: [x*]", "devices[0].name", "no policy"),
        ("record: {}", "forecast: {step_s: 301}", "horizons_s[0]", "shorter than a step"),
        ("cpu_cores: 1}\n    place", "cores: 1}\n    place", "capacity.cores", "unknown key"),
    ],
)
def test_devices_that_cannot_be_are_told_with_file_line_and_key(
    old: str, new: str, key: str, what: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        whole(old, new)
    told = str(caught.value)
    assert "umbra.yaml" in told
    assert any(key in line and what in line for line in told.splitlines()), told
    assert all(one.line > FABRIC_YAML.count("\n") for one in caught.value.problems)


def test_a_switch_may_have_a_program_of_its_own(tmp_path: Path) -> None:
    text = FABRIC_YAML.replace("capacity: 400", "capacity: 400, p4: {json: own.json}", 1)
    file = tmp_path / "umbra.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"there is no file .*own.json"):
        load(file)
    (tmp_path / "own.json").write_text("{}")
    own = load(file).switches[2].p4
    assert own is not None
    assert own.json_path == str(tmp_path / "own.json")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ab: {shares_pct: [50, 10]}", "rising"),
        ("ab: {metrics: [loss], better_on: latency}", "not among the metrics"),
        ("ab: {alpha: 0.7}", "less than or equal to 0.5"),
    ],
)
def test_rules_of_comparisons_that_contradict_themselves_are_told(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parse(FABRIC_YAML + text)


def test_rules_of_comparisons_are_those_of_the_planner_by_default() -> None:
    assert parse(FABRIC_YAML).ab.rules() == Rules()
