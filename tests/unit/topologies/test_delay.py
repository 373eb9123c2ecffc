"""A long cable: every frame comes out, in order, after its delay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topologies.delay import Direction


@given(
    gaps_s=st.lists(st.floats(0, 0.1), max_size=50),
    delay_s=st.floats(0, 0.2),
    looks_s=st.lists(st.floats(0, 10), max_size=50),
)
def test_frames_come_out_in_order_and_never_early(
    gaps_s: list[float], delay_s: float, looks_s: list[float]
) -> None:
    way = Direction(delay_s)
    entered: list[float] = []
    now_s = 0.0
    for number, gap_s in enumerate(gaps_s):
        now_s += gap_s
        entered.append(now_s)
        way.put(bytes([number]), now_s)
    out: list[int] = []
    for look_s in [*sorted(looks_s), now_s + delay_s]:
        for frame in way.due(look_s):
            out.append(frame[0])
            assert entered[frame[0]] + delay_s <= look_s
        assert all(entered[number] + delay_s > look_s for number in range(len(out), len(entered)))
    assert out == list(range(len(entered)))
    assert way.next_s() is None


def test_a_full_queue_drops_and_counts() -> None:
    way = Direction(1.0, limit=2)
    for _ in range(5):
        way.put(b"x", 0.0)
    assert way.dropped == 3
    assert len(way.due(1.0)) == 2
