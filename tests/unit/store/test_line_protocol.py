"""Lines say what points said."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from controller.store.line_protocol import Encoder, decode, split
from controller.store.point import Checks, Point, Value, fault
from controller.store.schema import SCHEMA, FieldType

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
tags = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=10) | st.sampled_from(
    ["r1", "a b", "a=b,c", "é", 'qu"ote', "back\\slash", "", "line\nbreak"]
)
_ANY = (
    st.none() | st.floats() | st.integers(-(2**65), 2**65) | texts | st.booleans()
)  # of any field, fitting or not
_FITTING = {
    FieldType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.STRING: texts,
    FieldType.BOOLEAN: st.booleans(),
}


@st.composite
def points(draw: st.DrawFn, fitting: bool = True) -> Point:
    own = SCHEMA[draw(st.sampled_from(sorted(SCHEMA)))]
    values: list[Value] = [
        draw(st.none() | (_FITTING[field.type] if fitting else _ANY)) for field in own.fields
    ]
    own_tags = tuple(draw(tags) for _ in own.tags)
    return Point(own.name, draw(st.integers(-5, 2**63)), own_tags, tuple(values))


@given(points())
def test_a_sound_point_comes_back_from_its_line(point: Point) -> None:
    if fault(point, SCHEMA[point.measurement]) is None:
        line = Encoder(SCHEMA).line(point)
        assert decode(line, SCHEMA) == point


@given(st.lists(points(), max_size=10))
def test_lines_are_told_apart_though_strings_have_line_breaks(found: list[Point]) -> None:
    sound = [point for point in found if fault(point, SCHEMA[point.measurement]) is None]
    encoder = Encoder(SCHEMA)
    lines = [encoder.line(point) for point in sound]
    assert split("\n".join(lines)) == lines


@given(st.lists(points(fitting=False), max_size=5))
def test_the_quick_look_finds_the_faults_that_the_slow_one_finds(found: list[Point]) -> None:
    checks = Checks(SCHEMA)
    for point in found:
        sound = Point(point.measurement, 1, point.tags, tuple(1.0 for _ in point.values))
        checks.fault(sound)  # its tags are known from now on
        assert checks.fault(point) == fault(point, SCHEMA[point.measurement])


def test_what_no_store_takes_is_named() -> None:
    values = (1.0, *[None] * 8)
    for point, said in (
        (Point("samples", 1, ("",), values), "tag router"),
        (Point("samples", 1, ("a\\",), values), "backslash"),
        (Point("samples", -1, ("a",), values), "1970"),
        (Point("samples", 1, ("a",), (None,) * 9), "no values"),
        (Point("samples", 1, ("a",), (math.nan, *[None] * 8)), "not finite"),
        (Point("samples", 1, ("a", "b"), values), "2 tags"),
        (Point("samples", 1, ("a",), (1.0,)), "1 values"),
        (Point("samples", 1, ("a",), ("text", *[None] * 8)), "should be a number"),
    ):
        reason = fault(point, SCHEMA["samples"])
        assert reason is not None
        assert said in reason


def test_every_measurement_has_a_tag_and_names_of_its_own() -> None:
    for own in SCHEMA.values():
        assert own.tags
        names = (*own.tags, *own.field_names)
        assert len(set(names)) == len(names)
        assert "time" not in names
