"""What an interruption did to conversations: who broke, how long the others waited, and for what. Pure.

Of each connection the first answer after the interruption counts: the moment when it made progress again. Its
request is *struck* when TCP had to send it again, or when the answer took far longer than usual. The *outage*
ends with the last request that had to be sent again: from then on first transmissions come through. What a
struck request waited beyond that, it waited for TCP's retransmission time-out (RFC 6298; at least 200 ms in
Linux), which nothing in the network can shorten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from topologies.load.analysis import percentile
from topologies.load.exchanges import Exchange, Life
from topologies.load.talker import LONG_S


@dataclass(frozen=True, slots=True)
class Interruption:
    """Times in milliseconds, from the interruption unless said otherwise.

    `heard_all_ms` is when the last survivor had an answer, thinking time between its requests
    included; `waits_ms` are the struck requests' own waits, `tcp_ms` what of each was TCP's time-out.
    """

    connections: int  # alive at that moment
    broken: Mapping[str, int]  # by how
    struck: int
    recovery_ms: (
        float  # until the last struck request of a survivor was answered; 0: none was struck
    )
    outage_ms: float
    heard_all_ms: float
    waits_ms: tuple[float, ...]
    tcp_ms: tuple[float, ...]

    @property
    def broken_total(self) -> int:
        """Connections that did not survive."""
        return sum(self.broken.values())

    def to_json(self) -> dict[str, Any]:
        """One run of a report."""
        found: dict[str, Any] = {
            "connections": self.connections,
            "broken": self.broken_total,
            "broken_how": dict(self.broken),
            "struck": self.struck,
            "recovery_ms": round(self.recovery_ms, 1),
            "outage_ms": round(self.outage_ms, 1),
            "heard_all_ms": round(self.heard_all_ms, 1),
        }
        if self.waits_ms:
            found["wait_p50_ms"] = round(percentile(self.waits_ms, 50), 1)
            found["wait_p99_ms"] = round(percentile(self.waits_ms, 99), 1)
            found["tcp_part_pct"] = round(100 * sum(self.tcp_ms) / sum(self.waits_ms), 1)
        return found


def interruption(
    exchanges: Iterable[Exchange], lives: Mapping[int, Life], at_s: float, until_s: float
) -> Interruption:
    """What happened from `at_s` to `until_s` to the connections that were alive at `at_s`."""
    alive = {number: life for number, life in lives.items() if life.alive_at(at_s)}
    broken: Counter[str] = Counter()
    survivors: set[int] = set()
    for number, life in alive.items():
        if life.broken and life.ended_s is not None and life.ended_s <= until_s:
            broken[str(life.how)] += 1
        else:
            survivors.add(number)
    first: dict[int, Exchange] = {}
    for one in exchanges:
        if one.connection in survivors and one.answered_s > at_s:
            before = first.get(one.connection)
            if before is None or one.answered_s < before.answered_s:
                first[one.connection] = one
    struck = [one for one in first.values() if one.retransmits or one.wait_s > LONG_S]
    outage_s = max((one.asked_s - at_s for one in struck if one.retransmits), default=0.0)
    restored_s = at_s + max(0.0, outage_s)
    return Interruption(
        connections=len(alive),
        broken=broken,
        struck=len(struck),
        recovery_ms=1e3 * max((one.answered_s - at_s for one in struck), default=0.0),
        outage_ms=1e3 * max(0.0, outage_s),
        heard_all_ms=1e3 * max((one.answered_s - at_s for one in first.values()), default=0.0),
        waits_ms=tuple(1e3 * one.wait_s for one in struck),
        tcp_ms=tuple(
            1e3 * max(0.0, one.answered_s - max(one.asked_s, restored_s))
            if one.retransmits
            else 0.0
            for one in struck
        ),
    )
