"""A whole evaluation on a small generated set: scores, figures, report."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest

from ml.evaluation.baselines.persistence import Persistence, PersistenceMargin
from ml.evaluation.dataset import QUANTILES, DataSet, farther
from ml.evaluation.figures import OURS, summarise
from ml.evaluation.forecasts import SetScore, evaluate
from ml.evaluation.generated import generated
from ml.evaluation.peer import Absent, Peer
from ml.evaluation.report import html
from ml.evaluation.splits import Origins, outcomes
from ml.series import Floats


@dataclass(frozen=True, slots=True)
class Oracle:
    """Knows `share` of what is to come: a forecaster whose figures are known beforehand."""

    share: float
    name: str = OURS
    seeded: bool = True
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> Oracle:
        return self

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        last = data.values[origins.series, origins.index][:, None]
        median = last + self.share * (outcomes(data.values, origins, data.horizon_steps) - last)
        return np.repeat(median[:, :, None], len(QUANTILES), axis=2)


@dataclass(frozen=True, slots=True)
class NotInstalled:
    name: str = "lstm"
    seeded: bool = True
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> Oracle:
        raise Absent("jax is not installed")


@pytest.fixture(scope="module")
def score() -> SetScore:
    peers: list[Peer] = [Persistence(), PersistenceMargin(), NotInstalled(), Oracle(0.4)]
    slow = Oracle(0.1, name="ets", max_rows=40)
    return evaluate(generated(days=5, series=2), [*peers, slow], seeds=(0, 1), max_rows=400)


def test_a_forecaster_that_knows_two_fifths_of_every_change_errs_by_three_fifths(
    score: SetScore,
) -> None:
    summary = summarise([score])
    ours = summary.peers[OURS]
    assert ours.mae_ratio.value == pytest.approx(0.6)
    assert ours.mae_ratio.low == pytest.approx(0.6)
    assert ours.mae_ratio.high == pytest.approx(0.6)
    assert summary.peers["persistence"].mae_ratio.value == pytest.approx(1.0)
    assert {cell.horizon_s for cell in summary.cells} == {300, 600, 900, 1800}
    assert ours.cells == 4


def test_a_slow_peer_is_compared_with_others_on_its_own_origins(score: SetScore) -> None:
    slow = summarise([score]).peers["ets"]
    assert slow.forecasts == 40 * 4
    assert slow.mae_ratio.value == pytest.approx(0.9)
    assert slow.ours_over is not None
    assert slow.ours_over.value == pytest.approx(0.6 / 0.9)
    assert slow.ours_better_cells_pct == 100


def test_a_peer_that_is_not_installed_is_absent_with_its_reason(score: SetScore) -> None:
    summary = summarise([score])
    assert summary.absent == {"lstm": "jax is not installed"}
    assert "lstm" not in summary.peers


def test_seeds_are_run_where_they_matter_and_only_there(score: SetScore) -> None:
    assert score.scored[OURS].mae_by_seed.shape == (2, 4)
    assert score.scored["persistence"].mae_by_seed.shape == (1, 4)


def test_the_band_of_persistence_holds_about_what_it_promises(score: SetScore) -> None:
    covered = summarise([score]).peers["persistence"].coverage_pct
    assert 80 <= covered <= 98


def test_the_figures_are_the_same_each_time(score: SetScore) -> None:
    assert summarise([score]) == summarise([score])


def test_the_report_needs_no_other_file_and_says_first_what_a_reader_must_know(
    score: SetScore,
) -> None:
    page = html(
        summarise([score]),
        [score],
        figures={"surge_us": (12.5, "us")},
        notes=["GENERATED DATA <not recorded>"],
    )
    assert not re.search(r"""(src|href)=["']?(https?:|//|file:)""", page)
    assert "GENERATED DATA &lt;not recorded&gt;" in page
    assert page.count("<svg") == 3
    assert "jax is not installed" in page
    assert "surge_us" in page


def test_longer_horizons_can_be_left_out_so_that_figures_compare_with_earlier_ones() -> None:
    data = farther(generated(days=5, series=2))
    assert data.horizons_s == (300, 600, 900, 1800, 3600, 10_800)
    score = evaluate(data, [Persistence(), Far()], seeds=(0,), max_rows=300)
    assert summarise([score]).peers[OURS].mae_ratio.value == pytest.approx(
        (0.8**4 * 0.4**2) ** (1 / 6)
    )
    first = summarise([score.nearer()])
    assert first.peers[OURS].mae_ratio.value == pytest.approx(0.8)
    assert {cell.horizon_s for cell in first.cells} == {300, 600, 900, 1800}


@dataclass(frozen=True, slots=True)
class Far:
    """Knows more of what is an hour and more ahead."""

    name: str = OURS
    seeded: bool = False
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> Far:
        return self

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        last = data.values[origins.series, origins.index][:, None]
        share = np.where(np.asarray(data.horizons_s) >= 3600, 0.6, 0.2)
        median = last + share * (outcomes(data.values, origins, data.horizon_steps) - last)
        return np.repeat(median[:, :, None], len(QUANTILES), axis=2)
