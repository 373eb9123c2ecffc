"""What the sharding engine sees, remembers and says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.model import Shard, ShardState

Key = tuple[str, int]  # subdivision, family


class Act(StrEnum):
    """What is done to a shard."""

    CLAIM = "claim"  # first phase
    CONFIRM = "confirm"  # second phase: its routes are written
    ABANDON = "abandon"  # its routes could not be written in time
    DRAIN = "drain"
    UNDRAIN = "undrain"
    FREE = "free"
    SHORT = "short"  # more is needed than there is


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """shard_addresses: of a shard, a power of two; sizes: of named subdivisions, where they differ.

    release_after_s: so long a shard must not have been needed before it is drained. spare_share: of the
    addresses that are needed, so many more are assigned. claim_timeout_s: a claim without routes is given up.
    light_share: a shard with at most this share of its addresses in use may be moved by a compaction.
    """

    shard_addresses: int = 64
    sizes: Mapping[str, int] = field(default_factory=dict)
    release_after_s: float = 7200.0
    spare_share: float = 0.1
    claim_timeout_s: float = 30.0
    light_share: float = 0.1

    def __post_init__(self) -> None:
        for size in (self.shard_addresses, *self.sizes.values()):
            if size < 4 or size & (size - 1):
                raise ValueError(f"a shard has 4, 8, 16, … addresses, not {size}")
        if not 0 <= self.light_share < 1 or self.spare_share < 0:
            raise ValueError("light_share must lie in 0..1, and spare_share must not be negative")

    def bits(self, subdivision: str) -> int:
        """Of an address within a shard."""
        return self.sizes.get(subdivision, self.shard_addresses).bit_length() - 1


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard that is not free, and how many of its addresses are in which state."""

    shard: Shard
    granted: int = 0
    held: int = 0
    cooling: int = 0
    reserved: int = 0

    @property
    def needed(self) -> int:
        """Addresses that keep it from being freed."""
        return self.granted + self.cooling + self.reserved

    @property
    def active(self) -> bool:
        """Whether it gives addresses, or soon will."""
        return self.shard.state in (ShardState.CLAIMING, ShardState.ASSIGNED, ShardState.PREFETCHED)


@dataclass(frozen=True, slots=True)
class Need:
    """What one subdivision needs of one family. addresses: at least; score: reference instances (`demand`).

    why: one clause for a person.
    """

    subdivision: str
    family: int
    addresses: int
    score: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class ShardStep:
    """One step, with its reason. prefix: "" when there is none to be had."""

    time_s: float
    act: Act
    subdivision: str
    prefix: str
    sequence: int  # of the shard that was looked at; 0 for a claim
    reason: str
    inputs: Mapping[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Excess:
    """Fewer shards were needed than there are, since then; and the most that were needed meanwhile."""

    since_s: float
    most: int


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """steps in the order in which they are to be done. routed: the shards that routes must lead to, new claims
    included. fragmentation: of the free space, 0..1 (`space.Space`); None: nothing was claimed, it was not looked at.
    """

    steps: tuple[ShardStep, ...]
    routed: tuple[Shard, ...]
    needed: Mapping[Key, int]  # shards
    fragmentation: float | None
