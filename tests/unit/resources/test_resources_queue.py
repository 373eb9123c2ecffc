"""The pre-warming queue: the urgent first, never too many at once, and the dead ones hold up nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.resources import Amounts
from controller.plan.resources.queue import (
    Queue,
    QueueSettings,
    Warming,
    WarmReport,
    WarmRequest,
    ask,
    report,
    start,
)

ONE = Amounts(1.0, 0.0, 0.0)


def request(device: str, needed_s: float, worth: float = 0.0) -> WarmRequest:
    return WarmRequest(device, "s", ONE, needed_s, worth)


def test_the_earliest_needed_is_warmed_first_then_what_is_worth_most() -> None:
    asked = ask((), [request("a", 30.0), request("b", 10.0, 1.0), request("c", 10.0, 2.0)])
    _, begun = start(asked, 0.0, QueueSettings(at_once=2))
    assert [one.device for one in begun] == ["c", "b"]


def test_what_is_no_longer_wanted_leaves_the_queue() -> None:
    asked = ask((), [request("a", 10.0), request("b", 10.0)])
    assert [one.device for one in ask(asked, [request("b", 20.0)])] == ["b"]


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    settings = QueueSettings(retry_s=5.0, longest_retry_s=15.0)
    waiting, now_s, waits = ask((), [request("a", 0.0)]), 0.0, []
    for _ in range(4):
        waiting, begun = start(waiting, now_s, settings)
        assert len(begun) == 1
        waiting = report(waiting, [WarmReport("a", "s", "exited with 1")], now_s, settings)
        waits.append(waiting[0].not_before_s - now_s)
        now_s = waiting[0].not_before_s
    assert waits == [5.0, 10.0, 15.0, 15.0]


def test_a_queue_that_warms_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        QueueSettings(at_once=0)


STEPS = st.lists(
    st.tuples(
        st.sets(st.sampled_from("abcdef")),
        st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "died"])), max_size=4),
    ),
    min_size=1,
    max_size=15,
)


@given(STEPS, st.integers(1, 3))
def test_never_more_are_warmed_at_once_than_allowed(
    steps: list[tuple[set[str], list[tuple[str, str]]]], at_once: int
) -> None:
    settings = QueueSettings(at_once, patience_s=20.0)
    waiting: Queue = ()
    for at, (wanted, told) in enumerate(steps):
        now_s = 5.0 * at
        before = {one.device: one.state for one in waiting}
        waiting = report(waiting, [WarmReport(n, "s", e) for n, e in told], now_s, settings)
        waiting = ask(waiting, [request(name, now_s) for name in sorted(wanted)])
        waiting, begun = start(waiting, now_s, settings)
        assert {one.device for one in waiting} == wanted
        assert sum(one.state is Warming.WARMING for one in waiting) <= at_once
        # Nothing is ready that was not being warmed and said so.
        for one in waiting:
            if one.state is Warming.READY and before.get(one.device) is not Warming.READY:
                assert (one.device, "") in told
        # A free place is never left empty while somebody may be warmed.
        free = at_once - sum(one.state is Warming.WARMING for one in waiting)
        may = [o for o in waiting if o.state is Warming.QUEUED and o.not_before_s <= now_s]
        assert not (free > 0 and may)
        assert all(one.began_s == now_s for one in begun)
