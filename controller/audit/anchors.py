"""Anchors: what the head of the chain was at some time, kept where nobody who can change the log can change them.

A chain shows that a line was changed or left out; that its newest lines were cut off, or that all of
it was written anew, shows only against a hash that was kept elsewhere.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.audit.line import Head


class AnchorError(ValueError):
    """An anchor that cannot be read."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """chain: its id; "" when it is not known. time: ISO 8601, when it was taken."""

    sequence: int
    hash: str
    chain: str = ""
    time: str = ""

    @property
    def head(self) -> Head:
        """Where the chain stood."""
        return Head(self.sequence, self.hash)


def append(file: Path, anchor: Anchor) -> None:
    """Write one line to the end of `file` and force it to the disk. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o640)
    try:
        os.write(descriptor, json.dumps(asdict(anchor), sort_keys=True).encode() + b"\n")
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def read(file: Path) -> list[Anchor]:
    """The anchors of a file: lines as `append` or `umbra audit head --json` write them. A last line
    that is not whole is left out: it was being written. Raises AnchorError, OSError.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    found: list[Anchor] = []
    try:
        whole = json.loads(text)
        if isinstance(whole, dict):  # one object, over several lines perhaps
            return [_anchor(text)]
    except ValueError:
        pass
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(_anchor(line))
        except AnchorError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise AnchorError(f"{file}, line {number}: {error}") from error
    return found


def given(text: str) -> list[Anchor]:
    """From the command line: SEQUENCE:HASH, or the name of a file of anchors. Raises AnchorError, OSError."""
    matched = re.fullmatch(r"([1-9]\d*):([0-9a-f]{64})", text)
    if matched:
        return [Anchor(int(matched[1]), matched[2])]
    file = Path(text)
    if not file.exists():
        raise AnchorError(
            f"{text} is no anchor: give SEQUENCE:HASH (64 hexadecimal digits), as umbra audit head "
            "prints it, or a file of anchors"
        )
    return read(file)


def newest(anchors: Sequence[Anchor], chain: str) -> Anchor | None:
    """The one that was taken last of this chain."""
    of_chain = [anchor for anchor in anchors if anchor.chain == chain]
    return max(of_chain, key=lambda anchor: anchor.sequence) if of_chain else None


def _anchor(text: str) -> Anchor:
    try:
        told = json.loads(text)
        sequence, digest = told["sequence"], told["hash"]
    except (ValueError, TypeError, KeyError) as error:
        raise AnchorError("is no anchor: an object with `sequence` and `hash`") from error
    if not isinstance(sequence, int) or not re.fullmatch(r"[0-9a-f]{64}", str(digest)):
        raise AnchorError("its `sequence` is no number, or its `hash` no 64 hexadecimal digits")
    return Anchor(sequence, str(digest), str(told.get("chain", "")), str(told.get("time", "")))
