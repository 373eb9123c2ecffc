"""What the manager remembers over a restart: approved moves, and what warm ranges have learned.

Learned counts are written once a minute and at the end: a crash forgets a minute of them. An approval is
on the disk before the person is told.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from controller.addressing.kept import Kept, KeptError
from controller.plan.addresses import memory
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import RangeState
from controller.plan.shards import compaction_memory
from controller.plan.shards.compaction import Move
from controller.plan.shards.state import Key
from controller.pool.errors import Unavailable
from controller.trouble import Troubles

TROUBLE = "memory of addresses"
EVERY_S = 60.0
MOVES = "moves"


class Memory:
    """Notes by name: `moves`, and `range FAMILY SUBDIVISION`. One writer at a time."""

    def __init__(self, kept: Kept, settings: RangeSettings, troubles: Troubles) -> None:
        self._kept = kept
        self._settings = settings
        self._troubles = troubles
        self._notes = kept.all()
        self._learned_s = -math.inf
        self._writing = asyncio.Lock()

    def moves(self) -> tuple[Move, ...]:
        """Those that a person had approved; of a note that cannot be read, none."""
        text = self._notes.get(MOVES)
        try:
            return compaction_memory.from_json(text) if text is not None else ()
        except ValueError as error:
            self._troubles.begin(TROUBLE, f"{error}; approve the compaction again (umbra shards)")
            return ()

    def learned(self, key: Key) -> RangeState:
        """What the range had learned; of a note that cannot be read, nothing."""
        text = self._notes.get(_name(key))
        try:
            return memory.from_json(text, self._settings) if text is not None else RangeState()
        except ValueError as error:
            self._troubles.begin(TROUBLE, f"{_name(key)}: {error}; it learns anew")
            return RangeState()

    async def approve(self, moves: Sequence[Move]) -> None:
        """Write down which moves are approved now. Raises Unavailable when that cannot be done."""
        text = compaction_memory.to_json(moves)
        try:
            await self._write({MOVES: text} if moves else {}, drop=() if moves else (MOVES,))
        except KeptError as error:
            raise Unavailable(str(error).replace("; ", ": ", 1)) from error

    async def learn(
        self, states: Mapping[Key, RangeState], now_s: float, *, ending: bool = False
    ) -> None:
        """Write down what the ranges have learned, if a minute has passed. What cannot be written is a trouble."""
        if not states or (abs(now_s - self._learned_s) < EVERY_S and not ending):
            return
        self._learned_s = now_s
        notes = await asyncio.to_thread(self._told, dict(states))
        gone = [name for name in self._notes if name != MOVES and name not in notes]
        try:
            await self._write(notes, drop=gone)
        except KeptError as error:
            self._troubles.begin(TROUBLE, str(error))
        else:
            self._troubles.end(TROUBLE)

    def close(self) -> None:
        """End the use of the file."""
        self._kept.close()

    def _told(self, states: Mapping[Key, RangeState]) -> dict[str, str]:
        return {_name(key): memory.to_json(own, self._settings) for key, own in states.items()}

    async def _write(self, notes: Mapping[str, str], drop: Sequence[str]) -> None:
        async with self._writing:
            after = {name: text for name, text in self._notes.items() if name not in drop}
            after |= notes
            await asyncio.to_thread(self._kept.keep, after)
            self._notes = after


def _name(key: Key) -> str:
    subdivision, family = key
    return f"range {family} {subdivision}"
