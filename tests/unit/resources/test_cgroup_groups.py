"""What is written into the control files of both cgroup versions, and what a user is told when that fails."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.resources.cgroup_trees import populate, v1, v2

from controller.act.resources import AllocationError, Mounts
from controller.act.resources.group import PAGE_BYTES, Group, pages, quota
from controller.act.resources.groups import group

MIB = 1 << 20
PATH = "umbra/run/r1"
TREES = {"v1": v1, "v2": v2}


@pytest.fixture(params=sorted(TREES))
def mounts(request: pytest.FixtureRequest, tmp_path: Path) -> Mounts:
    """Mounts of one version."""
    return TREES[request.param](tmp_path)


@pytest.fixture
def own(mounts: Mounts) -> Group:
    """A group that the kernel has made."""
    populate(mounts, PATH)
    return group(mounts, PATH)


def text(mounts: Mounts, name: str) -> str:
    """What a control file of the group holds."""
    root = getattr(mounts, name.partition(".")[0])
    return (root / PATH / name).read_text().strip()


def test_a_new_group_has_no_limit(own: Group) -> None:
    assert math.isinf(own.cpu_cores())
    assert math.isinf(own.memory_bytes())


def test_limits_are_read_back_as_they_were_set(own: Group) -> None:
    own.limit_cpu(1.5)
    own.limit_memory(64 * MIB)
    assert own.cpu_cores() == pytest.approx(1.5)
    assert own.memory_bytes() == 64 * MIB
    own.limit_cpu(0.25)
    own.limit_memory(32 * MIB)
    assert own.cpu_cores() == pytest.approx(0.25)
    assert own.memory_bytes() == 32 * MIB


def test_limits_are_lifted(own: Group) -> None:
    own.limit_cpu(0.5)
    own.limit_memory(MIB)
    own.limit_cpu(math.inf)
    own.limit_memory(math.inf)
    assert math.isinf(own.cpu_cores())
    assert math.isinf(own.memory_bytes())


@pytest.mark.parametrize(("tasks", "weight"), [(1, 1), (7, 7), (1000, 100)])
def test_a_group_weighs_as_much_as_its_tasks(tmp_path: Path, tasks: int, weight: int) -> None:
    mounts = v2(tmp_path)
    populate(mounts, PATH)
    group(mounts, PATH).weigh(tasks)
    assert group(mounts, PATH).weight() == weight
    assert text(mounts, "cpu.weight") == str(100 * weight)


def test_v1_files_get_quota_period_and_bytes(tmp_path: Path) -> None:
    mounts = v1(tmp_path)
    populate(mounts, PATH)
    group(mounts, PATH).limit_cpu(0.5)
    group(mounts, PATH).limit_memory(10 * MIB + 1)
    assert text(mounts, "cpu.cfs_quota_us") == "5000"
    assert text(mounts, "cpu.cfs_period_us") == "10000"
    assert text(mounts, "memory.limit_in_bytes") == str(10 * MIB + PAGE_BYTES)


def test_v2_files_get_quota_and_period_in_one_line(tmp_path: Path) -> None:
    mounts = v2(tmp_path)
    populate(mounts, PATH)
    group(mounts, PATH).limit_cpu(0.5)
    group(mounts, PATH).limit_memory(10 * MIB + 1)
    assert text(mounts, "cpu.max") == "5000 10000"
    assert text(mounts, "memory.max") == str(10 * MIB + PAGE_BYTES)


def test_v1_counters_become_seconds_and_the_working_set(tmp_path: Path) -> None:
    mounts = v1(tmp_path)
    populate(mounts, PATH)
    (mounts.cpuacct / PATH / "cpuacct.usage").write_text("1500000000\n")
    (mounts.cpu / PATH / "cpu.stat").write_text("nr_periods 40\nnr_throttled 10\nthrottled_time 7")
    (mounts.memory / PATH / "memory.usage_in_bytes").write_text(f"{9 * MIB}\n")
    (mounts.memory / PATH / "memory.stat").write_text(f"total_inactive_file {2 * MIB}\n")
    use = group(mounts, PATH).use()
    assert (use.cpu_s, use.memory_bytes) == (1.5, 7 * MIB)
    assert (use.periods, use.limited_periods) == (40, 10)


def test_v2_counters_become_seconds_and_the_working_set(tmp_path: Path) -> None:
    mounts = v2(tmp_path)
    populate(mounts, PATH)
    stat = "usage_usec 1500000\nnr_periods 40\nnr_throttled 10\nthrottled_usec 7"
    (mounts.cpu / PATH / "cpu.stat").write_text(stat)
    (mounts.cpu / PATH / "memory.current").write_text(f"{9 * MIB}\n")
    (mounts.cpu / PATH / "memory.stat").write_text(f"anon 5\ninactive_file {2 * MIB}\n")
    use = group(mounts, PATH).use()
    assert (use.cpu_s, use.memory_bytes) == (1.5, 7 * MIB)
    assert (use.periods, use.limited_periods) == (40, 10)


def test_v2_controllers_are_passed_on_by_every_parent(tmp_path: Path) -> None:
    mounts = v2(tmp_path)
    for path in ("umbra", "umbra/run"):
        populate(mounts, path)
    group(mounts, PATH).make()
    for parent in (mounts.cpu, mounts.cpu / "umbra", mounts.cpu / "umbra" / "run"):
        assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_a_group_that_is_not_there_is_named_with_the_remedy(mounts: Mounts) -> None:
    with pytest.raises(AllocationError, match=r"umbra/run/r1/.* there is no such group; start"):
        group(mounts, PATH).limit_cpu(1.0)


def test_a_controller_that_is_not_enabled_is_named_with_the_remedy(tmp_path: Path) -> None:
    mounts = v2(tmp_path)
    populate(mounts, PATH)
    (mounts.cpu / PATH / "memory.max").unlink()
    with pytest.raises(
        AllocationError, match=r'not enabled there; write "\+memory" to .*/run/cgroup.subtree_cont'
    ):
        group(mounts, PATH).limit_memory(MIB)


def test_a_control_file_with_nonsense_is_named(own: Group, mounts: Mounts) -> None:
    for directory in own.directories:
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (directory / name).exists():
                (directory / name).write_text("much\n")
    with pytest.raises(AllocationError, match="holds 'much', no number"):
        own.memory_bytes()


def test_a_v1_quota_that_a_parent_refuses_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller.act.resources import files

    mounts = v1(tmp_path)
    populate(mounts, PATH)
    own = group(mounts, PATH)
    own.limit_cpu(0.05)  # a period of its own
    write = files.write

    def parent_allows_half_a_core(path: Path, value: str, *, remedy: str = "") -> None:
        if path.name == "cpu.cfs_quota_us" and int(value) > 5000:
            raise files.failure(path, f"take {value!r}", OSError(22, "Invalid argument"), remedy)
        write(path, value, remedy=remedy)

    monkeypatch.setattr(files, "write", parent_allows_half_a_core)
    with pytest.raises(AllocationError, match="a parent group allows less CPU"):
        own.limit_cpu(2.0)
    assert own.cpu_cores() == pytest.approx(0.05)


@given(st.floats(0.001, 1024))
def test_a_quota_is_what_was_asked_and_what_the_kernel_takes(cores: float) -> None:
    quota_us, period_us = quota(cores)
    assert quota_us >= 1000
    assert 1000 <= period_us <= 1_000_000
    assert quota_us / period_us == pytest.approx(cores, rel=0.01, abs=1e-4)


@given(st.floats(0, 0.001))
def test_hardly_any_cpu_is_a_thousandth_of_a_core(cores: float) -> None:
    assert quota(cores) == (1000, 1_000_000)


@pytest.mark.parametrize("cores", [math.inf, math.nan, -0.1])
def test_what_is_no_amount_has_no_quota(cores: float) -> None:
    with pytest.raises(ValueError, match="no number of cores"):
        quota(cores)


@given(st.integers(0, 2**50))
def test_memory_is_rounded_up_to_pages(memory_bytes: int) -> None:
    assert pages(memory_bytes) % PAGE_BYTES == 0
    assert 0 <= pages(memory_bytes) - memory_bytes <= PAGE_BYTES
