"""Packet-in and packet-out: controller headers (the first bytes on the CPU port) as metadata."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finsy.proto import p4i, p4r

from p4switch.errors import InvalidArgument
from p4switch.server.codec import decode_bits, encode_bits


@dataclass(frozen=True, slots=True)
class ControllerHeader:
    """A @controller_header: its fields (metadata id, width in bits, shift from the right end)."""

    name: str
    fields: tuple[tuple[int, int, int], ...]
    size_bytes: int

    @classmethod
    def from_p4info(cls, header: p4i.ControllerPacketMetadata) -> ControllerHeader:
        """InvalidArgument when a field has no width or the header does not fill whole bytes."""
        name = header.preamble.name
        total = sum(m.bitwidth for m in header.metadata)
        if total % 8 or any(m.bitwidth <= 0 for m in header.metadata):
            raise InvalidArgument(
                f"P4Info: controller header {name} has {total} bits, which is not whole bytes"
            )
        fields: list[tuple[int, int, int]] = []
        shift = total
        for metadata in header.metadata:
            shift -= metadata.bitwidth
            fields.append((metadata.id, metadata.bitwidth, shift))
        return cls(name, tuple(fields), total // 8)

    def join(self, packet_out: p4r.PacketOut) -> bytes:
        """Header bytes + payload. Metadata that is not given is zero, as BMv2 takes it.

        InvalidArgument for unknown or repeated metadata ids and for values that do not fit.
        """
        given: dict[int, bytes] = {}
        for metadata in packet_out.metadata:
            if metadata.metadata_id in given:
                raise InvalidArgument(f"PacketOut: metadata id {metadata.metadata_id} comes twice")
            given[metadata.metadata_id] = metadata.value
        value = 0
        for metadata_id, width_bits, shift in self.fields:
            data = given.pop(metadata_id, b"")
            what = f"PacketOut: metadata id {metadata_id}"
            value |= decode_bits(data, width_bits, what) << shift
        if given:
            raise InvalidArgument(
                f"PacketOut: unknown metadata id {next(iter(given))}; "
                f"{self.name} has {[f[0] for f in self.fields]}"
            )
        return value.to_bytes(self.size_bytes, "big") + packet_out.payload

    def split(self, packet: bytes) -> p4r.PacketIn:
        """A PacketIn for a packet from the CPU port; InvalidArgument when it is too short."""
        if len(packet) < self.size_bytes:
            raise InvalidArgument(
                f"packet of {len(packet)} bytes on the CPU port is shorter than {self.name} "
                f"({self.size_bytes} bytes); the program must emit the header before the packet"
            )
        value = int.from_bytes(packet[: self.size_bytes], "big")
        message = p4r.PacketIn(payload=packet[self.size_bytes :])
        for metadata_id, width_bits, shift in self.fields:
            field = (value >> shift) & ((1 << width_bits) - 1)
            message.metadata.add(metadata_id=metadata_id, value=encode_bits(field))
        return message


@dataclass(frozen=True, slots=True)
class PacketIo:
    """Both directions; a program may have either header, or none (the payload goes as it is)."""

    packet_in: ControllerHeader
    packet_out: ControllerHeader

    @classmethod
    def from_p4info(cls, headers: Iterable[p4i.ControllerPacketMetadata]) -> PacketIo:
        """The headers named packet_in and packet_out, as the reference server names them."""
        by_name = {h.preamble.name: ControllerHeader.from_p4info(h) for h in headers}
        return cls(
            by_name.get("packet_in", ControllerHeader("packet_in", (), 0)),
            by_name.get("packet_out", ControllerHeader("packet_out", (), 0)),
        )
