"""What the demo's user notices around it: reasons before it begins, and whose the files are that it writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topologies.demo import run as demo

USER, GROUP = 4321, 4322

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as under sudo")


@root
def test_under_sudo_the_report_and_the_folders_made_for_it_belong_to_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", str(USER))
    monkeypatch.setenv("SUDO_GID", str(GROUP))
    report = tmp_path / "reports" / "today" / "demo.html"
    (tmp_path / "reports").mkdir()
    for path in (report, report.with_name("demo.json")):
        demo._write(path, "text")
        assert (path.stat().st_uid, path.stat().st_gid) == (USER, GROUP)
    assert report.parent.stat().st_uid == USER
    assert report.parent.parent.stat().st_uid == 0


def test_a_report_that_cannot_be_written_is_refused_before_the_runs(tmp_path: Path) -> None:
    with pytest.raises(demo.DemoError, match="is a folder: name a file"):
        demo._check_writable(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(demo.DemoError, match="is no folder that can be written to"):
        demo._check_writable(file / "reports" / "demo.html")
    demo._check_writable(tmp_path / "reports" / "demo.html")
    assert list(tmp_path.iterdir()) == [file]
