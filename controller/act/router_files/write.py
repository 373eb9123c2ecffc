"""A rendered configuration → its place: judged by the program's own checker first, then put there in one step."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from controller.act.router_files.values import Kind, RouterFileError
from controller.durable import sync_directory

CHECK_TIMEOUT_S = 60.0
MODE = 0o640  # it may hold a password
CHECKERS = {
    Kind.FRR: ("frr", ("vtysh", "--dryrun", "--inputfile")),
    Kind.BIRD: ("bird2", ("bird", "-p", "-c")),
}


def check(kind: Kind, path: Path) -> None:
    """Ask the program whether it can read the file. RouterFileError with its answer, or naming what to install."""
    package, command = CHECKERS[kind]
    if shutil.which(command[0]) is None:
        raise RouterFileError(
            f"{command[0]} is not here to check {path}: install Debian's {package} (apt-get install {package})"
        )
    try:
        done = subprocess.run(
            [*command, str(path)],
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise RouterFileError(
            f"{command[0]} did not finish checking {path} within {CHECK_TIMEOUT_S:g} s"
        ) from None
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # A checker quotes the line that it does not understand, and that may hold the password.
        told = "; ".join(line for line in said if "password" not in line.lower())
        raise RouterFileError(f"{command[0]} refuses it: {told or 'a line with a password'}")


def write(kind: Kind, text: str, path: Path) -> bool:
    """Put the text at `path` unless it is there already; True if the file changed.

    The program never sees half a file, or one that it could not read: RouterFileError then, and the old one stays.
    Owner and mode of the old file are kept; a new one has mode 0640.
    """
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            return False
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise RouterFileError(f"cannot write in {path.parent}: {error.strerror}") from error
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _like(path, fresh)
        try:
            check(kind, fresh)
        except RouterFileError as error:
            raise RouterFileError(f"{path}: {str(error).replace(name, str(path))}") from None
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def _like(old: Path, fresh: Path) -> None:
    try:
        status = old.stat()
    except FileNotFoundError:
        fresh.chmod(MODE)
        return
    fresh.chmod(status.st_mode & 0o777)
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(fresh, status.st_uid, status.st_gid)
