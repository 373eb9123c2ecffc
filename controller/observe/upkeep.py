"""What the embedded store does not do by itself: forgetting what is old, making minutes of samples."""

from __future__ import annotations

from controller.store.downsample import EVERY_NS, SOURCE, TARGET, downsample
from controller.store.interface import Retention
from controller.store.sqlite import SqliteAdapter

MOST_AT_ONCE_NS = 60 * EVERY_NS


class Upkeep:
    """retention: of the configuration; written into the store at its first use."""

    def __init__(self, store: SqliteAdapter, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._made_ns: int | None = None  # minutes up to here are there

    def prepare(self) -> None:
        """Raises UnavailableError."""
        self._store.prepare(self._retention)

    def prune(self, now_s: float) -> int:
        """A batch; returns the rows deleted. Raises UnavailableError."""
        self.prepare()
        return self._store.prune(round(now_s * 1e9))

    def downsample(self, now_s: float) -> int:
        """The minutes that are over, an hour of them at most. Raises UnavailableError."""
        until_ns = round(now_s * 1e9) // EVERY_NS * EVERY_NS
        if self._made_ns is None:
            made, there = self._store.span(TARGET), self._store.span(SOURCE)
            if there is None:
                return 0
            self._made_ns = max(there[0], made[1] if made is not None else 0)
        until_ns = min(until_ns, self._made_ns // EVERY_NS * EVERY_NS + MOST_AT_ONCE_NS)
        if until_ns <= self._made_ns:
            return 0
        made_now = downsample(self._store, self._made_ns, until_ns)
        self._made_ns = until_ns
        return made_now
