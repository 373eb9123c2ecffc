"""Recorded series are read from what people have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.series_file import SeriesFileError, read


def written(directory: Path, text: str, name: str = "data.csv") -> Path:
    file = directory / name
    file.write_text(text)
    return file


def test_a_long_file_has_a_series_per_target_with_channels(tmp_path: Path) -> None:
    text = "time,target,count,new_per_s\n3,b,30,1\n1,a,10,\n2,a,,2\n2,b,20,3\n"
    a, b = read(written(tmp_path, text))
    assert (a.target, b.target) == ("a", "b")
    assert a.times_s.tolist() == [1, 2]
    assert a.values[0] == 10
    assert np.isnan(a.values[1])
    assert np.isnan(a.channel("new_per_s")[0])
    assert b.values.tolist() == [20, 30]
    assert b.channel("new_per_s").tolist() == [3, 1]


def test_a_wide_file_has_a_series_per_column(tmp_path: Path) -> None:
    found = read(written(tmp_path, "timestamp,cpu,mem\n0,1,5\n60,2,6\n"))
    assert [one.target for one in found] == ["cpu", "mem"]
    assert found[1].values.tolist() == [5, 6]


def test_a_file_without_targets_is_one_series(tmp_path: Path) -> None:
    (one,) = read(written(tmp_path, "time_s,value\n0,1\n60,2\n", "web.csv"))
    assert one.target == "web"


@pytest.mark.parametrize(
    ("cell", "time_s"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01 00:01:00", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1600000000000", 1.6e9),
        ("1600000000.5", 1_600_000_000.5),
    ],
)
def test_times_come_in_many_ways(tmp_path: Path, cell: str, time_s: float) -> None:
    (one,) = read(written(tmp_path, f"time,value\n{cell},1\n"))
    assert one.times_s.tolist() == [time_s]


def test_of_repeated_times_the_last_counts(tmp_path: Path) -> None:
    (one,) = read(written(tmp_path, "time,value\n1,1\n2,5\n1,3\n"))
    assert one.times_s.tolist() == [1, 2]
    assert one.values.tolist() == [3, 5]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {"time": pandas.to_datetime([60, 120], unit="s"), "target": ["a", "a"], "value": [1.0, 2.0]}
    )
    frame.to_parquet(tmp_path / "x.parquet")
    (one,) = read(tmp_path / "x.parquet")
    assert (one.target, one.times_s.tolist(), one.values.tolist()) == ("a", [60, 120], [1, 2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column of times"),
        ("time,value\nyesterday,2\n", "yesterday"),
        ("time,value\n1,many\n", "no number"),
        ("time,value\n1\n", "line 2"),
        ("time,value\n", "holds no value"),
        ("", "first line"),
        ("time,target,x\n1,a,2\n", "none named value"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(SeriesFileError, match=words):
        read(written(tmp_path, text))


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(SeriesFileError, match="no Parquet file"):
        read(written(tmp_path, "time,value\n", "x.parquet"))
