"""Lines that a server refused wait for a person, whatever happens to the controller."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.store import rejected
from controller.store.interface import Rejected
from controller.store.rejected import RejectedLines

FIRST, SECOND = Rejected("samples,router=r1 live=1 1", "no"), Rejected("größer \n\u2028", "why")


def test_what_was_refused_is_there_in_the_next_run(tmp_path: Path) -> None:
    RejectedLines(tmp_path).add([FIRST], 1.5)
    RejectedLines(tmp_path).add([SECOND], 2.5)
    assert list(RejectedLines(tmp_path).read()) == [(1.5, FIRST), (2.5, SECOND)]


def test_a_line_that_a_crash_tore_takes_no_other_with_it(tmp_path: Path) -> None:
    kept = RejectedLines(tmp_path)
    kept.add([FIRST, SECOND], 1.0)
    kept.path.write_bytes(kept.path.read_bytes()[:-9])
    kept.add([SECOND], 2.0)
    assert list(kept.read()) == [(1.0, FIRST), (2.0, SECOND)]


def test_the_oldest_are_forgotten_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "MOST_BYTES", 200)
    kept = RejectedLines(tmp_path)
    for time_s in range(100):
        kept.add([FIRST], float(time_s))
    times_s = [time_s for time_s, _ in kept.read()]
    assert times_s == [float(time_s) for time_s in range(100 - len(times_s), 100)]
    assert 0 < len(times_s) < 10
    kept.clear()
    assert list(kept.read()) == []
