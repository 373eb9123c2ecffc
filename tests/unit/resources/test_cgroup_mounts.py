"""Which cgroup version is found, on machines of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.resources.cgroup_trees import mountinfo, v1, v2

from controller.act.resources import AllocationError, Version, find


def test_separate_v1_mounts_are_found_where_v2_has_no_controllers(tmp_path: Path) -> None:
    wanted = v1(tmp_path / "old")
    v2(tmp_path / "unified", controllers="hugetlb")
    file = mountinfo(
        tmp_path,
        *(f"cgroup {getattr(wanted, name)} rw,{name}" for name in ("cpu", "cpuacct", "memory")),
        f"cgroup2 {tmp_path / 'unified'} rw",
    )
    assert find(mountinfo=file) == wanted


def test_cpu_and_cpuacct_mounted_together_are_one_directory(tmp_path: Path) -> None:
    both = v1(tmp_path / "old")
    file = mountinfo(
        tmp_path,
        f"cgroup {both.cpu} rw,cpu,cpuacct",
        f"cgroup {both.memory} rw,memory",
    )
    found = find(mountinfo=file)
    assert found.roots == (both.cpu, both.memory)


def test_v2_is_taken_where_it_has_the_controllers(tmp_path: Path) -> None:
    wanted = v2(tmp_path / "unified")
    file = mountinfo(tmp_path, f"cgroup2 {wanted.cpu} rw,nsdelegate")
    assert find(mountinfo=file) == wanted


def test_a_version_can_be_asked_for(tmp_path: Path) -> None:
    old, new = v1(tmp_path / "old"), v2(tmp_path / "unified")
    file = mountinfo(
        tmp_path,
        *(f"cgroup {getattr(old, name)} rw,{name}" for name in ("cpu", "cpuacct", "memory")),
        f"cgroup2 {new.cpu} rw",
    )
    assert find(Version.V1, file) == old
    assert find(Version.V2, file) == new


def test_directories_with_spaces_are_read(tmp_path: Path) -> None:
    wanted = v2(tmp_path / "a b")
    file = mountinfo(tmp_path, f"cgroup2 {str(wanted.cpu).replace(' ', chr(92) + '040')} rw")
    assert find(mountinfo=file) == wanted


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "cpu, cpuacct, memory is not mounted: mount -t cgroup"),
        (("cgroup {}/old/cpu rw,cpu",), "cpuacct, memory is not mounted"),
        (("cgroup2 {}/unified rw",), "cgroup.controllers lacks cpu, memory"),
        (("cgroup2 {}/elsewhere rw",), "elsewhere is mounted but hidden"),
    ],
)
def test_what_is_missing_is_told_with_the_remedy(
    tmp_path: Path, lines: tuple[str, ...], says: str
) -> None:
    v1(tmp_path / "old")
    v2(tmp_path / "unified", controllers="hugetlb")
    file = mountinfo(tmp_path, *(line.format(tmp_path) for line in lines))
    with pytest.raises(AllocationError, match=says):
        find(mountinfo=file)


def test_without_proc_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(AllocationError, match="mount /proc"):
        find(mountinfo=tmp_path / "nothing")
