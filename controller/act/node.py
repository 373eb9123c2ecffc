"""One switch over P4Runtime: connects, keeps connected, compares, writes, reads, scans."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
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
CONNECT_TIMEOUT_S = 30.0  # finsy bounds every request (10 s) but not the wait for arbitration
SILENT_S = 4.0  # a connected switch that has answered nothing for so long is probed
PROBE_TIMEOUT_S = 4.0  # and given up when it does not answer that either


class NodeDown(Exception):
    """The switch is not connected: nothing can be read or written now."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan of (a part of) the connection table found."""

    live: int
    expired: int


class NodeLink:
    """Connection to one switch. `run` connects again and again until cancelled; the switch keeps its state meanwhile.

    Callbacks run in the event loop: `on_connected(link)` is awaited as soon as the link is up.
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
        self._ended: asyncio.Future[str] | None = None  # why the session is to end
        self._silent_s: float | None = None  # since when reads go unanswered
        self._probing: asyncio.Task[None] | None = None
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
            own = asyncio.current_task()
            if own is not None and own.cancelling():  # gRPC may answer a cancellation with an error
                raise asyncio.CancelledError
            if time.monotonic() - started_s > RETRY_MAX_S:
                wait_s = RETRY_MIN_S
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_MAX_S, wait_s * 2)

    async def _session(self) -> None:
        p4 = fy.Switch(self.name, self.switch.address, self._options)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ended, self._silent_s = ended, None
        p4.ee.on(
            fy.SwitchEvent.CHANNEL_DOWN, lambda _: _settle(ended, "the P4Runtime stream ended")
        )
        p4.ee.on(fy.SwitchEvent.BECOME_BACKUP, lambda _: _settle(ended, _rival(p4)))
        readers: list[asyncio.Task[None]] = []
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await stack.enter_async_context(p4)
            except TimeoutError:
                raise ConnectionError(
                    f"it accepts the connection but does not answer ({CONNECT_TIMEOUT_S:g} s)"
                ) from None
            try:
                if not p4.is_primary:
                    raise ValueError(_rival(p4))
                self._p4 = p4
                readers = [
                    asyncio.create_task(self._read_packets(p4)),
                    asyncio.create_task(self._read_digests(p4)),
                ]
                await self._want_digests(p4)
                self.up, self.since_s, self.last_error = True, time.time(), None
                await self._on_connected(self)
                ends: set[asyncio.Future[Any]] = {ended, *readers}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for reader in readers:
                    if reader.done() and not reader.cancelled():
                        reader.result()  # without its reader a link is deaf: connect anew
                raise ConnectionError(ended.result() if ended.done() else "the session ended")
            finally:
                self._p4 = None
                for reader in readers:
                    reader.cancel()
                await asyncio.gather(*readers, return_exceptions=True)
                if self.up:
                    self.up = self.reconciled = False
                    self.since_s = time.time()
                    self.last_error = ended.result() if ended.done() else None
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
            with self._connected() as p4:
                yield p4

    @contextmanager
    def _connected(self) -> Iterator[fy.Switch]:
        """The connection, for one request. Raises NodeDown when there is none, or it ends meanwhile.

        Closing a channel cancels what waits for an answer; nobody asked the waiting task to end.
        """
        if self._p4 is None:
            raise NodeDown(f"{self.name} is not connected: {self.last_error}")
        try:
            yield self._p4
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NodeDown(f"{self.name}: the connection ended before the answer") from None

    async def _read_entries(self, p4: fy.Switch) -> list[p4r.Entity]:
        """All table entries, one table at a time (an answer is bounded by gRPC's 4 MiB)."""
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
        """Read any entities; does not wait for writes under way.

        When reads stay unanswered for `SILENT_S`, a probe decides whether to end the session: a switch that hangs,
        or a network that swallows everything, keeps its stream open for a quarter of an hour.
        """
        answered = False
        asked_s = time.monotonic()
        try:
            with self._connected() as p4:
                found = [entity async for entity in _read(p4, asked)]
            answered = True
        except fy.P4ClientError as error:
            answered = error.code is not fy.GRPCStatusCode.DEADLINE_EXCEEDED
            raise
        finally:
            if answered:
                self._silent_s = None
            elif self._silent_s is None:
                self._silent_s = asked_s
            elif time.monotonic() - self._silent_s >= SILENT_S and self._probing is None:
                self._probing = asyncio.create_task(self._probe())
        return found

    async def _probe(self) -> None:
        """Slow or gone? A switch that answers the smallest question is only slow, and stays."""
        ended = self._ended
        try:
            with self._connected() as p4:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    async for _ in _read(p4, fy.P4TableEntry("node", is_default_action=True)):
                        pass
        except TimeoutError:
            if ended is not None:
                _settle(ended, f"it stays connected but has not answered for {SILENT_S:g} s")
        except (NodeDown, fy.P4ClientError) as error:  # an error is an answer, too
            LOG.debug("%s: probe: %s", self.name, describe(error))
        finally:
            self._probing, self._silent_s = None, None

    async def scan(self, start: int, stop: int, *, timeout_s: float = SCAN_TIMEOUT_S) -> ScanResult:
        """Let the data plane walk over indices start..stop−1 of its connection table."""
        done: asyncio.Future[ScanResult] = asyncio.get_running_loop().create_future()
        self._scan_done = done
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
        with self._connected() as p4:
            async with asyncio.timeout(timeout_s):  # a stuck stream takes no message either
                await self._send(p4, packet)
                return await done


def _read(p4: fy.Switch, asked: Any) -> AsyncIterator[Any]:
    """finsy declares `read` as a coroutine; it is an asynchronous iterator."""
    return cast(AsyncIterator[Any], p4.read(asked))


def _settle(future: asyncio.Future[str], why: str) -> None:
    if not future.done():
        future.set_result(why)


def _rival(p4: fy.Switch) -> str:
    return (
        f"another controller holds this switch (election id {p4.primary_id}); "
        "stop it, or take this switch out of the configuration"
    )


def describe(error: BaseException) -> str:
    """An error in one line, for a person."""
    if isinstance(error, fy.P4ClientError):
        details = "; ".join(
            f"update {index + 1}: {one.canonical_code.name}"
            + (f": {one.message}" * bool(one.message))
            for index, one in error.details.items()
        )
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
