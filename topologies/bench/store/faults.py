"""A million samples through everything that can go wrong: what was acknowledged and is missing, what is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from controller.store.frames import NS
from controller.store.influx_http import Server
from controller.store.interface import Adapter, Query, Retention
from controller.store.opening import connect
from controller.store.sqlite import SqliteAdapter
from topologies.bench.progress import Progress
from topologies.bench.store.writer import FLUSH_SAMPLES, ROUTERS, Work
from topologies.namespace import dying
from topologies.servers.faulty import FaultyProxy, Mode, before
from topologies.servers.influx import TOKEN, Influx

Serials = npt.NDArray[np.int64]
WEEK_S = 604_800.0
FOR_S = 2.0  # that a trouble lasts
DISK = "768m"
LEFT_BY_A_KILL = FLUSH_SAMPLES  # samples that were not acknowledged yet, at most
BEYOND = 0.05  # share of the samples that there are for a trouble to meet
PATIENCE_S = 900.0


@dataclass(slots=True)
class Endured:
    """acked: samples that a flush had made durable. lost: of these, not there. duplicated: rows beyond one for
    each serial number. seen: requests that met each trouble.
    """

    acked: int = 0
    lost: int = 0
    duplicated: int = 0
    discarded: int = 0
    lost_ranges: list[tuple[int, int]] = field(default_factory=list)
    seconds: float = 0.0
    troubles: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)


class _Writer:
    """The controller process, started again where it was killed."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.acked: list[tuple[int, int]] = []  # first, last of each run
        self.tried = work.first - 1
        self.behind = 0
        self.discarded = 0
        self.done = False
        self._until = work.first
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        first = self.tried + 1
        work = replace(self.work, first=first)
        self._process = subprocess.Popen(
            dying([sys.executable, "-m", "topologies.bench.store.writer", work.to_json()]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acked.append((first, first - 1))
        self.allow(self._until)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def allow(self, until: int) -> None:
        """Let it go on until that sample, so that it cannot be done before it is in trouble."""
        self._until = until
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has just been killed: the next one is told
            self._process.stdin.write(f"{until}\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def delivered(self) -> int:
        """About so many are on the server."""
        return max(0, self.acked[-1][1] - self.behind)

    def serials(self) -> Serials:
        return np.concatenate([np.arange(first, last + 1) for first, last in self.acked])

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            what, _, number = line.strip().partition(" ")
            if what == "tried":
                self.tried = int(number)
            elif what == "acked":
                self.acked[-1] = (self.acked[-1][0], int(number))
            elif what == "behind":
                self.behind = int(number)
            elif what == "discarded":
                self.discarded += int(number)
            elif what == "done":
                self.done = True


def endure(influx: Influx | None, directory: Path, samples: int, progress: Progress) -> Endured:
    """With a running server that may be killed, or (None) with the embedded store."""
    name = f"influxdb{influx.major}" if influx is not None else "sqlite"
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(directory / "disk"))
        start_s = float(int(time.time()) - 2 * 86_400)
        back = (int(0.45 * samples), int(0.55 * samples))
        work = Work(
            str(disk / "umbra.db"), str(disk / "spool"), 0, samples, start_s, back, samples // 25
        )
        proxy = None
        direct: Server | None = None
        if influx is not None:
            proxy = stack.enter_context(before(influx.port))
            token = TOKEN if influx.major == 2 else None
            work = replace(work, url=proxy.url, org=influx.server.org, token=token)
            direct = replace(influx.server, database=work.database, timeout_s=60.0)
            with connect(direct) as adapter:
                adapter.prepare(Retention(WEEK_S, 10 * WEEK_S))
        writer = _Writer(work)
        found = Endured()
        begun_s = time.monotonic()
        try:
            writer.start()
            for share, what, act in _troubles(writer, proxy, influx, disk):
                writer.allow(int((share + BEYOND) * samples))
                _until(writer, partial(_reached, writer, share * samples))
                progress(f"{name}: {writer.delivered} of {samples} samples, now: {what}")
                act()
                found.troubles.append(what)
            writer.allow(samples)
            _until(writer, lambda: writer.done)
        finally:
            writer.end()
        found.seconds = time.monotonic() - begun_s
        progress(f"{name}: reading {samples} samples back")
        store: Adapter = connect(direct) if direct is not None else SqliteAdapter(work.path)
        with store:
            there = _serials(store)
        acked = writer.serials()
        found.acked, found.discarded = len(acked), writer.discarded
        lost = np.setdiff1d(acked, there)
        found.lost = len(lost)
        found.lost_ranges = _ranges(lost)
        found.duplicated = len(there) - len(np.unique(there))
        if proxy is not None:
            found.seen = {mode.value: count for mode, count in proxy.seen.items()}
    return found


def _reached(writer: _Writer, samples: float) -> bool:
    return writer.delivered >= samples


def _troubles(
    writer: _Writer,
    proxy: FaultyProxy | None,
    influx: Influx | None,
    disk: Path,
) -> list[tuple[float, str, Callable[[], None]]]:
    """(when, as a share of the samples; what; how)."""

    def killed() -> None:
        writer.kill()
        writer.start()

    def full() -> None:
        with filled(disk):
            _last(FOR_S / 2)

    plan: list[tuple[float, str, Callable[[], None]]] = [
        (0.25, "the controller is killed (SIGKILL)", killed),
        (0.50, "the clock is back by an hour (between 45 and 55 %)", lambda: None),
        (0.65, "the controller's disk is full", full),
        (0.85, "the controller is killed (SIGKILL)", killed),
    ]
    if proxy is None or influx is None:
        return plan
    shares = iter((0.05, 0.10, 0.15, 0.20, 0.35, 0.40))
    for mode in (Mode.BUSY, Mode.LIMITED, Mode.BAD, Mode.NOTHING, Mode.LOST, Mode.CUT):

        def troubled(mode: Mode = mode) -> None:
            proxy.mode = mode
            _last(FOR_S)
            proxy.mode = Mode.PASS

        plan.append((next(shares), f"the server answers: {mode}", troubled))

    def restarted() -> None:
        influx.kill()
        time.sleep(0.5)
        influx.start()

    def crowded() -> None:
        with filled(influx.directory):
            _last(FOR_S)
        # As an operator would: both servers go on refusing when there is room again (measured).
        influx.stop()
        influx.start()

    plan.append((0.30, "the server is killed (SIGKILL)", restarted))
    plan.append((0.75, "the server is killed (SIGKILL)", restarted))
    plan.append(
        (0.58, "the server's disk is full; then there is room and it is restarted", crowded)
    )
    return sorted(plan, key=lambda one: one[0])


def _last(seconds: float) -> None:
    """A trouble goes on."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        time.sleep(0.05)


def _serials(store: Adapter) -> Serials:
    """The serial number of every row that is there."""
    parts = []
    for number in range(ROUTERS):
        where = {"router": (f"r{number}",)}
        for frame in store.query(Query("samples", 1 * NS, fields=("live",), where=where)):
            parts.append(frame.columns["live"])
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def _ranges(serials: Serials) -> list[tuple[int, int]]:
    """First and last of each run of neighbours, the first twenty of these."""
    if not len(serials):
        return []
    breaks = np.flatnonzero(np.diff(serials) > 1)
    firsts = serials[np.concatenate([[0], breaks + 1])].tolist()
    lasts = serials[np.concatenate([breaks, [len(serials) - 1]])].tolist()
    return list(zip(firsts, lasts, strict=True))[:20]


def _until(writer: _Writer, condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition() and not writer.done:
        if time.monotonic() > end_s:
            raise RuntimeError(f"nothing moves: {writer.acked[-1]}, {writer.behind} behind")
        if not writer.alive and not writer.done:
            time.sleep(0.2)  # its last words
            if not writer.done:
                raise RuntimeError("the writer ended by itself; see its messages above")
        time.sleep(0.01)


@contextmanager
def filled(directory: Path) -> Iterator[None]:
    """A file that takes all the room of its file system."""
    filler = directory / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, free - (1 << 20)))
            file.seek(0, os.SEEK_END)
            with suppress(OSError):
                while True:
                    file.write(b"\0" * 4096)
        yield
    finally:
        filler.unlink()


@contextmanager
def small_disk(directory: Path, size: str = DISK) -> Iterator[Path]:
    """A file system of its own, in memory. Raises RuntimeError without root."""
    directory.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"a small disk cannot be mounted: {made.stderr.strip()}; be root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)
