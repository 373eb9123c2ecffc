"""The pool's benchmark, small: every figure is there, and Kea really granted."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.bench.addresses import kea, pool


def test_the_pool_and_kea_are_measured_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kea.absent() is None
    monkeypatch.setattr(kea, "RATES", (200,))
    monkeypatch.setattr(kea, "RATE_S", 1)
    monkeypatch.setattr(kea, "LATENCY_S", 1)
    monkeypatch.setattr(pool, "ALONE", 50)
    monkeypatch.setattr(pool, "MANY", 600)
    monkeypatch.setattr(pool, "COLD", 50)
    monkeypatch.setattr(pool, "SYNCS", 50)
    result = pool.run(tmp_path, sizes={"1k": 1_000})
    assert all(figure.value > 0 for figure in result.figures.values())
    assert {"warm_grant_p99_ms", "cold_grant_p99_ms", "grants_per_s"} <= set(result.figures)
    for threads in (1, 2):
        assert result.versus["kea"][f"grants_per_s_{threads}_threads"] == pytest.approx(
            200, rel=0.1
        )
        assert float(result.versus["kea"][f"grant_p50_ms_{threads}_threads"]) > 0
