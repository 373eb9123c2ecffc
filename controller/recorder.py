"""Remembers everything that happens: the store and the audit log, written by a thread of their own.

Nothing here waits for a disk: adding puts rows into memory, `flush_soon` starts a write unless one is
still under way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from controller.audit import AuditLog, AuditSettings, Sync
from controller.config import Audit, Config
from controller.events import ModelDecided
from controller.model import Decision, NodeCounters, Outcome, RouterSample, SampledConnection
from controller.observe.demand import Demand
from controller.observe.points import Row
from controller.observe.source import connected
from controller.observe.store import Store
from controller.predict import Outlook
from controller.store.spool import Spool
from controller.store.sqlite import PRUNE_ROWS
from controller.trouble import Troubles
from ml.series import Series

RECENT = 5_000  # decisions kept in memory for the API
EVERY_FORECAST = 64  # routers up to which every cycle's forecasts are stored
THINNED_S = 10.0  # for more routers: one forecast of each in so many seconds
PRUNE_EVERY_S = 10.0
PRUNE_FOR_S = 1.0  # at most, each time


class Recorder:
    """Owns the store, the audit log and their thread."""

    def __init__(self, config: Config, troubles: Troubles) -> None:
        self.store = _store(config, troubles)
        self.audit = AuditLog(config.audit.path, troubles, _settings(config.audit))
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="umbra-store")
        self._flushing: Future[None] | None = None
        self._stored_s = float("-inf")
        self._pruned_s = float("-inf")

    def counters(self, counters: NodeCounters) -> None:
        """One switch's counters."""
        self.store.add_counters(counters)

    def sample(self, sample: RouterSample, demand: Demand, shift_pct: float) -> None:
        """One router's sample."""
        self.store.add_sample(sample, demand, shift_pct)

    def connections(self, connections: list[SampledConnection]) -> None:
        """Digests."""
        self.store.add_connections(connections)

    def forecasts(self, outlooks: Mapping[str, Outlook]) -> None:
        """The forecasts of one cycle."""
        made = [outlook for outlook in outlooks.values() if outlook.forecast is not None]
        if not made or made[0].forecast is None:
            return
        now_s = made[0].forecast.made_at_s
        if len(made) > EVERY_FORECAST and abs(now_s - self._stored_s) < THINNED_S:
            return
        self._stored_s = now_s
        for outlook in made:
            if outlook.forecast is not None:
                self.store.add_forecast(outlook.forecast, outlook.breach)

    def decision(self, decision: Decision, outcome: Outcome, time_s: float) -> None:
        """A decision and what came of it."""
        self.store.add_decision(decision)
        self.store.add_outcome(outcome, time_s)
        plain = asdict(decision) | asdict(outcome)
        del plain["decision_id"]
        plain["kind"] = decision.kind.value
        self._recent.append(plain)
        self._thread.submit(self.audit.add, decision, outcome)

    def model(self, event: ModelDecided) -> None:
        """A decision about a forecasting model."""
        self._thread.submit(self.audit.note, event.time_s, "model", event.to_json())

    def address(self, time_s: float, step: Mapping[str, Any]) -> None:
        """A step of the address shadow manager."""
        self._thread.submit(self.audit.note, time_s, "address", dict(step))

    def destination(self, time_s: float, step: Mapping[str, Any]) -> None:
        """A step of destination shadowing."""
        self._thread.submit(self.audit.note, time_s, "destination", dict(step))

    async def arrivals(self, since_s: float) -> list[tuple[float, str, str, int]]:
        """Stored arrivals since then (`Store.arrivals`)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.store.arrivals, since_s)

    def uses(self, rows: list[Row]) -> None:
        """What devices used, in one turn."""
        self.store.add_rows(rows)

    def resources(self, time_s: float, lines: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Decisions about devices' resources, and what earlier ones came to: (subject, what is said of it)."""
        self._thread.submit(self.audit.notes, time_s, lines)

    def comparison(self, time_s: float, what: Mapping[str, Any]) -> None:
        """A comparison began, changed its share, or ended."""
        self._thread.submit(self.audit.note, time_s, "comparison", dict(what))

    async def extent(
        self, routers: Sequence[str], since_s: float, after_s: float
    ) -> tuple[float, int]:
        """(seconds that the stored samples since then span, number of those after `after_s`)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self.store.extent, routers, since_s, after_s
        )

    def recent(
        self,
        *,
        limit: int,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> list[Mapping[str, Any]]:
        """The newest decisions, newest first."""
        found: list[Mapping[str, Any]] = []
        for one in reversed(self._recent):
            if since_s is not None and one["time_s"] < since_s:
                break
            if router in (None, one["router"]) and kind in (None, one["kind"]):
                found.append(one)
                if len(found) >= limit:
                    break
        return found

    def flush_soon(self, now_s: float) -> None:
        """Write what waits, in the background; now and then forget what is too old."""
        if self._flushing is not None and not self._flushing.done():
            return
        prune = abs(now_s - self._pruned_s) >= PRUNE_EVERY_S
        if prune:
            self._pruned_s = now_s
        self._flushing = self._thread.submit(self._flush, now_s if prune else None)

    async def load(self, routers: Sequence[str], since_s: float) -> list[Series]:
        """The stored series of these routers, without blocking the loop."""
        loop = asyncio.get_running_loop()
        return [
            await loop.run_in_executor(self._thread, self.store.series, router, since_s)
            for router in routers
        ]

    async def meta(self, key: str) -> str | None:
        """A value that an earlier run remembered."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.store.meta, key)

    async def remember_decisions(self) -> None:
        """Take over the latest decisions of an earlier run."""
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, lambda: self.store.decisions(limit=RECENT))
        self._recent.extendleft(rows)

    async def close(self) -> None:
        """Write what waits and close the files."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self.store.close)
        await loop.run_in_executor(self._thread, self.audit.close)
        self._thread.shutdown()

    def _flush(self, prune_s: float | None) -> None:
        self.audit.flush()
        if not self.store.flush() or prune_s is None:
            return
        self.store.downsample(prune_s)
        # As much as has come since the last time, or more: the file must not outgrow its retention.
        until_s = time.monotonic() + PRUNE_FOR_S
        while self.store.prune(prune_s) >= PRUNE_ROWS and time.monotonic() < until_s:
            pass


def _store(config: Config, troubles: Troubles) -> Store:
    """As the configuration says: the embedded store, or a server behind a spool."""
    section = config.store
    common = partial(
        Store,
        section.path,
        troubles,
        retention_s=section.retention_s,
        long_s=section.long_retention_s,
        own_s=section.retention_of_s,
        buffer_rows=section.buffer_rows,
        most_arrivals=section.most_arrivals,
    )
    if section.influxdb is None:
        return common()
    influxdb = section.influxdb
    return common(
        spool=Spool(influxdb.spool, influxdb.spool_mb << 20),
        connect=lambda: connected(influxdb),
        writer=influxdb.writer,
        prove_s=influxdb.prove_s,
    )


def _settings(audit: Audit) -> AuditSettings:
    anchor = Path(audit.anchor_file) if audit.anchor_file is not None else None
    return AuditSettings(
        Sync(audit.sync),
        audit.sync_period_s,
        audit.rotate_bytes,
        audit.keep_files,
        anchor_file=anchor,
    )
