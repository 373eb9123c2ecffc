"""Real connections over the whole fabric: what their clients and their backends experience."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from harness.whole import Whole
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.load.analysis import Traffic, live, shares_pct, summarise
from topologies.load.curves import Constant
from topologies.load.schedule import Demand, Planned, schedule

ADDRESS = "10.100.0.1"
ONE_SERVICE = (ServiceSpec("web", routers=("r1",)),)


def load(
    config: dict[str, object], per_s: float, duration_s: float, seconds: float
) -> tuple[Planned, ...]:
    services = config["services"]
    assert isinstance(services, list)
    demands = [
        Demand(s["id"], s["address"], s["port"], Constant(per_s), duration_s, spread=0.0)
        for s in services
    ]
    return schedule(1, demands, seconds)


def outcomes(traffic: Traffic) -> set[str]:
    return {attempt.outcome for attempt in traffic.attempts}


def test_connections_go_through_the_router_of_their_service_and_end_well(
    kind: str, tmp_path: Path
) -> None:
    config = configuration(ClosSpec(spines=2, capacity=500))

    async def play() -> Traffic:
        async with Whole(config, kind, tmp_path) as whole:
            return await whole.carry(load(config, per_s=5.0, duration_s=2.0, seconds=5.0))

    traffic = asyncio.run(play())
    assert outcomes(traffic) == {"ok"}
    assert len(traffic.passages) == len(traffic.attempts) > 50
    assert traffic.lost_packets == 0
    for number in (1, 2, 3):
        assert shares_pct(traffic.passages, f"10.100.0.{number}", 0, 99) == {f"r{number}": 100}
    assert {passage.backend for passage in traffic.passages} == {"b1", "b2", "b3", "b4"}
    assert all(len(attempt.backends) == 1 for attempt in traffic.attempts)


def test_a_full_router_refuses_and_breaks_nothing(kind: str, tmp_path: Path) -> None:
    spec = ClosSpec(edges=1, spines=1, routers=1, backends=2, clients=2, capacity=30, threshold=10)
    config = configuration(spec)

    async def play() -> Traffic:
        async with Whole(config, kind, tmp_path) as whole:
            return await whole.carry(load(config, per_s=15.0, duration_s=4.0, seconds=6.0))

    traffic = asyncio.run(play())
    summary = summarise(traffic, {"r1": 30}, {"r1": 10}, 20.0)
    assert outcomes(traffic) == {"ok", "refused"}
    assert summary.refused_per_1000 > 100
    assert summary.breach_s > 2
    # The router frees a place at the FIN, the observer behind it sees that FIN a moment later.
    most = max(count for _, count in live(traffic.passages)["r1"])
    assert 30 <= most <= 33


def test_a_shift_under_500_connections_breaks_and_moves_none_and_gives_the_share(
    kind: str, tmp_path: Path
) -> None:
    config = configuration(ClosSpec(capacity=4000, threshold=100, services=ONE_SERVICE))
    per_s, duration_s, begin_s = 80.0, 7.0, 7.0
    ramp = {
        begin_s + step: (1, {"r1": 100 - pct, "r2": pct / 2, "r3": pct / 2})
        for step, pct in enumerate((10, 20, 30, 40, 50))
    }
    settled_s = begin_s + 5.0
    end_s = settled_s + 14.0

    async def play() -> Traffic:
        async with Whole(config, kind, tmp_path) as whole:
            return await whole.carry(load(config, per_s, duration_s, end_s), at=ramp)

    traffic = asyncio.run(play())
    summary = summarise(traffic, {"r1": 4000}, {"r1": 100}, end_s)
    assert outcomes(traffic) == {"ok"}
    assert (summary.broken_per_1000, summary.moved_per_1000) == (0, 0)
    assert traffic.lost_packets == 0
    alive = [
        p
        for p in traffic.passages
        if p.opened_s < begin_s and (p.closed_s is None or p.closed_s > settled_s)
    ]
    middle_s = begin_s + 1.9
    during = [
        p
        for p in traffic.passages
        if p.opened_s < middle_s and (p.closed_s is None or p.closed_s > middle_s)
    ]
    assert len(during) >= 500
    assert len(alive) > 100
    new = [p for p in traffic.passages if p.opened_s >= settled_s]
    assert len(new) >= 1000
    shares = shares_pct(traffic.passages, ADDRESS, settled_s, end_s)
    assert shares["r1"] == pytest.approx(50, abs=2)
    assert shares["r2"] == pytest.approx(25, abs=2)
    assert shares["r3"] == pytest.approx(25, abs=2)
