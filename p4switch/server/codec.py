"""P4Runtime byte strings and field matches to and from the integers of the packet path.

Rules as in the P4Runtime specification, section "Bytestrings", and as the reference server applies
them: leading zeros are accepted, the shortest form is emitted, a value that does not fit the width
is INVALID_ARGUMENT, and a don't-care match must be left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from finsy.proto import p4r

from p4switch.errors import InvalidArgument

_SMALL = tuple(bytes([i]) for i in range(256))


def encode_bits(value: int) -> bytes:
    """The canonical (shortest) byte string of a non-negative integer; zero is one zero byte."""
    if value < 256:
        return _SMALL[value]
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_bits(data: bytes, width_bits: int, what: str) -> int:
    """The value of a byte string; InvalidArgument when it needs more than width_bits."""
    value = int.from_bytes(data, "big")
    if value >> width_bits:
        raise InvalidArgument(
            f"{what}: 0x{value:x} does not fit within {width_bits} bits; send a smaller value"
        )
    return value


MatchItem = int | tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """One key field: kind is exact, lpm, ternary, range or optional.

    as_ternary: an optional field that the program matches as ternary (p4c compiles it so).
    """

    field_id: int
    name: str
    kind: str
    width_bits: int
    as_ternary: bool = False

    @property
    def needs_priority(self) -> bool:
        """Ternary, range and optional fields order entries by priority."""
        return self.kind in ("ternary", "range", "optional")

    def wildcard(self) -> MatchItem:
        """The item that matches everything; InvalidArgument for exact fields, which have none."""
        if self.kind in ("lpm", "ternary") or self.as_ternary:
            return (0, 0)
        if self.kind == "range":
            return (0, (1 << self.width_bits) - 1)
        if self.kind == "optional":
            return None
        raise InvalidArgument(f"match field {self.name} is exact and is missing; give it a value")

    def decode(self, field: p4r.FieldMatch) -> MatchItem:
        """The item of the table key for a FieldMatch of this field."""
        given = field.WhichOneof("field_match_type")
        if given != self.kind:
            raise InvalidArgument(
                f"match field {self.name}: is {self.kind}, but {given or 'nothing'} was sent"
            )
        if self.kind == "exact":
            return decode_bits(field.exact.value, self.width_bits, self.name)
        if self.kind == "lpm":
            return self._decode_lpm(field.lpm)
        if self.kind == "ternary":
            return self._decode_ternary(field.ternary)
        if self.kind == "range":
            return self._decode_range(field.range)
        value = decode_bits(field.optional.value, self.width_bits, self.name)
        return (value, (1 << self.width_bits) - 1) if self.as_ternary else value

    def _decode_lpm(self, lpm: p4r.FieldMatch.LPM) -> tuple[int, int]:
        length = lpm.prefix_len
        if length < 0 or length > self.width_bits:
            raise InvalidArgument(
                f"match field {self.name}: prefix length {length} is not in 1..{self.width_bits}"
            )
        if length == 0:
            raise InvalidArgument(
                f"match field {self.name}: prefix length 0 matches everything; leave the field out"
            )
        value = decode_bits(lpm.value, self.width_bits, self.name)
        if value & ((1 << (self.width_bits - length)) - 1):
            raise InvalidArgument(
                f"match field {self.name}: 0x{value:x} has bits set below its prefix length "
                f"{length}; clear them"
            )
        return (value, length)

    def _decode_ternary(self, ternary: p4r.FieldMatch.Ternary) -> tuple[int, int]:
        value = decode_bits(ternary.value, self.width_bits, self.name)
        mask = decode_bits(ternary.mask, self.width_bits, self.name)
        if mask == 0:
            raise InvalidArgument(
                f"match field {self.name}: mask 0 matches everything; leave the field out"
            )
        if value & ~mask:
            raise InvalidArgument(
                f"match field {self.name}: value 0x{value:x} has bits set outside its mask "
                f"0x{mask:x}; clear them"
            )
        return (value, mask)

    def _decode_range(self, bounds: p4r.FieldMatch.Range) -> tuple[int, int]:
        low = decode_bits(bounds.low, self.width_bits, self.name)
        high = decode_bits(bounds.high, self.width_bits, self.name)
        if low > high:
            raise InvalidArgument(
                f"match field {self.name}: range low {low} is above high {high}; swap them"
            )
        if (low, high) == self.wildcard():
            raise InvalidArgument(
                f"match field {self.name}: the range matches everything; leave the field out"
            )
        return (low, high)

    def encode(self, item: MatchItem, out: p4r.TableEntry) -> None:
        """Append the FieldMatch of `item` to out.match; nothing when it matches everything."""
        if isinstance(item, int):
            field = out.match.add(field_id=self.field_id)
            if self.kind == "optional":
                field.optional.value = encode_bits(item)
            else:
                field.exact.value = encode_bits(item)
        elif item is not None and item != self.wildcard():
            first, second = item
            field = out.match.add(field_id=self.field_id)
            if self.kind == "optional":
                field.optional.value = encode_bits(first)
            elif self.kind == "lpm":
                field.lpm.value = encode_bits(first)
                field.lpm.prefix_len = second
            elif self.kind == "ternary":
                field.ternary.value = encode_bits(first)
                field.ternary.mask = encode_bits(second)
            else:
                field.range.low = encode_bits(first)
                field.range.high = encode_bits(second)
