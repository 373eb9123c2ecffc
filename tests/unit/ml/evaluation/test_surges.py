"""What counts as a surge, as seen, as false; and the benchmark's files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ml.evaluation.sources import DataMissing
from ml.evaluation.surges import nab
from ml.evaluation.surges.events import APART, BEFORE, Event, inject, natural
from ml.evaluation.surges.score import alarms, judge
from ml.surges.detector import SurgeSettings

DAY = 288


def noise(days: int, seed: int = 1) -> np.ndarray:
    return 100.0 + np.random.default_rng(seed).normal(0.0, 2.0, days * DAY)


def test_a_doubling_for_an_hour_is_a_natural_surge_and_noise_is_none() -> None:
    values = noise(6)
    assert natural(values, DAY) == []
    values[1000:1012] += 100.0
    (event,) = natural(values, DAY)
    assert (event.first, event.last) == (1000, 1011)


def test_a_job_that_runs_every_day_and_the_end_of_an_outage_are_no_surges() -> None:
    values = noise(8)
    for day in range(8):
        values[day * DAY + 100 : day * DAY + 110] += 100.0
    values[1500:1530] = 5.0
    (news,) = natural(values, DAY)
    assert news.first < DAY, "on the first day it is news"


def test_a_series_that_does_not_move_has_no_surges() -> None:
    assert natural(np.zeros(1000), DAY) == []
    values, events = inject(np.zeros(1000), 500, DAY, np.random.default_rng(1), [])
    assert events == []
    assert not values.any()


def test_injected_surges_come_once_a_day_after_the_beginning_and_apart_from_natural_ones() -> None:
    values = noise(20)
    natural_one = Event(3000, 3020)
    raised, events = inject(values, 10 * DAY, DAY, np.random.default_rng(2), [natural_one])
    assert 7 <= len(events) <= 10
    changed = np.flatnonzero(raised != values)
    assert changed[0] >= 10 * DAY
    assert set(changed) == {at for one in events for at in range(one.first, one.last + 1)}
    assert all(
        one.last < 3000 - BEFORE - APART or one.first > 3020 + BEFORE + APART for one in events
    )


def test_an_alarm_at_the_first_sample_has_a_delay_of_one_and_one_elsewhere_is_false() -> None:
    tally = judge([48, 100, 203, 500], [Event(50, 60)], [Event(100, 110), Event(200, 210)])
    assert tally.natural_seen == 1
    assert tally.injected_seen == 2
    assert sorted(tally.delays) == [1, 1, 4]
    assert tally.false_runs == 1


def test_an_alarm_just_before_an_injected_surge_has_not_seen_it() -> None:
    tally = judge([98], [], [Event(100, 110)])
    assert tally.injected_seen == 0
    assert tally.false_runs == 0


def test_the_detector_sees_injected_surges_among_noise_and_little_else() -> None:
    values = noise(40, seed=3)
    raised, events = inject(values, 20 * DAY, DAY, np.random.default_rng(4), [])
    times_s = np.arange(len(values), dtype=np.float64) * 300.0
    found = alarms(times_s, raised, SurgeSettings.measured())
    tally = judge([at for at in found if at >= 20 * DAY], [], events)
    assert tally.injected_seen >= 0.85 * len(events)
    assert tally.false_runs <= 10


def corpus(folder: Path) -> list[nab.NabFile]:
    values = noise(4)
    values[700:720] += 80.0
    begin = np.datetime64("2020-01-01T00:00:00")
    stamps = [str(begin + np.timedelta64(300 * at, "s")).replace("T", " ") for at in range(4 * DAY)]
    path = folder / "nab" / "data" / "realMade" / "made.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("timestamp", "value"), *zip(stamps, values, strict=True)])
    labels = {"realMade/made.csv": [[stamps[690] + ".000000", stamps[740] + ".000000"]]}
    (folder / "nab" / "labels").mkdir()
    (folder / "nab" / "labels" / "combined_windows.json").write_text(json.dumps(labels))
    return nab.files(folder)


def test_the_benchmarks_files_are_read_and_the_anomaly_scores_highest(tmp_path: Path) -> None:
    (file,) = corpus(tmp_path)
    scores = nab.detect(file)
    assert 0.0 <= scores.min() < scores.max() < 1.0
    assert 700 <= int(np.argmax(scores)) < 720
    nab.write(tmp_path / "results", [file], {file.name: scores})
    written = (tmp_path / "results" / "umbra" / "realMade" / "umbra_made.csv").read_text()
    rows = list(csv.DictReader(written.splitlines()))
    assert [row["label"] for row in rows].count("1") == 51
    assert float(rows[int(np.argmax(scores))]["anomaly_score"]) == scores.max()
    assert (tmp_path / "results" / "null" / "realMade" / "null_made.csv").is_file()


def test_an_alarm_is_reported_once_and_again_only_when_it_is_worse() -> None:
    scores = np.array([0.0, 3.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    assert nab.hold_off(scores, 5).tolist() == [0, 3, 0, 0, 4, 0, 0, 0, 0, 0, 1]


def test_missing_data_and_a_missing_scorer_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"nab\.tgz"):
        nab.files(tmp_path)
    with pytest.raises(DataMissing, match=r"numenta/NAB"):
        nab.score(tmp_path, corpus(tmp_path), {})


def test_about_half_of_any_files_are_for_tuning() -> None:
    chosen = [nab.for_tuning(f"realMade/{number}.csv") for number in range(1000)]
    assert 430 < sum(chosen) < 570
