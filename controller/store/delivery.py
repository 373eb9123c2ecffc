"""Brings what is in the spool to the server: in order, proven, for ever patient; in a thread of its own.

What the server acknowledged stays in the spool until a canary that was written with it has been read
back. When the server is away, slow, full or refuses, everything waits; afterwards all that is not proven
is written again, which doubles nothing. A line that the server refuses, while it takes others, is kept aside.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.store.canary import Canaries
from controller.store.forgetting import Forgetting
from controller.store.influx import WRITE_LINES, InfluxAdapter
from controller.store.interface import (
    RefusedError,
    Rejected,
    SlowError,
    StoreError,
    TooLargeError,
    UnavailableError,
)
from controller.store.late_means import LateMeans
from controller.store.line_protocol import split
from controller.store.rejected import RejectedLines
from controller.store.spool import Position, Spool, SpoolBusyError
from controller.trouble import Troubles

TROUBLE = "influxdb"
MEANS_TROUBLE = "influxdb means"
FORGET_TROUBLE = "influxdb retention"
FIRST_WAIT_S = 0.2
MOST_WAIT_S = 15.0
PROVE_SAMPLES = 50_000  # at the latest after so many
IDLE_S = 1.0
KEEP_S = 60.0  # that what was proven stays in the spool
DISTRUST_S = 900.0  # after a server's disk was full: by then its log has become files
START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """For status and metrics. server: what it is, None before it has answered. delivered, rejected:
    samples in this run. waiting: samples not yet delivered; unproven: delivered, not yet read back.
    """

    server: str | None
    available: bool
    delivered: int
    rejected: int
    waiting: int
    unproven: int
    proofs: int
    replays: int


class Delivery:
    """connect: makes the adapter, when the server answers. writer: names the canaries' series. own_s: measurement →
    seconds that it is kept, where that is shorter than its bucket.
    """

    def __init__(
        self,
        spool: Spool,
        connect: Callable[[], InfluxAdapter],
        troubles: Troubles,
        writer: str,
        *,
        prove_s: float = 5.0,
        keep_s: float = KEEP_S,
        own_s: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rejected = RejectedLines(spool.directory)
        self._spool = spool
        self._connect = connect
        self._troubles = troubles
        self._canaries = Canaries(writer)
        self._prove_s = prove_s
        self._clock = clock
        self._adapter: InfluxAdapter | None = None
        self._position = START  # up to which the server has acknowledged
        self._proven = START
        self._kept = START  # up to here it is also released
        self._keep_s = keep_s
        self._forgetting = Forgetting(own_s or {})
        self._tail: deque[tuple[float, Position]] = deque()  # when proven, up to where
        self._distrusted_s: float | None = None
        self._proven_at_s = time.monotonic()
        self._unproven = 0
        self._delivered = self._proofs = self._replays = 0
        self._available = False
        self._means = LateMeans()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread = threading.Thread(target=self._run, name="umbra-delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._wake.set()

    def stop(self, patience_s: float = 2.0) -> None:
        """Deliver what waits if the server takes it in that time, and end. The rest stays in the spool."""
        until_s = time.monotonic() + patience_s
        while self._available and self.behind and time.monotonic() < until_s:
            self._wake.set()
            time.sleep(0.02)
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience_s + 1.0)
        if self._adapter is not None:
            self._adapter.close()

    @property
    def behind(self) -> bool:
        """Something in the spool is not yet proven to be on the server."""
        with contextlib.suppress(OSError):  # what an earlier run left counts too
            self._spool.open()
        return self._spool.samples_after(self._proven) > 0

    @property
    def proven(self) -> Position:
        """Up to here everything is on the server and can be read."""
        return self._proven

    def state(self) -> DeliveryState:
        """Now."""
        adapter = self._adapter
        name = None
        if adapter is not None:
            name = f"{adapter.capabilities.name} ({adapter.version})"
        return DeliveryState(
            name,
            self._available,
            self._delivered,
            self.rejected.added,
            self._spool.samples_after(self._position),
            self._unproven,
            self._proofs,
            self._replays,
        )

    def step(self) -> bool:
        """Deliver one batch, or prove what was; False when there is nothing to do.

        Raises StoreError and OSError; nothing is lost by that.
        """
        adapter = self._ready()
        records = self._spool.read(self._position, WRITE_LINES)
        if records:
            lines = [line for one in records for line in split(_text(one.payload))]
            self._deliver(adapter, lines)
            self._position = records[-1].end
            samples = sum(one.samples for one in records)
            self._unproven += samples
            self._delivered += samples
            self._means.note(lines)
        due = time.monotonic() - self._proven_at_s >= self._prove_s
        if self._unproven and (not records or due or self._unproven >= PROVE_SAMPLES):
            self._prove(adapter)
        more_means = not self._unproven and self._make_means(adapter)
        return bool(records) or more_means

    def _ready(self) -> InfluxAdapter:
        if self._adapter is None:
            self._adapter = self._connect()
        return self._adapter

    def _deliver(self, adapter: InfluxAdapter, lines: Sequence[str]) -> None:
        canary = self._canaries.next(round(self._clock() * 1e9))
        mine = self._canaries.line(adapter, canary)
        try:
            adapter.write_lines(self._canaries.bucket, [*lines, mine])
        except (RefusedError, TooLargeError):
            self._sift(adapter, lines)
            adapter.write_lines(self._canaries.bucket, [mine])
        self._canaries.written(canary)

    def _sift(self, adapter: InfluxAdapter, lines: Sequence[str]) -> None:
        """Write those that the server takes, keep the others aside. A server that refuses everything, a canary
        too, is at fault itself: then everything waits.
        """
        self._takes_any(adapter)
        rejected = adapter.write_sound(self._canaries.bucket, lines)
        self._takes_any(adapter)
        if rejected:
            again = [one.what for one in rejected]
            rejected = adapter.write_sound(self._canaries.bucket, again)
            self._takes_any(adapter)
        if rejected:
            self.rejected.add(rejected, self._clock())
            self._tell(rejected)

    def _takes_any(self, adapter: InfluxAdapter) -> None:
        canary = self._canaries.next(round(self._clock() * 1e9))
        try:
            line = self._canaries.line(adapter, canary)
            adapter.write_lines(self._canaries.bucket, [line])
        except (RefusedError, TooLargeError) as error:
            raise UnavailableError(
                f"{adapter.server.url} refuses everything ({error}); see that it is an InfluxDB "
                "with room, and what stands between"
            ) from error

    def _tell(self, rejected: Sequence[Rejected]) -> None:
        first = rejected[0]
        self._troubles.count(
            "influxdb line",
            f"{len(rejected)} refused, kept in {self.rejected.path}: {first.reason}",
        )

    def _prove(self, adapter: InfluxAdapter) -> None:
        missing = self._canaries.missing(adapter)
        if missing:
            raise UnavailableError(
                f"{adapter.server.url} acknowledged {missing} writes that cannot be read; they are "
                "written again (see its log, and that store.influxdb.url names an InfluxDB)"
            )
        self._canaries.proven()
        self._proven = self._position
        self._keep_tail()
        self._proven_at_s = time.monotonic()
        self._unproven = 0
        self._proofs += 1
        self._forget(adapter)

    def _forget(self, adapter: InfluxAdapter) -> None:
        """A server that does not delete casts no doubt on what is proven: were it delivered again for that, the spool
        would never be released.
        """
        try:
            if self._forgetting.step(adapter, self._clock()):
                self._troubles.end(FORGET_TROUBLE)
        except StoreError as error:
            self._troubles.begin(FORGET_TROUBLE, str(error))

    def _keep_tail(self) -> None:
        """Release what was proven long enough ago. A server that crashes, or whose disk was full, may lose at its
        next start what it had acknowledged and given back (InfluxDB 2.7.12 does: measured); so the newest
        stays, and after trouble is written again.
        """
        now_s = time.monotonic()
        self._tail.append((now_s, self._position))
        if self._distrusted_s is not None:
            if now_s - self._distrusted_s < DISTRUST_S and self._spool.full_pct < 50.0:
                return
            self._distrusted_s = None
            raise UnavailableError(
                f"{self._adapter.server.url if self._adapter else 'the server'}: its disk was full; "
                "what it has taken since is written once more"
            )
        while len(self._tail) > 1 and self._tail[1][0] <= now_s - self._keep_s:
            self._tail.popleft()
        if self._tail[0][0] <= now_s - self._keep_s:
            self._kept = self._tail[0][1]
            self._spool.release(self._kept)

    def _distrust(self, error: Exception) -> None:
        if "no space left" in str(error):
            self._distrusted_s = time.monotonic()
        elif "does not answer" in str(error):
            self._distrusted_s = None  # it ends, or begins anew: all that is kept is written again

    def _make_means(self, adapter: InfluxAdapter) -> bool:
        """Means take longer the more is delivered late: they hold nothing up and cast no doubt on what is proven."""
        try:
            more = self._means.make(adapter, round(self._clock() * 1e9))
        except (SlowError, RefusedError) as error:
            self._troubles.begin(MEANS_TROUBLE, str(error))
            return False
        self._troubles.end(MEANS_TROUBLE)
        return more

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping:
            try:
                more = self.step()
            except (StoreError, OSError) as error:
                self._distrust(error)
                self._begin_again()
                self._troubles.begin(TROUBLE, _said(error))
                asked_s = getattr(error, "retry_after_s", None)
                self._pause(min(60.0, asked_s) if asked_s is not None else wait_s)
                wait_s = min(MOST_WAIT_S, 2 * wait_s)
                continue
            except Exception as error:  # whatever it is, samples must go on being delivered
                self._begin_again()
                self._troubles.fail(TROUBLE, error)
                self._pause(wait_s)
                wait_s = min(MOST_WAIT_S, 2 * wait_s)
                continue
            self._available = True
            wait_s = FIRST_WAIT_S
            self._troubles.end(TROUBLE)
            if not more:
                self._wake.wait(IDLE_S)
                self._wake.clear()

    def _begin_again(self) -> None:
        """After trouble: the server may have been restarted or replaced, and what is not proven lost."""
        self._available = False
        if self._unproven:
            self._replays += 1
            self._delivered -= self._unproven
        self._position = self._proven = self._kept
        self._tail.clear()
        self._unproven = 0
        self._canaries.proven()
        if self._adapter is not None:
            with contextlib.suppress(Exception):
                self._adapter.close()
            self._adapter = None

    def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until_s:
            time.sleep(min(0.1, max(0.0, until_s - time.monotonic())))


def pack(lines: Sequence[str]) -> bytes:
    """Lines as a record of the spool holds them."""
    return gzip.compress("\n".join(lines).encode(), compresslevel=1)


def _text(payload: bytes) -> str:
    return gzip.decompress(payload).decode()


def unpack(payload: bytes) -> list[str]:
    """The reverse of `pack`."""
    return split(_text(payload))


def _said(error: Exception) -> str:
    if isinstance(error, StoreError | SpoolBusyError):
        return str(error)
    return f"the spool cannot be used ({error}): make room on its disk and check it"
