"""Which cgroup version is mounted, and where (cgroups(7), proc_pid_mountinfo(5)).

Found out, not configured: with v2 the controllers may be there, or still belong to v1 beside it ("hybrid"); then v1 is
what limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from controller.act.resources.errors import AllocationError

MOUNTINFO = Path("/proc/self/mountinfo")
NEEDED_V1 = ("cpu", "cpuacct", "memory")
NEEDED_V2 = ("cpu", "memory")


class Version(StrEnum):
    """Of the cgroup interface."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class Mounts:
    """Directories below which groups are made. With v2 all three are the same one."""

    version: Version
    cpu: Path
    cpuacct: Path
    memory: Path

    @property
    def roots(self) -> tuple[Path, ...]:
        """Each directory once."""
        return tuple(dict.fromkeys((self.cpu, self.cpuacct, self.memory)))


def find(version: Version | None = None, mountinfo: Path = MOUNTINFO) -> Mounts:
    """The mounts of `version`; of v2 where it has the controllers and else of v1, when none is named.

    Raises AllocationError that names what is missing.
    """
    v1, v2 = _mounted(mountinfo)
    missing_v1 = _missing_v1(v1)
    missing_v2 = _missing_v2(v2)
    if version is not Version.V1 and v2 is not None and not missing_v2:
        return Mounts(Version.V2, v2, v2, v2)
    if version is not Version.V2 and not missing_v1:
        return Mounts(Version.V1, v1["cpu"], v1["cpuacct"], v1["memory"])
    problems = {Version.V1: missing_v1, Version.V2: missing_v2}
    told = [
        f"{one.value}: {problem}"
        for one, problem in problems.items()
        if version in (None, one) and problem
    ]
    raise AllocationError(f"no cgroups for CPU and memory ({'; '.join(told)})")


def _mounted(mountinfo: Path) -> tuple[Mapping[str, Path], Path | None]:
    """(v1 controller → directory, directory of v2)."""
    try:
        text = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise AllocationError(
            f"{mountinfo} cannot be read ({error.strerror}): mount /proc"
        ) from error
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if kind[0] == "cgroup":
            v1 |= dict.fromkeys(kind[2].split(","), place)
        elif kind[0] == "cgroup2":
            v2 = place
    return v1, v2


def _missing_v1(v1: Mapping[str, Path]) -> str:
    lacking = [name for name in NEEDED_V1 if name not in v1]
    if lacking:
        return f"controller {', '.join(lacking)} is not mounted: mount -t cgroup -o {lacking[0]} cgroup DIRECTORY"
    for name in NEEDED_V1:
        if not (v1[name] / "cgroup.procs").exists():
            return _hidden(v1[name])
    return ""


def _missing_v2(v2: Path | None) -> str:
    if v2 is None:
        return "not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    try:
        has = (v2 / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError:
        return _hidden(v2)
    lacking = [name for name in NEEDED_V2 if name not in has]
    if lacking:
        return (
            f"{v2}/cgroup.controllers lacks {', '.join(lacking)}: v1 holds it, or a parent group does not pass it on; "
            "boot with systemd.unified_cgroup_hierarchy=1, or write "
            f'"+{" +".join(lacking)}" to the parent\'s cgroup.subtree_control'
        )
    return ""


def _hidden(place: Path) -> str:
    return f"{place} is mounted but hidden by another mount: mount it again where it can be seen"
