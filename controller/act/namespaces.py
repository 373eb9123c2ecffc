"""Network namespaces without names: a file descriptor keeps one alive, and it is gone with the last (namespaces(7))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000  # linux/sched.h
OWN = "/proc/thread-self/ns/net"
QUIET = "/proc/sys/net/ipv6/conf/default/disable_ipv6"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(
            number, f"{what}: {os.strerror(number)}; network namespaces need root (CAP_SYS_ADMIN)"
        )


def new_namespace() -> int:
    """A new, empty network namespace without IPv6, as a descriptor. This thread stays where it is. Raises OSError."""
    with _back():
        _call(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")
        if os.path.exists(QUIET):
            with open(QUIET, "w", encoding="ascii") as file:
                file.write("1")
        return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread in a namespace (its descriptor) for the time of a `with` block. Raises OSError."""
    with _back():
        enter(namespace)
        yield


def enter(namespace: int) -> None:
    """Move this thread into a namespace for good. Raises OSError."""
    _call(_libc.setns(namespace, CLONE_NEWNET), "setns")


@contextmanager
def _back() -> Iterator[None]:
    ours = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            enter(ours)
        finally:
            os.close(ours)
