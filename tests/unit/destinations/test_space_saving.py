"""The most asked for are found, and no count is further off than is said."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.observe.space_saving import SpaceSaving

streams = st.lists(
    st.tuples(st.integers(0, 30).map(lambda n: n * n // 30), st.integers(1, 50)), max_size=200
)


@given(streams, st.integers(1, 12))
def test_counts_lie_within_the_stated_bound_of_the_exact_ones(
    stream: list[tuple[int, int]], capacity: int
) -> None:
    exact: Counter[int] = Counter()
    sketch: SpaceSaving[int] = SpaceSaving(capacity)
    for key, weight in stream:
        exact[key] += weight
        displaced = sketch.add(key, weight)
        assert displaced is None or displaced not in sketch
    whole = sum(exact.values())
    assert sketch.total == whole
    assert len(sketch) == min(capacity, len(exact))
    assert sketch.bound <= whole / capacity
    for key, count in exact.items():
        found = sketch.of(key)
        assert found.least <= count <= found.count
        assert found.error <= sketch.bound
        assert key in sketch or count <= sketch.bound
        assert key in sketch or count <= whole / capacity


@given(streams, st.integers(1, 12), st.lists(st.integers(0, 199), max_size=6))
def test_what_fades_keeps_its_bound(
    stream: list[tuple[int, int]], capacity: int, fading: list[int]
) -> None:
    exact: dict[int, float] = {}
    sketch: SpaceSaving[int] = SpaceSaving(capacity)
    for place, (key, weight) in enumerate(stream):
        for _ in range(fading.count(place)):
            sketch.scale(0.5)  # halves are exact in binary
            exact = {one: count * 0.5 for one, count in exact.items()}
        exact[key] = exact.get(key, 0.0) + weight
        sketch.add(key, weight)
    assert sketch.bound <= sum(exact.values()) / capacity + 1e-9
    for key, count in exact.items():
        assert sketch.of(key).least <= count <= sketch.of(key).count


def test_the_certain_ones_come_first() -> None:
    sketch: SpaceSaving[str] = SpaceSaving(2)
    for key, weight in (("a", 10), ("b", 4), ("c", 3)):
        sketch.add(key, weight)
    assert [key for key, _ in sketch.top(2)] == ["a", "c"]
    assert (sketch.of("c").count, sketch.of("c").error) == (7, 4)
    assert (sketch.of("b").count, sketch.of("b").least) == (7, 0)


def test_weights_and_capacities_without_sense_are_refused() -> None:
    sketch: SpaceSaving[str] = SpaceSaving(1)
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0 and finite"):
            sketch.add("a", weight)
    with pytest.raises(ValueError, match="at least 1"):
        SpaceSaving(0)
    with pytest.raises(ValueError, match="not above 1"):
        sketch.scale(2.0)
