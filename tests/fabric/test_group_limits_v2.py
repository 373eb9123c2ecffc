"""The same on cgroup v2 where this machine has v1: on another kernel, which runs as a process of this one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from topologies import user_mode
from topologies.bench.resources import limits_groups

TESTS = Path(__file__).with_name("test_group_limits.py")
GUEST_S = 300.0


@pytest.fixture
def other_kernel() -> None:
    reason = user_mode.unavailable()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.usefixtures("other_kernel")
def test_limits_hold_on_cgroup_v2(tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--noconftest", "--rootdir", str(TESTS.parents[2])]
    told = user_mode.run(["pytest", *options, str(TESTS)], tmp_path, GUEST_S)
    assert "passed" in told.strip().splitlines()[-1]
    assert "skipped" not in told


@pytest.mark.usefixtures("other_kernel")
def test_what_the_benchmark_measures_there_is_v2(tmp_path: Path) -> None:
    found = json.loads(user_mode.run([limits_groups.__name__, "0.2"], tmp_path, GUEST_S))
    assert found["version"] == "v2"
    assert all(most <= allowed for allowed, most, _ in found["memory"])
    assert len(found["cpu"]) == len(limits_groups.CORES)


@pytest.mark.usefixtures("other_kernel")
def test_a_program_that_fails_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(user_mode.UserModeError, match="No module named no_such_module"):
        user_mode.run(["no_such_module"], tmp_path, GUEST_S)


def test_without_the_program_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_mode, "PROGRAM", "no-such-kernel")
    with pytest.raises(user_mode.UserModeError, match="install user-mode-linux"):
        user_mode.run(["json"], tmp_path, GUEST_S)
