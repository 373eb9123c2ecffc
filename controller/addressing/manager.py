"""The address shadow manager (seed 9923865): its loop, beside the cycle, and what people and tenants ask of it.

A part that fails is a trouble, counted and left out of the turn; the others go on. A restart flushes nothing: the pool
is durable, the hosts say what runs, and the rows of an earlier run are in the first plan that is compared with the
switches.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from controller.addressing.demand import Predictive
from controller.addressing.errors import AddressingError
from controller.addressing.history import Happened
from controller.addressing.hosts import Hosts
from controller.addressing.memory import Memory
from controller.addressing.ranges import Ranges
from controller.addressing.requests import Requests, Taken
from controller.addressing.reservations import Reservations
from controller.addressing.routers import Routers
from controller.addressing.rows import Rows
from controller.addressing.sharding import Sharding
from controller.addressing.state import shards_state, told
from controller.addressing.steps import Steps
from controller.addressing.world import Reality
from controller.model import Address, AddressState, FabricPlan, Subdivision
from controller.pool.errors import Full, PoolError, Refused, Unavailable
from controller.pool.pool import Pool
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent


class AddressManager:
    """Owns the parts. Call everything within one asyncio event loop."""

    def __init__(
        self,
        subdivisions: Sequence[Subdivision],
        pool: Pool,
        hosts: Hosts,
        rows: Rows,
        happened: Happened,
        predictive: Predictive,
        sharding: Sharding,
        ranges: Ranges,
        requests: Requests,
        reservations: Reservations,
        reality: Reality,
        routers: Routers,
        memory: Memory,
        steps: Steps,
        troubles: Troubles,
        clock: Callable[[], float],
        dry: Callable[[], bool],
        *,
        period_s: float,
        reconcile_s: float,
    ) -> None:
        self._subdivisions = tuple(subdivisions)
        self._pool = pool
        self._hosts = hosts
        self._rows = rows
        self._happened = happened
        self._predictive = predictive
        self._sharding = sharding
        self._ranges = ranges
        self._requests = requests
        self._reservations = reservations
        self._reality = reality
        self._routers = routers
        self._memory = memory
        self._steps = steps
        self._troubles = troubles
        self._clock = clock
        self._dry = dry
        self._period_s = period_s
        self._reconcile_s = reconcile_s
        self._looked_s = -math.inf
        self._turns = 0
        self._turn_ms = 0.0
        self._ready = False
        self._growing = asyncio.Lock()

    def over(self, plan: FabricPlan) -> FabricPlan:
        """The plan of the fabric with the rows of shards and addresses."""
        return self._rows.over(plan)

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events."""
        self._predictive.plan(events)

    async def recall(self) -> None:
        """Before the first plan of the fabric: what an earlier run left, and what really runs.

        Raises AddressingError when the pool cannot be used: without it, rows of an earlier run would be lost.
        """
        try:
            await self._recall(self._clock())
        except PoolError as error:
            raise AddressingError(str(error)) from error
        self._ready = True

    async def _recall(self, now_s: float) -> None:
        for one in self._subdivisions:
            try:
                await asyncio.to_thread(self._pool.register, one)
            except Refused as error:
                self._troubles.begin(f"subdivision {one.name}", str(error))
        await self._happened.recall(now_s)
        await self._sharding.recall()
        await self._reality.recall(now_s)

    async def run(self) -> None:
        """Turn the loop until it is cancelled."""
        while True:
            began_s = time.monotonic()
            await self.turn()
            took_s = time.monotonic() - began_s
            self._turn_ms = 1e3 * took_s
            await asyncio.sleep(max(0.0, self._period_s - took_s))  # 9. sleep

    async def turn(self) -> None:
        """One turn; the numbers are the seed's steps."""
        now_s, dry = self._clock(), self._dry()
        self._turns += 1
        # 1. Collect what happened to instances, and now and then what really runs.
        async with self._part("history"):
            await self._happened.collect(now_s)
        if abs(now_s - self._looked_s) >= self._reconcile_s:
            self._looked_s = now_s
            async with self._part("reconciliation"):
                self._routers.doubt()
                await self._reality.turn(now_s, dry=dry)
        # 2. Forecast the demand.
        async with self._part("forecast"):
            await self._predictive.look(now_s)
        # 3., 4., 5a. The range that is required against what is there: shards, their routes and what routers are told.
        async with self._part("shards"):
            await self._sharding.turn(self._ranges.needed, now_s, dry=dry)
        # 3. to 6. and 8. Warm addresses: allocate and hold more, or release some; cold grants steer how many.
        async with self._part("ranges"):
            await self._ranges.turn(self._sharding.views, now_s, dry=dry)
        # 7. Requests are served at once, beside this loop (`take`, `release`).
        async with self._part("rows"):
            if self._rows.pending and not dry:
                await self._rows.write()
            await self._reality.keep()

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
        """An address for a new instance (`Requests.take`). When its shards are full, another is claimed in the same
        call. Raises PoolError.
        """
        self._started()
        take = functools.partial(
            self._requests.take,
            subdivision,
            owner,
            profile=profile,
            reserved=reserved,
            family=family,
            host=host,
        )
        try:
            return await take()
        except Full:
            counts = await asyncio.to_thread(self._pool.counts, subdivision)
            spent = counts.quota is not None and counts.granted >= counts.quota
            if reserved is not None or spent or self._dry():
                raise
        async with self._growing:
            with contextlib.suppress(Full):  # another request may have grown it meanwhile
                return await take()
            await self._sharding.turn(self._ranges.needed, self._clock(), dry=False)
        return await take()

    async def release(self, address: str, owner: str, sequence: int | None = None) -> bool:
        """End an instance and its grant (`Requests.release`). Raises PoolError."""
        self._started()
        return await self._requests.release(address, owner, sequence)

    async def reserve(self, subdivision: str, address: str, owner: str | None = None) -> Address:
        """Keep an address for an owner, or from everybody (`Reservations.reserve`). Raises PoolError."""
        self._started()
        return await self._reservations.reserve(subdivision, address, owner)

    async def unreserve(self, subdivision: str, address: str) -> Address:
        """Give a reservation up (`Reservations.unreserve`). Raises PoolError."""
        self._started()
        return await self._reservations.unreserve(subdivision, address)

    async def addresses(
        self,
        subdivision: str | None = None,
        state: AddressState | None = None,
        owner: str | None = None,
        most: int = 1000,
        after: str | None = None,
    ) -> list[Address]:
        """Addresses that were ever used. Raises PoolError."""
        return await asyncio.to_thread(
            self._pool.addresses, subdivision, state=state, owner=owner, most=most, after=after
        )

    def host_of(self, address: str) -> str | None:
        """The host that has an address, as far as that is known."""
        return self._hosts.where.get(address)

    async def shards(self) -> dict[str, Any]:
        """Shards, ranges, demand, compaction (`serve/address_schemas.ShardsState`). Raises PoolError."""
        views = await self._sharding.look()
        counts = {
            one.name: await asyncio.to_thread(self._pool.counts, one.name)
            for one in self._subdivisions
        }
        forecasts = self._predictive.foresight.outlook.instances
        full = {
            name: self._pool.exhaustion(name, forecasts[name]).sentence
            for name in counts
            if name in forecasts
        }
        return shards_state(
            self._subdivisions,
            views,
            counts,
            full,
            self._ranges.plans,
            self._predictive.outlooks,
            self._sharding.fragmentation(),
            self._sharding.compaction(),
            self._sharding.moves,
            sorted(self._rows.routed),
            sorted(self._hosts.down()),
            self._steps.latest(),
            turns=self._turns,
            turn_ms=self._turn_ms,
        )

    async def approve(self, compaction: str) -> list[dict[str, Any]]:
        """Carry out a compaction, from the next turn on and over restarts; its moves. Raises PoolError."""
        self._started()
        moves = await self._sharding.approve(compaction)
        for one in moves:
            what = f"{one.source} > {one.target}"
            reason = f"a person approved compaction {compaction}: {one.reason}"
            self._steps.add(self._clock(), "compact", one.subdivision, what, reason)
        return [told(one) for one in moves]

    async def close(self) -> None:
        """Leave everything as it is: routers, shadow instances and instances go on."""
        if self._ready:
            await self._reality.keep()
            await self._ranges.keep(self._clock())
        await self._predictive.close()
        await self._routers.close()
        await self._hosts.close()
        await asyncio.to_thread(self._happened.close)
        await asyncio.to_thread(self._reality.close)
        await asyncio.to_thread(self._memory.close)
        await asyncio.to_thread(self._pool.close)

    def _started(self) -> None:
        if not self._ready:
            raise Unavailable("the controller is still starting: ask again in a few seconds")

    @contextlib.asynccontextmanager
    async def _part(self, name: str) -> AsyncIterator[None]:
        trouble = f"addresses: {name}"
        try:
            yield
        except PoolError as error:
            self._troubles.begin(trouble, str(error))
        except Exception as error:
            self._troubles.fail(trouble, error)
        else:
            self._troubles.end(trouble)
