"""Key fields and the indexes behind tables: exact, longest prefix, and prioritised.

An index maps a lookup key (an int for one field, a tuple of ints for several) to a Row. Lookups
run in the packet thread without a lock, changes in another thread: each change ends in one dict or
attribute assignment, and the cache of results is replaced after it, never before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from p4switch.actions import Row
from p4switch.errors import InvalidArgument

Match = tuple[Any, ...]
Key = Any  # int for one key field, tuple[int, ...] for several
CACHE_SIZE = 1 << 16
MISS: Row = ()


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key field: its name in the P4Info, kind (exact, lpm, ternary, range, optional), width."""

    name: str
    kind: str
    width_bits: int

    def canonical(self, item: Any) -> Any:
        """The item checked against width and kind; InvalidArgument says what does not fit."""
        full = (1 << self.width_bits) - 1
        if self.kind == "exact":
            self._fits(item, full)
        elif self.kind == "optional":
            if item is not None:
                self._fits(item, full)
        elif self.kind == "lpm":
            value, prefix_len = item
            if not 0 <= prefix_len <= self.width_bits:
                raise InvalidArgument(f"key {self.name}: prefix length {prefix_len}")
            self._masked(value, full ^ (full >> prefix_len), full)
        elif self.kind == "ternary":
            # p4c writes optional fields as ternary: an exact value or None is meant as such
            if item is None or isinstance(item, int):
                item = (0, 0) if item is None else (item, full)
            value, mask = item
            self._fits(mask, full)
            self._masked(value, mask, full)
        else:
            low, high = item
            self._fits(low, full)
            self._fits(high, full)
            if low > high:
                raise InvalidArgument(f"key {self.name}: range {low}..{high} is empty")
        return item

    def mask_of(self, item: Any) -> int:
        """The bits of the field that must equal the item's value (0 for ranges and any)."""
        full = (1 << self.width_bits) - 1
        if self.kind == "exact":
            return full
        if self.kind == "optional":
            return 0 if item is None else full
        if self.kind == "lpm":
            return full ^ (full >> int(item[1]))
        return int(item[1]) if self.kind == "ternary" else 0

    def value_of(self, item: Any) -> int:
        """The value to compare under mask_of()."""
        if self.kind in ("lpm", "ternary"):
            return int(item[0])
        return int(item) if self.kind in ("exact", "optional") and item is not None else 0

    def _fits(self, value: int, full: int) -> None:
        if not 0 <= value <= full:
            raise InvalidArgument(
                f"key {self.name}: {value:#x} is wider than bit<{self.width_bits}>"
            )

    def _masked(self, value: int, mask: int, full: int) -> None:
        self._fits(value, full)
        if value & ~mask:
            raise InvalidArgument(f"key {self.name}: {value:#x} has bits outside mask {mask:#x}")


class ExactIndex:
    """All fields exact: one dict."""

    def __init__(self, keys: tuple[KeySpec, ...]) -> None:
        self.single = len(keys) == 1
        self.rows: dict[Key, Row] = {}

    def put(self, match: Match, priority: int, row: Row) -> None:
        """Add or replace."""
        self.rows[match[0] if self.single else match] = row

    def remove(self, match: Match, priority: int) -> None:
        """Take out an entry that is there."""
        del self.rows[match[0] if self.single else match]


class CachedIndex(ABC):
    """Base of the indexes that remember what a key found; MISS is remembered too."""

    def __init__(self, keys: tuple[KeySpec, ...]) -> None:
        self.keys = keys
        self.single = len(keys) == 1
        self.cache: dict[Key, Row] = {}

    def search(self, key: Key) -> Row:
        """The row for a key that the cache does not hold, MISS when nothing matches."""
        cache = self.cache  # read first: a change replaces it after the index itself
        if self.empty():
            return MISS
        if len(cache) >= CACHE_SIZE:  # before the search, or an old row could get into a new cache
            cache = self.cache = {}
        row = self._find((key,) if self.single else key)
        cache[key] = row
        return row

    @abstractmethod
    def empty(self) -> bool:
        """Whether nothing can match."""

    @abstractmethod
    def _find(self, fields: tuple[int, ...]) -> Row:
        """The row for these fields, MISS when nothing matches."""


class PrefixIndex(CachedIndex):
    """Exact fields and one lpm field: a dict per prefix length, longest first."""

    def __init__(self, keys: tuple[KeySpec, ...]) -> None:
        super().__init__(keys)
        self.position = next(i for i, k in enumerate(keys) if k.kind == "lpm")
        self.width = keys[self.position].width_bits
        self.lengths: tuple[tuple[int, dict[tuple[int, ...], Row]], ...] = ()

    def empty(self) -> bool:
        """Whether nothing can match."""
        return not self.lengths

    def _key(self, fields: tuple[int, ...], prefix_len: int) -> tuple[int, ...]:
        p = self.position
        return (*fields[:p], fields[p] >> (self.width - prefix_len), *fields[p + 1 :])

    def _find(self, fields: tuple[int, ...]) -> Row:
        for prefix_len, rows in self.lengths:
            row = rows.get(self._key(fields, prefix_len))
            if row is not None:
                return row
        return MISS

    def put(self, match: Match, priority: int, row: Row) -> None:
        """Add or replace."""
        value, prefix_len = match[self.position]
        fields = tuple(value if i == self.position else m for i, m in enumerate(match))
        key = self._key(fields, prefix_len)
        for length, rows in self.lengths:
            if length == prefix_len:
                rows[key] = row
                break
        else:
            lengths = [*self.lengths, (prefix_len, {key: row})]
            self.lengths = tuple(sorted(lengths, key=lambda item: -item[0]))
        self.cache = {}

    def remove(self, match: Match, priority: int) -> None:
        """Take out an entry that is there."""
        value, prefix_len = match[self.position]
        fields = tuple(value if i == self.position else m for i, m in enumerate(match))
        rows = dict(self.lengths)[prefix_len]
        del rows[self._key(fields, prefix_len)]
        if not rows:
            self.lengths = tuple(item for item in self.lengths if item[0] != prefix_len)
        self.cache = {}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One prioritised entry in a bucket. order: (-priority, serial), smaller wins."""

    order: tuple[int, int]
    match: Match
    ranges: tuple[tuple[int, int, int], ...]  # (field position, low, high)
    row: Row


class MaskGroup:
    """All entries with the same masks: masked key → candidates, best first."""

    __slots__ = ("best", "buckets", "masks")

    def __init__(self, masks: tuple[int, ...]) -> None:
        self.masks = masks
        self.buckets: dict[tuple[int, ...], tuple[Candidate, ...]] = {}
        self.best: tuple[int, int] = (0, 0)


class PriorityIndex(CachedIndex):
    """Ternary, range and optional fields: tuple-space search, the highest priority wins.

    Among entries of equal priority the one inserted first wins, as in BMv2.
    """

    def __init__(self, keys: tuple[KeySpec, ...]) -> None:
        super().__init__(keys)
        self.groups: tuple[MaskGroup, ...] = ()
        self._serial = 0

    def empty(self) -> bool:
        """Whether nothing can match."""
        return not self.groups

    def _find(self, fields: tuple[int, ...]) -> Row:
        best: Candidate | None = None
        for group in self.groups:
            if best is not None and best.order < group.best:
                break
            masked = tuple(f & m for f, m in zip(fields, group.masks, strict=True))
            for candidate in group.buckets.get(masked, ()):
                if best is not None and best.order < candidate.order:
                    break
                if all(low <= fields[i] <= high for i, low, high in candidate.ranges):
                    best = candidate
                    break
        return MISS if best is None else best.row

    def _place(self, match: Match) -> tuple[tuple[int, ...], tuple[int, ...]]:
        masks = tuple(k.mask_of(m) for k, m in zip(self.keys, match, strict=True))
        values = tuple(k.value_of(m) for k, m in zip(self.keys, match, strict=True))
        return masks, values

    def put(self, match: Match, priority: int, row: Row) -> None:
        """Add or replace the entry with this match and priority."""
        masks, values = self._place(match)
        group = next((g for g in self.groups if g.masks == masks), None)
        old = () if group is None else group.buckets.get(values, ())
        serial = self._serial
        rest = []
        for c in old:
            if c.match == match and c.order[0] == -priority:
                serial = c.order[1]  # a replaced entry keeps its place among equals
            else:
                rest.append(c)
        self._serial += 1
        ranges = tuple(
            (i, m[0], m[1])
            for i, (k, m) in enumerate(zip(self.keys, match, strict=True))
            if k.kind == "range"
        )
        rest.append(Candidate((-priority, serial), match, ranges, row))
        bucket = tuple(sorted(rest, key=lambda c: c.order))
        if group is None:
            group = MaskGroup(masks)
            group.buckets[values] = bucket
            group.best = bucket[0].order
            self.groups = tuple(sorted((*self.groups, group), key=lambda g: g.best))
        else:
            group.buckets[values] = bucket
            if bucket[0].order < group.best:
                group.best = bucket[0].order
                self.groups = tuple(sorted(self.groups, key=lambda g: g.best))
        self.cache = {}

    def remove(self, match: Match, priority: int) -> None:
        """Take out an entry that is there."""
        masks, values = self._place(match)
        group = next(g for g in self.groups if g.masks == masks)
        bucket = tuple(
            c for c in group.buckets[values] if not (c.match == match and c.order[0] == -priority)
        )
        if bucket:
            group.buckets[values] = bucket
        else:
            del group.buckets[values]
            if not group.buckets:
                self.groups = tuple(g for g in self.groups if g is not group)
        # group.best may now be too good, which only costs a look into the group
        self.cache = {}


Index = ExactIndex | PrefixIndex | PriorityIndex


def index_for(keys: tuple[KeySpec, ...]) -> Index:
    """The index that these key fields need."""
    kinds = [k.kind for k in keys]
    if all(kind == "exact" for kind in kinds):
        return ExactIndex(keys)
    if kinds.count("lpm") == 1 and all(kind in ("exact", "lpm") for kind in kinds):
        return PrefixIndex(keys)
    return PriorityIndex(keys)
