"""The pool's file: opened so that a committed transaction survives a crash of the process and of the machine.

WAL with synchronous = FULL: a commit returns after fdatasync of the log, and what others read was synced before. The
write lock is waited for in short steps: SQLite's own waiting grows to 100 ms.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from controller.durable import sync_directory
from controller.pool import schema
from controller.pool.errors import Unavailable

STEP_S = 0.0002
STEPS_TO_LONGEST = 10
CACHE_KIB = 65_536
WAL_WRITE_LOCK = 120  # the byte of the -shm file that a writer locks (sqlite.org/walformat.html)
NEEDED = (3, 35, 0)  # RETURNING


def open_file(path: Path) -> sqlite3.Connection:
    """A connection with the tables in place. Raises Unavailable."""
    if sqlite3.sqlite_version_info < NEEDED:
        raise Unavailable(
            f"SQLite {sqlite3.sqlite_version} is too old for the pool: Python needs 3.35 or newer"
        )
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
        )
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # see checkpoints.py
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, schema.VERSION):
            raise Unavailable(
                f"{path}: another version of umbra wrote it ({version}, not {schema.VERSION}): "
                "use that version, or move the file away and let umbra learn from what runs"
            )
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema.SCHEMA}")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
            connection.execute("COMMIT")
            sync_directory(path.parent)
        connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as error:
        connection.close()
        raise unavailable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: sqlite3.Connection, path: Path, patience_s: float) -> None:
    """Take the write lock. Raises Unavailable, with the holder's process id, when it is not to be had in time."""
    deadline_s = time.monotonic() + patience_s
    tries = 0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= deadline_s:
                raise Unavailable(
                    f"{path}: {_holder(path)} has held the write lock for {patience_s:g} s: let it go on, or end it "
                    "(its unfinished transaction is then undone)"
                ) from error
        tries += 1
        time.sleep(STEP_S * min(tries, STEPS_TO_LONGEST))


def unavailable(path: Path, error: Exception) -> Unavailable:
    """An error of SQLite's, with its remedy."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    remedy = {
        sqlite3.SQLITE_FULL: "make room on its disk",
        sqlite3.SQLITE_READONLY: "let umbra write the file and its directory",
        sqlite3.SQLITE_CANTOPEN: "see that its directory exists and may be written",
        sqlite3.SQLITE_NOTADB: "move the file away: umbra learns anew from what runs",
        sqlite3.SQLITE_CORRUPT: "move the file away: umbra learns anew from what runs",
        sqlite3.SQLITE_BUSY: "end the other program that uses it",
    }.get(code, "check its disk")
    return Unavailable(f"{path} cannot be used ({error}): {remedy}")


def _holder(path: Path) -> str:
    """Who has the write lock, from the kernel's list of file locks (proc_locks(5))."""
    try:
        inode = os.stat(f"{path}-shm").st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.replace("->", "").split()
            kind, pid, where, first, last = fields[3:8]
            covers = int(first) <= WAL_WRITE_LOCK and (last == "EOF" or int(last) >= WAL_WRITE_LOCK)
            if kind == "WRITE" and where.endswith(f":{inode}") and covers:
                return f"process {pid}"
    except (OSError, ValueError):
        return "another process"
    return "another process"
