"""`umbra bench forecast`: what it says when data are missing, and what it tells about a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml.evaluation.baselines.persistence import Persistence
from ml.evaluation.dataset import DataSet
from ml.evaluation.generated import generated
from ml.evaluation.peer import Absent, Fitted
from topologies import bench
from topologies.bench import forecast


def test_a_set_that_does_not_exist_is_refused_with_the_names_of_those_that_do(
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError, match=r"'enron'; there are worldcup, .*bitbrains"):
        bench.run("forecast", data=tmp_path, sets="worldcup,enron")


def test_a_missing_file_is_named_with_where_it_can_be_got(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"surf_month_tasks\.parquet is missing.*opendc"):
        bench.run("forecast", data=tmp_path, sets="surf")


def test_without_recorded_data_it_says_that_the_figures_are_no_evidence() -> None:
    notes: list[str] = []
    (data,) = forecast._sets(None, ("surf",), notes, lambda _: None)
    assert data.name == "generated"
    assert "no evidence" in notes[0]
    assert "--data" in notes[0]
    assert "surf_month_tasks.parquet" in notes[0]


def test_a_peer_that_is_absent_is_told_with_its_reason_and_the_rest_is_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = Persistence(name=forecast.OURS)
    monkeypatch.setattr(forecast, "_peers", lambda quick: [Persistence(), ours, _Missing()])
    monkeypatch.setattr(forecast, "_sets", lambda *_: [generated(days=4, series=2)])
    monkeypatch.setattr(forecast, "_times", lambda quick: {})
    result = bench.run("forecast", quick=True, report=tmp_path / "page").to_json()
    told = json.loads(json.dumps(result, allow_nan=False))
    assert told["versus"]["lstm"] == {"absent": "jax is not installed"}
    assert told["figures"]["mae_over_persistence"]["value"] == pytest.approx(1.0)
    assert told["versus"]["persistence"]["generated.mae_over_persistence"] == pytest.approx(1.0)
    assert "jax is not installed" in (tmp_path / "page" / "forecast.html").read_text()


@dataclass(frozen=True, slots=True)
class _Missing:
    """A peer whose library is not installed."""

    name: str = "lstm"
    seeded: bool = True
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> Fitted:
        raise Absent("jax is not installed")
