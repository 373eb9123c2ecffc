"""A process that takes and releases addresses at random, is killed and goes on where it was. See chaos.py.

python -m topologies.bench.addresses.worker POOL LEDGER SUBDIVISION COOL_S THREADS TOKENS SEED
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from pathlib import Path

from controller.pool import Full, Pool, Refused, SystemClock, Unavailable
from topologies.bench.addresses.ledger import Account, Held, Ledger

AGAIN_PCT = 5  # asks a second time although it was answered
JUMP_EVERY = 5_000  # operations
PAUSE_S = 0.002
WAKE_S = 0.1


class JumpingClock(SystemClock):
    """A wall clock that is set to any other time while the process runs."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.offset_s = 0.0

    def jump(self) -> None:
        """Up to ten years either way."""
        self.offset_s = self._chance.uniform(-3e8, 3e8)

    def wall_s(self) -> float:
        """Wrong by the last jump."""
        return super().wall_s() + self.offset_s


class Worker:
    """Threads with tokens of their own each; a token is an owner that has one address or none."""

    def __init__(
        self, pool: Pool, clock: JumpingClock, path: Path, subdivision: str, seed: int
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._subdivision = subdivision
        self._seed = seed
        self._account = Account(path)
        self._account.read()
        self._ledger = Ledger(path)
        self._name = path.stem
        self.ending = threading.Event()

    def run(self, threads: int, tokens: int) -> None:
        """Until `ending`."""
        running = [
            threading.Thread(target=self._watched, args=(number, tokens))
            for number in range(threads)
        ]
        for thread in running:
            thread.start()
        # The kernel may give a signal to another thread, as it does to a program that was just continued; its handler
        # then waits until this one wakes.
        for thread in running:
            while thread.is_alive():
                thread.join(WAKE_S)
        self._ledger.close()

    def _watched(self, number: int, tokens: int) -> None:
        try:
            self._thread(number, tokens)
        except Exception as error:  # of a thread that ends nobody else hears
            self._ledger.write("f!", f"{self._name}:{number}", f"ended: {error!a}")
            raise

    def _thread(self, number: int, tokens: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        owners = [f"{self._name}:{number}:{token}" for token in range(tokens)]
        mine: dict[str, Held] = {}
        for owner in owners:  # what a crash left unanswered is asked again
            if owner in self._account.leaving:
                self._release(self._account.leaving[owner])
            if owner in self._account.live:
                mine[owner] = self._account.live[owner]
            elif owner in self._account.wanting:
                self._take(owner, mine)
        while not self.ending.is_set():
            if chance.randrange(JUMP_EVERY) == 0:
                self._clock.jump()
                self._ledger.write("c!", self._name)
            owner = chance.choice(owners)
            again = chance.randrange(100) < AGAIN_PCT
            if owner not in mine or again:
                self._take(owner, mine)
                continue
            held = mine.pop(owner)
            released = self._release(held)
            if released and chance.randrange(100) < AGAIN_PCT:
                self._release_again(held)

    def _take(self, owner: str, mine: dict[str, Held]) -> None:
        self._ledger.write("t?", owner)
        while True:
            try:
                grant = self._pool.take(self._subdivision, owner)
            except Full:
                self._ledger.write("t-", owner)
                time.sleep(PAUSE_S)
                return
            except Unavailable:
                if self.ending.is_set():
                    return  # the next of this name asks again
                continue
            self._ledger.write("t!", owner, grant.address, grant.sequence)
            mine[owner] = Held(owner, grant.address, grant.sequence, 0.0)
            return

    def _release(self, held: Held) -> bool:
        """Whether the pool answered before the end."""
        self._ledger.write("r?", held.owner, held.address, held.sequence)
        while not self.ending.is_set():
            try:
                self._pool.release(held.address, held.owner, held.sequence)
            except Unavailable:
                continue
            except Refused:
                pass  # an earlier one that nobody heard of ended it, and another has it by now
            self._ledger.write("r!", held.owner)
            return True
        return False

    def _release_again(self, held: Held) -> None:
        try:
            twice = self._pool.release(held.address, held.owner, held.sequence)
        except (Unavailable, Refused):
            return  # refused: another has it by now
        if twice:
            self._ledger.write("f!", held.owner, f"released {held.address} ({held.sequence}) twice")


def main() -> None:
    """SIGTERM ends it in order."""
    pool, ledger, subdivision, cool_s, threads, tokens, seed = sys.argv[1:]
    clock = JumpingClock(random.Random(int(seed)))
    with Pool(pool, clock=clock, cool_s=float(cool_s), patience_s=1.0) as opened:
        worker = Worker(opened, clock, Path(ledger), subdivision, int(seed))
        signal.signal(signal.SIGTERM, lambda *_: worker.ending.set())
        worker.run(int(threads), int(tokens))


if __name__ == "__main__":
    main()
