"""Percentages become slots: exact, and with as little moved as can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.slots import slots, whole_slots


@st.composite
def shares(draw: st.DrawFn) -> dict[int, float]:
    labels = draw(st.lists(st.integers(16, 4095), min_size=1, max_size=8, unique=True))
    weights = draw(
        st.lists(st.integers(0, 1000), min_size=len(labels), max_size=len(labels)).filter(any)
    )
    return {
        label: 100 * weight / sum(weights) for label, weight in zip(labels, weights, strict=True)
    }


@given(shares())
def test_each_label_gets_its_share_to_within_one_slot(share: dict[int, float]) -> None:
    chosen = slots(None, share)
    assert len(chosen) == 100
    for label, percent in share.items():
        assert abs(chosen.count(label) - percent) < 1


@given(shares(), shares())
def test_a_change_of_weights_rewrites_only_what_must_move(
    before: dict[int, float], after: dict[int, float]
) -> None:
    old = slots(None, before)
    new = slots(old, after)
    want = whole_slots(after)
    moved = sum(a != b for a, b in zip(old, new, strict=True))
    must = sum(max(0, old.count(label) - want.get(label, 0)) for label in set(old))
    assert {label: new.count(label) for label in set(new)} == want
    assert moved == must


@given(shares())
def test_the_same_shares_again_change_nothing(share: dict[int, float]) -> None:
    first = slots(None, share)
    assert slots(first, share) == first


@pytest.mark.parametrize("bad", [{1: 50.0}, {1: 110.0, 2: -10.0}])
def test_shares_that_are_no_percentages_are_refused(bad: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="add up to 100"):
        slots(None, bad)
