"""Counters, meters and registers: the state that packets and the control plane share.

The packet thread is the only writer on the packet path and works on plain lists, so that a reader
in another thread sees whole values.
"""

from __future__ import annotations

from dataclasses import dataclass

from p4switch.errors import InvalidArgument

GREEN, YELLOW, RED = 0, 1, 2


def check_index(kind: str, name: str, index: int, size: int) -> None:
    """Raise InvalidArgument unless 0 <= index < size."""
    if not 0 <= index < size:
        raise InvalidArgument(f"{kind} {name}: index {index} is not in 0..{size - 1}")


class Counter:
    """An indirect counter array. unit: "packets", "bytes" or "both" (BMv2 counts both always)."""

    __slots__ = ("byte_counts", "name", "packet_counts", "size", "unit")

    def __init__(self, name: str, size: int, unit: str = "both") -> None:
        self.name = name
        self.size = size
        self.unit = unit
        self.packet_counts = [0] * size
        self.byte_counts = [0] * size

    def read(self, index: int) -> tuple[int, int]:
        """(packets, bytes) of one cell."""
        check_index("counter", self.name, index, self.size)
        return self.packet_counts[index], self.byte_counts[index]

    def write(self, index: int, packets: int, bytes_: int) -> None:
        """Set one cell."""
        check_index("counter", self.name, index, self.size)
        self.packet_counts[index] = packets
        self.byte_counts[index] = bytes_


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Two-rate three-colour marker (RFC 2698): rates per second, bursts, in the meter's unit."""

    cir: int
    cburst: int
    pir: int
    pburst: int


class MeterState:
    """One configured marker. Tokens are counted from its creation, as BMv2 does, to stay exact.

    Tokens per rate since the start are floor(elapsed_us * rate / 10^6); a bucket holds at most
    its burst. A packet that the peak bucket cannot pay is red, one that only the committed bucket
    cannot pay is yellow.
    """

    __slots__ = ("c_given", "c_tokens", "config", "p_given", "p_tokens", "start_us")

    def __init__(self, config: MeterConfig) -> None:
        self.config = config
        self.start_us: int | None = None
        self.p_tokens = config.pburst
        self.c_tokens = config.cburst
        self.p_given = 0
        self.c_given = 0

    def execute(self, now_us: int, amount: int) -> int:
        """Colour a packet of `amount` units arriving at now_us."""
        config = self.config
        if self.start_us is None:
            self.start_us = now_us
        elapsed_us = max(0, now_us - self.start_us)
        given = elapsed_us * config.pir // 1_000_000
        if given > self.p_given:
            self.p_tokens = min(config.pburst, self.p_tokens + given - self.p_given)
            self.p_given = given
        if self.p_tokens < amount:
            return RED
        self.p_tokens -= amount
        given = elapsed_us * config.cir // 1_000_000
        if given > self.c_given:
            self.c_tokens = min(config.cburst, self.c_tokens + given - self.c_given)
            self.c_given = given
        if self.c_tokens < amount:
            return YELLOW
        self.c_tokens -= amount
        return GREEN


class Meter:
    """An indirect meter array. unit: "bytes" or "packets". A cell without a config is green."""

    __slots__ = ("cells", "name", "size", "unit")

    def __init__(self, name: str, size: int, unit: str) -> None:
        if unit not in ("bytes", "packets"):
            raise InvalidArgument(f"meter {name}: unit {unit!r} is neither bytes nor packets")
        self.name = name
        self.size = size
        self.unit = unit
        self.cells: list[MeterState | None] = [None] * size

    def config(self, index: int) -> MeterConfig | None:
        """The config of one cell, None when unset."""
        check_index("meter", self.name, index, self.size)
        cell = self.cells[index]
        return cell.config if cell else None

    def set_config(self, index: int, config: MeterConfig | None) -> None:
        """Replace the config of one cell with full buckets; None makes it green for ever."""
        check_index("meter", self.name, index, self.size)
        self.cells[index] = MeterState(config) if config else None

    def execute(self, index: int, now_us: int, packet_bytes: int) -> int:
        """0 green, 1 yellow, 2 red; an index outside the array is green."""
        if not 0 <= index < self.size:
            return GREEN
        cell = self.cells[index]
        if cell is None:
            return GREEN
        return cell.execute(now_us, 1 if self.unit == "packets" else packet_bytes)


class Register:
    """A register array of `size` cells of width_bits each; `cells` is what the packet path uses."""

    __slots__ = ("cells", "name", "size", "width_bits")

    def __init__(self, name: str, size: int, width_bits: int) -> None:
        self.name = name
        self.size = size
        self.width_bits = width_bits
        self.cells = [0] * size

    def read(self, index: int) -> int:
        """The value of one cell."""
        check_index("register", self.name, index, self.size)
        return self.cells[index]

    def write(self, index: int, value: int) -> None:
        """Set one cell; a value wider than the cell is refused."""
        check_index("register", self.name, index, self.size)
        if not 0 <= value < 1 << self.width_bits:
            raise InvalidArgument(f"register {self.name}: {value} is wider than {self.width_bits}")
        self.cells[index] = value
