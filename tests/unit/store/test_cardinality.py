"""A measurement has no more series than it may, and nothing goes uncounted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.store.cardinality import BoundedSeries, TopK

keys = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 60).map(str))
rounds = st.lists(
    st.tuples(st.floats(0, 300), st.dictionaries(keys, st.integers(1, 50), max_size=30)),
    max_size=30,
)


@given(rounds=rounds, most=st.integers(2, 20))
def test_the_bound_holds_within_the_retention_and_every_count_is_kept(
    rounds: list[tuple[float, dict[tuple[str, ...], int]]], most: int
) -> None:
    bound = BoundedSeries(most, retention_s=1000.0)
    now_s = 0.0
    written: dict[tuple[str, ...], float] = {}
    for pause_s, counts in rounds:
        now_s += pause_s
        own, rest = bound.fold(counts, now_s)
        assert sum(own.values()) + sum(rest.values()) == sum(counts.values())
        assert all(own[key] == counts[key] for key in own)
        written |= dict.fromkeys(own, now_s)
        alive = [key for key, at_s in written.items() if at_s >= now_s - 1000.0]
        assert len(alive) <= most


@given(rounds=rounds, most=st.integers(2, 20))
def test_a_restart_keeps_the_bound(
    rounds: list[tuple[float, dict[tuple[str, ...], int]]], most: int
) -> None:
    first = BoundedSeries(most, 1000.0)
    for number, (_, counts) in enumerate(rounds):
        first.fold(counts, float(number))
    second = BoundedSeries(most, 1000.0)
    second.take_over(first.to_json())
    assert second.written_s == first.written_s
    second.take_over("not what it wrote")
    assert second.written_s == first.written_s


def test_who_is_heavy_gets_a_series_though_many_came_first() -> None:
    bound = BoundedSeries(4, 1e6)
    for number in range(50):
        bound.fold({("svc", f"small{number}"): 1}, float(number))
    for second in range(50, 60):
        bound.fold({("svc", "big"): 1000}, float(second))
    assert ("svc", "big") in bound.written_s
    assert len(bound.written_s) <= 4


@given(st.lists(st.integers(0, 30), max_size=400))
def test_the_sketch_underestimates_nobody_it_holds(items: list[int]) -> None:
    top = TopK(8)
    true: dict[tuple[str, ...], float] = {}
    for item in items:
        key = (str(item),)
        true[key] = true.get(key, 0.0) + 1
        top.add({key: 1.0}, 0.0)
    assert len(top.weights) <= 8
    assert all(top.least(key) <= true[key] <= top.weights[key] for key in top.weights)
    for key, count in true.items():
        if count > len(items) / 8:
            assert key in top.weights


def test_many_light_keys_at_once_do_not_push_out_the_heaviest() -> None:
    top = TopK(8)
    top.add({("big",): 100.0}, 0.0)
    top.add({(f"small{number}",): 1.0 for number in range(50)}, 0.0)
    assert top.least(("big",)) == 100.0
    assert len(top.weights) == 8
