"""The benchmark of BGP runs through, small, and what must not be lost is not lost."""

from __future__ import annotations

from pathlib import Path

from controller.act.router_files import Kind
from topologies.bench.addresses.bgp import run


def test_the_benchmark_reports_every_figure_and_nothing_is_withdrawn(tmp_path: Path) -> None:
    figures = run(tmp_path, lambda _: None, prefixes=20, runs=1)
    for kind in Kind:
        for name in ("settle_20_p50_ms", "settle_20_max_ms", "withdraw_20_p50_ms"):
            assert figures[f"bgp_{name}_{kind}"].value > 0
        for name in ("restart_written", "restart_missing", "speaker_death_missing"):
            assert figures[f"bgp_{name}_{kind}"].value == 0
        lost = figures[f"bgp_restart_pings_lost_{kind}"]
        assert lost.value == 0
        assert lost.n > 0
