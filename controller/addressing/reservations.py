"""Reservations: a person keeps an address for one owner, or from everybody (what a gateway has, for instance)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from controller.addressing.hosts import Hosts
from controller.addressing.rows import Rows
from controller.addressing.steps import Steps
from controller.model import Address, AddressState, Subdivision
from controller.pool.errors import Unknown
from controller.pool.pool import Pool


class Reservations:
    """Makes and gives up reservations; both are among the latest steps, with their reason."""

    def __init__(
        self,
        pool: Pool,
        subdivisions: Mapping[str, Subdivision],
        hosts: Hosts,
        rows: Rows,
        steps: Steps,
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._subdivisions = subdivisions
        self._hosts = hosts
        self._rows = rows
        self._steps = steps
        self._clock = clock

    async def reserve(self, subdivision: str, address: str, owner: str | None = None) -> Address:
        """Keep an address for `owner`; None: from everybody. The same again is the same reservation.

        A warm address goes cold first: its shadow instance ends. Raises Unknown when the subdivision has no shard
        with it, Refused when it is granted or reserved otherwise, Unavailable.
        """
        found = await self._of(subdivision, address)
        if found.state is AddressState.HELD:
            ended = await asyncio.to_thread(self._pool.unhold, [found])
            await self._hosts.unhold(ended)
            self._rows.remove(ended)
        reserved = await asyncio.to_thread(self._pool.reserve, found.address, owner)
        for_whom = f"for {owner}" if owner is not None else "from everybody"
        self._tell("reserve", subdivision, found.address, f"a person keeps it {for_whom}")
        return reserved

    async def unreserve(self, subdivision: str, address: str) -> Address:
        """Give a reservation up: the address cools down, or stays its owner's until that releases it.

        Raises Unknown as `reserve`, Refused when it is not reserved, Unavailable.
        """
        found = await self._of(subdivision, address)
        await asyncio.to_thread(self._pool.unreserve, found.address)
        self._tell("unreserve", subdivision, found.address, "a person gave the reservation up")
        return await self._of(subdivision, found.address)

    async def _of(self, subdivision: str, address: str) -> Address:
        """The address, if it lies in a shard of this subdivision: a slip of the pen reserves nothing elsewhere."""
        if subdivision not in self._subdivisions:
            names = ", ".join(sorted(self._subdivisions))
            raise Unknown(f"there is no subdivision {subdivision}: there are {names}")
        found = await asyncio.to_thread(self._pool.address, address)
        shards = await asyncio.to_thread(self._pool.shards, subdivision)
        if found is None or found.shard not in {one.prefix for one in shards}:
            raise Unknown(
                f"{address} lies in no shard of {subdivision}: choose one in a shard that umbra shards shows"
            )
        return found

    def _tell(self, act: str, subdivision: str, address: str, reason: str) -> None:
        self._steps.add(self._clock(), act, subdivision, address, reason)
