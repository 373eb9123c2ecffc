"""A daemon that is killed in the midst of writing leaves a log that goes on and checks out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from controller.audit import AuditLog
from controller.audit.files import all_parts
from controller.audit.verify import verify
from controller.trouble import Troubles
from harness.audit_lines import entry, ids

WRITER = """
import sys
from controller.audit import AuditLog, AuditSettings
from controller.trouble import Troubles
from harness.audit_lines import entry
log = AuditLog(sys.argv[1], Troubles(), AuditSettings(rotate_bytes=20_000))
first = int(sys.argv[2])
for number in range(first, first + 1_000_000):
    log.add(*entry(number))
    print(number, flush=True)
"""


def killed(file: Path, first: int, after: int) -> set[int]:
    """A process writes from `first` on and is killed when it has reported so many; what it reported."""
    command = [sys.executable, "-c", WRITER, str(file), str(first)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().splitlines(keepends=True)
    return {int(line) for line in told if line.endswith("\n")}


def test_no_decision_that_was_written_is_lost_when_the_daemon_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    reported: set[int] = set()
    for first, after in ((0, 250), (100_000, 111)):
        reported |= killed(file, first, after)
        report = verify([file])
        assert report.sound, report.faults
        assert set(ids(*all_parts(file))) >= {f"d{number}" for number in reported}
    log = AuditLog(file, Troubles())
    log.add(*entry(10_000_000))
    log.close()
    report = verify([file])
    assert report.sound, report.faults
    assert report.complete
    assert len(report.files) > 5
    assert report.lines >= len(reported) + 1
