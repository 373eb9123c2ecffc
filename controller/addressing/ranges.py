"""Warm addresses: how many are held, in which order they come and go (seed 9923865, steps 3 to 6 and 8; seed 9055112,
section 3).

Rows come first, then the shadow instance; at the end the shadow instance goes first: what answers can be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from controller.addressing.demand import Predictive
from controller.addressing.history import Happened
from controller.addressing.hosts import Hosts
from controller.addressing.memory import Memory
from controller.addressing.rows import Rows
from controller.addressing.settings import families
from controller.addressing.steps import Steps
from controller.model import Address, AddressState, Subdivision
from controller.plan.addresses.prefetch import room, to_release
from controller.plan.addresses.ranges import Key, plan_ranges
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import Change, RangePlan, RangeState, RangeView
from controller.plan.shards.block import block
from controller.plan.shards.state import ShardView
from controller.pool.errors import PoolError
from controller.pool.pool import Pool
from controller.trouble import Troubles

MOST_HELD = 1_000_000
AT_ONCE = 128


class Ranges:
    """Plans the warm ranges of all subdivisions and carries the plans out."""

    def __init__(
        self,
        pool: Pool,
        subdivisions: Sequence[Subdivision],
        settings: RangeSettings,
        predictive: Predictive,
        happened: Happened,
        hosts: Hosts,
        rows: Rows,
        memory: Memory,
        steps: Steps,
        troubles: Troubles,
    ) -> None:
        self.plans: tuple[RangePlan, ...] = ()
        self._pool = pool
        self._subdivisions = tuple(subdivisions)
        self._settings = settings
        self._predictive = predictive
        self._happened = happened
        self._hosts = hosts
        self._rows = rows
        self._memory = memory
        self._steps = steps
        self._troubles = troubles
        self._states: dict[Key, RangeState] = {}

    @property
    def needed(self) -> dict[Key, int]:
        """Warm addresses that each range needs; before the first plan, the least."""
        found = {
            (one.name, family): self._settings.at_least
            for one in self._subdivisions
            for family in families(one)
        }
        return found | {(plan.subdivision, plan.family): plan.needed for plan in self.plans}

    async def turn(self, views: Sequence[ShardView], now_s: float, *, dry: bool) -> None:
        """One plan, carried out subdivision by subdivision: one that fails does not stop the others."""
        ahead_s = self._settings.window_s + self._settings.early_s
        expected = self._predictive.expect(now_s, ahead_s)
        seen = []
        for one in self._subdivisions:
            for family in families(one):
                own = _own(views, one.name, family)
                came = self._happened.came(one.name, family)
                held = sum(view.held for view in own)
                hope = expected.get(one.name)
                seen.append(
                    RangeView(
                        one.name,
                        held,
                        sum(view.granted for view in own),
                        came.grants,
                        came.cold,
                        room(own),
                        family,
                        one.quota,
                        hope.per_s if hope is not None else None,
                        hope.why if hope is not None else "",
                    )
                )
                if (one.name, family) not in self._states:
                    # What an earlier run held counts as needed: a start releases nothing by itself.
                    learned = self._memory.learned((one.name, family))
                    start = replace(learned, peak=held, peak_before=held, half_s=now_s)
                    self._states[one.name, family] = start
        self.plans, states = plan_ranges(seen, self._states, now_s, self._settings)
        self._states = dict(states)
        await asyncio.gather(*(self._carry_out(plan, views, now_s, dry=dry) for plan in self.plans))
        await self._memory.learn(self._states, now_s)

    async def _carry_out(
        self, plan: RangePlan, views: Sequence[ShardView], now_s: float, *, dry: bool
    ) -> None:
        trouble = f"warm addresses of {plan.subdivision} (IPv{plan.family})"
        short = [one for one in plan.steps if one.change is Change.SHORT]
        try:
            if not dry:
                if plan.hold:
                    await self.hold(plan.subdivision, plan.hold, plan.family)
                if plan.release:
                    await self._release(plan, _own(views, plan.subdivision, plan.family))
        except (PoolError, OSError, ValueError) as error:
            self._troubles.fail(trouble, error)
            return
        for one in plan.steps:
            if one.change is not Change.SHORT:
                self._steps.add(
                    now_s,
                    one.change,
                    one.subdivision,
                    str(one.count),
                    one.reason,
                    one.inputs,
                    dry=dry,
                )
        if short:
            self._troubles.begin(trouble, short[0].reason)
        else:
            self._troubles.end(trouble)

    async def keep(self, now_s: float) -> None:
        """Write down what was learned, at the end of a run."""
        await self._memory.learn(self._states, now_s, ending=True)

    async def hold(self, subdivision: str, number: int, family: int) -> None:
        """Make so many more warm: allocate, write their rows, create shadow instances, which begin their heartbeats."""
        held = await asyncio.to_thread(self._pool.hold, subdivision, number, family=family)
        if family == 4:
            await self.answer_for(subdivision, held)

    async def answer_for(self, subdivision: str, held: Sequence[Address]) -> None:
        """Rows and shadow instances for addresses that are warm in the pool. What no host holds goes cold again."""
        if not self._hosts.of(subdivision):
            return
        for start in range(0, len(held), AT_ONCE):  # the first are ready while the last are made
            await self._answer_for(subdivision, held[start : start + AT_ONCE])

    async def _answer_for(self, subdivision: str, held: Sequence[Address]) -> None:
        for address in held:
            place = self._hosts.settle(subdivision, address.address)
            if place is not None:
                self._rows.place(address.address, address.mac or "", place)
        await self._rows.write()
        left = await self._hosts.hold(subdivision, held)
        if left:
            ended = await asyncio.to_thread(self._pool.unhold, left)
            self._rows.remove(ended)

    async def _release(self, plan: RangePlan, views: Sequence[ShardView]) -> None:
        """Shadow instances of addresses that are not needed end, those of the emptiest shards first."""
        held = await asyncio.to_thread(
            self._pool.addresses, plan.subdivision, state=AddressState.HELD, most=MOST_HELD
        )
        chosen: list[Address] = []
        for part in to_release(views, plan.release):
            own = [one for one in held if one.shard == part.prefix]
            # The youngest first: those held longest are granted next.
            own.sort(key=lambda one: -one.sequence)
            chosen += own[: part.count]
        ended = await asyncio.to_thread(self._pool.unhold, chosen)
        await self._hosts.unhold(ended)
        self._rows.remove(ended)
        await self._rows.write()


def _own(views: Sequence[ShardView], name: str, family: int) -> list[ShardView]:
    return [
        view
        for view in views
        if view.shard.subdivision == name and block(view.shard.prefix).family == family
    ]
