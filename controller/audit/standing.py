"""Where the chain of a file stands: found when the log is opened, from the file's end.

What follows the last whole line is either torn (a write that a crash or a full disk cut off; it is no JSON
object) or damaged (it is one, but its hash is not that of its content). Nothing of it is removed: the log
closes it with an end of line and says in its next line how many bytes it was and what their SHA-256 is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from controller.audit.line import Head, LineError, parse

_FIRST_LOOK = 1 << 20  # bytes of the file's end, four times as many each time no line is found


class Remains:
    """Bytes between two lines of a log, as they are described: without one end of line at their end."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._ends = False
        self.bytes = 0
        self.objects = 0  # JSON objects among them: whole lines that someone has changed

    def add(self, raw: bytes, is_object: bool) -> None:
        """One more piece, up to and with its end of line."""
        if self._ends:
            self._digest.update(b"\n")
            self.bytes += 1
        content = raw.removesuffix(b"\n")
        self._digest.update(content)
        self.bytes += len(content)
        self.objects += is_object
        self._ends = raw.endswith(b"\n")

    @property
    def ends(self) -> bool:
        """Whether they end with an end of line."""
        return self._ends

    def described(self) -> dict[str, Any]:
        """What the line after them says of them."""
        return {"bytes": self.bytes, "sha256": self._digest.hexdigest()}


@dataclass(frozen=True, slots=True)
class Standing:
    """head: of the last whole line; None when there is none. chain, part: of the newest opening line.
    remains: what follows the last whole line; None: nothing. ends: the file ends with an end of line.
    """

    size_bytes: int
    head: Head | None
    chain: str
    part: int
    remains: Remains | None
    ends: bool


def look(descriptor: int) -> Standing:
    """Where the chain of an open file stands."""
    size = os.fstat(descriptor).st_size
    length = min(_FIRST_LOOK, size)
    while True:
        content = os.pread(descriptor, length, size - length)
        found = _last_whole(content, complete=length == size)
        if found is not None or length == size:
            break
        length = min(length * 4, size)
    chain, part = _opening(descriptor)
    if found is None:
        return Standing(size, None, chain, part, None, content.endswith(b"\n"))
    head, after = found
    remains = Remains() if after else None
    for raw in after:
        assert remains is not None
        remains.add(raw, _is_object(raw))
    return Standing(size, head, chain, part, remains, not content or content.endswith(b"\n"))


def _last_whole(content: bytes, complete: bool) -> tuple[Head, list[bytes]] | None:
    """(head, the pieces after it); the first piece counts only where the file begins with it."""
    pieces = _pieces(content)
    for index in range(len(pieces) - 1, -1 if complete else 0, -1):
        try:
            line = parse(pieces[index])
        except LineError:
            continue
        if line.whole:
            return line.head, pieces[index + 1 :]
    return None


def _pieces(content: bytes) -> list[bytes]:
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _is_object(raw: bytes) -> bool:
    try:
        parse(raw)
    except LineError as error:
        return error.is_object
    return True


def _opening(descriptor: int) -> tuple[str, int]:
    """(chain, part) of the file: from its first line, unless someone has cut that off."""
    with open(os.dup(descriptor), "rb") as file:
        file.seek(0)
        for raw in file:
            try:
                line = parse(raw)
            except LineError:
                continue
            if "id" in line.event and "part" in line.event:
                return str(line.event["id"]), int(line.event["part"])
    return "", 1
