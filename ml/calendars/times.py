"""Wall clocks and Unix time.

A wall-clock time that a change of the clock skips counts with the offset before the change; one that
comes twice means the first (RFC 5545, section 3.3.5).
"""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. ValueError, with the remedy, when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write an IANA time zone such as Europe/Berlin, or UTC") from None


def midnight(day: date) -> datetime:
    """The wall-clock beginning of a day."""
    return datetime.combine(day, time())


def unix_s(moment: date, zone: ZoneInfo) -> float:
    """Unix time of a moment; a day means its beginning. Without an offset it is `zone`'s wall clock."""
    if not isinstance(moment, datetime):
        moment = midnight(moment)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()
