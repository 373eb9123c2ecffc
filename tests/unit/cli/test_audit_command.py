"""`umbra audit`, without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from controller.audit import AuditLog, AuditSettings
from controller.cli import app
from controller.trouble import Troubles
from harness.audit_lines import entry


def umbra(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "audit.jsonl"
    log = AuditLog(found, Troubles(), AuditSettings(rotate_bytes=2500))
    for number in range(10):
        log.add(*entry(number))
    log.close()
    return found


def test_a_sound_log_is_said_to_be_unchanged_with_its_head(file: Path) -> None:
    done = umbra("verify", file)
    assert done.exit_code == 0, done.output
    assert "unchanged" in done.stdout
    head = umbra("head", file)
    assert head.exit_code == 0
    assert head.stdout.strip() in done.stdout
    told = json.loads(umbra("verify", file, "--json", "--anchor", head.stdout.strip()).stdout)
    assert (told["sound"], told["complete"], told["anchors_met"]) == (True, True, 1)


def test_an_edited_line_is_named_and_the_exit_code_is_1(file: Path) -> None:
    part = file.with_name("audit.000002.jsonl")
    part.write_bytes(part.read_bytes().replace(b"why", b"because", 1))
    done = umbra("verify", file)
    assert done.exit_code == 1
    assert f"{part}, line 2: was changed after it was written" in done.stderr
    assert umbra("head", file).exit_code == 1
    assert json.loads(umbra("verify", file, "--json").stdout)["faults"][0]["line"] == 2


def test_a_tail_that_was_cut_off_shows_against_a_kept_head(file: Path, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.jsonl"
    anchors.write_text(umbra("head", file, "--json").stdout)
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[:-1]))
    assert umbra("verify", file).exit_code == 0
    done = umbra("verify", file, "--anchor", anchors)
    assert done.exit_code == 1
    assert "its end was cut off" in done.stderr


def test_a_log_whose_beginning_is_elsewhere_has_an_exit_code_of_its_own(file: Path) -> None:
    for part in file.parent.glob("audit.0*.jsonl"):
        part.unlink()
    done = umbra("verify", file)
    assert done.exit_code == 3
    assert "is not here" in done.stdout


def test_what_cannot_be_read_is_named_with_the_remedy(file: Path, tmp_path: Path) -> None:
    done = umbra("verify", tmp_path / "none.jsonl")
    assert done.exit_code == 2
    assert "none.jsonl cannot be read" in done.stderr
    done = umbra("verify", file, "--anchor", "17:xyz")
    assert done.exit_code == 2
    assert "give SEQUENCE:HASH" in done.stderr


def test_examples_are_lines_of_json(file: Path) -> None:
    done = umbra("examples", file)
    assert done.exit_code == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in found] == [f"d{n}" for n in range(10)]
    assert found[0]["inputs"] == {"p": None}
