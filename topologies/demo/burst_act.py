"""The demo's burst act: instances come in bursts, once with addresses that are given out and set up as they are asked
for, once with addresses that the plan had held by shadow instances. All else is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from topologies.bench.addresses.watch import CLIENT
from topologies.demo.burst_loop import Controlled, controlled
from topologies.demo.bursts import POD, Arrival, Bursts, Shape, Start, Stock, arrivals
from topologies.load.calls import Calls, calls
from topologies.logged import logged
from topologies.stoppable import run

PORT = 80  # that instances serve, as the configuration has it
RUNS = (("reactive", False), ("predictive", True))  # which run of the demo stands for which
SAMPLE_S = 0.1


class BurstError(RuntimeError):
    """The act could not be played to its end."""


def act(
    kind: str,
    directory: Path,
    seed: int,
    *,
    held_ahead: bool,
    shape: Shape | None = None,
    say: Callable[[str], None] = lambda _message: None,
) -> Bursts:
    """Build a fabric, request the instances, and see when each answers its first request. Raises BurstError."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with logged(directory / "umbra.log"):
            return run(_act(kind, directory, seed, held_ahead, shape or Shape(), say))
    except ExceptionGroup as group:
        raise BurstError(f"bursts: {_first(group)}") from group
    except (RuntimeError, TimeoutError) as error:
        raise BurstError(f"bursts: {error}") from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _act(
    kind: str,
    directory: Path,
    seed: int,
    held_ahead: bool,
    shape: Shape,
    say: Callable[[str], None],
) -> Bursts:
    say("building the fabric")
    async with (
        controlled(kind, directory, shape, seed, held_ahead=held_ahead) as fabric,
        calls(fabric.network, CLIENT, directory / "load") as client,
    ):
        await fabric.ready(held_ahead=held_ahead)
        begun_s = fabric.announce(shape)
        await _until(begun_s)
        stock: list[Stock] = []
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(fabric, begun_s, stock, say))
            planned = arrivals(shape, seed)
            tasks = [group.create_task(_one(fabric, client, one, begun_s)) for one in planned]
            await asyncio.wait(tasks)
            await _until(begun_s + shape.end_s)
            watching.cancel()
        stock.append(await _counted(fabric, begun_s))
        starts = tuple(one.result() for one in tasks)
        return Bursts(held_ahead, shape, starts, tuple(stock), fabric.held(begun_s))


async def _until(time_s: float) -> None:
    await asyncio.sleep(max(0.0, time_s - time.time()))


async def _one(fabric: Controlled, client: Calls, arrival: Arrival, begun_s: float) -> Start:
    """One request: an address, an instance with it, and a client's first call when it is said to be there."""
    await _until(begun_s + arrival.time_s)
    asked_ns = time.time_ns()
    taken = await fabric.manager.take(POD, arrival.name)
    assert taken.external is not None
    answer = await client.call(taken.external, PORT)
    if answer is not None and answer.name != arrival.name:
        raise BurstError(f"{arrival.name} was called at {taken.external}; {answer.name} answered")
    answer_ms = None if answer is None else round((answer.answered_ns - asked_ns) / 1e6, 2)
    return Start(arrival, taken.warm, answer_ms)


async def _counted(fabric: Controlled, begun_s: float) -> Stock:
    found = await fabric.counts()
    return Stock(time.time() - begun_s, found.held, found.granted)


async def _watch(
    fabric: Controlled, begun_s: float, stock: list[Stock], say: Callable[[str], None]
) -> None:
    """Count addresses, until cancelled. BurstError when a switch has died."""
    while True:
        stock.append(await _counted(fabric, begun_s))
        say(f"{stock[-1].granted} instances, {stock[-1].held} addresses held")
        dead = fabric.network.dead()
        if dead:
            raise BurstError(dead[0])
        await asyncio.sleep(SAMPLE_S)
