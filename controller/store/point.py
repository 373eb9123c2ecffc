"""A point, and what makes one unfit for any store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from controller.store.schema import FieldType, Measurement

Value = float | int | str | bool | None

LONGEST_STRING = 65_535  # bytes; InfluxDB 1.x takes no more
LONGEST_TAG = 1_000  # bytes
EARLIEST_NS = 0
LATEST_NS = 2**63 - 2**31  # InfluxDB keeps the last values for itself
MOST_SOUND = 100_000  # series that are remembered to have sound tags
_FLOATS = frozenset({float, type(None)})
_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1


class Point(NamedTuple):
    """One series at one time. A tuple, because hundreds of thousands are made a second.

    tags, values: in the order of the measurement's tags and fields. A value is None where absent.
    """

    measurement: str
    time_ns: int
    tags: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def series(self) -> tuple[str, tuple[str, ...]]:
        """What it is a point of."""
        return self.measurement, self.tags


def known(value: float) -> float | None:
    """NaN and infinities are absent values: no store of ours can read them back."""
    return value if math.isfinite(value) else None


class Checks:
    """`fault` for many points: what most are is seen at a glance, tags only once for each series."""

    def __init__(self, schema: Mapping[str, Measurement]) -> None:
        self._schema = schema
        self._kinds = {
            name: kinds.pop() if len(kinds) == 1 else None
            for name, own in schema.items()
            for kinds in [{field.type for field in own.fields}]
        }
        self._sound: set[tuple[str, tuple[str, ...], int]] = set()

    def fault(self, point: Point) -> str | None:
        """As the function; a measurement that is not in the schema is at fault too."""
        name, time_ns, tags, values = point
        own = self._schema.get(name)
        if own is None:
            return f"there is no measurement {name!r}"
        # Fit before, hence of the right number; the values only need a look.
        if (name, tags, len(values)) in self._sound and EARLIEST_NS <= time_ns <= LATEST_NS:
            kind = self._kinds[name]
            if kind is FieldType.FLOAT and _FLOATS.issuperset(map(type, values)):
                if values.count(None) < len(values) and math.isfinite(sum(filter(None, values))):  # type: ignore[arg-type]
                    return None
            elif kind is FieldType.INTEGER and set(map(type, values)) == {int}:
                least, most = min(values), max(values)  # type: ignore[type-var]
                if least >= _LEAST_INT and most <= _MOST_INT:  # type: ignore[operator]
                    return None
        reason = fault(point, own)
        if reason is None:
            if len(self._sound) >= MOST_SOUND:
                self._sound.clear()
            self._sound.add((name, tags, len(values)))
        return reason


def fault(point: Point, measurement: Measurement) -> str | None:
    """Why no store takes this point; None when it is sound."""
    if not EARLIEST_NS <= point.time_ns <= LATEST_NS:
        return f"its time {point.time_ns} ns is outside 1970 to 2262"
    if len(point.tags) != len(measurement.tags):
        return f"it has {len(point.tags)} tags, {measurement.name} has {len(measurement.tags)}"
    if len(point.values) != len(measurement.fields):
        return f"it has {len(point.values)} values, {measurement.name} {len(measurement.fields)}"
    for name, tag in zip(measurement.tags, point.tags, strict=True):
        if not tag or not tag.isprintable() or "\\" in tag or '"' in tag:
            return f"tag {name} {tag!r} is empty, not printable, or holds a backslash or a quote"
        if len(tag.encode()) > LONGEST_TAG:
            return f"tag {name} is longer than {LONGEST_TAG} bytes"
    if all(value is None for value in point.values):
        return "it has no values"
    for field, value in zip(measurement.fields, point.values, strict=True):
        reason = _unfit(value, field.type)
        if reason:
            return f"field {field.name} {reason}"
    return None


def _unfit(value: Value, kind: FieldType) -> str | None:
    if value is None:
        return None
    if kind is FieldType.STRING:
        if not isinstance(value, str):
            return f"should be a string, not {value!r}"
        try:
            length = len(value.encode())
        except UnicodeEncodeError:
            return "is not Unicode text"
        if "\0" in value:
            return "holds a null character"
        return f"is longer than {LONGEST_STRING} bytes" if length > LONGEST_STRING else None
    if kind is FieldType.BOOLEAN:
        return None if isinstance(value, bool) else f"should be true or false, not {value!r}"
    if isinstance(value, bool | str):
        return f"should be a number, not {value!r}"
    if kind is FieldType.INTEGER:
        if not isinstance(value, int):
            return f"should be an integer, not {value!r}"
        return None if _LEAST_INT <= value <= _MOST_INT else f"{value} does not fit into 64 bits"
    return None if math.isfinite(value) else f"{value} is not finite"
