"""Reading and writing the kernel's control files, with errors that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from controller.act.resources.errors import AllocationError

_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def read(path: Path) -> str:
    """The text of a control file. Raises AllocationError."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise failure(path, "read", error) from error


def number(path: Path) -> int:
    """A control file that holds one number. Raises AllocationError."""
    text = read(path)
    try:
        return int(text)
    except ValueError as error:
        raise AllocationError(
            f"{path} holds {text!r}, no number: it is no control file of a cgroup"
        ) from error


def table(path: Path) -> dict[str, int]:
    """A control file of lines "name number". Raises AllocationError."""
    found = {}
    for line in read(path).splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found


def write(path: Path, text: str, *, remedy: str = "") -> None:
    """Write a control file in one call, as the kernel wants it; never make one. remedy: against EBUSY and EINVAL.

    Raises AllocationError.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(file, text.encode("ascii"))
        finally:
            os.close(file)
    except OSError as error:
        raise failure(path, f"take {text!r}", error, remedy) from error


def failure(path: Path, what: str, error: OSError, remedy: str = "") -> AllocationError:
    """`error` of a control file, with the remedy."""
    return AllocationError(
        f"{path} cannot {what} ({error.strerror}): {_remedy(path, error, remedy)}"
    )


def _remedy(path: Path, error: OSError, remedy: str) -> str:
    group = path.parent
    if error.errno in _ACCESS:
        return (
            "run as root, mount the cgroups writable (a container: --privileged), or have "
            f"{group} delegated to this user"
        )
    if error.errno == errno.ENOENT and not group.is_dir():
        return "there is no such group; start the device in it, or correct its name"
    if error.errno == errno.ENOENT:
        controller = path.name.partition(".")[0]
        return (
            f'the controller is not enabled there; write "+{controller}" to '
            f"{group.parent / 'cgroup.subtree_control'}, or mount the controller"
        )
    return remedy or "see that the group still exists and that its parents allow as much"
