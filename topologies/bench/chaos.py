"""Routers killed, stopped and started again in random order, under connections that talk, come and go.

Afterwards, when all is quiet and resynced, every table is read: no connection may be owned by two routers, or
have two backends anywhere, and what a shadow holds must be what its primary holds.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.load.exchanges import Life
from topologies.tables import Comparison, compare, read_tables
from topologies.world import World

CONNECTIONS = 400
LIFE_S = 20.0  # of a connection, on average
ROUTERS = ("r1", "r2", "r3", "r4")
GAP_S = (1.0, 12.0)  # between two events; a resync after a return may take longer than the shortest
DOWN_S = (0.3, 4.0)
STOPPED_S = (0.05, 4.0)
SETTLE_S = 120.0
BLAME_S = (
    12.0  # a connection that breaks later than this after an event was broken by something else
)


@dataclass(slots=True)
class Blow:
    """One thing that was done to a router. `alone`: every router lived and was in sync before."""

    kind: str  # "kill" or "stop"
    router: str
    at_s: float
    until_s: float
    alone: bool
    broken: int = 0


@dataclass(slots=True)
class Found:
    """What 5 minutes of this did."""

    seconds: float
    blows: list[Blow]
    connections: int  # all that were ever open
    broken: Counter[str]
    unexplained: int  # broken with no blow before
    answered_twice: int  # of which two backends got a request
    least_live: int  # the lowest count of live connections that a router ever told
    comparison: Comparison  # after a last resync
    unequal_before: int  # replicas that were not like their primary's before that
    in_sync: bool  # at the end, when the tables were read
    end_live: Mapping[str, int]
    talking: int  # connections that were open at the end

    @property
    def miscounted(self) -> dict[str, int]:
        """Routers whose count of live connections is not what their table holds: by how much."""
        owned = self.comparison.owned
        return {
            name: live - owned.get(name, 0)
            for name, live in self.end_live.items()
            if live != owned.get(name, 0)
        }

    @property
    def broken_alone(self) -> int:
        """Broken after a blow that struck while everything else was well."""
        return sum(blow.broken for blow in self.blows if blow.alone)

    @property
    def broken_together(self) -> int:
        """Broken after a blow that struck while another router was away or not in sync."""
        return sum(blow.broken for blow in self.blows if not blow.alone)

    def figures(self) -> dict[str, Figure]:
        """For the report."""
        blows, n = len(self.blows), self.connections
        alone = sum(blow.alone for blow in self.blows)
        corrupt = len(self.comparison.two_owners) + len(self.comparison.two_bindings)
        return {
            "chaos_broken_per_blow_alone": Figure(
                round(self.broken_alone / max(1, alone), 3), "1", alone, "lower"
            ),
            "chaos_broken_per_blow_together": Figure(
                round(self.broken_together / max(1, blows - alone), 3), "1", blows - alone, "lower"
            ),
            "chaos_answered_by_two": Figure(self.answered_twice, "1", n, "lower"),
            "chaos_corrupt_entries": Figure(corrupt, "1", self.comparison.entries, "lower"),
            "chaos_unequal_replicas": Figure(
                len(self.comparison.unequal), "1", self.comparison.replicas, "lower"
            ),
        }

    def to_json(self) -> dict[str, Any]:
        """All that was seen."""
        start_s = self.blows[0].at_s if self.blows else 0.0
        return {
            "seconds": round(self.seconds, 1),
            "connections": self.connections,
            "blows": [
                {
                    "kind": blow.kind,
                    "router": blow.router,
                    "at_s": round(blow.at_s - start_s, 2),
                    "for_s": round(blow.until_s - blow.at_s, 2),
                    "alone": blow.alone,
                    "broken": blow.broken,
                }
                for blow in self.blows
            ],
            "broken": dict(self.broken),
            "broken_alone": self.broken_alone,
            "broken_together": self.broken_together,
            "broken_unexplained": self.unexplained,
            "answered_by_two_backends": self.answered_twice,
            "least_live": self.least_live,
            "unequal_before_resync": self.unequal_before,
            "in_sync_at_the_end": self.in_sync,
            "live_at_the_end": dict(self.end_live),
            "miscounted": self.miscounted,
            # Closed while nobody could tell the router that still counts them: they idle out.
            "left_over_entries": self.comparison.entries - self.talking,
            **self.comparison.to_json(),
        }


async def chaos(kind: str, run_dir: Path, seconds: float, seed: int, progress: Progress) -> Found:
    """`seconds` of blows, then quiet, then every table is compared."""
    chance = random.Random(f"{seed}/chaos")
    blows: list[Blow] = []
    least_live = 0
    async with World(
        kind,
        run_dir,
        seed=seed,
        connections=CONNECTIONS,
        primaries=ROUTERS,
        life_s=LIFE_S,
        say=progress,
    ) as world:
        await world.until(lambda: world.talk.live() >= 0.95 * CONNECTIONS, "everybody talks")
        await world.home()
        await world.calm(SETTLE_S)
        start_s = time.monotonic()
        while (elapsed_s := time.monotonic() - start_s) < seconds:
            progress(f"{kind}: chaos {elapsed_s:.0f} of {seconds:.0f} s, {len(blows)} blows")
            blows.append(await _strike(world, chance))
            await world.rest(chance.uniform(*GAP_S))
            least_live = min([least_live, *world.live_on().values()])
        progress(f"{kind}: quiet")
        await world.home()
        world.hush(True)
        await world.calm(SETTLE_S)
        progress(f"{kind}: every table is read, resynced, and read again")
        before = await _compare(world)
        world.resync()
        in_sync = await world.calm(SETTLE_S)
        comparison = await _compare(world)
        await world.counted()
        end_live = world.live_on()
        talking = world.talk.live()
        world.hush(False)
        least_live = min([least_live, *end_live.values()])
        world.talk.stop()
        lives = world.talk.lives()
        unexplained = blame(blows, lives)
        return Found(
            seconds=time.monotonic() - start_s,
            blows=blows,
            connections=len(lives),
            broken=Counter(str(life.how) for life in lives.values() if life.broken),
            unexplained=unexplained,
            answered_twice=len(world.talk.served_twice()),
            least_live=least_live,
            comparison=comparison,
            unequal_before=len(before.unequal),
            in_sync=in_sync,
            end_live=end_live,
            talking=talking,
        )


async def _compare(world: World) -> Comparison:
    desired = world.controller.resilience.desired
    tables = await read_tables(world.controller.driver, ROUTERS, desired.shadows, desired.numbers)
    return compare(tables)


async def _strike(world: World, chance: random.Random) -> Blow:
    """Kill and restart a router, or stop it for a while; what and how long is left to chance."""
    router = chance.choice(ROUTERS)
    alone = world.in_sync()
    at_s = time.monotonic()
    if chance.random() < 0.5:
        blow = Blow("kill", router, at_s, at_s, alone)
        world.crash(router)
        await world.rest(chance.uniform(*DOWN_S))
        await world.restart(router)
    else:
        blow = Blow("stop", router, at_s, at_s, alone)
        world.pause(router, True)
        await world.rest(chance.uniform(*STOPPED_S))
        world.pause(router, False)
    blow.until_s = time.monotonic()
    return blow


def blame(blows: Sequence[Blow], lives: Mapping[int, Life]) -> int:
    """Give every broken connection to the last blow before its last request (or its end); returns how
    many have none.
    """
    unexplained = 0
    for life in lives.values():
        if not life.broken or life.ended_s is None:
            continue
        since_s = life.asked_s if life.asked_s is not None else life.ended_s
        before = [blow for blow in blows if blow.at_s <= since_s + 1.0]
        if before and life.ended_s - before[-1].until_s <= BLAME_S:
            before[-1].broken += 1
        else:
            unexplained += 1
    return unexplained
