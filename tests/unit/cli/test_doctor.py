"""What `umbra doctor` says of a machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller import doctor
from controller.cli import app
from controller.doctor import Finding, Need, Report


def test_every_absence_says_what_it_costs_and_what_to_do() -> None:
    for finding in doctor.examine([("API", "127.0.0.1", 0, "set api.port")]).findings:
        assert finding.found
        if finding.ok:
            assert not finding.costs
            assert not finding.remedy
        else:
            assert finding.costs
            assert finding.remedy


def test_every_library_that_umbra_requires_is_looked_at() -> None:
    names = {finding.name for finding in doctor.examine().findings if finding.library}
    assert {"finsy", "os-ken", "pydantic", "fastapi", "scikit-learn"} <= names


def test_a_taken_port_is_reported_and_a_free_one_is_free() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        report = doctor.examine([("API", "127.0.0.1", port, "set api.port")])
        (taken,) = (f for f in report.findings if f.name.startswith("port "))
    report = doctor.examine([("API", "127.0.0.1", port, "set api.port")])
    (free,) = (f for f in report.findings if f.name.startswith("port "))
    assert not taken.ok
    assert "set api.port" in taken.remedy
    assert free.ok


def test_an_empty_path_lacks_the_tools_and_says_which_packages_bring_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = doctor.examine()
    found = {finding.name: finding for finding in report.findings}
    assert not found["simple_switch_grpc"].ok
    assert "p4lang-bmv2" in found["simple_switch_grpc"].remedy
    assert not found["p4c-bm2-ss"].ok
    assert not found["network namespaces, veth"].ok
    assert not report.has_bmv2
    assert not report.can_emulate


def test_a_tool_on_the_path_is_found_with_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "simple_switch_grpc"
    tool.write_text(f"#!{shutil.which('sh')}\necho 9.8.7-test\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = doctor.examine()
    assert report.has_bmv2
    (found,) = (f for f in report.findings if f.name == "simple_switch_grpc")
    assert "9.8.7-test" in found.found


def test_root_is_what_the_system_says() -> None:
    (root,) = (f for f in doctor.examine().findings if f.name == "root")
    assert root.ok == (os.geteuid() == 0)


def test_one_missing_necessity_means_that_nothing_runs() -> None:
    report = Report(
        (
            Finding("finsy", Need.ALL, False, "not installed", "no", "pip install finsy"),
            Finding("root", Need.FABRIC, True, "yes"),
        )
    )
    assert not report.can_run
    assert not report.can_emulate


def test_a_missing_option_stops_nothing() -> None:
    report = Report((Finding("p4c-bm2-ss", Need.OPTION, False, "not installed", "a", "b"),))
    assert report.can_run
    assert report.can_emulate


def test_the_table_and_the_json_tell_the_same() -> None:
    run = CliRunner()
    told = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)
    shown = run.invoke(app, ["doctor"], env={"COLUMNS": "200"}).stdout
    for finding in told["findings"]:
        if not finding["library"]:
            assert finding["name"] in shown
    libraries = [finding for finding in told["findings"] if finding["library"]]
    fitting = [finding for finding in libraries if finding["ok"]]
    assert f"{len(fitting)} of {len(libraries)} fit" in shown
    assert ("yes  the controller runs here" in shown) == told["can_run"]
