"""What long conversations leave behind: every exchange (a request and its answer) in binary, every
connection's opening and end as a JSON line. Times are those of CLOCK_MONOTONIC, which all programs
on this machine share, in seconds.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_EXCHANGE = struct.Struct("<IIdd")

# How a connection ended. The first is the good end; of the others each is a broken connection, or
# (the last two) one that never came to be.
CLOSED = "closed"
RESET = "reset"
SILENT = "silent"
WRONG = "wrong answer"
OTHER_BACKEND = "another backend"
ENDED_BY_SERVER = "ended by the server"
REFUSED = "refused"
UNCONNECTED = "not connected"
BROKEN = frozenset({RESET, SILENT, WRONG, OTHER_BACKEND, ENDED_BY_SERVER})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. `retransmits`: segments that the client's TCP had to send again
    meanwhile.
    """

    connection: int
    retransmits: int
    asked_s: float
    answered_s: float

    @property
    def wait_s(self) -> float:
        """From the request to its answer."""
        return self.answered_s - self.asked_s


@dataclass(frozen=True, slots=True)
class Life:
    """One connection. `ended_s` and `how` are None while it lives; `backend` is who answered first."""

    connection: int
    opened_s: float
    backend: str
    ended_s: float | None
    how: str | None
    asked_s: float | None = None  # of the request that was not answered
    error: str = ""

    @property
    def broken(self) -> bool:
        """Accepted, and then not ended by its client."""
        return self.how in BROKEN

    def alive_at(self, time_s: float) -> bool:
        """Was it open at that moment?"""
        return self.opened_s <= time_s and (self.ended_s is None or self.ended_s > time_s)


def pack(connection: int, retransmits: int, asked_s: float, answered_s: float) -> bytes:
    """One exchange as it is written."""
    return _EXCHANGE.pack(connection, retransmits, asked_s, answered_s)


def exchanges(paths: Iterable[Path]) -> Iterator[Exchange]:
    """Read what talkers wrote so far; a record that is still being written is left out."""
    for path in paths:
        data = path.read_bytes()
        whole = len(data) - len(data) % _EXCHANGE.size
        for fields in _EXCHANGE.iter_unpack(data[:whole]):
            yield Exchange(*fields)


def lives(paths: Iterable[Path]) -> dict[int, Life]:
    """Every connection that was accepted, by its number, from the talkers' event files so far."""
    found: dict[int, Life] = {}
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    break  # still being written
                event = json.loads(line)
                number = event["connection"]
                if event["kind"] == "opened":
                    found[number] = Life(number, event["time_s"], event["backend"], None, None)
                elif number in found:
                    before = found[number]
                    found[number] = Life(
                        number,
                        before.opened_s,
                        before.backend,
                        event["time_s"],
                        event["how"],
                        event.get("asked_s"),
                        event.get("error", ""),
                    )
    return found
