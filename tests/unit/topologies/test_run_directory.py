"""What a killed run leaves is removed by the next one, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from topologies.run_directory import RunDirectory

PREFIX = "umbra-demo-"
HOLD = f"""
import sys
from topologies.run_directory import RunDirectory
print(RunDirectory({PREFIX!r}).path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary directory, for this test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_directory_of_a_killed_run_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    temporary: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        (other / "predictive").mkdir()
        RunDirectory(PREFIX).remove()
        assert other.is_dir()
        process.kill()
    assert other.is_dir()
    RunDirectory(PREFIX).remove()
    assert list(temporary.iterdir()) == []


def test_what_is_not_provably_ours_stays(temporary: Path) -> None:
    kept = RunDirectory(PREFIX)
    kept.leave()  # the logs of a run that failed
    stranger = temporary / f"{PREFIX}stranger"
    stranger.mkdir()
    link = temporary / f"{PREFIX}link"
    link.symlink_to(stranger)
    RunDirectory(PREFIX).remove()
    assert set(temporary.iterdir()) == {kept.path, stranger, link}
