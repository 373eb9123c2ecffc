"""One switch over P4Runtime: connects, keeps connected, compares, writes, reads, scans."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import finsy as fy
from finsy.proto import p4r

from controller.act.difference import difference
from controller.act.entries import (
    DIGEST,
    TABLE_ORDER,
    entries,
    node_entry,
    slot_set_entry,
)
from controller.act.finsy_log import FINSY_LOG
from controller.act.program import Files
from controller.model import NodePlan, SlotSet, Switch

LOG = logging.getLogger(__name__)

RETRY_MIN_S = 0.2
RETRY_MAX_S = 2.0
OUT_SCAN = 1
IN_SCAN_DONE = 1
SCAN_TIMEOUT_S = 2.0


class NodeDown(Exception):
    """The switch is not connected: nothing can be read or written now."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan of (a part of) the connection table found."""

    live: int
    expired: int


class NodeLink:
    """Connection to one switch. `run` connects again and again until cancelled; the switch keeps its state meanwhile.

    Callbacks run in the event loop: `on_connected(link)` is awaited before the link counts as up.
    """

    def __init__(
        self,
        switch: Switch,
        files: Files,
        *,
        on_connected: Callable[[NodeLink], Any],
        on_down: Callable[[NodeLink], None],
        on_digest: Callable[[NodeLink, Any], None],
    ) -> None:
        self.switch = switch
        self.up = False
        self.reconciled = False
        self.since_s = time.time()
        self.last_error: str | None = "not connected yet"
        self.entries = 0
        self.updates = 0  # written since the controller started
        self._options = fy.SwitchOptions(
            p4info=files.p4info,
            p4blob=files.json,
            device_id=switch.device_id,
            channel_credentials=_credentials(switch),
        )
        self._on_connected = on_connected
        self._on_down = on_down
        self._on_digest = on_digest
        self._p4: fy.Switch | None = None
        self._lock = asyncio.Lock()
        self._stream = asyncio.Lock()
        self._scan_done: asyncio.Future[ScanResult] | None = None

    @property
    def name(self) -> str:
        """Name of the switch."""
        return self.switch.name

    async def run(self) -> None:
        """Connect, serve until the channel goes down, connect again."""
        wait_s = RETRY_MIN_S
        while True:
            started_s = time.monotonic()
            try:
                await self._session()
            except (fy.P4ClientError, OSError, ValueError) as error:
                self._failed(describe(FINSY_LOG.failure(self.name) or error))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                cause = FINSY_LOG.failure(
                    self.name
                )  # finsy cancels its session when a part of it fails
                self._failed(describe(cause) if cause else "the session ended")
            except Exception as error:  # one switch must never end the others
                LOG.exception("%s: connection failed", self.name)
                self._failed(describe(error))
            if time.monotonic() - started_s > RETRY_MAX_S:
                wait_s = RETRY_MIN_S
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_MAX_S, wait_s * 2)

    async def _session(self) -> None:
        p4 = fy.Switch(self.name, self.switch.address, self._options)
        gone = asyncio.Event()
        p4.ee.on(fy.SwitchEvent.CHANNEL_DOWN, lambda _: gone.set())
        readers: list[asyncio.Task[None]] = []
        async with p4:
            try:
                if not p4.is_primary:
                    raise ValueError(
                        f"another controller holds this switch (election id {p4.primary_id}); "
                        "stop it, or take this switch out of the configuration"
                    )
                self._p4 = p4
                readers = [
                    asyncio.create_task(self._read_packets(p4)),
                    asyncio.create_task(self._read_digests(p4)),
                ]
                await self._want_digests(p4)
                self.up, self.since_s, self.last_error = True, time.time(), None
                await self._on_connected(self)
                await gone.wait()
                raise ConnectionError("the P4Runtime stream ended")
            finally:
                self._p4 = None
                for reader in readers:
                    reader.cancel()
                if self.up:
                    self.up = self.reconciled = False
                    self.since_s = time.time()
                    self._on_down(self)

    def _failed(self, error: str) -> None:
        if error != self.last_error:
            LOG.warning("%s at %s: %s", self.name, self.switch.address, error)
        self.last_error = error

    async def _want_digests(self, p4: fy.Switch) -> None:
        def entry() -> fy.P4DigestEntry:  # finsy marks an entry when it is written: one each
            return fy.P4DigestEntry(
                DIGEST, max_list_size=64, max_timeout_ns=100_000_000, ack_timeout_ns=1_000_000_000
            )

        try:
            await p4.write([+entry()])
        except fy.P4ClientError:
            await p4.write([~entry()])  # a controller that ran before has asked for them already

    async def _read_packets(self, p4: fy.Switch) -> None:
        async for packet in p4.read_packets(queue_size=1000):
            if packet["reason"] == IN_SCAN_DONE and self._scan_done and not self._scan_done.done():
                self._scan_done.set_result(ScanResult(packet["live"], packet["expired"]))

    async def _read_digests(self, p4: fy.Switch) -> None:
        async for digest in p4.read_digests(DIGEST, queue_size=1000):
            for entry in digest:
                self._on_digest(self, entry)
            await self._send(p4, digest.ack())

    async def _send(self, p4: fy.Switch, message: Any) -> None:
        """Send on the stream, one message at a time: two at once break finsy's session."""
        async with self._stream:
            await p4.write([message])

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[fy.Switch]:
        """Writes of one switch follow each other: a reconcile never mixes with a shift."""
        async with self._lock:
            if self._p4 is None:
                raise NodeDown(f"{self.name} is not connected: {self.last_error}")
            yield self._p4

    async def read_entries(self) -> list[p4r.Entity]:
        """All table entries, read back one table at a time (an answer is bounded by gRPC's 4 MiB)."""
        async with self._exclusive() as p4:
            return await self._read_entries(p4)

    async def _read_entries(self, p4: fy.Switch) -> list[p4r.Entity]:
        found: list[p4r.Entity] = []
        for name in TABLE_ORDER:
            if name != "node":
                found += [e.encode(p4.p4info) async for e in _read(p4, fy.P4TableEntry(name))]
        return found

    async def slot_sets(self) -> dict[int, tuple[int, ...]]:
        """Slot sets as the switch holds them now: number → 100 labels."""
        async with self._exclusive() as p4:
            result: dict[int, tuple[int, ...]] = {}
            async for entry in _read(p4, fy.P4TableEntry("slots")):
                action = entry.action
                if entry.match and isinstance(action, fy.IndirectAction) and action.action_set:
                    result[entry.match["slot_set"]] = tuple(
                        int(call.args["target"])
                        for weight, call in action.action_set
                        for _ in range(weight if isinstance(weight, int) else weight[0])
                    )
            return result

    async def reconcile(self, plan: NodePlan) -> int:
        """Make the switch hold what is wanted; returns how many updates that took."""
        async with self._exclusive() as p4:
            schema = p4.p4info
            found = await self._read_entries(p4)
            wanted = [entry.encode(schema) for entry in entries(plan)]
            updates = 0
            configured = node_entry(plan)
            if await self._default_differs(p4, configured):
                await p4.modify([configured])
                updates += 1
            change = difference(wanted, found, schema)
            for batch in change.batches():
                await p4.write(batch)
            self.entries = len(wanted)
            self.reconciled = True
            self.updates += updates + len(change)
            return updates + len(change)

    async def _default_differs(self, p4: fy.Switch, wanted: fy.P4TableEntry) -> bool:
        asked = fy.P4TableEntry(wanted.table_id, is_default_action=True)
        async for found in _read(p4, asked):
            return bool(
                found.encode(p4.p4info).table_entry.action
                != wanted.encode(p4.p4info).table_entry.action
            )
        return True

    async def write_slot_sets(self, sets: Sequence[SlotSet]) -> None:
        """Change slot sets that are already there, each in one atomic MODIFY."""
        async with self._exclusive() as p4:
            await p4.modify([slot_set_entry(slot_set) for slot_set in sets])
            self.updates += len(sets)

    async def read(self, asked: Iterable[Any]) -> list[Any]:
        """Read any entities; does not wait for writes under way."""
        if self._p4 is None:
            raise NodeDown(f"{self.name} is not connected: {self.last_error}")
        return [entity async for entity in _read(self._p4, asked)]

    async def scan(self, start: int, stop: int) -> ScanResult:
        """Let the data plane walk over indices start..stop−1 of its connection table."""
        if self._p4 is None:
            raise NodeDown(f"{self.name} is not connected: {self.last_error}")
        self._scan_done = asyncio.get_running_loop().create_future()
        packet = fy.P4PacketOut(
            b"",
            pad=0,
            egress_port=0,
            kind=OUT_SCAN,
            cursor=start,
            limit=stop,
            live=0,
            expired=0,
            pad_now=0,
            now=0,
        )
        await self._send(self._p4, packet)
        return await asyncio.wait_for(self._scan_done, SCAN_TIMEOUT_S)


def _read(p4: fy.Switch, asked: Any) -> AsyncIterator[Any]:
    """finsy declares `read` as a coroutine; it is an asynchronous iterator."""
    return cast(AsyncIterator[Any], p4.read(asked))


def describe(error: BaseException) -> str:
    """An error in one line, for a person."""
    if isinstance(error, fy.P4ClientError):
        details = "; ".join(str(detail.message) for detail in error.details.values())
        return f"{error.code.name}: {error.message}" + (f" ({details})" if details else "")
    return str(error) or type(error).__name__


def _credentials(switch: Switch) -> fy.GRPCCredentialsTLS | None:
    if switch.tls is None:
        return None
    return fy.GRPCCredentialsTLS(
        cacert=Path(switch.tls.ca_file),
        cert=Path(switch.tls.cert_file) if switch.tls.cert_file else None,
        private_key=Path(switch.tls.key_file) if switch.tls.key_file else None,
    )
