"""The hash and checksum functions of v1model, as BMv2 computes them over big-endian bytes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable


def _crc16_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC16 = _crc16_table()
_CRC16_WORD: list[int] = []  # two bytes at a time; filled on first use (65,536 entries)
_WORDS: dict[int, struct.Struct] = {}


def crc16(data: bytes) -> int:
    """CRC-16/ARC: polynomial 0x8005, reflected, initial and final value 0."""
    if not _CRC16_WORD:
        low = _CRC16
        _CRC16_WORD.extend(
            low[low[w & 0xFF] & 0xFF ^ w >> 8] ^ low[w & 0xFF] >> 8 for w in range(65536)
        )
    size = len(data)
    words = _WORDS.get(size)
    if words is None:
        words = _WORDS[size] = struct.Struct(f"<{size // 2}H{'B' if size % 2 else ''}")
    table = _CRC16_WORD
    crc = 0
    if size % 2:
        *pairs, last = words.unpack(data)
        for word in pairs:
            crc = table[crc ^ word]
        last = int(last)
        return crc >> 8 ^ _CRC16[(crc ^ last) & 0xFF]
    for word in words.unpack(data):
        crc = table[crc ^ word]
    return crc


def crc32(data: bytes) -> int:
    """CRC-32 of Ethernet, which is also BMv2's default for crc32_custom."""
    return zlib.crc32(data)


def csum16(data: bytes) -> int:
    """The Internet checksum (RFC 1071); an odd last byte is padded with zero."""
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big")
    return 0xFFFF ^ (total % 0xFFFF or (0xFFFF if total else 0))


def xor16(data: bytes) -> int:
    """All 16-bit words together by exclusive or; an odd last byte is the high half."""
    if len(data) % 2:
        data += b"\0"
    value = 0
    for (word,) in struct.iter_unpack(">H", data):
        value ^= word
    return value


def xor32(data: bytes) -> int:
    """All 32-bit words together by exclusive or; a short last word is padded with zeros."""
    data += bytes(-len(data) % 4)
    value = 0
    for (word,) in struct.iter_unpack(">I", data):
        value ^= word
    return value


def identity(data: bytes) -> int:
    """The first eight bytes as a number."""
    return int.from_bytes(data[:8], "big")


def crc_ccitt(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, initial value 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


_generator = random.Random()


def random_hash(data: bytes) -> int:
    """A random number: v1model's HashAlgorithm.random ignores its input."""
    return _generator.getrandbits(64)


# algorithm in the JSON → function of bytes. The custom ones have BMv2's defaults: their parameters
# can be changed over Thrift only, which P4Runtime does not offer.
ALGORITHMS: dict[str, Callable[[bytes], int]] = {
    "crc16": crc16,
    "crc16_custom": crc16,
    "crc32": crc32,
    "crc32_custom": crc32,
    "crcCCITT": crc_ccitt,
    "csum16": csum16,
    "cksum16": csum16,
    "xor16": xor16,
    "xor32": xor32,
    "identity": identity,
    "random": random_hash,
}
# the largest value of each, to know when a modulus has nothing to do
MAXIMUM = {
    "crc16": 0xFFFF,
    "crc16_custom": 0xFFFF,
    "crc32": 0xFFFFFFFF,
    "crc32_custom": 0xFFFFFFFF,
    "crcCCITT": 0xFFFF,
    "csum16": 0xFFFF,
    "cksum16": 0xFFFF,
    "xor16": 0xFFFF,
    "xor32": 0xFFFFFFFF,
    "identity": (1 << 64) - 1,
    "random": (1 << 64) - 1,
}
