"""What a person sees who trains, looks at models, or replays a history."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from controller.cli import app


def umbra(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two targets over two days, minute by minute."""
    file = tmp_path_factory.mktemp("data") / "requests.csv"
    chance = np.random.default_rng(1)
    minute = np.arange(1500)
    lines = ["time_s,router,value"]
    for name, level in (("r1", 100.0), ("r2", 300.0)):
        values = level * (1 + 0.4 * np.sin(2 * np.pi * minute / 90.0)) + chance.normal(0, 3, 1500)
        lines += [f"{60 * m},{name},{v:.2f}" for m, v in zip(minute, values, strict=True)]
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a champion and a challenger."""
    directory = tmp_path_factory.mktemp("models")
    for state in ("champion", "challenger"):
        options = [
            "--data",
            str(data),
            "--models",
            str(directory),
            "--horizons",
            "60,300",
            "--json",
        ]
        done = umbra("train", *options, *(["--seed", "2"] if state == "challenger" else []))
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["state"] == state
    return directory


def test_the_first_training_is_champion_and_the_next_challenges_it(models: Path) -> None:
    done = umbra("models", "list", "--models", str(models), "--json")
    versions = json.loads(done.stdout)["versions"]
    assert [one["state"] for one in versions] == ["challenger", "champion"]
    assert versions[0]["parent"] == versions[1]["id"]
    assert versions[0]["data_hash"] == versions[1]["data_hash"]
    assert all("alarm_reason" in one["metrics"] for one in versions)
    table = umbra("models", "--models", str(models)).stdout
    assert "simple rule" in table or "≥" in table
    assert "champion" in table
    assert versions[0]["id"] in table


def test_a_version_is_shown_by_its_first_characters(models: Path) -> None:
    done = umbra("models", "list", "--models", str(models), "--json")
    name = json.loads(done.stdout)["versions"][0]["id"]
    shown = umbra("models", "show", name, "--models", str(models))
    assert shown.exit_code == 0
    assert "settings.horizons_s" in shown.stdout
    assert "metrics.pinball_boosting" in shown.stdout
    assert "metrics.alarm_reason" in shown.stdout
    missing = umbra("models", "show", "1999", "--models", str(models))
    assert missing.exit_code == 1
    assert name in missing.stderr


def test_a_backtest_compares_with_persistence_and_writes_a_page(data: Path, tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.html"
    done = umbra(
        "backtest", "--data", str(data), "--horizons", "60,300", "--folds", "2", "--origins", "60",
        "--threshold", "380", "--report", str(report), "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["pinball_over_persistence"] < 0.8  # a sine can be foreseen
    assert found["targets"] == 2
    assert len(found["horizons"]) == 2
    assert found["reliability"]
    page = report.read_text()
    assert page.count("<svg") == 4
    assert "https://" not in re.sub(
        r"https?://www\.w3\.org|http://purl\.org|https://matplotlib\.org", "", page
    )
    assert "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backtest"], "no history to learn from"),
        (["backtest", "--data", "nowhere.csv"], "cannot be read"),
        (["backtest", "--store", "nowhere.db"], "there is no store"),
        (["train", "--data", "x.csv"], "nowhere to keep"),
        (["train", "--data", "x.csv", "--store", "y.db", "--models", "z"], "not both"),
        (["models", "--models", "nowhere"], "holds no models"),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], words: str) -> None:
    done = umbra(*arguments)
    assert done.exit_code in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_too_little_history_is_said(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("time_s,value\n" + "\n".join(f"{60 * n},{n % 7}" for n in range(80)))
    done = umbra("backtest", "--data", str(file))
    assert done.exit_code == 1
    assert "give more history" in done.stderr
