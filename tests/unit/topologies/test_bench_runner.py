"""Options of benchmarks, and what a result tells beside its figures."""

from __future__ import annotations

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies import bench
from topologies.bench import Figure, Result


def test_an_option_that_a_benchmark_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match="it takes no --chaos-s"):
        bench.run("cycle", chaos_s=30.0)


def test_every_run_is_told_beside_the_figures() -> None:
    figures = {"broken": Figure(1.0, "1", 2, "lower")}
    told = Result("failover", figures, details={"runs": [{"broken": 1}, {"broken": 0}]}).to_json()
    assert told["runs"] == [{"broken": 1}, {"broken": 0}]
    assert told["figures"]["broken"]["n"] == 2
    assert {"bench", "figures", "versus", "machine"} < set(told)
