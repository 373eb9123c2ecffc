"""Requests for instances, served at once and beside the loop (seed 9923865, step 7).

A warm address has its rows and its shadow instance already: the agent hands it over. Otherwise the pool allocates in
the same call, and rows are written while the instance starts.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controller.act.host_values import Running
from controller.act.hosts import HostDown, HostRefused
from controller.addressing.history import Happened
from controller.addressing.hosts import Hosts
from controller.addressing.rows import Rows
from controller.addressing.settings import HostPlace
from controller.model import AddressState, Grant, Subdivision
from controller.plan.address_rows import external_of
from controller.pool.errors import Refused, Unavailable, Unknown
from controller.pool.pool import Pool
from controller.trouble import Troubles

MISSED = "rows of granted addresses"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request got. `external`: its public address; `host`, `ready_ms`: of the instance, when umbra started it.

    `warm`: a shadow instance answered for the address. `again`: the same was granted before.
    """

    address: str
    mac: str
    owner: str
    sequence: int
    warm: bool
    shard: str
    subdivision: str
    external: str | None
    host: str | None
    ready_ms: float | None
    again: bool


class Requests:
    """Takes and releases addresses, with their instances."""

    def __init__(
        self,
        pool: Pool,
        subdivisions: dict[str, Subdivision],
        elsewhere: frozenset[str],
        hosts: Hosts,
        rows: Rows,
        happened: Happened,
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self.owned: dict[str, tuple[str, str, str]] = {}  # address → subdivision, owner, shard
        self._pool = pool
        self._subdivisions = subdivisions
        self._elsewhere = elsewhere
        self._hosts = hosts
        self._rows = rows
        self._happened = happened
        self._troubles = troubles
        self._clock = clock
        self._in_hand: Counter[str] = Counter()
        self._turn: dict[str, asyncio.Lock] = {}

    @property
    def in_hand(self) -> frozenset[str]:
        """Owners whose request is being served: a grant of theirs is no leak."""
        return frozenset(self._in_hand)

    async def take(
        self,
        subdivision: str,
        owner: str,
        *,
        profile: str = "",
        reserved: str | None = None,
        family: int | None = None,
        host: str | None = None,
    ) -> Taken:
        """An address for a new instance, and the instance where umbra's agents start them.

        Raises Unknown, Refused, Full and Unavailable (controller.pool.errors): then the owner has no new address.
        """
        own = self._subdivision(subdivision)
        if host is not None and host not in {one.name for one in self._hosts.of(subdivision)}:
            names = ", ".join(one.name for one in self._hosts.of(subdivision)) or "none"
            raise Unknown(f"{subdivision} has no host {host}: there are {names}")
        async with self._serving(owner):
            grant = await asyncio.wrap_future(
                self._pool.take_soon(subdivision, owner, reserved=reserved, family=family)
            )
            await self._hosts.claim(grant.address)
            again = self.owned.get(grant.address, ("", "", ""))[1] == owner
            before = self._hosts.where.get(grant.address)
            try:
                place, running = await self._place(own, grant, host)
            except BaseException:
                if not again:
                    await self._give_back(grant)
                raise
            self.owned[grant.address] = (subdivision, owner, grant.shard)
            warm = grant.warm
            if running is not None and place is not None and place.name == before:
                warm = running.warm  # whether its shadow instance was really there
            if not again:
                self._happened.created(
                    subdivision,
                    owner,
                    grant.address,
                    grant.shard,
                    profile,
                    self._clock(),
                    warm=warm,
                )
        return Taken(
            address=grant.address,
            mac=grant.mac,
            owner=owner,
            sequence=grant.sequence,
            warm=warm,
            shard=grant.shard,
            subdivision=subdivision,
            external=external_of(own, grant.address),
            host=place.name if place is not None else None,
            ready_ms=running.ready_ms if running is not None else None,
            again=again,
        )

    async def release(self, address: str, owner: str, sequence: int | None = None) -> bool:
        """End the instance and the grant; False when that grant is over already. The address cools down.

        Raises Unknown and Refused (another owner's, or no grant at all), Unavailable when its host does not answer.
        """
        async with self._serving(owner):
            found = await asyncio.to_thread(self._pool.address, address)
            if found is None:
                raise Unknown(f"{address} lies in no shard: look at umbra address list")
            granted = found.state is AddressState.GRANTED
            if granted and found.owner != owner:
                raise Refused(f"{address} is {found.owner}'s, not {owner}'s: name its owner")
            if not granted or sequence not in (None, found.sequence):
                return False
            try:
                await self._hosts.stop(owner, found.address)
            except (HostDown, HostRefused, OSError) as error:
                raise Unavailable(f"the instance of {owner} was not stopped: {error}") from error
            ended = await asyncio.wrap_future(
                self._pool.release_soon(found.address, owner, found.sequence)
            )
            self._hosts.unclaim(found.address)
            self._hosts.where.pop(found.address, None)
            self._rows.remove([found.address])
            self.owned.pop(found.address, None)
            subdivision = next(
                (one for one in self._subdivisions.values() if _holds(one, found.address)), None
            )
            if ended and subdivision is not None:
                self._happened.ended(
                    subdivision.name, owner, found.address, found.shard, self._clock()
                )
        return ended

    async def _place(
        self, own: Subdivision, grant: Grant, first: str | None
    ) -> tuple[HostPlace | None, Running | None]:
        """Rows and instance of a grant; a warm one whose host does not answer is made anew on another."""
        if ":" in grant.address or not self._hosts.of(own.name):
            return None, None
        if own.name in self._elsewhere:
            return await self._elsewhere_placed(own, grant, first), None
        problem: Exception | None = None
        for place in self._hosts.candidates(own.name, grant.address, first):
            before = self._hosts.where.get(grant.address)
            there = self._rows.placed.get(grant.address)
            try:
                if grant.warm and there is not None and before != place.name and problem is None:
                    # Another host holds it and answers until the instance serves here: then the rows change.
                    running = await self._start(place, grant)
                    self._rows.place(grant.address, grant.mac, place)
                    self._note_rows(await self._rows.write())
                    await self._hosts.unhold([grant.address], only=before)
                else:
                    self._rows.place(grant.address, grant.mac, place)
                    starting = asyncio.ensure_future(self._start(place, grant))
                    written = _true() if self._rows.settled(grant.address) else self._rows.write()
                    done, running = await asyncio.gather(written, starting)
                    self._note_rows(done)
            except (HostDown, OSError) as error:
                problem = error
            except HostRefused as error:
                raise Refused(str(error)) from error
            else:
                return place, running
        raise Unavailable(f"no host of {own.name} starts {grant.owner}: {problem}")

    async def _start(self, place: HostPlace, grant: Grant) -> Running:
        return await self._hosts.start(place, grant.owner, grant.address, grant.mac)

    async def _elsewhere_placed(
        self, own: Subdivision, grant: Grant, first: str | None
    ) -> HostPlace | None:
        """Somebody else runs the instance on a host: what holds the address ends, the rows stay, or are written."""
        candidates = self._hosts.candidates(own.name, grant.address, first)
        held = self._hosts.where.get(grant.address)
        place = candidates[0] if candidates else None
        if place is not None:
            self._rows.place(grant.address, grant.mac, place)
            if not self._rows.settled(grant.address):
                self._note_rows(await self._rows.write())
            if held is not None:
                await self._hosts.unhold([grant.address], only=held)
            self._hosts.where[grant.address] = place.name
        return place

    async def _give_back(self, grant: Grant) -> None:
        self._rows.remove([grant.address])
        self._hosts.unclaim(grant.address)
        self._hosts.where.pop(grant.address, None)
        await asyncio.shield(
            asyncio.wrap_future(self._pool.release_soon(grant.address, grant.owner, grant.sequence))
        )

    def _note_rows(self, written: bool) -> None:
        if not written:
            self._troubles.count(
                MISSED, "some switch did not take them at once; it is compared again"
            )

    @asynccontextmanager
    async def _serving(self, owner: str) -> AsyncIterator[None]:
        """One request of an owner at a time: the second finds what became of the first."""
        self._in_hand[owner] += 1
        turn = self._turn.setdefault(owner, asyncio.Lock())
        try:
            async with turn:
                yield
        finally:
            self._in_hand[owner] -= 1
            if not self._in_hand[owner]:
                del self._in_hand[owner], self._turn[owner]

    def _subdivision(self, name: str) -> Subdivision:
        found = self._subdivisions.get(name)
        if found is None:
            names = ", ".join(sorted(self._subdivisions))
            raise Unknown(f"there is no subdivision {name}: there are {names}")
        return found


async def _true() -> bool:
    return True


def _holds(subdivision: Subdivision, address: str) -> bool:
    own = ipaddress.ip_address(address)
    return any(own in ipaddress.ip_network(prefix) for prefix in subdivision.prefixes)
