"""Shares reach the edges, whatever happens to a write under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from controller.act.fabric import WriteReport
from controller.act.shares import ShareWriter
from controller.model import SlotSet
from harness.small import R1, R2, WEB, small_fabric

KEY = ("e1", 16 * WEB)
UP = frozenset({"e1"})
ALL, HALF, NONE = {R1: 100}, {R1: 50, R2: 50}, {R2: 100}


class Edge:
    """Holds slot sets; answers writes only while `open`, and then with `error` if there is one.

    `wanted` is what a reconcile makes it hold.
    """

    def __init__(self) -> None:
        self.holds: dict[tuple[str, int], tuple[int, ...]] = {}
        self.wanted: dict[tuple[str, int], tuple[int, ...]] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.error = ""
        self.applies = True

    async def write_slot_sets(self, sets: Mapping[str, Sequence[SlotSet]]) -> WriteReport:
        new = {(name, one.id): one.slots for name, own in sets.items() for one in own}
        self.wanted |= new
        await self.open.wait()
        if self.applies:
            self.holds |= new
        failed = (("e1", self.error),) if self.error else ()
        return WriteReport(() if failed else ("e1",), failed, 0.1)

    def share(self) -> int:
        return self.holds[KEY].count(R1)


async def turn(writer: ShareWriter, share: Mapping[int, int], up: frozenset[str] = UP) -> None:
    await writer.write(writer.want({("e1", WEB): share}), up, 0.05)


def begun(edge: Edge) -> ShareWriter:
    writer = ShareWriter(small_fabric(), edge)
    writer.want({("e1", WEB): ALL})
    edge.holds = edge.wanted = writer.wanted()
    writer.confirm("e1")
    return writer


def test_an_edge_that_was_reconciled_to_old_shares_gets_the_new_ones() -> None:
    async def story() -> None:
        edge = Edge()
        writer = begun(edge)
        edge.open.clear()
        await turn(writer, HALF)  # hangs
        await turn(writer, NONE)  # cannot even be tried
        edge.error, edge.applies = "the connection was lost", False
        edge.open.set()
        await asyncio.sleep(0)
        edge.holds, edge.error, edge.applies = dict(edge.wanted), "", True  # back, reconciled
        writer.confirm("e1")
        await turn(writer, NONE)
        await turn(writer, NONE)
        assert edge.share() == 0

    asyncio.run(story())


def test_a_write_of_which_nothing_is_known_is_not_taken_for_undone() -> None:
    async def story() -> None:
        edge = Edge()
        writer = begun(edge)
        edge.error = "DEADLINE_EXCEEDED"  # but the switch did it
        await turn(writer, HALF)
        edge.error = ""
        await turn(writer, ALL)
        assert edge.share() == 100

    asyncio.run(story())
