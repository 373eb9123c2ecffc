"""Whoever changes an audit log is found out, and a crash is told from a change."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.audit import AuditLog, files
from controller.audit.anchors import Anchor
from controller.audit.canonical import canonical, plain
from controller.audit.line import Head, LineError, parse, seal
from controller.audit.verify import verify
from controller.model import Kind
from controller.trouble import Troubles
from harness.audit_lines import entry, ids

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def written(file: Path, count: int = 6) -> list[bytes]:
    """The lines of a log with so many decisions."""
    log = AuditLog(file, Troubles())
    for number in range(count):
        log.add(*entry(number))
    log.close()
    return file.read_bytes().splitlines(keepends=True)


def go_on(file: Path, number: int = 99) -> None:
    log = AuditLog(file, Troubles())
    log.add(*entry(number))
    log.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@given(JSON, st.integers(0, 10**12))
def test_any_line_reads_back_whole_and_with_nothing_but_sha256(what: object, before: int) -> None:
    raw, head = seal({"time": "t", "what": plain(what)}, Head(before, "ab" * 32))
    line = parse(raw)
    assert line.whole
    assert line.head == head == Head(before + 1, line.hash)
    assert raw.count(b"\n") == 1
    assert sha256(raw[:-76] + b"}").hexdigest() == line.hash  # 75 bytes and the end of line
    again = {key: value for key, value in line.body.items() if key != "hash"}
    assert canonical(again) == raw[:-76] + b"}"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_byte_can_be_changed_unseen(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "audit.jsonl"
    whole = b"".join(written(file, 3))
    end = len(whole) - 2  # the last line's own end is a torn write, which is told as a note
    at = data.draw(st.integers(0, end), label="at")
    other = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]), label="other")
    file.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    report = verify([file])
    assert report.fault_count or report.notes
    last = whole.rindex(b"\n", 0, len(whole) - 1)
    if at <= last:
        assert report.fault_count


def test_an_edited_line_is_named_with_what_differs(file: Path) -> None:
    lines = written(file)
    lines[3] = lines[3].replace(b'"prediction"', b'"manual"')
    file.write_bytes(b"".join(lines))
    report = verify([file])
    (fault,) = report.faults
    assert (fault.place.file, fault.place.line) == (str(file), 4)
    assert "was changed after it was written: its content hashes to" in fault.what
    assert parse(lines[3]).hash in fault.what


def test_an_edit_with_a_new_hash_shows_at_the_line_after(file: Path) -> None:
    lines = written(file)
    line = parse(lines[3])
    what = {k: v for k, v in line.body.items() if k != "hash"} | {"outcome": None}
    lines[3], _ = seal(what, Head(line.sequence - 1, line.previous))
    file.write_bytes(b"".join(lines))
    (fault,) = verify([file]).faults
    assert fault.place.line == 5
    assert "that line was replaced" in fault.what


def test_removed_repeated_and_swapped_lines_are_found(file: Path) -> None:
    lines = written(file)
    file.write_bytes(b"".join(lines[:2] + lines[4:]))
    assert "2 lines were removed before it" in str(verify([file]).faults[0])
    file.write_bytes(b"".join([*lines[:4], lines[3], *lines[4:]]))
    assert "repeated" in str(verify([file]).faults[0])
    file.write_bytes(b"".join([*lines[:3], lines[4], lines[3], *lines[5:]]))
    assert not verify([file]).sound
    file.write_bytes(b"".join(lines[2:]))
    assert "the lines before it were cut off" in str(verify([file]).faults[0])
    file.write_bytes(b"".join([*lines[:3], b'{"decision":{"id":"forged"}}\n', *lines[3:]]))
    assert "not written by the log" in str(verify([file]).faults[0])
    file.write_bytes(b"".join([*lines[:3], b"garbage\n", *lines[3:]]))
    assert "no line says that it was torn" in str(verify([file]).faults[0])


def test_a_log_written_anew_from_some_line_on_shows_against_an_anchor(file: Path) -> None:
    lines = written(file)
    kept = [Anchor(5, parse(lines[4]).hash), Anchor(2, parse(lines[1]).hash)]
    head = parse(lines[2]).head
    for index in range(3, len(lines)):
        what = {k: v for k, v in parse(lines[index]).body.items() if k != "hash"}
        lines[index], head = seal(what | {"time": "2020-01-01T00:00:00+00:00"}, head)
    file.write_bytes(b"".join(lines))
    assert verify([file]).sound
    report = verify([file], kept)
    (fault,) = report.faults
    assert fault.place.line == 5
    assert "written anew" in fault.what
    assert report.anchors_met == 1
    assert "of another log" in str(verify([file], [Anchor(2, "0" * 64, "ff")]).faults[0])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_write_cut_off_anywhere_is_closed_and_the_log_stays_sound(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "audit.jsonl"
    lines = written(file, 3)
    for crash in range(data.draw(st.integers(1, 3), label="crashes")):
        whole = file.read_bytes()
        last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
        cut = data.draw(st.integers(last, len(whole) - 1), label="cut")
        file.write_bytes(whole[:cut])
        report = verify([file])
        assert report.sound, report.faults
        go_on(file, 90 + crash)
    report = verify([file])
    assert report.sound, report.faults
    assert lines[2] in file.read_bytes()  # what was whole is as it was


def test_a_crash_in_the_first_line_of_a_file_is_told_too(file: Path) -> None:
    whole = b"".join(written(file, 1))
    file.write_bytes(whole[:50])
    go_on(file)
    assert (file.with_name("audit.unchained.jsonl")).read_bytes() == whole[:50]
    assert verify([file]).sound
    files.put_aside(file, 1)
    file.write_bytes(whole[:70])
    go_on(file, 100)
    report = verify([file])
    assert report.sound, report.faults
    assert (file.with_name("audit.unchained-2.jsonl")).read_bytes() == whole[:70]
    assert report.lines == 4


def test_a_torn_line_that_is_taken_away_afterwards_is_missed(file: Path) -> None:
    whole = b"".join(written(file, 3))
    file.write_bytes(whole[:-100])
    go_on(file)
    lines = file.read_bytes().splitlines(keepends=True)
    assert "torn after" in str(verify([file]).notes[0])
    file.write_bytes(b"".join(lines[:3] + lines[4:]))
    assert "they are gone" in str(verify([file]).faults[0])
    changed = lines[3].replace(b"why", b"because")
    file.write_bytes(b"".join([*lines[:3], changed, *lines[4:]]))
    assert "and not what was torn" in str(verify([file]).faults[0])


def test_a_last_line_that_was_edited_is_not_taken_for_a_torn_one(file: Path) -> None:
    lines = written(file, 3)
    lines[-1] = lines[-1].replace(b"why", b"because")
    file.write_bytes(b"".join(lines))
    troubles = Troubles()
    log = AuditLog(file, troubles)
    log.add(*entry(7))
    log.close()
    assert troubles.counts["audit file"] == 1
    report = verify([file])
    assert report.faults[0].place.line == 4
    assert "changed after it was written" in report.faults[0].what
    event = [json.loads(raw) for raw in file.read_bytes().splitlines()][4]["chain"]
    assert event["event"] == "damaged"


def test_a_log_truncated_under_the_daemon_shows_what_is_missing(file: Path) -> None:
    log = AuditLog(file, Troubles())
    for number in range(5):
        log.add(*entry(number))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]))
    log.add(*entry(5))
    log.close()
    assert "3 lines were removed before it" in str(verify([file]).faults[0])


def test_what_others_append_is_found_and_the_daemon_goes_on(file: Path) -> None:
    log = AuditLog(file, Troubles())
    log.add(*entry(1))
    with file.open("ab") as other:
        other.write(b'{"decision":{"id":"forged"}}\n')
    log.add(*entry(2))
    log.close()
    report = verify([file])
    assert report.faults[0].place.line == 3
    assert "not written by the log" in report.faults[0].what
    assert ids(file) == ["d1", "forged", "d2"]


def test_bytes_that_are_no_line_are_refused_with_a_reason() -> None:
    for raw, what in (
        (b"nonsense\n", "no JSON"),
        (b"[1]\n", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"sequence":true}', "no `sequence`"),
        (b'{"sequence":1}', "no `previous`"),
        (b'{"sequence":1,"previous":"' + b"0" * 64 + b'"}', "does not end with its `hash`"),
    ):
        with pytest.raises(LineError, match=what):
            parse(raw)


def test_whatever_a_decision_holds_becomes_json() -> None:
    held = {"n": np.float64(1.5), "a": np.array([1, 2]), "nan": np.nan, 3: (Kind.SHIFT, Path("x"))}
    assert plain(held) == {"n": 1.5, "a": [1, 2], "nan": None, "3": ["shift", "x"]}
    assert canonical(plain(entry(1)[0])).startswith(b'{"dry_run":false')
