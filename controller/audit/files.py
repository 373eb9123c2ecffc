"""The files of one log: the one that is written, those put aside, and logs from before there was a chain.

`audit.jsonl` is written; when it is large enough it becomes `audit.000001.jsonl` (its part of the log) and
the next begins. A file without a chain becomes `audit.unchained.jsonl`.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from controller.durable import sync_directory

_CHUNK = 1 << 20


def rotated(path: Path) -> list[tuple[int, Path]]:
    """(part, file) of those put aside, the oldest first."""
    pattern = re.compile(re.escape(path.stem) + r"\.(\d{6,})" + re.escape(path.suffix))
    found = []
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        matched = pattern.fullmatch(file.name)
        if matched:
            found.append((int(matched[1]), file))
    return sorted(found)


def all_parts(path: Path) -> list[Path]:
    """Every file of the log that is there, in order."""
    return [file for _, file in rotated(path)] + ([path] if path.exists() else [])


def put_aside(path: Path, part: int) -> Path:
    """Rename the file to the name of its part, or the next name that is free."""
    while (target := path.with_name(f"{path.stem}.{part:06d}{path.suffix}")).exists():
        part += 1
    path.rename(target)
    sync_directory(path.parent)
    return target


def unchained(path: Path) -> list[Path]:
    """Logs from before there was a chain, in the order in which they were put aside."""
    pattern = re.compile(re.escape(path.stem) + r"\.unchained(?:-(\d+))?" + re.escape(path.suffix))
    found = []
    for file in path.parent.iterdir():
        matched = pattern.fullmatch(file.name)
        if matched:
            found.append((int(matched[1] or 0), file))
    return [file for _, file in sorted(found)]


def put_aside_unchained(path: Path) -> Path:
    """Rename a file that holds no chain; nothing of it is changed."""
    target, number = path.with_name(f"{path.stem}.unchained{path.suffix}"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}.unchained-{number}{path.suffix}")
    path.rename(target)
    sync_directory(path.parent)
    return target


def described(file: Path) -> dict[str, Any]:
    """What a chain's first line says of a file from before it: name, bytes, lines, SHA-256."""
    digest, size, lines = sha256(), 0, 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
    return {"file": file.name, "bytes": size, "lines": lines, "sha256": digest.hexdigest()}
