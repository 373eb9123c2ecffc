"""What clients experience when more of them come than a router can treat, with and without its shadow."""

from __future__ import annotations

import asyncio
from pathlib import Path

from topologies.demo.ramp_act import CAPACITY_CORES, SHAPE, TOP_PER_S, act
from topologies.ramp_fabric import play
from topologies.ramps import NONE, REACTIVE, UMBRA, RampRun


def played(kind: str, directory: Path, way: str) -> RampRun:
    shape = SHAPE.times(TOP_PER_S[kind])
    return asyncio.run(play(kind, directory, way, shape, 1, CAPACITY_CORES[kind]))


def test_new_traffic_of_a_router_that_is_about_to_be_full_moves_to_a_warm_shadow(
    kind: str, tmp_path: Path
) -> None:
    found = act(kind, tmp_path, 1, way=UMBRA)
    assert len(found.attempts) > 100
    assert found.warm_s is not None
    assert found.moved_s is not None
    assert found.warm_s <= found.moved_s
    assert any("new traffic to the shadow" in reason for _, reason in found.reasons)
    moved = [one for one in found.moments if one.share_pct > 0]
    assert max(one.shadow_cores for one in moved) > 0
    assert all(one.warm for one in moved)


def test_without_a_forecast_traffic_moves_all_the_same_when_the_router_is_full(
    kind: str, tmp_path: Path
) -> None:
    found = played(kind, tmp_path, REACTIVE)
    assert found.share_most_pct > 0


def test_a_policy_that_only_forecasts_leaves_all_traffic_on_the_router(
    kind: str, tmp_path: Path
) -> None:
    found = played(kind, tmp_path, NONE)
    assert found.moments
    assert (found.share_most_pct, found.moved_s, found.reasons) == (0, None, ())
    assert {one.given_cores for one in found.moments} == {0.0}
