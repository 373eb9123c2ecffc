"""What the next run must know of destinations, in the store: when it changed, and what grows slowly now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from controller.destinations.position import Position, from_json, to_json
from controller.trouble import Troubles

KEY = "destinations"
TROUBLE = "recall destinations"
REMEMBER_S = 10.0  # between notes of what changes all the time


class DestinationMemory:
    """ready: the run stands somewhere; until then what an earlier one remembered stays."""

    def __init__(self, recorder: Any, troubles: Troubles, step_s: float) -> None:
        """recorder: `controller.recorder.Recorder`. step_s: of the access history."""
        self._recorder = recorder
        self._troubles = troubles
        self._step_s = step_s
        self.ready = False
        self._remembered: object = None
        self._remembered_s = 0.0

    async def recall(self) -> tuple[Position, Mapping[int, float], bool] | None:
        """What an earlier run remembered: where it stood, since when each destination can be asked for, and whether
        its steps were as long as these. None: nothing, or nothing that can be read.
        """
        text = await self._recorder.meta(KEY)
        if text is None:
            return None
        try:
            position, since_s, before_s = from_json(text)
        except ValueError as error:
            self._troubles.count(TROUBLE, f"{error}; starting without copies")
            return None
        return position, since_s, before_s == self._step_s

    def remember(
        self, position: Position, since_s: Mapping[int, float], *, at_once: bool = False
    ) -> None:
        """Where it stands now."""
        if not self.ready:
            return
        now_s = time.monotonic()
        key = (position.copies, position.served, position.redirects.sites, position.marked)
        if key == self._remembered and now_s < self._remembered_s + REMEMBER_S and not at_once:
            return
        self._remembered, self._remembered_s = key, now_s
        self._recorder.store.set_meta(KEY, to_json(position, since_s, self._step_s))
