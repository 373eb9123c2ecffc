"""Counters of replica records → which pairs lost some. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from controller.model import RecordEvent, ReplicationCounters

SEQUENCED = (1, 2, 3, 4, 7)  # kinds that share the running sequence
QUIET_LOOKS = 2  # looks in a row without a new record, after which what is missing is lost


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one pair, since the switches started: records sent; received in sequence, after a gap or
    late; those that tell of a loss, by kind.
    """

    sent: int
    received: int
    gaps: int
    late: int
    unknown: int
    no_place: int

    @classmethod
    def of(cls, primary: ReplicationCounters, holder: ReplicationCounters, number: int) -> Totals:
        """From the counters of both; `number`: of the primary, at the holder."""
        return cls(
            sent=sum(primary.sent.get(kind, 0) for kind in SEQUENCED),
            received=holder.sequenced(number),
            gaps=holder.count(number, RecordEvent.AFTER_GAP),
            late=holder.count(number, RecordEvent.LATE),
            unknown=holder.count(number, RecordEvent.UNKNOWN),
            no_place=holder.count(number, RecordEvent.NO_PLACE),
        )

    @property
    def steps(self) -> int:
        """How often the sequence was not as expected."""
        return self.gaps + self.late


@dataclass(slots=True)
class _Pair:
    base: Totals  # at the last repair
    last: Totals
    quiet: int = 0
    forgiven: int = 0  # steps in the sequence that are owed to a restart


class Repairs:
    """Remembers what was repaired. A switch that started anew (its totals fell) is a new beginning:
    it is resynced when it returns.
    """

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], _Pair] = {}

    def begin(self, pair: tuple[str, str]) -> None:
        """A resync of the pair begins: what was lost before does not count any more."""
        known = self._pairs.get(pair)
        if known is not None:
            seen = known.last.steps - known.base.steps
            left = max(0, known.forgiven - seen)
            self._pairs[pair] = _Pair(known.last, known.last, forgiven=left)

    def look(self, pair: tuple[str, str], now: Totals) -> str | None:
        """Why the pair must be resynced, or None."""
        known = self._pairs.get(pair)
        restarted = known is not None and (
            now.sent < known.last.sent or now.received < known.last.received
        )
        if known is None or restarted:
            self._pairs[pair] = _Pair(now, now, forgiven=1 if restarted else 0)
            return None
        known.quiet = known.quiet + 1 if now.sent == known.last.sent else 0
        known.last = now
        base = known.base
        steps = now.steps - base.steps - known.forgiven
        if steps > 0:
            return f"{steps} gap{'s' * (steps > 1)} in the sequence of records"
        # What has no place there, a resync gives none.
        if now.unknown > base.unknown and now.no_place == base.no_place:
            return f"{now.unknown - base.unknown} records of connections that it does not know"
        missing = (now.sent - base.sent) - (now.received - base.received)
        if missing > 0 and known.quiet >= QUIET_LOOKS:
            return f"{missing} record{'s' * (missing > 1)} never arrived"
        return None
