"""`umbra bench resources`, small: every part ran, and the peers stand beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.bench.resources import frame, ramp
from topologies.ramps import RampShape


def test_every_part_of_the_benchmark_has_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = RampShape(24.0, 120.0, calm_s=2.0, rise_s=2.0, hold_s=1.0, fall_s=0.5, after_s=0.5)
    monkeypatch.setattr(ramp, "QUICK_SHAPE", shape)
    monkeypatch.setattr(ramp, "CALIBRATION_S", 4.0)
    said: list[str] = []
    result = frame.bench("embedded", tmp_path, said.append, quick=True)
    assert result.details["notes"] == []
    assert {
        "missed_peak_pct",
        "slack_pct",
        "decision_p99_ms",
        "devices_per_cycle",
        "ramp_connect_p99_ms",
        "ramp_refused_per_1000",
    } <= set(result.figures)
    assert result.figures["devices_per_cycle"].value == 1000
    assert result.figures["generated.replay_same_pct"].value == 100
    assert {"reactive_p90", "fixed_headroom", "oracle", "no_shadow", "reactive"} <= set(
        result.versus
    )
    assert result.details["ramp_no_shadow"][0]["share_most_pct"] == 0
    assert "trace generated" in said


def test_a_set_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="there are alibaba-300s"):
        frame.bench("embedded", tmp_path, lambda _text: None, sets="mars")
