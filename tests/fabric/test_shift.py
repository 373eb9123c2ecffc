"""A planned shift, seen by hundreds of living TCP connections."""

from __future__ import annotations

from pathlib import Path

from harness.fabric import running
from topologies.clos import ClosSpec, ServiceSpec
from topologies.load.analysis import is_moved, shares_pct
from topologies.load.curves import Constant
from topologies.load.run import LoadRun
from topologies.load.schedule import Demand, schedule

PER_S, DURATION_S = 80.0, 8.0  # 640 connections alive
WARM_UP_S = 10.0
STEP_S = 2.0
MEASURED_S = 14.0  # 1,120 new connections at the final weights
SECONDS = WARM_UP_S + 5 * STEP_S + MEASURED_S


def test_a_shift_from_10_to_50_percent_breaks_and_moves_no_connection(
    kind: str, tmp_path: Path
) -> None:
    service = ServiceSpec("web", routers=("r1",))
    spec = ClosSpec(capacity=5000, threshold=500, services=(service,), base_port=51000)
    with running(kind, spec, tmp_path) as fabric:
        web = fabric.config["services"][0]
        demand = Demand(1, web["address"], 80, Constant(PER_S), DURATION_S)
        plan = schedule(7, [demand], SECONDS)
        load = LoadRun(fabric.network, fabric.config, plan, tmp_path / "load", interval_s=1.0)
        load.start()
        shift = 0
        live_at_shift = 0
        final_from_s = 0.0
        while not load.done():
            load.poll(0.1)
            if shift < 50 and load.time_s > WARM_UP_S + STEP_S * (shift // 10):
                live_at_shift = live_at_shift or sum(load.live().values())
                shift += 10
                away = shift / 2
                fabric.weights("web", {"r1": 100 - shift, "r2": away, "r3": away})
                final_from_s = load.time_s + 0.1  # SYNs on their way are not counted
        traffic = load.finish()

    assert live_at_shift >= 500
    outcomes = [attempt.outcome for attempt in traffic.attempts]
    assert len(outcomes) == len(plan)
    assert [o for o in outcomes if o != "ok"] == []
    assert traffic.lost_packets == 0
    assert not [passage for passage in traffic.passages if is_moved(passage)]
    assert not [attempt for attempt in traffic.attempts if len(attempt.backends) > 1]
    new = [p for p in traffic.passages if p.opened_s >= final_from_s]
    assert len(new) >= 1000
    share = shares_pct(traffic.passages, web["address"], final_from_s, SECONDS)
    assert abs(share["r1"] - 50) <= 2
    assert abs(share["r2"] - 25) <= 2
    assert abs(share["r3"] - 25) <= 2
