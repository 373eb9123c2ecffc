"""Packets between the controller and one switch's data plane: scans, probes, records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import finsy as fy

from controller.act.frames import FrameError
from controller.act.probes import ProbeAnswer, probe_of
from controller.act.records import Record, record_of

LOG = logging.getLogger(__name__)

OUT_SCAN, OUT_PROBE = 1, 2  # packet_out.kind
IN_SCAN_DONE, IN_PROBE, IN_RECORD = 1, 3, 4  # packet_in.reason
EVERY_ORIGIN = 0xFFFF  # owned entries (bit 0) and replicas of every primary (bits 1..15)


class ScanMode(IntEnum):
    """What a scan does with entries that are not idle (idle ones expire in every mode)."""

    EXPIRE = 0
    FULL = 1  # send each as a FULL record
    GIVE = 2  # send each as a GIVE record
    SWEEP = 3  # free replicas of another generation
    DISOWN = 4  # what this switch owned becomes replicas of who carries it now


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan is asked to do. FULL and GIVE send those entries to the clone session `session` whose origin's bit
    is set in `origins` (bit 0: owned); SWEEP frees replicas of those origins that are not of `generation`; DISOWN makes
    owned entries replicas of the primary with the number `owner`.
    """

    mode: ScanMode = ScanMode.EXPIRE
    session: int = 0
    origins: int = 0
    generation: int = 0
    owner: int = 0


EXPIRE = Scan()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan of (a part of) the connection table found.

    live: owned connections; expired: of those, how many were idle too long; sent: records sent, or
    entries swept or disowned.
    """

    live: int
    expired: int
    sent: int = 0


def packet_out(payload: bytes, **fields: int) -> fy.P4PacketOut:
    """A packet for the data plane; a field that is not given is 0."""
    every = dict.fromkeys(
        (
            "pad",
            "egress_port",
            "kind",
            "cursor",
            "limit",
            "live",
            "expired",
            "pad_now",
            "now",
            "way",
            "mode",
            "session",
            "origins",
            "generation",
            "owner",
            "sent",
        ),
        0,
    )
    return fy.P4PacketOut(payload, **(every | fields))


@dataclass(slots=True)
class _Expected:
    """A scan under way: it ends at index `stop`; `records` takes those that it sends to the controller."""

    stop: int
    done: asyncio.Future[ScanResult]
    records: list[Record] | None
    result: ScanResult | None = None


class PacketsIn:
    """Tells packets from the data plane apart. `take` never blocks: it is called for every packet in turn."""

    def __init__(self, name: str, on_probe: Callable[[ProbeAnswer], None]) -> None:
        self._name = name
        self._on_probe = on_probe
        self._expected: _Expected | None = None

    def expect(self, stop: int, records: list[Record] | None) -> asyncio.Future[ScanResult]:
        """The result of the scan that is about to be sent; one at a time.

        With `records` it comes when all that the scan sent have been put there.
        """
        done: asyncio.Future[ScanResult] = asyncio.get_running_loop().create_future()
        self._expected = _Expected(stop, done, records)
        return done

    def forget(self) -> None:
        """Nobody waits for the scan any more: what still comes of it is of no use."""
        self._expected = None

    def fail(self, error: Exception) -> None:
        """No answer will come."""
        expected = self._expected
        if expected is not None and not expected.done.done():
            expected.done.set_exception(error)

    def take(self, packet: Any) -> None:
        """One packet from the switch."""
        reason = packet["reason"]
        try:
            if reason == IN_SCAN_DONE:
                self._scanned(packet)
            elif reason == IN_PROBE:
                self._on_probe(probe_of(packet.payload))
            elif reason == IN_RECORD:
                self._recorded(record_of(packet.payload))
        except FrameError as error:
            LOG.warning("%s: packet-in for reason %d: %s", self._name, reason, error)

    def _scanned(self, packet: Any) -> None:
        expected = self._expected
        if expected is None or packet["cursor"] != expected.stop:  # a scan that was given up
            return
        expected.result = ScanResult(packet["live"], packet["expired"], packet["sent"])
        self._settle(expected)

    def _recorded(self, record: Record) -> None:
        expected = self._expected
        if expected is not None and expected.records is not None:
            expected.records.append(record)
            self._settle(expected)

    def _settle(self, expected: _Expected) -> None:
        result = expected.result
        if result is None or expected.done.done():
            return
        if expected.records is None or len(expected.records) >= result.sent:
            expected.done.set_result(result)
