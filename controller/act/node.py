"""One switch over P4Runtime: connects, keeps connected, compares, writes, reads, sends packets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

import finsy as fy

from controller.act.contents import Change, amendment, compare, with_slot_sets, with_targets
from controller.act.credentials import credentials
from controller.act.entries import DIGEST, slot_set_entry, target_entry
from controller.act.errors import NodeDown, describe, rival
from controller.act.finsy_log import FINSY_LOG
from controller.act.packets import (
    EXPIRE,
    OUT_PROBE,
    OUT_SCAN,
    PacketsIn,
    Scan,
    ScanResult,
    packet_out,
)
from controller.act.probes import Probe, ProbeAnswer, probe_frame
from controller.act.program import Files
from controller.act.reading import read_entities
from controller.act.records import Record
from controller.act.silence import Silence
from controller.model import NodePlan, SlotSet, Switch, TargetRow

LOG = logging.getLogger(__name__)

RETRY_MIN_S = 0.2
RETRY_MAX_S = 2.0
SCAN_TIMEOUT_S = 2.0
SEND_TIMEOUT_S = 1.0  # a stream that takes no message for so long is as good as gone
CONNECT_TIMEOUT_S = 30.0  # finsy bounds every request (10 s) but not the wait for arbitration
PATIENT_PASSES = 20  # of a reconcile that other writes interrupt; the next one lets none in between


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
        on_probe: Callable[[NodeLink, ProbeAnswer], None] = lambda *_: None,
    ) -> None:
        self.switch = switch
        self.up = False
        self.reconciled = False
        self.since_s = time.time()
        self.last_error: str | None = "not connected yet"
        self.entries = 0
        self.updates = 0  # written since the controller started
        self._wanted: NodePlan | None = None
        self._amended = 0  # writes that changed which rows there are, since the controller started
        self._doubts = 0  # changes of what is wanted that may not have reached the switch
        self._options = fy.SwitchOptions(
            p4info=files.p4info,
            p4blob=files.json,
            device_id=switch.device_id,
            channel_credentials=credentials(switch),
        )
        self._on_connected = on_connected
        self._on_down = on_down
        self._on_digest = on_digest
        self._p4: fy.Switch | None = None
        self._ended: asyncio.Future[str] | None = None  # why the session is to end
        self._silence = Silence(switch.name, self._ask_least)
        self._lock = asyncio.Lock()  # around each write request
        self._reconciling = asyncio.Lock()
        self._stream = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._packets = PacketsIn(switch.name, lambda answer: on_probe(self, answer))

    @property
    def name(self) -> str:
        """Name of the switch."""
        return self.switch.name

    @property
    def wanted(self) -> NodePlan | None:
        """What the switch is to hold. A new plan is written by `reconcile`."""
        return self._wanted

    @wanted.setter
    def wanted(self, plan: NodePlan | None) -> None:
        self._wanted = plan
        self._doubts += 1

    async def run(self) -> None:
        """Connect, serve until the channel goes down, connect again."""
        wait_s = RETRY_MIN_S
        while True:
            started_s = time.monotonic()
            try:
                await self._session()
            except (fy.P4ClientError, NodeDown, OSError, ValueError) as error:
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
        self._ended = ended
        self._silence.begin(lambda why: _settle(ended, why))
        p4.ee.on(
            fy.SwitchEvent.CHANNEL_DOWN, lambda _: _settle(ended, "the P4Runtime stream ended")
        )
        p4.ee.on(fy.SwitchEvent.BECOME_BACKUP, lambda _: _settle(ended, rival(p4)))
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
                    raise ValueError(rival(p4))
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
                self._packets.fail(NodeDown(f"{self.name}: the connection ended during a scan"))
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
            self._packets.take(packet)

    async def _read_digests(self, p4: fy.Switch) -> None:
        async for digest in p4.read_digests(DIGEST, queue_size=1000):
            for entry in digest:
                self._on_digest(self, entry)
            await self._send(p4, digest.ack())

    async def _send(self, p4: fy.Switch, message: Any) -> None:
        """Send on the stream. Raises NodeDown.

        Who gives up waiting does not take the message back: gRPC would end the whole stream with it.
        """
        sending = asyncio.ensure_future(self._send_in_turn(p4, message))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise

    async def _send_in_turn(self, p4: fy.Switch, message: Any) -> None:
        """One message at a time: two at once break finsy's session."""
        try:
            async with self._stream:
                await p4.write([message])
        except fy.P4ClientError as error:  # the stream broke: so has the session
            why = f"the P4Runtime stream broke: {describe(error)}"
            if self._p4 is p4 and self._ended is not None:
                _settle(self._ended, why)
            raise NodeDown(f"{self.name}: {why}") from None

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[fy.Switch]:
        """Write requests of one switch follow each other; one that waits comes between those of a reconcile."""
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

    async def slot_sets(self) -> dict[int, tuple[int, ...]]:
        """Slot sets as the switch holds them now: number → 100 labels."""
        with self._connected() as p4:
            result: dict[int, tuple[int, ...]] = {}
            async for entry in read_entities(p4, fy.P4TableEntry("slots")):
                action = entry.action
                if entry.match and isinstance(action, fy.IndirectAction) and action.action_set:
                    result[entry.match["slot_set"]] = tuple(
                        int(call.args["target"])
                        for weight, call in action.action_set
                        for _ in range(weight if isinstance(weight, int) else weight[0])
                    )
            return result

    async def reconcile(self, plan: NodePlan | None = None) -> int:
        """Make the switch hold what is wanted (from now on `plan`, if given); returns how many updates that took.

        Other writes need not wait for all of it. They change what is wanted, and then the comparison begins anew:
        nothing is written that is wanted no longer. Raises ValueError when nothing is wanted of this switch.
        """
        if plan is not None:
            self.wanted = plan
        updates = passes = 0
        async with self._reconciling:
            settled = False
            while not settled:
                passes += 1
                alone = passes > PATIENT_PASSES
                async with self._lock if alone else nullcontext():
                    written, settled = await self._reconcile_once(alone)
                updates += written
            self.reconciled = True
        return updates

    async def _reconcile_once(self, alone: bool) -> tuple[int, bool]:
        """Updates written, and whether that was all. `alone`: the lock is held already."""
        plan, doubts, amended = self._wanted, self._doubts, self._amended
        if plan is None:
            raise ValueError(f"{self.name}: nothing is wanted of this switch yet")
        with self._connected() as p4:
            change: Change = await compare(p4, plan)
        written = 0
        for batch in change.batches:
            async with nullcontext() if alone else self._lock:
                stale = self._wanted is not plan or self._amended != amended
                if stale and not alone:
                    return written, False
                with self._connected() as p4:
                    await p4.write(batch)
            written += len(batch)
            self.updates += len(batch)
        self.entries = change.entries
        return written, alone or self._doubts == doubts

    async def amend(self, plan: NodePlan) -> int:
        """Want this plan, and write at once how it differs from the one before; returns how many updates that took.

        Nothing is read back: for a few rows that somebody waits for. Raises what a write raises; then `reconcile`.
        """
        before, self._wanted = self._wanted, plan
        self._doubts += 1
        async with self._exclusive() as p4:
            change = amendment(before, plan, p4.p4info) if before is not None else None
            if change is not None:
                self._amended += 1
                for batch in change.batches:
                    await p4.write(batch)
        self._doubts -= 1
        if change is None:
            return await self.reconcile()
        written = sum(map(len, change.batches))
        self.updates += written
        return written

    async def write_slot_sets(self, sets: Sequence[SlotSet]) -> None:
        """Change slot sets that are already there, each in one atomic MODIFY; they are wanted from now on."""
        if self._wanted is not None:
            self._wanted = with_slot_sets(self._wanted, sets)
        await self._modify([slot_set_entry(slot_set) for slot_set in sets])

    async def write_targets(self, rows: Sequence[TargetRow]) -> None:
        """Change what bindings mean, each in one atomic MODIFY, in one request; they are wanted from now on."""
        if self._wanted is not None:
            self._wanted = with_targets(self._wanted, rows)
        await self._modify([target_entry(row) for row in rows])

    async def _modify(self, changed: Sequence[fy.P4TableEntry]) -> None:
        self._doubts += 1
        async with self._exclusive() as p4:
            await p4.modify(changed)
        self._doubts -= 1
        self.updates += len(changed)

    async def read(self, asked: Iterable[Any]) -> list[Any]:
        """Read any entities; does not wait for writes under way.

        When reads stay unanswered, `silence` decides whether to end the session.
        """
        with self._silence.watched(), self._connected() as p4:
            return [entity async for entity in read_entities(p4, asked)]

    async def _ask_least(self) -> None:
        with self._connected() as p4:
            async for _ in read_entities(p4, fy.P4TableEntry("node", is_default_action=True)):
                pass

    async def scan(
        self,
        start: int,
        stop: int,
        scan: Scan = EXPIRE,
        *,
        records: list[Record] | None = None,
        timeout_s: float = SCAN_TIMEOUT_S,
    ) -> ScanResult:
        """Let the data plane walk over indices start..stop−1 of its connection table; one scan at a time.

        `records` takes those that come to the controller. Raises NodeDown, or TimeoutError when the answer (or one of
        the records) was lost.
        """
        packet = packet_out(b"", kind=OUT_SCAN, cursor=start, limit=stop, **asdict(scan))
        async with self._scanning:
            done = self._packets.expect(stop, records)
            try:
                with self._connected() as p4:
                    async with asyncio.timeout(timeout_s):  # a stuck stream takes no message either
                        await self._send(p4, packet)
                        return await done
            finally:
                self._packets.forget()

    async def probe(self, probe: Probe) -> None:
        """Send a probe. Raises NodeDown."""
        frame = probe_frame(self.switch.label, probe)
        with self._connected() as p4:
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._send(p4, packet_out(frame, kind=OUT_PROBE, session=probe.group))
            except TimeoutError:
                raise NodeDown(
                    f"{self.name} takes no message ({SEND_TIMEOUT_S:g} s): its stream is stuck"
                ) from None


def _settle(future: asyncio.Future[str], why: str) -> None:
    if not future.done():
        future.set_result(why)
