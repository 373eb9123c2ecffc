"""A network of our own for a whole run: nothing can clash with other users, and the kernel removes
it afterwards.

`enter()` moves this process into a new, empty network namespace. Whatever it starts lives there
too: Mininet's "root", the switches' gRPC servers on loopback, the controller. When the last process
ends, the kernel deletes the interfaces.

`isolated()` adds a process namespace: a child becomes its init, and when that ends, even by
SIGKILL, the kernel kills every process below it, grandchildren included (pid_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
MS_BIND_REC = 0x1000 | 0x4000
MS_REC_PRIVATE = 0x4000 | 0x40000
PR_SET_PDEATHSIG = 1
# linux/sockios.h, linux/if.h
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

CGROUPS = "/sys/fs/cgroup"

_libc = ctypes.CDLL(None, use_errno=True)
_entered = False


class NamespaceError(RuntimeError):
    """The kernel did not give us a namespace."""


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise NamespaceError(
            f"{what}: {os.strerror(number)}. Namespaces need root (CAP_SYS_ADMIN): run as root, in a container with "
            "--privileged"
        )


def die_with_parent() -> None:
    """Have the kernel kill this process (SIGKILL) when the thread that started it ends."""
    _call(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def dying(command: list[str]) -> list[str]:
    """The command, such that the kernel kills it when the process that started it ends. Start it
    from a thread that lives on: the kernel watches the thread.
    """
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


def loopback_up() -> None:
    """Bring `lo` up in the current network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def quiet_network() -> None:
    """No IPv6 on present and future interfaces of this namespace: no neighbour discovery among the
    switches.
    """
    for scope in ("all", "default"):
        path = f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"
        if os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write("1")


def enter() -> None:
    """Move this process into a private network namespace with `lo` up; once per process, later
    calls do nothing.

    Call it before anything starts threads (gRPC, OpenMP): threads that exist already stay where
    they were.
    """
    global _entered
    if _entered:
        return
    if threading.active_count() > 1:
        raise NamespaceError(
            "enter() must come before the first thread: the others would stay in the old network"
        )
    _call(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")
    loopback_up()
    quiet_network()
    _entered = True


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """This thread in the network namespace of a process, for the time of a `with` block (setns(2))."""
    with (
        open("/proc/thread-self/ns/net", "rb") as ours,
        open(f"/proc/{pid}/ns/net", "rb") as theirs,
    ):
        _call(_libc.setns(theirs.fileno(), CLONE_NEWNET), f"setns to the network of process {pid}")
        try:
            yield
        finally:
            _call(_libc.setns(ours.fileno(), CLONE_NEWNET), "setns back")


def private_mounts() -> None:
    """What this thread, and the processes that it starts, mount from now on is seen by them alone, and goes with
    the last of them, whatever ends it.
    """
    _call(_libc.unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _mount(b"none", b"/", None, MS_REC_PRIVATE)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    _call(_libc.mount(source, target, kind, flags, None), f"mount {target.decode()}")


def _become_init(body: Callable[[], int]) -> int:
    """First process of the new process namespace: private /proc and /sys, then the work."""
    global _entered
    die_with_parent()
    _mount(b"none", b"/", None, MS_REC_PRIVATE)
    _mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC)
    groups = os.open(CGROUPS, os.O_PATH) if os.path.isdir(CGROUPS) else None
    _mount(b"sysfs", b"/sys", b"sysfs", MS_NOSUID_NODEV_NOEXEC)
    if groups is not None:  # they are mounted below the old /sys: switches can be limited here, too
        _mount(b"/proc/self/fd/%d" % groups, CGROUPS.encode(), None, MS_BIND_REC)
        os.close(groups)
    loopback_up()
    quiet_network()
    _entered = True
    # An init gets no default action of SIGTERM: without a handler of its own it would be deaf.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    return body()


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def isolated(body: Callable[[], int]) -> int:
    """Run `body` in a child with network, process and mount namespaces of its own; its exit code
    (0..255).

    Ctrl-C, SIGTERM and SIGHUP are passed on and raise KeyboardInterrupt there. If this process is
    killed, the child is killed by the kernel, and with it everything it started.
    """
    if threading.active_count() > 1:
        raise NamespaceError("isolated() must come before the first thread")
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_with_parent()
            os.setsid()  # the terminal's Ctrl-C comes once, from the parent, and not to the switches
            _call(
                _libc.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID),
                "unshare(NEWNET, NEWNS, NEWPID)",
            )
            code = _middle(body)
        except NamespaceError as error:
            print(f"umbra: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    return _wait(child)


def _middle(body: Callable[[], int]) -> int:
    """unshare(CLONE_NEWPID) holds for children only: fork once more, and wait for that one."""
    init = os.fork()
    if init == 0:
        code = 1
        try:
            code = _become_init(body)
        except KeyboardInterrupt:
            code = 130
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return _wait(init)


def _wait(child: int) -> int:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    kept = {
        number: signal.signal(number, pass_on)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return _exit_code(status)
