"""A Python module on another Linux kernel, which runs as a process of this one (User Mode Linux).

For what the kernel at hand does not have: here cgroup v2 with its controllers, which this machine may have given to v1.
The other kernel sees this machine's files, read-only, and one directory that it may write.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from topologies.namespace import dying

PROGRAM = "linux.uml"
PACKAGE = "user-mode-linux"
MEMORY = "512M"
BOOT_S = 30.0
ROOT = Path(__file__).resolve().parents[1]
OUTPUT, STATUS = "output", "status"
# It keeps 2.7 kB of a process's registers. A processor with AMX has 11 kB, and takes them back only whole.
TOO_MANY_REGISTERS = "ptrace set fp regs failed"

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
    """Why there is no other kernel here; None when there is. Boots it once, in 2 s."""
    if os.geteuid() != 0:
        return "needs root, to be root on the other kernel: run as root (sudo)"
    program = shutil.which(PROGRAM)
    if program is None:
        return f"{PROGRAM} is not installed: install {PACKAGE} (tools/setup.sh test does)"
    return _unfit(program)


@functools.cache
def _unfit(program: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="umbra-uml-") as place:
        console = _boot(program, "true", Path(place), BOOT_S)
    if TOO_MANY_REGISTERS in console:
        return (
            f"{program} is too old for this processor, whose processes have more registers than it can keep (AMX): "
            "use a newer one, or a machine without AMX"
        )
    return None  # if it fails for another reason, whoever runs something there is told which


def run(module: Sequence[str], directory: Path, timeout_s: float) -> str:
    """Run `python -m MODULE…` there; its output. directory: empty, for what the other kernel writes.

    Raises UserModeError.
    """
    reason = unavailable()
    if reason is not None:
        raise UserModeError(reason)
    command = shlex.join([sys.executable, "-m", *module])
    console = _boot(PROGRAM, command, directory, BOOT_S + timeout_s)
    status, output = directory / STATUS, directory / OUTPUT
    if not status.exists():
        raise UserModeError(f"{PROGRAM} did not get as far as the program: {console[-2000:]}")
    text = output.read_text(errors="replace")
    if status.read_text().strip() != "0":
        raise UserModeError(f"{command} failed there: {text[-2000:]}")
    return text


def _boot(program: str, command: str, directory: Path, timeout_s: float) -> str:
    """What the other kernel said until it ended. Raises UserModeError when it does not end."""
    directory.mkdir(parents=True, exist_ok=True)
    init, console = directory / "init.sh", directory / "console"
    quoted = {"root": shlex.quote(str(ROOT)), "directory": shlex.quote(str(directory))}
    init.write_text(_INIT.format(command=command, **quoted))
    init.chmod(0o700)
    options = [f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    options += [f"init={init}", f"uml_dir={directory}/", "con=null", "con0=null,fd:1"]
    with console.open("wb") as told:
        kernel = subprocess.Popen(
            dying([program, *options]),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            kernel.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise UserModeError(f"{command} took longer than {timeout_s:g} s there") from error
        finally:
            if kernel.poll() is None:
                os.killpg(kernel.pid, signal.SIGKILL)  # its processes are processes here, too
                kernel.wait()
    return console.read_text(errors="replace")
