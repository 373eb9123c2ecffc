"""The pool against what really runs: at every start, and now and then (never against a memory of it).

The hosts' agents say what they hold and run. IPv6 addresses, and instances that somebody else runs, are seen by nobody
here: nothing is concluded from their absence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from controller.act.host_values import HostState
from controller.addressing.history import Happened
from controller.addressing.hosts import Hosts
from controller.addressing.kept import Kept, KeptError
from controller.addressing.ranges import Ranges
from controller.addressing.requests import Requests
from controller.addressing.rows import Rows
from controller.addressing.steps import Steps
from controller.model import Address, AddressState, Subdivision
from controller.pool.pool import Pool
from controller.pool.world import Reconciliation, World
from controller.trouble import Troubles

MOST = 10_000_000
CONFLICTS, PLACES = "address conflicts", "placements"


class Reality:
    """Looks, compares, and puts right."""

    def __init__(
        self,
        pool: Pool,
        subdivisions: Sequence[Subdivision],
        elsewhere: frozenset[str],
        hosts: Hosts,
        rows: Rows,
        requests: Requests,
        ranges: Ranges,
        happened: Happened,
        steps: Steps,
        placements: Kept,
        troubles: Troubles,
    ) -> None:
        self._pool = pool
        self._subdivisions = {one.name: one for one in subdivisions}
        self._elsewhere = elsewhere
        self._hosts = hosts
        self._rows = rows
        self._requests = requests
        self._ranges = ranges
        self._happened = happened
        self._steps = steps
        self._placements = placements
        self._troubles = troubles

    async def recall(self, now_s: float) -> None:
        """At a start: who has what, so that the first plan of the fabric has the rows of an earlier run."""
        self._hosts.where = await asyncio.to_thread(self._placements.all)
        self._hosts.seen(await self._hosts.look())
        await self._take_over(now_s)

    async def turn(self, now_s: float, *, dry: bool) -> Reconciliation:
        """One look, and what follows from it."""
        # Whose request begins or ends while somebody looks is left alone, too.
        before = self._requests.in_hand
        observation = await asyncio.to_thread(self._pool.observe)
        states = await self._hosts.look()
        unseen = await asyncio.to_thread(self._unseen)
        instances: dict[str, str | None] = {
            one.address: one.name for state in states.values() for one in state.instances
        }
        held = {one.address for state in states.values() for one in state.held}
        instances |= {one.address: one.owner for one in unseen if one.state is AddressState.GRANTED}
        held |= {one.address for one in unseen if one.state is AddressState.HELD}
        whole = frozenset(
            name
            for name in self._subdivisions
            if all(place.name in states for place in self._hosts.of(name))
        )
        world = World(
            observation,
            whole,
            instances,
            before | self._requests.in_hand,
            frozenset(held),
        )
        if dry:
            return Reconciliation()
        self._hosts.seen(states)
        found = await asyncio.to_thread(self._pool.reconcile, world)
        await self._put_right(found, states)
        await self._take_over(now_s)
        self._tell(found, now_s)
        return found

    def _unseen(self) -> list[Address]:
        """Addresses that no agent of ours sees: IPv6, those of subdivisions without agents or run elsewhere."""
        found: list[Address] = []
        for name, subdivision in self._subdivisions.items():
            hosts = bool(self._hosts.of(name))
            blind = name in self._elsewhere or not hosts
            for state in (AddressState.GRANTED, AddressState.HELD):
                if not blind and not any(":" in prefix for prefix in subdivision.prefixes):
                    continue
                own = self._pool.addresses(name, state=state, most=MOST)
                hidden = not hosts or (blind and state is AddressState.GRANTED)
                found += [one for one in own if ":" in one.address or hidden]
        return found

    async def _put_right(self, found: Reconciliation, states: Mapping[str, HostState]) -> None:
        for name, state in states.items():
            gone = {one.address for one in state.held} & {*found.holders_to_end}
            if gone:
                await self._hosts.unhold(sorted(gone), only=name)
        if found.holders_missing:
            missing = await asyncio.to_thread(self._held, found.holders_missing)
            for name, own in missing.items():
                await self._ranges.answer_for(name, own)

    async def _take_over(self, now_s: float) -> None:
        """Rows and owners as the pool has them now; what was taken or released meanwhile stays as it is."""
        before = dict(self._requests.owned)
        placed: set[str] = set()
        listed: dict[str, tuple[str, str, str]] = {}
        running: dict[str, dict[str, int]] = {}
        for name in self._subdivisions:
            mix = running.setdefault(name, {})
            for state in (AddressState.GRANTED, AddressState.HELD):
                for one in await asyncio.to_thread(
                    self._pool.addresses, name, state=state, most=MOST
                ):
                    if state is AddressState.GRANTED and one.owner is not None:
                        listed[one.address] = (name, one.owner, one.shard)
                        profile = self._happened.profile(name, one.owner)
                        mix[profile] = mix.get(profile, 0) + 1
                    home = self._hosts.home(name, one.address)
                    if home is not None and ":" not in one.address:
                        self._rows.place(one.address, one.mac or "", home)
                        placed.add(one.address)
        current = self._requests.owned
        for address, (name, owner, shard) in before.items():
            if address in current and listed.get(address, ("", ""))[1] != owner:
                self._happened.ended(name, owner, address, shard, now_s)
        self._requests.owned = {
            address: own
            for address, own in listed.items()
            if address not in before or address in current
        } | {address: own for address, own in current.items() if address not in before}
        for address in before.keys() - self._requests.owned.keys():
            self._hosts.unclaim(address)
        unlisted = {*self._rows.placed, *self._hosts.where} - placed
        gone = await asyncio.to_thread(self._not_taken, unlisted) if unlisted else []
        # What was granted after that reading is claimed before its rows are placed.
        gone = [address for address in gone if not self._hosts.claimed(address)]
        self._rows.remove(gone)
        for address in gone:
            self._hosts.where.pop(address, None)
        self._happened.correct(running)

    def close(self) -> None:
        """End the use of the file of placements."""
        self._placements.close()

    async def keep(self) -> None:
        """Write down which host has which address."""
        try:
            await asyncio.to_thread(self._placements.keep, dict(self._hosts.where))
        except KeptError as error:
            self._troubles.begin(PLACES, str(error))
        else:
            self._troubles.end(PLACES)

    def _held(self, addresses: Iterable[str]) -> dict[str, list[Address]]:
        """Those that are still held, by subdivision. Reads the pool: in a thread."""
        subdivision_of = {one.prefix: one.subdivision for one in self._pool.shards()}
        found: dict[str, list[Address]] = {}
        for address in addresses:
            one = self._pool.address(address)
            if one is not None and one.state is AddressState.HELD:
                name = subdivision_of.get(one.shard)
                if name in self._subdivisions:
                    found.setdefault(name, []).append(one)
        return found

    def _not_taken(self, addresses: Iterable[str]) -> list[str]:
        """Those that are neither granted nor held, also not since the listing. Reads the pool: in a thread."""
        taken = (AddressState.GRANTED, AddressState.HELD)
        found = ((each, self._pool.address(each)) for each in addresses)
        return [each for each, one in found if one is None or one.state not in taken]

    def _tell(self, found: Reconciliation, now_s: float) -> None:
        if found.conflicts:
            self._troubles.begin(CONFLICTS, "; ".join(found.conflicts[:5]))
        else:
            self._troubles.end(CONFLICTS)
        for act, addresses, reason in (
            ("reclaim", found.released, "granted, but twice nobody was seen using them"),
            ("adopt", found.adopted, "instances run with them"),
            ("unhold", found.unheld, "warm, but twice no shadow instance was seen"),
            ("hold again", found.holders_missing, "warm, without a shadow instance"),
            ("end", found.holders_to_end, "shadow instances of addresses that are not warm"),
        ):
            if addresses:
                told = ", ".join(addresses[:5]) + (" …" if len(addresses) > 5 else "")
                self._steps.add(now_s, act, "", f"{len(addresses)} addresses", f"{reason}: {told}")
