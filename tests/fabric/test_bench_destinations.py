"""`umbra bench destinations --quick` measures the real thing: its figures are there and make sense."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.bench.destinations import follow_the_sun, graph, redirect
from topologies.bench.runner import BENCHES


def said(_text: str) -> None:
    """Nobody listens."""


def test_calls_are_answered_nearer_with_redirects_and_no_connection_is_moved(
    kind: str, tmp_path: Path
) -> None:
    found = follow_the_sun.run(kind, tmp_path, said, quick=True)
    days = found.details["days"]
    assert {one["connections"] for one in days.values()} == {days["predictive"]["connections"]}
    for one in days.values():
        assert one["connections"] > 50
        assert (one["unanswered"], one["moved"]) == (0, 0)
    assert days["static"]["redirects"] == 0
    assert days["static"]["misdirected_pct"] == 0
    for mode in ("predictive", "reactive"):
        assert days[mode]["redirects"] > 0
        assert days[mode]["nearest_pct"] > days["static"]["nearest_pct"]
    assert found.figures["latency_mean_ms"].value == pytest.approx(
        days["predictive"]["connect_mean_ms"], abs=0.01
    )
    assert set(found.versus) == {"reactive", "static"}


def test_redirects_come_and_go_without_moving_anybody_and_a_dead_copy_is_gone_round(
    kind: str, tmp_path: Path
) -> None:
    found = redirect.run(kind, tmp_path, said, quick=True)
    assert found.figures["redirect_p99_ms"].n >= 2 * redirect.QUICK_TOGGLES
    assert found.figures["redirect_p99_ms"].value > 0
    assert found.figures["moved_by_redirects"].value == 0
    assert found.details["redirects"]["broken_by_redirects"] == 0
    assert found.figures["failover_p99_ms"].value > 0


def test_which_graph_server_ran_is_told(tmp_path: Path) -> None:
    found = graph.run(tmp_path, said, quick=True)
    assert found.figures["graph_write_s"].n > 100
    told = found.details["graph_server"]
    if told == "none":
        assert "make neo4j" in str(found.versus["neo4j"]["absent"])
    else:
        assert told.startswith("Neo4j/5.")
        assert set(found.versus["neo4j"]) == set(found.figures)


def test_it_is_among_the_benchmarks() -> None:
    assert "destinations" in BENCHES
