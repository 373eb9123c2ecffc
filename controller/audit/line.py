"""One line of the audit log, and what chains it to the line before.

A line is canonical JSON: one object, keys sorted, no white space, UTF-8, numbers in their shortest form that
reads back as the same (no NaN, no infinity). Its last member is `hash`, outside the order: the SHA-256, in
hexadecimal, of the line's own bytes without that member. `previous` is the hash of the line before and
`sequence` is one more than its. So any tool that can cut off 75 bytes and run SHA-256 can check a log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeGuard

from controller.audit.canonical import canonical

GENESIS = "0" * 64  # `previous` of the first line
_BEFORE, _AFTER = b',"hash":"', b'"}'
_END = len(_BEFORE) + 64 + len(_AFTER)
_HEX = frozenset("0123456789abcdef")


class LineError(ValueError):
    """Bytes that are no line of the log. is_object: they are a JSON object all the same."""

    def __init__(self, message: str, is_object: bool) -> None:
        super().__init__(message)
        self.is_object = is_object


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands: the number and the hash of its newest line."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Line:
    """A line as read. hash: as it says; content_hash: as its content has it."""

    sequence: int
    previous: str
    hash: str
    content_hash: str
    body: Mapping[str, Any]

    @property
    def whole(self) -> bool:
        """Whether the content is what was hashed when it was written."""
        return self.hash == self.content_hash

    @property
    def head(self) -> Head:
        """Where the chain stands after it."""
        return Head(self.sequence, self.hash)

    @property
    def event(self) -> Mapping[str, Any]:
        """What it says about the chain itself; empty for a line about anything else."""
        told = self.body.get("chain")
        return told if isinstance(told, dict) else {}


def seal(what: Mapping[str, Any], before: Head) -> tuple[bytes, Head]:
    """The line (with its end of line) that follows `before` and says `what`, and where the chain then stands."""
    sequence = before.sequence + 1
    body = canonical({**what, "previous": before.hash, "sequence": sequence})
    digest = sha256(body).hexdigest()
    return body[:-1] + _BEFORE + digest.encode() + _AFTER + b"\n", Head(sequence, digest)


def parse(raw: bytes) -> Line:
    """A line of the log, with or without its end of line. Raises LineError; whether it is whole is another
    question.
    """
    raw = raw.removesuffix(b"\n")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LineError(f"is no JSON ({error})", False) from error
    if not isinstance(body, dict):
        raise LineError("is no JSON object", False)
    sequence, previous, digest = body.get("sequence"), body.get("previous"), body.get("hash")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 1:
        raise LineError("has no `sequence`", True)
    if not _is_hash(previous):
        raise LineError("has no `previous` hash", True)
    if not _is_hash(digest) or raw[-_END:] != _BEFORE + digest.encode() + _AFTER:
        raise LineError("does not end with its `hash`", True)
    content_hash = sha256(raw[:-_END] + b"}").hexdigest()
    return Line(sequence, previous, digest, content_hash, body)


def _is_hash(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value)
