"""Shards: assigned by predicted demand, claimed in two phases, led to by routes before they give an address (seed
9055112, sections 2 and 4; seed 9923865, step 5a).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.addressing.demand import Predictive
from controller.addressing.memory import Memory
from controller.addressing.routers import Routers
from controller.addressing.rows import Rows
from controller.addressing.shard_plan import plan_families, views_of
from controller.addressing.steps import Steps
from controller.model import Subdivision
from controller.plan.shard_routes import ShardRouteError
from controller.plan.shards.compaction import Compaction, Move, compaction, moving
from controller.plan.shards.engine import free_space
from controller.plan.shards.life_cycle import due
from controller.plan.shards.state import Act, Excess, Key, ShardSettings, ShardStep, ShardView
from controller.pool.errors import PoolError, Refused, Unavailable
from controller.pool.occupancy import occupancy
from controller.pool.pool import Pool
from controller.trouble import Troubles

CLAIMANT = "umbra"
ROUTES = "shard routes"


class Sharding:
    """Plans and carries out. Everything that happened is read back from the pool; approved moves are remembered over a
    restart, what was needed lately within a run.
    """

    def __init__(
        self,
        pool: Pool,
        subdivisions: Sequence[Subdivision],
        settings: Mapping[int, ShardSettings],
        predictive: Predictive,
        rows: Rows,
        routers: Routers,
        memory: Memory,
        steps: Steps,
        troubles: Troubles,
    ) -> None:
        self.views: list[ShardView] = []
        self._pool = pool
        self._subdivisions = {one.name: one for one in subdivisions}
        self._settings = settings
        self._predictive = predictive
        self._rows = rows
        self._routers = routers
        self._memory = memory
        self._steps = steps
        self._troubles = troubles
        self._excess: dict[Key, Excess] = {}
        self._approved: tuple[Move, ...] = ()
        self._short: set[str] = set()
        self._turning = asyncio.Lock()

    async def look(self) -> list[ShardView]:
        """The shards as the pool has them now."""
        self.views = views_of(await asyncio.to_thread(occupancy, self._pool))
        return self.views

    async def recall(self) -> None:
        """Routes of the shards of an earlier run are wanted from the start; moves approved then go on."""
        self._approved = self._memory.moves()
        views = await self.look()
        self._rows.lead_to(
            view.shard for view in views if view.shard.subdivision in self._subdivisions
        )

    async def turn(self, warm: Mapping[Key, int], now_s: float, *, dry: bool) -> None:
        """One plan, carried out: claims, their routes, their confirmation; drains, and what is freed after them."""
        async with self._turning:
            await self._turn(warm, now_s, dry=dry)

    async def _turn(self, warm: Mapping[Key, int], now_s: float, *, dry: bool) -> None:
        views = await self.look()
        needs = self._predictive.needs(views, warm, now_s)
        steps, sources = moving(self._approved, views, self._rows.routed, now_s)
        if self._approved and not sources and not dry:
            self._approved = ()
            await self._memory.approve(())
        plan, self._excess = plan_families(
            needs,
            views,
            self._subdivisions,
            self._rows.routed,
            self._excess,
            now_s,
            self._settings,
            sources,
        )
        steps = (*plan.steps, *steps)
        self._tell_short(steps)
        if dry:
            self._told([one for one in steps if one.act is not Act.SHORT], dry=True)
            return
        await self._carry_out([one for one in steps if one.act is not Act.SHORT])
        kept = {shard.prefix for shard in plan.routed}
        kept |= {one.prefix for one in steps if one.act is Act.CLAIM}
        views = await self.look()
        wanted = [view.shard for view in views if view.shard.prefix in kept]
        try:
            self._rows.lead_to(wanted)
        except ShardRouteError as error:
            self._troubles.begin(ROUTES, str(error))
            return
        self._troubles.end(ROUTES)
        if self._rows.pending:
            await self._rows.write()
        await self._routers.tell(wanted)
        confirmed = [
            one
            for one in due(views, self._rows.routed, now_s, self._settings[4])
            if one.act is Act.CONFIRM
        ]
        if confirmed:
            await self._carry_out(confirmed)
            await self.look()

    def fragmentation(self) -> float:
        """Of the free space, 0..1."""
        return free_space(self._subdivisions.values(), self.views).fragmentation()

    def compaction(self) -> Compaction:
        """What could be joined."""
        return compaction(self.views, self._subdivisions, self._settings[4])

    @property
    def moves(self) -> tuple[Move, ...]:
        """Approved, and not done yet."""
        return self._approved

    async def approve(self, plan: str) -> tuple[Move, ...]:
        """Carry out the compaction of that id. Refused when it is not the present one; Unavailable when the approval
        cannot be written down.
        """
        found = self.compaction()
        if not found.moves:
            raise Refused("there is nothing to compact: look at umbra shards")
        if found.id != plan:
            raise Refused(
                f"compaction {plan} is not the present one: it is {found.id} now, look again"
            )
        before, self._approved = (
            self._approved,
            tuple(dict.fromkeys((*self._approved, *found.moves))),
        )
        try:
            await self._memory.approve(self._approved)
        except Unavailable:
            self._approved = before
            raise
        return found.moves

    async def _carry_out(self, steps: Sequence[ShardStep]) -> None:
        """Each by itself: what is refused was changed by somebody else, and is planned anew in the next turn."""
        for one in steps:
            trouble = f"{one.act} {one.prefix}"
            try:
                await asyncio.to_thread(_call(self._pool, one))
            except Refused:
                continue
            except PoolError as error:
                self._troubles.begin(trouble, str(error))
            else:
                self._troubles.end(trouble)
                self._told([one])

    def _told(self, steps: Sequence[ShardStep], *, dry: bool = False) -> None:
        for one in steps:
            self._steps.add(
                one.time_s, one.act, one.subdivision, one.prefix, one.reason, one.inputs, dry=dry
            )

    def _tell_short(self, steps: Sequence[ShardStep]) -> None:
        short = {one.subdivision: one.reason for one in steps if one.act is Act.SHORT}
        for name, reason in short.items():
            self._troubles.begin(f"shards of {name}", reason)
        for name in self._short - short.keys():
            self._troubles.end(f"shards of {name}")
        self._short = set(short)


def _call(pool: Pool, one: ShardStep) -> Callable[[], Any]:
    """What the pool is to do for a step."""
    calls: dict[Act, Callable[[], Any]] = {
        Act.CLAIM: lambda: pool.claim(one.prefix, one.subdivision, CLAIMANT),
        Act.CONFIRM: lambda: pool.confirm(one.prefix, one.sequence),
        Act.ABANDON: lambda: pool.abandon(one.prefix, one.sequence),
        Act.DRAIN: lambda: pool.drain(one.prefix, one.sequence),
        Act.UNDRAIN: lambda: pool.undrain(one.prefix, one.sequence),
        Act.FREE: lambda: pool.free(one.prefix, one.sequence),
    }
    return calls[one.act]
