"""Progress for those who read it in a file: a line per step, where a terminal shows a changing one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from rich.console import Console

COUNTING_S = 10.0  # what differs from the line before in its numbers alone waits so long


class ProgressLines:
    """Call it with what is being done. On a terminal it is silent: there the status line tells."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._began_s = clock()
        self._told_s = float("-inf")
        self._words = ""

    def __call__(self, text: str) -> None:
        """Write `text` with the minutes that have passed."""
        if self._console.is_terminal:
            return
        now_s = self._clock()
        words = re.sub(r"\d+", "0", text)
        if words == self._words and now_s - self._told_s < COUNTING_S:
            return
        self._words, self._told_s = words, now_s
        self._console.print(f"{(now_s - self._began_s) / 60:5.1f} min  {text}")
