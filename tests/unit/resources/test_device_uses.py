"""What devices used between two readings, whatever happens to their counters and to the clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.resources import Amounts, DeviceTotals, RequestClass
from controller.observe.devices import DeviceUses

START_S = 1_700_000_000.0
FIRST = DeviceTotals("r1", START_S, 10.0, 1 << 20, 1000, 2000, 100, 50)
WEB = RequestClass("web", "<4KiB", "10.1.1.0/24", "b1")


def test_use_is_the_difference_of_two_readings() -> None:
    uses = DeviceUses()
    assert uses.update([FIRST]) == []
    assert uses.newest("r1") is None
    now = DeviceTotals("r1", START_S + 2.0, 11.0, 2 << 20, 6000, 4500, 300, 150)
    (use,) = uses.update([now], {"r1": {WEB: 12.5}})
    assert use.amounts == Amounts(0.5, 2 << 20, 20_000.0)
    assert use.received_bps == 10_000.0
    assert use.limited == 0.5
    assert use.by_class == {WEB: 12.5}
    assert uses.newest("r1") is use


def test_a_device_that_started_anew_has_used_what_it_counts_since() -> None:
    uses = DeviceUses()
    uses.update([FIRST])
    (use,) = uses.update([DeviceTotals("r1", START_S + 1.0, 0.25, 5, 3000, 2500, 10, 10)])
    assert use.amounts.cpu_cores == 0.25
    assert use.limited == 1.0
    assert use.amounts.network_bps == 16_000.0  # its ports went on


def test_a_port_that_started_anew_does_not_count_backwards() -> None:
    uses = DeviceUses()
    uses.update([FIRST])
    (use,) = uses.update([replace(FIRST, time_s=START_S + 1.0, sent_bytes=10, received_bytes=20)])
    assert (use.amounts.network_bps, use.received_bps) == (80.0, 160.0)


def test_a_reading_that_is_not_newer_changes_nothing() -> None:
    uses = DeviceUses()
    uses.update([FIRST])
    assert uses.update([replace(FIRST, cpu_s=99.0)]) == []
    (use,) = uses.update([replace(FIRST, time_s=START_S + 1.0, cpu_s=10.5)])
    assert use.amounts.cpu_cores == 0.5


def test_a_clock_that_was_set_back_begins_anew() -> None:
    uses = DeviceUses()
    uses.update([FIRST])
    assert uses.update([replace(FIRST, time_s=START_S - 3600.0, cpu_s=12.0)]) == []
    (use,) = uses.update([replace(FIRST, time_s=START_S - 3599.0, cpu_s=12.25)])
    assert use.amounts.cpu_cores == 0.25


def test_devices_are_counted_apart() -> None:
    uses = DeviceUses()
    other = replace(FIRST, device="r2", cpu_s=0.0)
    uses.update([FIRST, other])
    found = uses.update(
        [replace(FIRST, time_s=START_S + 1, cpu_s=10.1), replace(other, time_s=START_S + 1)]
    )
    assert [one.device for one in found] == ["r1", "r2"]
    assert found[1].amounts.cpu_cores == 0.0


counts = st.integers(0, 2**48)


@given(
    st.lists(
        st.tuples(st.floats(0.01, 100), st.floats(0, 1e6), counts, counts, counts, counts, counts),
        min_size=2,
        max_size=20,
    )
)
def test_no_sequence_of_readings_makes_a_negative_use(
    rows: list[tuple[float, float, int, int, int, int, int]],
) -> None:
    uses, time_s = DeviceUses(), START_S
    for step_s, cpu_s, *numbers in rows:
        time_s += step_s
        for use in uses.update([DeviceTotals("r1", time_s, cpu_s, *numbers)]):
            assert all(amount >= 0 for amount in use.amounts)
            assert use.received_bps >= 0
            assert 0 <= use.limited <= 1


def test_cores_add_up_to_the_cpu_time_that_was_counted() -> None:
    uses, total_s = DeviceUses(), 0.0
    for second in range(60):
        cpu_s = 0.1 * second + (0.05 if second % 2 else 0.0)
        for use in uses.update([DeviceTotals("r1", START_S + second, cpu_s, 0, 0, 0)]):
            total_s += use.amounts.cpu_cores
    assert total_s == pytest.approx(5.95)
