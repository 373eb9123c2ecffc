"""What is in the spool stays there, in order, until it is released."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.store import spool as module
from controller.store.spool import HEADER, Position, Spool, SpoolBusyError, SpoolFullError

START = Position(0, 0)


def drain(spool: Spool, after: Position = START) -> list[bytes]:
    found: list[bytes] = []
    while records := spool.read(after, 3):
        found += [one.payload for one in records]
        after = records[-1].end
    return found


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 100)


steps = st.lists(
    st.tuples(st.sampled_from(["append", "read", "release", "restart"]), st.binary(max_size=60)),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=steps)
@pytest.mark.usefixtures("small_segments")
def test_every_record_is_read_once_in_order_and_again_after_a_restart(
    steps: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"), 1 << 20)
    kept: list[tuple[bytes, Position | None]] = []  # appended, and where it was read
    position, read = START, 0
    for what, payload in steps:
        if what == "append":
            spool.append(payload, 1)
            kept.append((payload, None))
        elif what == "read":
            for record in spool.read(position, 2):
                assert record.payload == kept[read][0]
                kept[read] = (record.payload, record.end)
                position, read = record.end, read + 1
            assert spool.samples_after(position) == len(kept) - read
        elif what == "release":
            spool.release(position)
        else:
            spool.close()
            again = Spool(spool.directory, 1 << 20)
            again.open()
            left = again.samples
            assert left >= len(kept) - read  # nothing that was not read is gone
            kept, spool = kept[len(kept) - left :], again
            kept = [(one, None) for one, _ in kept]
            position, read = START, 0
    assert drain(spool, position) == [one for one, _ in kept[read:]]
    spool.close()


def test_a_record_that_was_torn_by_a_crash_is_cut_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    spool.append(b"whole", 1)
    spool.append(b"torn", 1)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    os.truncate(segment, segment.stat().st_size - 2)
    spool = Spool(tmp_path, 1 << 20)
    spool.append(b"next", 1)
    assert drain(spool) == [b"whole", b"next"]
    spool.close()


def test_a_record_whose_bytes_changed_is_not_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    spool.append(b"whole", 1)
    spool.append(b"wrong", 1)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    spool = Spool(tmp_path, 1 << 20)
    assert drain(spool) == [b"whole"]
    spool.close()


def test_what_lies_behind_damage_is_put_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    for payload in (b"whole", b"wrong", b"behind"):
        spool.append(payload, 1)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes().replace(b"wrong", b"wrung"))
    spool = Spool(tmp_path, 1 << 20)
    assert drain(spool) == [b"whole"]
    assert spool.damaged == 1
    (aside,) = tmp_path.glob("*.damaged")
    assert b"behind" in aside.read_bytes()
    spool.close()


def test_a_closed_spool_is_not_opened_again_by_a_late_reader(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, 1000), Spool(tmp_path, 1000)
    first.append(b"a", 1)
    first.close()
    with pytest.raises(OSError, match="closed"):
        first.read(START, 1)
    assert drain(second) == [b"a"]
    second.close()


def test_beyond_the_bound_nothing_is_taken_until_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2 * (HEADER.size + 10))
    spool.append(b"0" * 10, 1)
    spool.append(b"1" * 10, 1)
    with pytest.raises(SpoolFullError, match="is full"):
        spool.append(b"2" * 10, 1)
    assert spool.full_pct == 100
    spool.release(spool.read(START, 10)[-1].end)
    assert spool.size_bytes == 0
    spool.append(b"2" * 10, 1)
    assert drain(spool, Position(1, 10**6)) == [b"2" * 10]
    spool.close()


def test_two_controllers_do_not_share_a_spool(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, 1000), Spool(tmp_path, 1000)
    first.append(b"a", 1)
    with pytest.raises(SpoolBusyError, match="another controller"):
        second.append(b"b", 1)
    first.close()
    second.append(b"b", 1)
    assert drain(second) == [b"a", b"b"]
    second.close()


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a file in the way")
    spool = Spool(tmp_path / "in" / "spool", 1000)
    with pytest.raises(OSError, match="in"):
        spool.append(b"a", 1)
    (tmp_path / "in").unlink()
    spool.append(b"a", 1)
    assert drain(spool) == [b"a"]
    spool.close()


def test_nothing_follows_a_torn_record_that_could_not_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 1 << 20)
    spool.append(b"first", 1)
    write = os.write

    def broken(*_: object) -> None:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(module.os, "write", lambda file, data: write(file, data[: len(data) // 2]))
        disk.setattr(module.os, "ftruncate", broken)
        with pytest.raises(OSError, match="no space left"):
            spool.append(b"torn", 1)
    spool.append(b"second", 1)
    assert drain(spool) == [b"first", b"second"]
    spool.close()
    again = Spool(tmp_path, 1 << 20)
    assert drain(again) == [b"first", b"second"]
    again.close()
