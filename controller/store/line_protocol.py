"""Points ↔ InfluxDB's line protocol (docs.influxdata.com, "Line protocol").

The encoder is our own because it stands on the way of every sample: with the tags of a series
escaped once it takes a third of the time of influxdb-client's `Point`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from controller.store.point import Point, Value
from controller.store.schema import FieldType, Measurement

MOST_PREFIXES = 100_000  # of series that are remembered
_TAG = re.compile(r"([,= ])")


class Encoder:
    """Points → lines. Points must be sound (`point.fault`)."""

    def __init__(self, schema: Mapping[str, Measurement]) -> None:
        self._schema = schema
        self._prefixes: dict[tuple[str, tuple[str, ...]], str] = {}
        self._fields = {
            name: tuple((f"{field.name}=", field.type) for field in own.fields)
            for name, own in schema.items()
        }

    def line(self, point: Point) -> str:
        """Without the end of line."""
        measurement, time_ns, tags, values = point
        prefix = self._prefixes.get((measurement, tags))
        if prefix is None:
            prefix = self._prefix(measurement, tags)
        parts = []
        for (name, kind), value in zip(self._fields[measurement], values, strict=True):
            if value is None:
                continue
            if kind is FieldType.FLOAT:
                parts.append(f"{name}{float(value)!r}")
            elif kind is FieldType.INTEGER:
                parts.append(f"{name}{value}i")
            elif kind is FieldType.STRING:
                parts.append(f"{name}{_quoted(str(value))}")
            else:
                parts.append(name + ("true" if value else "false"))
        return f"{prefix} {','.join(parts)} {time_ns}"

    def _prefix(self, measurement: str, tags: tuple[str, ...]) -> str:
        if len(self._prefixes) >= MOST_PREFIXES:
            self._prefixes.clear()
        # Sorted by name: the server then need not sort them.
        pairs = sorted(zip(self._schema[measurement].tags, tags, strict=True))
        own = "".join(f",{name}={_escaped(value)}" for name, value in pairs)
        prefix = self._prefixes[measurement, tags] = measurement + own
        return prefix


def _escaped(tag: str) -> str:
    return _TAG.sub(r"\\\1", tag)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split(payload: str) -> list[str]:
    """Lines of a payload. A line break within a string field does not end a line."""
    if '"' not in payload:
        return [line for line in payload.split("\n") if line]
    return [line for line in _parts(payload, "\n") if line]


def decode(line: str, schema: Mapping[str, Measurement]) -> Point:
    """A line that `Encoder` made. Raises ValueError for any other, KeyError for an unknown measurement."""
    head, fields, time_text = _three(line)
    name, *pairs = _parts(head, ",")
    own = schema[name]
    tags = dict(_pair(pair) for pair in pairs)
    given = dict(_pair(pair) for pair in _parts(fields, ","))
    values = tuple(_value(given.get(field.name), field.type) for field in own.fields)
    return Point(name, int(time_text), tuple(_plain(tags[tag]) for tag in own.tags), values)


def _three(line: str) -> tuple[str, str, str]:
    found = _parts(line, " ")
    if len(found) != 3:
        raise ValueError(f"no line with a time: {line[:80]!r}")
    return found[0], found[1], found[2]


def _parts(text: str, at: str) -> list[str]:
    """Split where `at` is neither escaped nor within quotes."""
    parts, start, quoted, index = [], 0, False, 0
    while index < len(text):
        sign = text[index]
        if sign == "\\":
            index += 1
        elif sign == '"':
            quoted = not quoted
        elif sign == at and not quoted:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    parts.append(text[start:])
    return parts


def _pair(text: str) -> tuple[str, str]:
    name, *rest = _parts(text, "=")
    return name, "=".join(rest)


def _plain(tag: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", tag)


def _value(text: str | None, kind: FieldType) -> Value:
    if text is None:
        return None
    if kind is FieldType.FLOAT:
        return float(text)
    if kind is FieldType.INTEGER:
        return int(text.removesuffix("i"))
    if kind is FieldType.BOOLEAN:
        return text == "true"
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])
