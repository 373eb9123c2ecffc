"""What the audit log promises to whoever reads it later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.audit import TROUBLE, AuditLog, AuditSettings, Sync, files
from controller.audit.anchors import read
from controller.audit.log import ANCHORS, ROTATION
from controller.audit.verify import verify
from controller.trouble import Troubles
from harness import disk
from harness.audit_lines import entry, ids, lines


def log_of(file: Path, troubles: Troubles | None = None, **settings: object) -> AuditLog:
    changed = replace(AuditSettings(), **settings)  # type: ignore[arg-type]
    return AuditLog(file, troubles or Troubles(), changed)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_every_decision_is_a_line_on_disk_at_once(file: Path) -> None:
    log = log_of(file)
    log.add(*entry(1))
    first, line = lines(file)
    assert first["chain"]["event"] == "begun"
    assert line["time"] == "1970-01-01T00:16:40.500+00:00"
    assert line["decision"]["reason"] == "why"
    assert line["decision"]["kind"] == "shift"
    assert line["decision"]["inputs"] == {"p": None}
    assert line["outcome"]["decide_to_written_ms"] == 3.5
    assert (line["sequence"], line["previous"]) == (2, first["hash"])
    log.close()


def test_numbers_that_json_does_not_have_become_null(file: Path) -> None:
    log = log_of(file)
    log.note(1.0, "allocation", {"id": "a1", "inputs": {"x": float("nan"), "name": "\udcff"}})
    log.close()
    assert "NaN" not in file.read_text()
    assert lines(file)[1]["allocation"]["inputs"]["x"] is None
    assert verify([file]).sound


def test_a_subject_cannot_take_the_place_of_the_chain(file: Path) -> None:
    with pytest.raises(ValueError, match="hash is a member of every line"):
        log_of(file).note(1.0, "hash", {})


def test_lines_of_one_moment_go_to_the_disk_together_and_none_is_discarded(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log = log_of(file, sync=Sync.LINE, most_waiting=10)
    log.notes(1.0, [("allocation", {"id": f"a{number}"}) for number in range(10)])
    assert len(synced) == 1
    log.notes(1.0, [("allocation", {"id": f"b{number}"}) for number in range(25)])
    log.close()
    assert len(lines(file)) == 1 + 10 + 25
    assert log.discarded == 0


def test_a_restart_appends_to_the_same_chain(file: Path) -> None:
    for number in range(3):
        log = log_of(file)
        log.add(*entry(number))
        log.close()
    assert ids(file) == ["d0", "d1", "d2"]
    report = verify([file])
    assert (report.sound, report.lines, report.notes) == (True, 4, [])


def test_a_file_that_was_moved_away_is_begun_anew_and_the_chain_goes_on(
    file: Path, tmp_path: Path
) -> None:
    log = log_of(file)
    log.add(*entry(1))
    file.rename(tmp_path / "old.jsonl")
    log.add(*entry(2))
    log.close()
    assert ids(file) == ["d2"]
    assert verify([tmp_path / "old.jsonl", file]).sound
    assert verify([file, tmp_path / "old.jsonl"]).sound  # in whatever order
    alone = verify([file])
    assert alone.sound
    assert not alone.complete


def test_a_large_file_is_put_aside_and_the_chain_goes_on(file: Path) -> None:
    log = log_of(file, rotate_bytes=3000)
    for number in range(40):
        log.add(*entry(number))
    log.close()
    parts = files.all_parts(file)
    assert len(parts) > 3
    assert ids(*parts) == [f"d{n}" for n in range(40)]
    report = verify([file])
    assert (report.sound, report.complete, len(report.files)) == (True, True, len(parts))
    parts[1].unlink()
    broken = verify([file])
    assert not broken.sound
    assert "lines were removed before it" in str(broken.faults[0])


def test_a_start_without_the_newest_file_goes_on_after_the_part_before(file: Path) -> None:
    log = log_of(file, rotate_bytes=3000)
    for number in range(10):
        log.add(*entry(number))
    log.close()
    left = files.put_aside(file, 99)  # as a crash between the renaming and the new file leaves it
    again = log_of(file)
    again.add(*entry(10))
    again.close()
    assert lines(file)[0]["chain"]["follows"] == left.name
    assert verify([file]).sound


def test_parts_beyond_those_to_be_kept_are_removed_and_the_log_says_so(file: Path) -> None:
    log = log_of(file, rotate_bytes=3000, keep_files=2)
    for number in range(60):
        log.add(*entry(number))
    log.close()
    assert len(files.rotated(file)) <= 3
    report = verify([file])
    assert report.sound
    assert report.complete
    assert "was dropped, as the log says" in str(report.notes[0])
    files.rotated(file)[0][1].unlink()
    assert not verify([file]).complete


def test_a_directory_that_takes_no_new_names_lets_the_file_grow(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = Troubles()
    log = log_of(file, troubles, rotate_bytes=2000)

    def refused(path: Path, part: int) -> Path:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(files, "put_aside", refused)
        for number in range(20):
            log.add(*entry(number))
        assert "let umbra write to its directory" in troubles.open[ROTATION]
        assert log.waiting == 0
    log.add(*entry(20))
    assert ROTATION not in troubles.open
    log.close()
    assert verify([file]).sound


def test_a_log_from_before_the_chain_is_kept_and_vouched_for(file: Path, tmp_path: Path) -> None:
    old = '{"time":"2026-01-01","decision":{"id":"old"}}\n' * 7
    file.write_text(old)
    log = log_of(file)
    log.add(*entry(1))
    log.close()
    kept = tmp_path / "audit.unchained.jsonl"
    assert kept.read_text() == old
    (named,) = lines(file)[0]["chain"]["unchained"]
    assert (named["file"], named["lines"]) == (kept.name, 7)
    report = verify([file])
    assert report.sound
    assert "7 lines from before the chain, unchanged" in str(report.notes[0])
    kept.write_text(old.replace("2026", "2025"))
    changed = verify([file])
    assert "was changed: its SHA-256 is" in str(changed.faults[0])
    kept.unlink()
    assert verify([file]).sound


def test_a_crash_while_the_old_log_is_put_aside_loses_nothing(file: Path) -> None:
    file.write_text('{"decision":{"id":"old"}}\n')
    files.put_aside_unchained(file)
    log = log_of(file)
    log.add(*entry(1))
    log.close()
    assert [one["lines"] for one in lines(file)[0]["chain"]["unchained"]] == [1]


def test_two_processes_do_not_write_one_log(file: Path) -> None:
    first, troubles = log_of(file), Troubles()
    first.add(*entry(1))
    second = log_of(file, troubles)
    second.add(*entry(2))
    assert "another process writes it" in troubles.open[TROUBLE]
    assert second.waiting == 1
    first.close()
    second.flush()
    assert TROUBLE not in troubles.open
    second.close()
    assert ids(file) == ["d1", "d2"]
    assert verify([file]).sound


def test_lines_are_forced_to_the_disk_as_the_policy_says(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sync, least, most in ((Sync.LINE, 6, 7), (Sync.INTERVAL, 1, 2), (Sync.KERNEL, 0, 0)):
        calls: list[int] = []
        monkeypatch.setattr(os, "fdatasync", calls.append)
        log = log_of(file.with_name(f"{sync}.jsonl"), sync=sync, sync_period_s=1e6)
        for number in range(6):
            log.add(*entry(number))
        log.close()
        assert least <= len(calls) <= most, sync


def test_anchors_are_kept_elsewhere_and_show_a_tail_that_was_cut_off(
    file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "elsewhere.jsonl"
    log = log_of(file, anchor_file=kept, anchor_period_s=0.0, sync=Sync.LINE)
    for number in range(5):
        log.add(*entry(number))
    log.close()
    found = read(kept)
    assert [anchor.sequence for anchor in found] == [2, 3, 4, 5, 6]
    assert verify([file], found).anchors_met == 5
    whole = file.read_text().splitlines(keepends=True)
    file.write_text("".join(whole[:4]))
    assert verify([file]).sound  # without anchors nothing shows
    report = verify([file], found)
    assert "its end was cut off" in str(report.faults[0])
    troubles = Troubles()
    again = log_of(file, troubles, anchor_file=kept)
    again.add(*entry(9))
    again.close()
    assert troubles.counts["audit file"] == 1
    assert "its end had been cut off" in str(verify([file]).faults[0])


def test_an_anchor_file_that_cannot_be_written_stops_nothing(file: Path, tmp_path: Path) -> None:
    troubles = Troubles()
    log = log_of(file, troubles, anchor_file=tmp_path / "missing" / "a", anchor_period_s=0.0)
    log.add(*entry(1))
    log.close()
    assert ids(file) == ["d1"]
    assert "name another anchor file" in troubles.open[ANCHORS]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path, "64k") as directory:
        yield directory


def test_a_full_disk_cuts_no_line_and_loses_none(small_disk: Path) -> None:
    troubles = Troubles()
    file = small_disk / "audit.jsonl"
    log = log_of(file, troubles)
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * 20_000)
    for number in range(90):
        log.add(*entry(number))
    assert log.waiting > 0
    assert "make room" in troubles.open[TROUBLE]
    assert str(file) in troubles.open[TROUBLE]
    filler.unlink()
    log.flush()
    assert log.waiting == 0
    assert TROUBLE not in troubles.open
    log.close()
    assert ids(file) == [f"d{n}" for n in range(90)]
    assert verify([file]).notes == []


def test_a_full_disk_whose_file_is_carried_away_loses_no_line(small_disk: Path) -> None:
    file = small_disk / "audit.jsonl"
    log = log_of(file)
    carried: list[Path] = []
    for number in range(300):
        log.add(*entry(number))
    for _ in range(10):  # as log rotation does when the disk is full
        if not log.waiting:
            break
        there = small_disk.with_name(f"carried-{len(carried)}.jsonl")
        there.write_bytes(file.read_bytes())
        file.unlink()
        carried.append(there)
        log.flush()
    log.close()
    assert len(carried) >= 2
    report = verify([*carried, file])
    assert report.sound, report.faults
    assert ids(*carried, file) == [f"d{n}" for n in range(300)]


def test_what_cannot_be_kept_is_counted_and_said(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "audit.jsonl"
    log = log_of(file, most_waiting=10)
    for number in range(15):
        log.add(*entry(number))
    assert (log.waiting, log.discarded) == (10, 5)
    file.parent.mkdir()
    log.flush()
    written = lines(file)
    assert len(written) == 12
    assert written[-1]["discarded"] == 5
    assert ids(file) == [f"d{n}" for n in range(5, 15)]
    log.close()
    assert verify([file]).sound
