"""What the switch does not implement it refuses when the program is loaded, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from p4switch.errors import InvalidArgument, Unsupported
from p4switch.pipeline import Pipeline

Document = Callable[[str], dict[str, Any]]


def value_set(d: dict[str, Any]) -> None:
    d["parse_vsets"] = [{"name": "I.allowed", "id": 0}]


def extern(d: dict[str, Any]) -> None:
    d["extern_instances"] = [{"name": "I.box", "id": 0, "type": "Box"}]


def primitive(d: dict[str, Any]) -> None:
    for action in d["actions"]:
        action["primitives"].insert(0, {"op": "teleport", "parameters": []})


def algorithm(d: dict[str, Any]) -> None:
    for calculation in d["calculations"]:
        calculation["algo"] = "md5"


def operator(d: dict[str, Any]) -> None:
    for conditional in d["pipelines"][0]["conditionals"]:
        conditional["expression"]["value"]["op"] = "<=>"


def match_kind(d: dict[str, Any]) -> None:
    for table in d["pipelines"][0]["tables"]:
        for key in table["key"]:
            key["match_type"] = "fuzzy"


def transition(d: dict[str, Any]) -> None:
    d["parsers"][0]["parse_states"][0]["transitions"][0]["type"] = "parse_vset"


def egress_spec(d: dict[str, Any]) -> None:
    for t in d["header_types"]:
        t["fields"] = [f for f in t["fields"] if f[0] != "egress_spec"]


CASES = [
    ("tables", value_set, "I.allowed"),
    ("tables", extern, "I.box"),
    ("tables", primitive, "teleport"),
    ("state", algorithm, "md5"),
    ("tables", operator, "<=>"),
    ("tables", match_kind, "fuzzy"),
    ("tables", transition, "parse_vset"),
    ("expressions", egress_spec, "egress_spec"),
]


@pytest.mark.parametrize(("program", "change", "name"), CASES, ids=[c[2] for c in CASES])
def test_an_unknown_thing_is_refused_by_its_name(
    document: Document, program: str, change: Callable[[dict[str, Any]], None], name: str
) -> None:
    changed = document(program)
    change(changed)
    with pytest.raises((Unsupported, InvalidArgument), match=name):
        Pipeline(changed)


@pytest.mark.parametrize("config", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"pipelines": [{}]}'])
def test_a_config_that_is_not_a_program_is_refused(config: bytes) -> None:
    with pytest.raises(InvalidArgument):
        Pipeline(config)


@pytest.mark.parametrize("name", ["tables", "headers", "copies", "actions"])
def test_the_generated_code_is_readable_source_that_names_the_program_s_parts(
    document: Document, name: str
) -> None:
    loaded = document(name)
    source = Pipeline(loaded).source
    compile(source, name, "exec")
    for state in loaded["parsers"][0]["parse_states"]:
        assert f"# {state['name']}" in source
    for pipeline in loaded["pipelines"]:
        for table in pipeline["tables"]:
            if table["key"]:
                assert f"# table {table['name']}" in source
