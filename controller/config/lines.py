"""YAML → plain values, keeping the line of every key.

Reads the core schema of YAML 1.2: `true`/`false` are the only booleans and 10:20:30 stays text, so
that a node named `on` or an unquoted MAC address means what it says. Aliases are refused: a small
file could otherwise expand into a very large one.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from controller.config.errors import ConfigError, Path, Problem

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

MOST_DIGITS = 40
_TAG = "tag:yaml.org,2002:"
_PATTERNS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        list("-+0123456789."),
    ),
)


class _Loader(_Base):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in _PATTERNS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


def read(text: str, file: str) -> tuple[Any, dict[Path, int]]:
    """The values of one YAML document, and the line (1-based) of every path in it.

    Raises ConfigError when the text is not YAML, holds a key twice, or uses an alias or a tag.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        line = mark.line + 1 if mark is not None else 0
        problem = Problem((), f"this is not YAML: {what}", "correct the syntax here", line)
        raise ConfigError(file, [problem]) from error
    except RecursionError:
        raise _too_deep(file) from None
    finally:
        loader.dispose()
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    if node is None:
        return None, lines
    try:
        value = _plain(node, (), lines, problems, set())
    except RecursionError:
        raise _too_deep(file) from None
    if problems:
        raise ConfigError(file, problems)
    return value, lines


def _too_deep(file: str) -> ConfigError:
    return ConfigError(file, [Problem((), "this is nested too deeply", "flatten it")])


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of a path, or of the nearest enclosing key that is in the file; 0 if none is."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _plain(
    node: yaml.Node,
    path: Path,
    lines: dict[Path, int],
    problems: list[Problem],
    seen: set[int],
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if id(node) in seen:
        problems.append(Problem(path, "aliases (*name) are not read", "write the value out", line))
        return None
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            key_line = key_node.start_mark.line + 1
            inner = (*path, key)
            if key in mapping:
                first = lines[inner]
                what = f"this key is here a second time (first in line {first})"
                problems.append(Problem(inner, what, "keep one of them", key_line))
                continue
            lines[inner] = key_line
            mapping[key] = _plain(value_node, inner, lines, problems, seen)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(item, (*path, index), lines, problems, seen)
            for index, item in enumerate(node.value)
        ]
    kind = node.tag.removeprefix(_TAG)
    text = str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        if len(text) > MOST_DIGITS:
            problems.append(Problem(path, "this number is too long", "write a smaller one", line))
            return 0
        return int(text, 16) if text.startswith("0x") else int(text)
    if kind == "float":
        return float(text)
    if kind != "str":
        problems.append(
            Problem(path, f"the tag {node.tag} is not read", "write a plain value", line)
        )
    return text
