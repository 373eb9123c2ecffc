"""Directories that look like the kernel's cgroup mounts, v1 and v2, and behave like them as far as files can.

A new directory gets the control files that the kernel would put there; what the kernel would not make is not made.
Reading back what was written, refusals by permission, by missing controllers and by full groups are the file system's.
"""

from __future__ import annotations

from pathlib import Path

from controller.act.resources import Mounts, Version

V1_FILES = {
    "cpu": {
        "cpu.shares": "1024",
        "cpu.cfs_quota_us": "-1",
        "cpu.cfs_period_us": "100000",
        "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0",
    },
    "cpuacct": {"cpuacct.usage": "0"},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712",
        "memory.usage_in_bytes": "0",
        "memory.stat": "inactive_file 0\ntotal_inactive_file 0",
    },
}
V2_FILES = {
    "cpu": {"cpu.max": "max 100000", "cpu.weight": "100"},
    "memory": {"memory.max": "max", "memory.current": "0", "memory.stat": "inactive_file 0"},
}
V2_STAT = "usage_usec 0\nuser_usec 0\nsystem_usec 0"


def v1(base: Path) -> Mounts:
    """Three mounts, as without systemd."""
    for name in V1_FILES:
        (base / name).mkdir(parents=True)
        (base / name / "cgroup.procs").write_text("1\n")
    return Mounts(Version.V1, base / "cpu", base / "cpuacct", base / "memory")


def v2(base: Path, controllers: str = "cpuset cpu io memory pids") -> Mounts:
    """One mount, whose root has these controllers and passes none on yet."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "cgroup.controllers").write_text(controllers)
    (base / "cgroup.subtree_control").write_text("")
    (base / "cgroup.procs").write_text("1\n")
    return Mounts(Version.V2, base, base, base)


def populate(mounts: Mounts, path: str) -> None:
    """What the kernel puts into a group that was just made."""
    if mounts.version is Version.V1:
        for name, files in V1_FILES.items():
            _fill(getattr(mounts, name) / path, files)
        return
    files = {"cpu.stat": V2_STAT, "cgroup.subtree_control": ""}
    for own in V2_FILES.values():
        files |= own
    _fill(mounts.cpu / path, files)


def _fill(directory: Path, files: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in {"cgroup.procs": "", **files}.items():
        (directory / name).write_text(text + "\n")


def mountinfo(base: Path, *lines: str) -> Path:
    """A /proc/self/mountinfo with these "TYPE DIRECTORY OPTIONS", after other mounts."""
    rows = ["22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"]
    for number, line in enumerate(lines):
        kind, directory, options = line.split(" ")
        rows.append(
            f"{30 + number} 22 0:{number} / {directory} rw,nosuid - {kind} {kind} {options}"
        )
    file = base / "mountinfo"
    file.write_text("\n".join(rows) + "\n")
    return file
