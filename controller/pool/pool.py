"""The durable pool of addresses: one SQLite file, any number of processes, no state outside the file."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Self

from controller.model import Address, AddressState, Grant, Shard, ShardState, Subdivision
from controller.pool import grants, shards
from controller.pool.audit import audit
from controller.pool.batch import Batch
from controller.pool.clocks import Clock, SystemClock
from controller.pool.commits import Commits
from controller.pool.counts import Counts, counts
from controller.pool.errors import Refused
from controller.pool.exhaustion import QUANTILES, Exhaustion, exhaustion
from controller.pool.file import open_file, unavailable
from controller.pool.listing import Listing
from controller.pool.reconcile import carry_out, compare, summary
from controller.pool.space import packed
from controller.pool.world import Observation, Reconciliation, World

if TYPE_CHECKING:
    from ml.forecasting.forecast import Forecast

COOL_S = 30.0
GAP_S = 10.0
PATIENCE_S = 5.0
OWNER_MOST = 256  # characters
AT_ONCE = 256  # addresses or changes in one transaction of a longer job: others go in between


class Pool:
    """Every method that changes something returns when the change is on the disk (fdatasync of SQLite's log, shared
    with the other requests that wait): neither kill -9 nor a loss of power undoes what was answered. Thread-safe;
    a process that forks opens a pool of its own. All methods raise Unavailable when the file cannot be used.

    cool_s: how long a released address is given to nobody. gap_s: how far apart two looks at the world must have
    begun for the second to confirm the first. patience_s: how long to wait for another process that writes. All
    processes of one file use the same cool_s.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        cool_s: float = COOL_S,
        gap_s: float = GAP_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._cool_s = cool_s
        self._gap_s = gap_s
        self._commits = Commits(self.path, self._clock, cool_s, patience_s)
        self._reads = threading.Lock()
        self._reader = open_file(self.path)
        self._reader.execute("PRAGMA query_only = ON")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what waits and close the file."""
        self._commits.close()
        with self._reads:
            self._reader.close()

    # Addresses

    def take(
        self,
        subdivision: str,
        owner: str,
        *,
        reserved: str | None = None,
        family: int | None = None,
    ) -> Grant:
        """An address for an owner: the one it has already; else that reserved for it; else a warm one; else, in the
        same call, the one idle longest. family: 4, 6 or None (whichever there is).

        Raises Unknown, Full, and Refused when the owner has another than it asks for.
        """
        return self._commits.run(_taking(subdivision, owner, reserved, family))

    def take_soon(
        self,
        subdivision: str,
        owner: str,
        *,
        reserved: str | None = None,
        family: int | None = None,
    ) -> Future[Grant]:
        """As `take`, for an event loop (asyncio.wrap_future) or many requests at once; done when it is durable."""
        return self._commits.submit(_taking(subdivision, owner, reserved, family))

    def release(self, address: str, owner: str, sequence: int) -> bool:
        """End the grant with this sequence number. False when it is over already: nothing was changed.

        Raises Refused when it is another owner's.
        """
        packed(address)
        return self._commits.run(lambda batch: grants.release(batch, address, owner, sequence))

    def release_soon(self, address: str, owner: str, sequence: int) -> Future[bool]:
        """As `release`, without waiting."""
        packed(address)
        return self._commits.submit(lambda batch: grants.release(batch, address, owner, sequence))

    def hold(self, subdivision: str, number: int, *, family: int = 4) -> list[Address]:
        """Make up to so many more addresses warm, in several transactions; fewer when there are no more or the quota
        has no room. A holder is to be started for each. Raises Unknown.
        """
        _family(family)
        found: list[Address] = []
        while len(found) < number:
            wanted = min(AT_ONCE, number - len(found))
            got = self._commits.run(
                functools.partial(grants.hold, subdivision=subdivision, most=wanted, family=family)
            )
            found += got
            if len(got) < wanted:
                break
        return found

    def unhold(self, addresses: Iterable[Address]) -> list[str]:
        """Let them go cold; returns those that were still held (the others have been granted since)."""
        ended: list[str] = []
        wanted = [(each.address, each.sequence) for each in addresses]
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            ended += self._commits.run(functools.partial(grants.unhold, addresses=part))
        return ended

    def reserve(self, address: str, owner: str | None = None) -> Address:
        """Keep an address for an owner, or from everybody (a gateway). Raises Unknown; Refused when it is in use."""
        if owner is not None:
            _owner(owner)
        return self._commits.run(lambda batch: grants.reserve(batch, address, owner))

    def unreserve(self, address: str) -> None:
        """Give a reservation up. Raises Unknown, Refused."""
        self._commits.run(lambda batch: grants.unreserve(batch, address))

    def addresses(
        self,
        subdivision: str | None = None,
        *,
        state: AddressState | None = None,
        owner: str | None = None,
        most: int = 1000,
        after: str | None = None,
    ) -> list[Address]:
        """Those that were ever used, by shard and number; the next page begins `after` the last of this one."""
        return self._listing().addresses(subdivision, state, owner, most, after)

    def address(self, address: str) -> Address | None:
        """One address; None when it lies in no shard."""
        return self._listing().address(address)

    def granted(self, prefix: str) -> int:
        """How many addresses owners have whose names begin so. O(those addresses)."""
        return self._listing().granted(prefix)

    def counts(self, subdivision: str) -> Counts:
        """How many are in which state. Raises Unknown."""
        with self.reading() as batch:
            return counts(batch, subdivision)

    def exhaustion(
        self, subdivision: str, forecast: Forecast, quantiles: tuple[float, ...] = QUANTILES
    ) -> Exhaustion:
        """When it will be full, if the number of granted addresses comes as forecast. Raises Unknown."""
        return exhaustion(subdivision, self.counts(subdivision), forecast, quantiles)

    # Subdivisions and shards

    def register(self, subdivision: Subdivision) -> None:
        """Make a subdivision known, or change it, its quota too: what is granted beyond a lowered one stays. Raises
        Refused when a shard of it would lie outside.
        """
        self._commits.run(lambda batch: shards.register(batch, subdivision))

    def subdivisions(self) -> list[Subdivision]:
        """All that were registered, by name."""
        return self._listing().subdivisions()

    def shards(
        self, subdivision: str | None = None, state: ShardState | None = None
    ) -> list[Shard]:
        """All that are not free, by family and address."""
        return self._listing().shards(subdivision, state)

    def claim(self, prefix: str, subdivision: str, claimant: str) -> Shard:
        """First phase: the shard is nobody else's; then write its routes. The same claim again is the same claim.

        Raises Unknown; Refused when it overlaps or lies outside; Full beyond max_shards.
        """
        return self._commits.run(lambda batch: shards.claim(batch, prefix, subdivision, claimant))

    def confirm(self, prefix: str, sequence: int) -> Shard:
        """Second phase: the routes are there, its addresses may be granted. Raises Unknown, Refused."""
        return self._commits.run(lambda batch: shards.confirm(batch, prefix, sequence))

    def abandon(self, prefix: str, sequence: int) -> None:
        """Give up a claim that was not confirmed. Raises Unknown, Refused."""
        self._commits.run(lambda batch: shards.abandon(batch, prefix, sequence))

    def drain(self, prefix: str, sequence: int) -> Shard:
        """It gives no more addresses; what it held goes cold. Raises Unknown, Refused."""
        return self._commits.run(lambda batch: shards.drain(batch, prefix, sequence))

    def undrain(self, prefix: str, sequence: int) -> Shard:
        """It gives addresses again. Raises Unknown, Refused."""
        return self._commits.run(lambda batch: shards.undrain(batch, prefix, sequence))

    def free(self, prefix: str, sequence: int) -> None:
        """Give a drained shard back; withdraw its routes before. Raises Unknown; Refused while it is in use."""
        self._commits.run(lambda batch: shards.free(batch, prefix, sequence))

    # The world

    def observe(self) -> Observation:
        """Call it before looking at the world: what changes from here on is left alone by `reconcile`."""
        return self._commits.run(lambda batch: Observation(batch.next_sequence(), batch.now_s))

    def reconcile(self, world: World) -> Reconciliation:
        """Make the pool agree with what runs; at the start, and every 15 s or so: then no leak grows old.

        Compares a snapshot, so that grants go on, and changes only rows that are still as they were.
        """
        reader = open_file(self.path)
        try:
            reader.execute("BEGIN")
            found = compare(reader, world, self._gap_s)
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error
        finally:
            reader.close()
        told = found.told
        for start in range(0, len(found.changes), AT_ONCE):
            part = found.changes[start : start + AT_ONCE]
            told += self._commits.run(functools.partial(carry_out, changes=part))
        return summary(told)

    def audit(self) -> list[str]:
        """Violations of the invariants, each with what violates it. O(addresses in use)."""
        with self.reading() as batch:
            return audit(batch.connection)

    def _listing(self) -> Listing:
        return Listing(self.reading)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Batch]:
        """One snapshot and its time; changes are refused."""
        with self._reads:
            try:
                self._reader.execute("BEGIN")
                yield Batch(self._reader, self._clock, self._cool_s)
            except sqlite3.Error as error:
                raise unavailable(self.path, error) from error
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")


def _taking(
    subdivision: str, owner: str, reserved: str | None, family: int | None
) -> functools.partial[Grant]:
    _owner(owner)
    if reserved is not None:
        packed(reserved)
    if family is not None:
        _family(family)
    return functools.partial(
        grants.take, subdivision=subdivision, owner=owner, reserved=reserved, family=family
    )


def _owner(owner: str) -> None:
    if not owner or len(owner) > OWNER_MOST or not owner.isprintable():
        raise Refused(
            f"owner {owner[:40]!r}: give a name of 1 to {OWNER_MOST} printable characters"
        )


def _family(family: int) -> None:
    if family not in grants.FAMILIES:
        raise Refused(f"family {family}: 4 or 6")
