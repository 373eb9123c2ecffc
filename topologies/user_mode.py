"""A Python module on another Linux kernel, which runs as a process of this one (User Mode Linux).

For what the kernel at hand does not have: here cgroup v2 with its controllers, which this machine may have given to v1.
The other kernel sees this machine's files, read-only, and one directory that it may write.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from topologies.namespace import dying

PROGRAM = "linux.uml"
PACKAGE = "user-mode-linux"
MEMORY = "512M"
BOOT_S = 30.0
ROOT = Path(__file__).resolve().parents[1]
OUTPUT, STATUS = "output", "status"

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={root}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t hostfs -o {directory} hostfs {directory}
export TMPDIR={directory}
cd {root}
{command} > {directory}/output 2>&1
echo $? > {directory}/status
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


class UserModeError(RuntimeError):
    """The other kernel, or the program on it, failed."""


def unavailable() -> str | None:
    """Why there is no other kernel here; None when there is."""
    if os.geteuid() != 0:
        return "needs root, to be root on the other kernel: run as root (sudo)"
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed: install {PACKAGE} (tools/setup.sh test does)"
    return None


def run(module: Sequence[str], directory: Path, timeout_s: float) -> str:
    """Run `python -m MODULE…` there; its output. directory: empty, for what the other kernel writes.

    Raises UserModeError.
    """
    reason = unavailable()
    if reason is not None:
        raise UserModeError(reason)
    directory.mkdir(parents=True, exist_ok=True)
    init = directory / "init.sh"
    command = shlex.join([sys.executable, "-m", *module])
    quoted = {"root": shlex.quote(str(ROOT)), "directory": shlex.quote(str(directory))}
    init.write_text(_INIT.format(command=command, **quoted))
    init.chmod(0o700)
    options = [f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    options += [f"init={init}", f"uml_dir={directory}/", "con=null", "con0=null,fd:1"]
    with (directory / "console").open("wb") as console:
        kernel = subprocess.Popen(
            dying([PROGRAM, *options]),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            kernel.wait(BOOT_S + timeout_s)
        except subprocess.TimeoutExpired as error:
            raise UserModeError(f"{command} took longer than {timeout_s:g} s there") from error
        finally:
            if kernel.poll() is None:
                os.killpg(kernel.pid, signal.SIGKILL)  # its processes are processes here, too
                kernel.wait()
    status, output = directory / STATUS, directory / OUTPUT
    if not status.exists():
        told = (directory / "console").read_text(errors="replace")[-2000:]
        raise UserModeError(f"{PROGRAM} did not get as far as the program: {told}")
    text = output.read_text(errors="replace")
    if status.read_text().strip() != "0":
        raise UserModeError(f"{command} failed there: {text[-2000:]}")
    return text
