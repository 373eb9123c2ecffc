"""The lookup structures against brute force, while entries come and go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4switch.actions import Row
from p4switch.errors import InvalidArgument
from p4switch.matches import CachedIndex, KeySpec, PrefixIndex, PriorityIndex, index_for

KINDS = (KeySpec("e", "exact", 4), KeySpec("t", "ternary", 4), KeySpec("r", "range", 4))
MIXED = (*KINDS, KeySpec("o", "optional", 4), KeySpec("l", "lpm", 4))


def item(kind: str, draw: st.DrawFn) -> Any:
    value = draw(st.integers(0, 15))
    if kind == "exact":
        return value
    if kind == "optional":
        return draw(st.sampled_from([None, value]))
    if kind == "lpm":
        length = draw(st.integers(0, 4))
        return value & (15 ^ (15 >> length)), length
    if kind == "ternary":
        mask = draw(st.integers(0, 15))
        return value & mask, mask
    low = draw(st.integers(0, 15))
    return low, draw(st.integers(low, 15))


def matches(kind: str, item: Any, value: int) -> bool:
    if kind == "exact":
        return bool(item == value)
    if kind == "optional":
        return item is None or item == value
    if kind == "lpm":
        return bool(value & (15 ^ (15 >> item[1])) == item[0])
    if kind == "ternary":
        return bool(value & item[1] == item[0])
    return bool(item[0] <= value <= item[1])


def look(index: CachedIndex, key: tuple[int, ...]) -> Row:
    """What the packet path does."""
    wanted: Any = key[0] if index.single else key
    row = index.cache.get(wanted)
    return index.search(wanted) if row is None else row


@given(st.data())
def test_the_highest_priority_wins_and_of_equals_the_oldest(data: st.DataObject) -> None:
    draw = data.draw
    keys = draw(st.sampled_from([KINDS, MIXED, MIXED[1:2], MIXED[2:4]]))
    index = index_for(keys)
    assert isinstance(index, PriorityIndex)
    entries: dict[tuple[Any, int], Row] = {}
    serial = 0
    for _ in range(draw(st.integers(0, 25))):
        if entries and draw(st.integers(0, 3)) == 0:
            victim = draw(st.sampled_from(sorted(entries, key=repr)))
            index.remove(*victim)
            del entries[victim]
        else:
            match = tuple(item(k.kind, draw) for k in keys)  # type: ignore[arg-type]
            priority = draw(st.integers(1, 4))
            serial += 1
            row: Row = (serial, None)
            index.put(match, priority, row)
            entries[match, priority] = row  # a dict keeps the place of a replaced entry
        key = tuple(draw(st.integers(0, 15)) for _ in keys)
        found = [
            (-priority, position, row)
            for position, ((match, priority), row) in enumerate(entries.items())
            if all(matches(k.kind, m, v) for k, m, v in zip(keys, match, key, strict=True))
        ]
        assert look(index, key) == (min(found)[2] if found else ())


@given(st.data())
def test_the_longest_prefix_wins(data: st.DataObject) -> None:
    draw = data.draw
    keys = draw(st.sampled_from([(MIXED[4],), (MIXED[0], MIXED[4]), (MIXED[4], MIXED[0])]))
    index = index_for(keys)
    assert isinstance(index, PrefixIndex)
    entries: dict[Any, Row] = {}
    for serial in range(draw(st.integers(0, 20))):
        if entries and draw(st.integers(0, 3)) == 0:
            victim = draw(st.sampled_from(sorted(entries)))
            index.remove(victim, 0)
            del entries[victim]
        else:
            match = tuple(item(k.kind, draw) for k in keys)  # type: ignore[arg-type]
            entries[match] = (serial, None)
            index.put(match, 0, entries[match])
        key = tuple(draw(st.integers(0, 15)) for _ in keys)
        position = next(i for i, k in enumerate(keys) if k.kind == "lpm")
        found = [
            (match[position][1], row)
            for match, row in entries.items()
            if all(matches(k.kind, m, v) for k, m, v in zip(keys, match, key, strict=True))
        ]
        assert look(index, key) == (max(found)[1] if found else ())


@pytest.mark.parametrize(
    ("key", "given_item", "complaint"),
    [
        (KeySpec("a", "exact", 4), 16, "wider than bit<4>"),
        (KeySpec("a", "lpm", 4), (3, 2), "outside mask"),
        (KeySpec("a", "lpm", 4), (0, 5), "prefix length"),
        (KeySpec("a", "ternary", 4), (3, 1), "outside mask"),
        (KeySpec("a", "range", 4), (3, 1), "empty"),
        (KeySpec("a", "optional", 4), 99, "wider"),
    ],
)
def test_a_match_that_cannot_be_is_refused(key: KeySpec, given_item: Any, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        key.canonical(given_item)


@pytest.mark.parametrize("kind", ["lpm", "ternary"])
def test_a_change_during_a_search_leaves_no_old_row_in_a_full_cache(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p4switch.matches.CACHE_SIZE", 1)
    index = index_for((KeySpec("k", kind, 8),))
    assert isinstance(index, CachedIndex)
    everything = ((0, 0),)
    index.put(everything, 1, ("old",))
    assert index.search(1) == ("old",)  # the cache is full now
    find = index._find

    def find_and_be_overtaken(fields: tuple[int, ...]) -> Row:
        row = find(fields)
        index.put(everything, 1, ("new",))  # as the other thread would
        return row

    monkeypatch.setattr(index, "_find", find_and_be_overtaken)
    assert index.search(2) == ("old",)
    assert index.cache.get(2) is None
