"""Random operations by several processes on one pool, while processes are killed, stopped and restarted and their
clocks are set: is an address ever had by two, lost, or kept by nobody?

    python -m topologies.bench.addresses.chaos --operations 1000000

Workers take and release and write down what they were told (ledger.py). Some of those killed come back
and ask again for what they had not been told; the others never come back, as a host that burns, and all they had has
leaked: looks at the world (the ledgers of those that live) must find it. Afterwards the ledgers are compared, and
every address is granted once more.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from controller.model import AddressState, Subdivision
from controller.pool import Pool, Unavailable, World
from topologies.bench.addresses.ledger import Account, judge, now_s
from topologies.bench.progress import Progress

SUBDIVISION = "pod"
SHARDS = ("10.64.0.0/20", "10.64.16.0/20", "10.64.64.0/21")
EVENTS = ("kill", "burn", "pause", "restart", "hold", "unhold")
WEIGHTS = (4, 1, 8, 2, 4, 2)
LONG_PAUSE_PCT = 3
HOLD_MOST = 300
TICK_S = 0.05
PATIENCE_S = 90.0
TOLD = 5  # sentences of each kind in the report


@dataclass(frozen=True, slots=True)
class Settings:
    """look_s: between looks at the world. event_s: mean time between events."""

    operations: int = 1_000_000
    workers: int = 4
    threads: int = 24
    tokens: int = 60
    cool_s: float = 1.0
    look_s: float = 15.0
    gap_s: float = 10.0
    event_s: float = 0.4
    long_pause_s: float = 12.0
    seed: int = 1


@dataclass(slots=True)
class Chaos:
    """What happened, and what came of it. Leaks: all that a worker had that ended for ever, from its end on."""

    operations: int = 0
    seconds: float = 0.0
    grants: int = 0
    events: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    leaks_released: int = 0
    oldest_leak_s: float = 0.0
    duplicates: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """No duplicate, none lost, none reused early, no other fault, no leak older than a minute."""
        wrong = self.duplicates or self.early or self.lost or self.faults
        return not wrong and self.oldest_leak_s <= 60.0


class _Driver:
    def __init__(self, directory: Path, settings: Settings, progress: Progress) -> None:
        self.directory = directory
        self.settings = settings
        self.progress = progress
        self.chance = random.Random(settings.seed)
        self.path = directory / "pool.db"
        self.pool = Pool(self.path, cool_s=settings.cool_s, gap_s=settings.gap_s)
        self.running: dict[Path, subprocess.Popen[bytes]] = {}
        self.paused: dict[Path, float] = {}  # until when
        self.accounts: dict[Path, Account] = {}
        self.burnt_s: dict[Path, float] = {}
        self.leaking: dict[Path, float] = {}
        self.began_at: dict[Path, int] = {}  # operations; who has done none yet is not struck
        self.holders: set[str] = set()
        self.told = Chaos()
        self.names = 0
        self.starts = 0

    def run(self) -> Chaos:
        settings, began_s = self.settings, time.monotonic()
        self.pool.register(Subdivision(SUBDIVISION, ("10.64.0.0/16",), "site"))
        for prefix in SHARDS:
            self.pool.confirm(prefix, self.pool.claim(prefix, SUBDIVISION, "chaos").sequence)
        for _ in range(settings.workers):
            self._start(None)
        next_look_s, next_told_s = began_s + settings.look_s, began_s
        try:
            while self._operations() < settings.operations:
                self._pass_time()
                if self.chance.random() < TICK_S / settings.event_s:
                    self._event(self.chance.choices(EVENTS, WEIGHTS)[0])
                if time.monotonic() >= next_look_s:
                    next_look_s += settings.look_s
                    self._look()
                if time.monotonic() >= next_told_s:
                    next_told_s += 5.0
                    self.progress(f"{self._operations()} of {settings.operations} operations")
            self.told.seconds = time.monotonic() - began_s
            self._end()
            self._settle(next_look_s)
            self._compare()
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
            self.pool.close()
        return self.told

    def _pass_time(self) -> None:
        time.sleep(TICK_S)
        for path, until_s in list(self.paused.items()):
            if now_s() >= until_s:
                del self.paused[path]
                self.running[path].send_signal(signal.SIGCONT)
        for path, process in self.running.items():
            if process.poll() is not None:
                raise RuntimeError(f"worker {path.stem} ended by itself ({process.returncode})")
        self._watch_leaks()

    def _start(self, path: Path | None) -> None:
        if path is None:
            self.names += 1
            path = self.directory / f"w{self.names}.ledger"
            self.accounts[path] = Account(path)
        self.starts += 1
        self.began_at[path] = self.accounts[path].operations
        settings = self.settings
        arguments = [self.path, path, SUBDIVISION, settings.cool_s, settings.threads]
        arguments += [settings.tokens, settings.seed * 1_000_003 + self.starts]
        self.running[path] = subprocess.Popen(
            [sys.executable, "-m", "topologies.bench.addresses.worker", *map(str, arguments)]
        )

    def _event(self, event: str) -> None:
        awake = [
            path
            for path in self.running
            if path not in self.paused and self.accounts[path].operations > self.began_at[path]
        ]
        if event == "hold":
            self._try_hold()
        elif event == "unhold":
            self._try_unhold()
        elif not awake:
            return
        else:
            path = self.chance.choice(awake)
            process = self.running[path]
            if event == "kill":
                self._kill(path)
                self._start(path)
            elif event == "burn":
                self._kill(path)
                self.burnt_s[path] = self.leaking[path] = now_s()
                self._start(None)
            elif event == "restart":
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)
                self._start(path)
            else:
                long = self.chance.randrange(100) < LONG_PAUSE_PCT
                length_s = self.settings.long_pause_s if long else self.chance.uniform(0.05, 1.0)
                process.send_signal(signal.SIGSTOP)
                self.paused[path] = now_s() + length_s
        self.told.events[event] = self.told.events.get(event, 0) + 1

    def _kill(self, path: Path) -> None:
        process = self.running.pop(path)
        process.kill()
        process.wait()

    def _try_hold(self) -> None:
        try:
            found = self.pool.hold(SUBDIVISION, self.chance.randrange(1, HOLD_MOST))
        except Unavailable:
            return  # a stopped worker has the write lock
        self.holders.update(each.address for each in found)

    def _try_unhold(self) -> None:
        try:
            held = self.pool.addresses(SUBDIVISION, state=AddressState.HELD, most=HOLD_MOST)
            self.holders.difference_update(self.pool.unhold(held[::2]))
        except Unavailable:
            return

    def _look(self) -> None:
        """At the ledgers of all that live, stopped or not."""
        try:
            observation = self.pool.observe()
            alive = [self.accounts[path] for path in self.running]
            for account in alive:
                account.read()
            found = self.pool.reconcile(
                World(
                    observation,
                    frozenset({SUBDIVISION}),
                    instances={h.address: h.owner for a in alive for h in a.live.values()},
                    owners=frozenset(owner for a in alive for owner in a.wanting),
                    holders=frozenset(self.holders),
                )
            )
        except Unavailable:
            return
        self.told.looks += 1
        self.told.leaks_released += len(found.released)
        self.told.faults += found.conflicts
        self.holders.difference_update(found.holders_to_end)
        self.holders.difference_update(found.unheld)

    def _watch_leaks(self) -> None:
        for path, since_s in list(self.leaking.items()):
            self.told.oldest_leak_s = max(self.told.oldest_leak_s, now_s() - since_s)
            if not self.pool.granted(f"{path.stem}:"):
                del self.leaking[path]

    def _operations(self) -> int:
        for path in self.running:
            self.accounts[path].read()
        return sum(account.operations for account in self.accounts.values())

    def _end(self) -> None:
        self.told.operations = self._operations()
        for path, process in self.running.items():
            if path in self.paused:
                process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(PATIENCE_S)
        self.paused.clear()

    def _settle(self, next_look_s: float) -> None:
        """Looks go on until no leak is left."""
        deadline_s = time.monotonic() + PATIENCE_S
        self.progress("waiting for the last leaks to be found")
        while self.leaking and time.monotonic() < deadline_s:
            time.sleep(TICK_S)
            self._watch_leaks()
            if time.monotonic() >= next_look_s:
                next_look_s += self.settings.look_s
                self._look()

    def _compare(self) -> None:
        told, cool_s = self.told, self.settings.cool_s
        for account in self.accounts.values():
            account.read()
        told.events["clock jump"] = sum(account.jumps for account in self.accounts.values())
        told.grants = sum(len(account.past) for account in self.accounts.values())
        verdict = judge(self.accounts.values(), self.burnt_s, cool_s)
        told.duplicates += verdict.duplicates
        told.early += verdict.early
        told.faults += [*verdict.faults, *self.pool.audit()]
        self.progress("granting every address once more")
        for path in self.running:
            for held in self.accounts[path].live.values():
                grant = self.pool.take(SUBDIVISION, held.owner)
                if (grant.address, grant.sequence) != (held.address, held.sequence):
                    told.lost.append(f"{held.owner} had {held.address}, and has {grant.address}")
                self.pool.release(grant.address, held.owner, grant.sequence)
            for owner in [*self.accounts[path].leaving, *self.accounts[path].wanting]:
                for address in self.pool.addresses(owner=owner, state=AddressState.GRANTED):
                    self.pool.release(address.address, owner, address.sequence)
        time.sleep(min(0.9, cool_s / 2))
        cooled_s = now_s() + cool_s
        while now_s() < cooled_s:
            time.sleep(TICK_S)
        capacity = self.pool.counts(SUBDIVISION).capacity
        futures = [self.pool.take_soon(SUBDIVISION, f"again:{i}") for i in range(capacity)]
        missing = [each for each in futures if each.exception() is not None]
        again = {each.result().address for each in futures if each.exception() is None}
        if missing or len(again) != capacity:
            told.lost.append(f"{capacity - len(again)} of {capacity} cannot be granted any more")
        told.faults += self.pool.audit()


def run(settings: Settings, progress: Progress = lambda _: None) -> Chaos:
    """In a directory of its own, which is removed."""
    with tempfile.TemporaryDirectory(prefix="umbra-chaos-") as directory:
        return _Driver(Path(directory), settings, progress).run()


def main() -> None:
    """Prints a report as JSON; the exit code is 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--operations", type=int, default=Settings().operations)
    parser.add_argument("--seed", type=int, default=Settings().seed)
    arguments = parser.parse_args()
    settings = Settings(operations=arguments.operations, seed=arguments.seed)
    told = run(settings, lambda line: print(line, file=sys.stderr))
    report = asdict(told)
    for name in ("duplicates", "early", "lost", "faults"):
        report[name] = {"number": len(report[name]), "first": report[name][:TOLD]}
    print(json.dumps({"sound": told.sound, **report, "settings": asdict(settings)}, indent=2))
    sys.exit(0 if told.sound else 1)


if __name__ == "__main__":
    main()
