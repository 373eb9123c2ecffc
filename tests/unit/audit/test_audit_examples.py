"""What can be learned from an audit log: decisions, their inputs, and what came of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.audit import AuditLog, AuditSettings
from controller.audit.examples import UnsoundError, examples
from controller.trouble import Troubles
from harness.audit_lines import entry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def allocate(log: AuditLog, number: int, time_s: float) -> None:
    what = {
        "id": f"a{number}",
        "device": "r1",
        "inputs": {"cpu_p90": 0.5 + number},
        "amounts": {"cpu_cores": 1.0},
    }
    log.note(time_s, "allocation", what)


def test_a_decision_comes_with_its_inputs_and_all_that_came_of_it(file: Path) -> None:
    log = AuditLog(file, Troubles(), AuditSettings(rotate_bytes=1500))
    log.add(*entry(1))
    allocate(log, 1, 1001.0)
    allocate(log, 2, 1002.0)
    log.note(1003.0, "result", {"of": "a1", "regret": 0.25, "unmet": False})
    log.note(1004.0, "result", {"of": "a1", "unmet": True})
    log.note(1005.0, "model", {"version": "v1", "what": "promoted"})
    log.close()
    decision, first, second = examples([file])
    assert (decision.subject, decision.target, decision.inputs) == ("decision", "r1", {"p": None})
    assert decision.time_s == 1000.5
    assert decision.decided["shift_after_pct"] == 10
    assert decision.result["decide_to_written_ms"] == 3.5
    assert first.inputs == {"cpu_p90": 1.5}
    assert first.decided == {"device": "r1", "amounts": {"cpu_cores": 1.0}}
    assert first.result == {"regret": 0.25, "unmet": True}
    assert second.result == {}
    assert [one.id for one in examples([file], subjects=["allocation"])] == ["a1", "a2"]


def test_an_example_waits_for_its_results_only_so_long(file: Path) -> None:
    log = AuditLog(file, Troubles())
    allocate(log, 1, 1000.0)
    log.note(1005.0, "result", {"of": "a1", "early": 1})
    allocate(log, 2, 1011.0)
    log.note(1012.0, "result", {"of": "a1", "late": 1})
    log.close()
    first, _ = examples([file], within_s=10.0)
    assert first.result == {"early": 1}


def test_nothing_is_learned_from_a_log_that_was_changed(file: Path) -> None:
    log = AuditLog(file, Troubles())
    for number in range(3):
        allocate(log, number, 1000.0 + number)
    log.close()
    file.write_bytes(file.read_bytes().replace(b"1.5", b"9.5"))
    with pytest.raises(UnsoundError, match="line 3: was changed after it was written"):
        list(examples([file]))
    assert len(list(examples([file], checked=False))) == 3
