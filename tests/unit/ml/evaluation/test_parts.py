"""Breaches and surges in the benchmark's terms: figures, peers, and a section of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.evaluation.breaches import part as breach_part
from ml.evaluation.dataset import data_set
from ml.evaluation.generated import generated
from ml.evaluation.surges import part as surge_part
from ml.series import Series


def _quiet(_: str) -> None:
    pass


def test_breaches_of_a_set_give_ratios_recall_beside_false_alarms_and_leads() -> None:
    times_s = 10.0 * np.arange(360)
    hour = data_set("hour", 10, (10, 60), [Series("a", times_s, np.sin(times_s) + 2)], "here")
    part = breach_part.part([hour, generated(days=9, series=1)], quick=True, progress=_quiet)
    assert {"generated.breach_recall_pct", "generated.false_alarms_per_day"} <= set(part.figures)
    assert 0 <= part.figures["generated.breach_recall_pct"].value <= 100
    assert all(np.isfinite(one.value) for one in part.figures.values())
    assert {"logistic", "breach_threshold"} <= set(part.versus)
    assert "generated.false_alarms_per_day" in part.versus["logistic"]
    # An hour has no day before it to set a limit by: it is told so, and the others go on.
    assert "hour: " in part.html
    assert not any(name.startswith("hour.") for name in part.figures)


def test_surges_without_the_benchmarks_scorer_say_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.evaluation.surges.score.load", lambda name, folder: generated(6, 2))
    part = surge_part.part(tmp_path, ["worldcup"], quick=False, nab=None, progress=_quiet)
    assert "github.com/numenta/NAB" in str(part.versus["nab_scorer"]["absent"])
    assert part.figures["surge_us"].value > 0
    assert part.figures["surge_us"].n == 2 * len(generated(6, 2).times_s)
    assert "nab_standard" not in part.figures
    assert "worldcup" in part.html
