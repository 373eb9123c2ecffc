"""Recorded sets: what is read, what is refused by name, what is left out."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ml.evaluation.boosted import settings_for
from ml.evaluation.dataset import data_set, farther, first_horizons_s, grid_s
from ml.evaluation.datasets import NAMES, how_to_get, load
from ml.evaluation.sources import DataMissing, csv_columns
from ml.forecasting.features import names
from ml.series import Series

ROWS = "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n1998-04-30 21:33:00,7\n"


def write(folder: Path, text: str, zipped: bool = True) -> Path:
    (folder / "worldcup98").mkdir()
    path = folder / "worldcup98" / "invocation_count_per_min.csv"
    if zipped:
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def long_rows(count: int = 200) -> str:
    lines = ["period,count"]
    start = np.datetime64("1998-05-01T00:00:00")
    for number in range(count):
        if number != 7:
            stamp = str(start + np.timedelta64(60 * number, "s")).replace("T", " ")
            lines.append(f"{stamp},{number % 13}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_minute_that_was_not_recorded_is_missing_and_not_zero(
    tmp_path: Path, zipped: bool
) -> None:
    write(tmp_path, long_rows(), zipped)
    data = load("worldcup", tmp_path)
    (one,) = data.series
    assert data.step_s == 60
    assert len(one) == 200
    assert np.flatnonzero(np.isnan(one.values)).tolist() == [7]
    assert one.values[20] == 20 % 13
    assert np.allclose(np.diff(data.times_s), 60)


def test_a_missing_file_is_named_with_the_place_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"invocation_count_per_min.*missing.*worldcup98-dataset"):
        load("worldcup", tmp_path)


def test_a_folder_that_is_not_there_is_named_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"nowhere is not a folder.*opendc"):
        load("surf", tmp_path / "nowhere")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    path.write_bytes(path.read_bytes()[:25])
    with pytest.raises(DataMissing, match=r"csv\.gz cannot be read.*get it again"):
        load("worldcup", tmp_path)


def test_a_row_that_is_cut_off_is_named_by_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS + "1998-04-30 21:34:00\n")
    with pytest.raises(DataMissing, match="line 5: 1 fields instead of 2"):
        csv_columns(path, "there")


def test_a_value_that_is_no_number_is_named_by_line_and_column(tmp_path: Path) -> None:
    write(tmp_path, ROWS.replace(",11", ",many"))
    with pytest.raises(DataMissing, match=r"line 3, column 'count': not a number: 'many'"):
        load("worldcup", tmp_path)


def test_an_unknown_set_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="bitbrains"):
        load("enron", tmp_path)


def test_every_set_says_where_its_files_are_published() -> None:
    for name in NAMES:
        assert name in how_to_get([name])
        assert any(host in how_to_get([name]) for host in ("github.com/", "PyPI "))


def test_a_virtual_machine_is_known_only_where_a_sample_ends(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    (tmp_path / "opendc").mkdir()
    steps = [n for n in range(400) if n % 5 != 3]  # every fifth is written with a longer duration
    start = np.datetime64("2013-08-12T13:40:46", "ms")
    table = pyarrow.table(
        {
            "id": ["7"] * len(steps),
            "timestamp": [start + np.timedelta64(300_000 * n, "ms") for n in steps],
            "duration": [300_000] * len(steps),
            "cpu_usage": [100.0 + n % 11 for n in steps],
        }
    )
    parquet.write_table(table, tmp_path / "opendc" / "bitbrains-small_trace.parquet")
    meta = pyarrow.table({"id": ["7"], "cpu_capacity": [2000.0]})
    parquet.write_table(meta, tmp_path / "opendc" / "bitbrains-small_meta.parquet")
    data = load("bitbrains", tmp_path)
    (one,) = data.series
    assert one.values[1] == pytest.approx(100 * 101 / 2000)
    assert np.isnan(one.values[3::5]).all()
    assert np.isfinite(one.values[4::5]).all()


def test_a_job_counts_from_its_submission_until_its_duration_is_over(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    (tmp_path / "opendc").mkdir()
    begun_ms = [300_000 * n for n in range(300)]
    lasting_ms = [600_000 + 300_000 * (n * n % 7) for n in range(300)]
    table = pyarrow.table({"submission_time": begun_ms, "duration": lasting_ms})
    parquet.write_table(table, tmp_path / "opendc" / "surf_month_tasks.parquet")
    data = load("surf", tmp_path)
    (one,) = data.series
    alive = [
        sum(
            start <= at < start + for_ms for start, for_ms in zip(begun_ms, lasting_ms, strict=True)
        )
        for at in (3_000_000, 30_000_000)
    ]
    assert [one.values[10], one.values[100]] == alive
    assert np.allclose(one.channels["new_per_s"][1:], 1 / 300)
    assert 600 <= np.nanmin(one.channels["mean_duration_s"]) <= 1800


def test_series_that_say_nothing_in_training_are_left_out_with_the_reason() -> None:
    times = 60.0 * np.arange(1000)
    lively = np.sin(times / 500) + 2
    idle_until_the_test = np.where(np.arange(1000) > 850, lively, 1.0)
    rare = np.where(np.arange(1000) % 3 == 0, lively, np.nan)
    data = data_set(
        "some",
        60,
        (60, 120),
        [
            Series("lively", times, lively),
            Series("idle", times, idle_until_the_test),
            Series("rare", times, rare),
        ],
        "here",
    )
    assert [one.target for one in data.series] == ["lively"]
    assert "0 % of the training steps" in data.left_out["idle"]
    assert "33 % of the training samples" in data.left_out["rare"]


def test_the_metrics_of_a_cluster_are_companions_of_each_other_in_the_models_inputs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "datacenter-traces" / "google2019_machine_usage_grouped_300_seconds.csv.gz"
    path.parent.mkdir()
    draws = np.random.default_rng(1)
    lines = ["cpu,memory", *(f"{one:.3f},{other:.3f}" for one, other in draws.random((200, 2)))]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    data = load("google", tmp_path)
    cpu, memory = data.series
    assert list(cpu.channels) == ["memory"]
    np.testing.assert_array_equal(cpu.channels["memory"], memory.values)
    assert data.companions == ("memory", "cpu")
    told = names(settings_for(data))
    assert "memory_lag_1" in told
    assert "cpu_mean_10" in told


def test_longer_horizons_come_with_the_interval_and_move_the_purge() -> None:
    times = grid_s(0.0, 300.0, 2000)
    values = np.random.default_rng(2).random(2000)
    near = data_set("s", 300, (300.0, 1800.0), [Series("a", times, values)], "here")
    far = farther(near)
    assert far.horizons_s == (300.0, 1800.0, 3600.0, 10_800.0)
    assert first_horizons_s(far) == near.horizons_s
    assert far.split.test_start_s == near.split.test_start_s
    assert near.split.calibration_end_s - far.split.calibration_end_s == 9000.0
    fast = data_set("t", 10, (10.0,), [Series("a", grid_s(0.0, 10.0, 2000), values)], "here")
    assert farther(fast).horizons_s == (10.0,)
