"""The demo's failure act: a router is killed under connections that talk, once with replication and once
without; all else is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from topologies.demo.failure import AFTER_S, BEFORE_S, Failure, failure
from topologies.stoppable import run
from topologies.world import World

CONNECTIONS = 300
ROUTER = "r1"
PATIENCE_S = 3.0  # a client gives up after so long without an answer
RUNS = (("reactive", False), ("predictive", True))  # which run of the demo stands for which


def act(
    kind: str,
    directory: Path,
    seed: int,
    *,
    replication: bool,
    say: Callable[[str], None] = lambda _message: None,
) -> Failure:
    """Build the fabric, let 300 clients talk, kill their router, and see who goes on."""
    return run(_act(kind, directory, seed, replication, say))


async def _act(
    kind: str, directory: Path, seed: int, replication: bool, say: Callable[[str], None]
) -> Failure:
    async with World(
        kind,
        directory,
        seed=seed,
        connections=CONNECTIONS,
        replicate=replication,
        answer_timeout_s=PATIENCE_S,
        say=say,
    ) as world:
        await world.settled()
        say(f"{CONNECTIONS} connections talk through {ROUTER}")
        await world.rest(BEFORE_S)
        at_s = world.crash(ROUTER)
        say(f"{ROUTER} is killed")
        found = await world.aftermath(at_s, AFTER_S)
        times = world.failover_times(ROUTER, at_s)
        world.talk.stop()
        lives = world.talk.lives()
        exchanges = world.talk.exchanges(at_s - BEFORE_S)
        return failure(
            found,
            exchanges,
            lives,
            at_s,
            replication=replication,
            router=ROUTER,
            shadows=world.shadows(ROUTER),
            detect_ms=times.get("detect_ms"),
        )
