"""What the audit log promises to whoever reads it later."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller import audit
from controller.audit import TROUBLE, AuditLog
from controller.model import Decision, Kind, Outcome
from controller.trouble import Troubles
from harness import disk


def entry(number: int) -> tuple[Decision, Outcome]:
    decision = Decision(
        f"d{number}",
        1000.5,
        Kind.SHIFT,
        "r1",
        0,
        10,
        ("r2", "r3"),
        "prediction",
        "why",
        {"p": None},
    )
    return decision, Outcome(decision.id, ("e1",), (), 3.5)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_decision_is_a_line_on_disk_at_once(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", Troubles())
    log.add(*entry(1))
    (line,) = lines(tmp_path / "audit.jsonl")
    assert line["time"] == "1970-01-01T00:16:40.500+00:00"
    assert line["decision"]["reason"] == "why"
    assert line["decision"]["kind"] == "shift"
    assert line["decision"]["inputs"] == {"p": None}
    assert line["outcome"]["decide_to_written_ms"] == 3.5
    log.close()


def test_a_restart_appends(tmp_path: Path) -> None:
    for number in range(3):
        log = AuditLog(tmp_path / "audit.jsonl", Troubles())
        log.add(*entry(number))
        log.close()
    assert [line["decision"]["id"] for line in lines(tmp_path / "audit.jsonl")] == [
        "d0",
        "d1",
        "d2",
    ]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", Troubles())
    log.add(*entry(1))
    (tmp_path / "audit.jsonl").rename(tmp_path / "old.jsonl")
    log.add(*entry(2))
    assert [line["decision"]["id"] for line in lines(tmp_path / "audit.jsonl")] == ["d2"]
    log.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path, "64k") as directory:
        yield directory


def test_a_full_disk_cuts_no_line_and_loses_none(small_disk: Path) -> None:
    troubles = Troubles()
    log = AuditLog(small_disk / "audit.jsonl", troubles)
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * 20_000)
    for number in range(300):
        log.add(*entry(number))
    assert log.waiting > 0
    assert "make room" in troubles.open[TROUBLE]
    assert str(small_disk / "audit.jsonl") in troubles.open[TROUBLE]
    filler.unlink()
    moved = Path(f"{small_disk}.jsonl")
    written: list[dict[str, Any]] = []
    for _ in range(10):  # the disk is small: carry away what is there, as log rotation does
        log.flush()
        if not log.waiting:
            break
        torn = (small_disk / "audit.jsonl").read_text()
        whole, _, rest = torn.rpartition("\n")
        written += [json.loads(line) for line in whole.splitlines()]
        moved.write_text(rest)
        with contextlib.closing(os.fdopen(os.open(small_disk / "audit.jsonl", os.O_RDWR))) as file:
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), rest.encode())
    written += lines(small_disk / "audit.jsonl")
    assert [line["decision"]["id"] for line in written] == [f"d{n}" for n in range(300)]
    assert TROUBLE not in troubles.open
    log.close()


def test_what_cannot_be_kept_is_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_WAITING", 10)
    log = AuditLog(tmp_path / "missing" / "audit.jsonl", Troubles())
    for number in range(15):
        log.add(*entry(number))
    assert (log.waiting, log.discarded) == (10, 5)
    (tmp_path / "missing").mkdir()
    log.flush()
    written = lines(tmp_path / "missing" / "audit.jsonl")
    assert len(written) == 11
    assert written[-1]["discarded"] == 5
    log.close()
