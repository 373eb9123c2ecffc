"""Probes as bytes: a packet that goes to another switch and back, stamped by the switch that sent it. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from controller.act.frames import Envelope, FrameError, pack_frame, unpack_frame

PORT = 50101
QUIET = 1  # on its return only counted in the switch, no packet-in
COLLECT = 2  # the answer carries count, sum and maximum of the quiet ones since the last collect
CLOCK_US = 1 << 48
_RETURN = 1  # last bytes of the address that probes go to
_PROBE = struct.Struct("!IBH6s6sIII")
SIZE = _PROBE.size


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe to the switch with the label `target` and back. The source port spreads probes over paths of equal cost.

    size: of the frame, in bytes, at least; flags: QUIET, COLLECT; group: multicast group that makes it a train
    (`NodePlan.trains`), 0 for none.
    """

    target: int
    id: int
    source_port: int
    size: int = 0
    flags: int = 0
    group: int = 0


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """A probe as it came back. Times are microseconds of the sending switch's clock.

    `copy`: 1..N within a train, else 0; `count`, `sum_us`, `max_us`: of quiet probes, when collected.
    """

    id: int
    flags: int
    copy: int
    sent_us: int
    received_us: int
    count: int = 0
    sum_us: int = 0
    max_us: int = 0

    @property
    def round_trip_us(self) -> int:
        """How long it was under way; the clock, of 48 bits, may have wrapped meanwhile."""
        return (self.received_us - self.sent_us) % CLOCK_US


def pack_probe(probe: ProbeAnswer) -> bytes:
    """31 bytes. ValueError when a number does not fit its field."""
    try:
        return _PROBE.pack(
            probe.id,
            probe.flags,
            probe.copy,
            probe.sent_us.to_bytes(6, "big"),
            probe.received_us.to_bytes(6, "big"),
            probe.count,
            probe.sum_us,
            probe.max_us,
        )
    except (struct.error, OverflowError) as error:
        raise ValueError(f"probe {probe.id}: {error}") from None


def unpack_probe(data: bytes) -> ProbeAnswer:
    """From the first 31 bytes of a UDP payload. FrameError when there are fewer."""
    if len(data) < SIZE:
        raise FrameError(f"a probe has {SIZE} bytes, not {len(data)}")
    number, flags, copy, sent, received, count, total_us, max_us = _PROBE.unpack_from(data)
    return ProbeAnswer(
        number,
        flags,
        copy,
        int.from_bytes(sent, "big"),
        int.from_bytes(received, "big"),
        count,
        total_us,
        max_us,
    )


def probe_frame(own: int, probe: Probe) -> bytes:
    """A probe as the switch with label `own` sends it. ValueError when a number does not fit its field."""
    payload = pack_probe(ProbeAnswer(probe.id, probe.flags, 0, 0, 0))
    envelope = Envelope((probe.target, own), own, _RETURN, probe.source_port, PORT)
    missing = probe.size - len(pack_frame(envelope, payload))
    return pack_frame(envelope, payload + bytes(max(0, missing)))


def probe_of(frame: bytes) -> ProbeAnswer:
    """The probe in a frame. FrameError when there is none."""
    envelope, payload = unpack_frame(frame)
    if envelope.port != PORT:
        raise FrameError(f"UDP port {envelope.port}: probes come to {PORT}")
    return unpack_probe(payload)
