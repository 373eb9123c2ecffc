"""Walks over a switch's whole connection table, piece by piece: a piece is one scan packet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from controller.act.node import NodeLink
from controller.act.packets import Scan, ScanMode, ScanResult
from controller.act.records import Record
from controller.plan.replicas import CPU_SESSION

LOG = logging.getLogger(__name__)

PIECE = 64  # indices a scan packet walks over: about a millisecond on a software switch
MOST_PAUSE_S = 0.25
ATTEMPTS = 5  # at a piece of a dump whose records did not all arrive


async def walk(
    link: NodeLink,
    scan: Scan,
    *,
    pause_s: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> ScanResult:
    """Scan the whole table; the sum of what its pieces found. `pause_s` between pieces spreads the work.

    Raises NodeDown or TimeoutError.
    """
    size = link.switch.table_size
    live = expired = sent = 0
    for start in range(0, size, PIECE):
        stop, began_s = min(start + PIECE, size), time.monotonic()
        piece = await link.scan(start, stop, scan)
        live += piece.live
        expired += piece.expired
        sent += piece.sent
        if progress is not None:
            progress(stop, size)
        if pause_s:  # at least as long as the piece took: a busy switch needs its time for traffic
            await asyncio.sleep(max(pause_s, min(MOST_PAUSE_S, time.monotonic() - began_s)))
    return ScanResult(live, expired, sent)


async def dump(link: NodeLink, origins: int) -> list[Record]:
    """The entries of these origins, in table order; a piece of which something was lost is asked for again.

    Raises NodeDown, or TimeoutError when a piece does not come whole.
    """
    size = link.switch.table_size
    found: list[Record] = []
    for start in range(0, size, PIECE):
        found += await _dump_piece(link, start, min(start + PIECE, size), origins)
    return found


async def _dump_piece(link: NodeLink, start: int, stop: int, origins: int) -> list[Record]:
    for attempt in range(1, ATTEMPTS + 1):
        records: list[Record] = []
        try:
            scan = Scan(ScanMode.FULL, session=CPU_SESSION, origins=origins)
            result = await link.scan(start, stop, scan, records=records)
        except TimeoutError:
            if attempt == ATTEMPTS:
                raise TimeoutError(
                    f"{link.name}: entries {start}..{stop - 1} did not come whole in {ATTEMPTS} attempts"
                ) from None
            LOG.info("%s: entries %d..%d are asked for again", link.name, start, stop - 1)
            continue
        # A scan numbers its records: one that came late, of an attempt before, gives a number twice.
        if sorted(record.sequence for record in records) == list(range(result.sent)):
            return sorted(records, key=lambda record: record.sequence)
    raise TimeoutError(f"{link.name}: entries {start}..{stop - 1} came more often than they are")
