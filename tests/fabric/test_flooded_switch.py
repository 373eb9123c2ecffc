"""A real switch that is offered far more than it may carry gets its CPU and its network share, and no more."""

from __future__ import annotations

from pathlib import Path

from topologies.bench.resources import limits_switch
from topologies.bench.resources.limits_groups import Measured, largest_error_pct


def test_a_flooded_switch_uses_no_more_than_it_was_given(kind: str, tmp_path: Path) -> None:
    with limits_switch.shadow(kind, tmp_path) as (device, allocator):
        (cpu,) = limits_switch.cpu(device, allocator, 1.0, (0.1,))
        assert 0 < cpu.got < 0.2
        (network,) = limits_switch.network(device, allocator, 1.0, (1e6,))
        assert 0 < network.got < 2e6
        assert all(value > 0 for value in limits_switch.change_ms(allocator, changes=3))


def test_a_limit_that_was_not_reached_proves_nothing() -> None:
    found = [Measured(0.5, 0.2, reached=False), Measured(0.1, 0.11), Measured(0.2, 0.19)]
    assert abs(largest_error_pct(found) - 10.0) < 1e-6
    assert largest_error_pct(found[:1]) != largest_error_pct(found[:1])  # NaN
