"""The thread that turns what packets caused (packet-ins, digests, idle entries) into messages.

The packet thread only appends to a queue here, so that protobuf work never delays packets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from finsy.proto import p4r

from p4switch.server import entries
from p4switch.server.digests import Digests, Sample
from p4switch.server.p4info import Schema
from p4switch.tables import Entry

LOG = logging.getLogger(__name__)

IDLE_PERIOD_S = 0.5
"""Resolution of idle time-outs; BMv2's is the same."""

MAX_PENDING = 65_536


class IdleSweep:
    """Reports each idle entry once, and again only after a packet has hit it in between."""

    def __init__(self, schema: Schema) -> None:
        self._tables = [
            t for t in schema.tables.values() if t.notifies and t.table.supports_timeout
        ]
        self._reported: dict[int, tuple[Entry, int]] = {}

    @property
    def is_needed(self) -> bool:
        """Whether any table of the program has idle time-outs."""
        return bool(self._tables)

    def sweep(self, now_us: int) -> p4r.IdleTimeoutNotification | None:
        """The entries that became idle since the last sweep, None when there are none."""
        message = p4r.IdleTimeoutNotification(timestamp=time.monotonic_ns())
        reported: dict[int, tuple[Entry, int]] = {}
        for table in self._tables:
            for entry in table.table.idle_entries(now_us):
                # The entry is kept in the value: its id cannot be reused while it is here.
                mark = (entry, entry.last_hit_us)
                reported[id(entry)] = mark
                if self._reported.get(id(entry)) == mark:
                    continue
                out = message.table_entry.add()
                entries.encode_key(table, entry, out)
                out.idle_timeout_ns = entry.idle_timeout_ns
                out.controller_metadata = entry.controller_metadata
                out.metadata = entry.metadata
        self._reported = reported
        return message if message.table_entry else None


class Notifier:
    """One per pipeline configuration; `send` delivers to the primary."""

    def __init__(
        self,
        schema: Schema,
        digests: Digests,
        now_us: Callable[[], int],
        send: Callable[[p4r.StreamMessageResponse], None],
    ) -> None:
        self._schema = schema
        self._digests = digests
        self._now_us = now_us
        self._send = send
        self._pending: deque[tuple[str, bytes | list[Sample]]] = deque()
        self._wake = threading.Event()
        self._is_stopped = False
        self._idle = IdleSweep(schema)
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="p4rt-notifier", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is still pending belongs to the old program and is dropped."""
        self._is_stopped = True
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def packet_in(self, packet: bytes) -> None:
        """A packet that left on the CPU port."""
        self._offer(("", packet))

    def digest(self, name: str, samples: list[Sample]) -> None:
        """Samples of one packet."""
        if self._digests.wants(name):
            self._offer((name, samples))

    def _offer(self, item: tuple[str, bytes | list[Sample]]) -> None:
        if len(self._pending) >= MAX_PENDING:
            self.dropped += 1
            return
        self._pending.append(item)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        next_sweep_s = time.monotonic() + IDLE_PERIOD_S
        while not self._is_stopped:
            try:
                self._drain()
                due_s = self._digests.tick()
                if self._idle.is_needed:
                    now_s = time.monotonic()
                    if now_s >= next_sweep_s:
                        next_sweep_s = now_s + IDLE_PERIOD_S
                        self._sweep()
                    left_s = next_sweep_s - now_s
                    due_s = left_s if due_s is None else min(due_s, left_s)
            except Exception:
                LOG.exception("a notification was lost")
                due_s = IDLE_PERIOD_S
            if not self._pending:
                self._wake.wait(due_s)

    def _drain(self) -> None:
        self._wake.clear()
        pending = self._pending
        while pending and not self._is_stopped:
            name, content = pending.popleft()
            if isinstance(content, list):
                self._digests.add(name, content)
            else:
                packet = self._schema.packet_io.packet_in.split(content)
                self._send(p4r.StreamMessageResponse(packet=packet))

    def _sweep(self) -> None:
        message = self._idle.sweep(self._now_us())
        if message is not None:
            self._send(p4r.StreamMessageResponse(idle_timeout_notification=message))
