"""Means over a minute of samples that reached a server too late for its own downsampling, or that has none."""

from __future__ import annotations

from collections.abc import Sequence

from controller.store.downsample import AT_ONCE_NS, EVERY_NS, SOURCE, downsample
from controller.store.influx import InfluxAdapter
from controller.store.interface import SlowError

SERVER_REACH_NS = 100 * EVERY_NS  # a server downsamples two hours anew by itself


class LateMeans:
    """Of what was delivered since the last ones were made."""

    def __init__(self) -> None:
        self._times_ns: tuple[int, int] | None = None  # first and last that wait
        self._at_once_ns = AT_ONCE_NS

    def note(self, lines: Sequence[str]) -> None:
        """They are on the server now."""
        times = [int(line[line.rindex(" ") + 1 :]) for line in lines if line.startswith(SOURCE)]
        if times:
            before = self._times_ns or (times[0], times[0])
            self._times_ns = min(before[0], *times), max(before[1], *times)

    def make(self, adapter: InfluxAdapter, now_ns: int) -> bool:
        """Make a part of them; True when more wait. Raises StoreError; after a SlowError the next part is half
        as long.
        """
        if self._times_ns is None or SOURCE not in adapter.schema:
            return False
        first_ns, last_ns = self._times_ns
        itself = adapter.capabilities.own_downsampling
        if itself and first_ns >= now_ns - SERVER_REACH_NS:
            self._times_ns = None
            return False
        if (
            not itself
            and last_ns // EVERY_NS == first_ns // EVERY_NS
            and last_ns + EVERY_NS > now_ns
        ):
            return False  # its minute is not over
        until_ns = min(last_ns, first_ns // EVERY_NS * EVERY_NS + self._at_once_ns)
        try:
            downsample(adapter, first_ns, until_ns + (until_ns == last_ns))
        except SlowError:
            self._at_once_ns = max(EVERY_NS, self._at_once_ns // 2 // EVERY_NS * EVERY_NS)
            raise
        self._at_once_ns = min(AT_ONCE_NS, 2 * self._at_once_ns)
        if until_ns < last_ns:
            self._times_ns = (until_ns, last_ns)
            return True
        self._times_ns = None if itself else (last_ns, last_ns)
        return False
