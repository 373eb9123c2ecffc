"""Keeps the planned events current while the controller runs.

A calendar file may change at any time, and what it repeats is written out for two weeks only: the files are
looked at every `LOOK_S`, and read again when one has changed or a day has passed. While one cannot be
read, the events that were read last go on to hold, and the trouble is told.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from controller.config import Config, calendars
from controller.predict import planned_events
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent
from ml.calendars.file import CalendarError, Window

LOG = logging.getLogger(__name__)

LOOK_S = 5.0
AGAIN_AFTER_S = 86_400.0
TROUBLE = "calendars"
Stamp = tuple[tuple[int, int, int] | None, ...]  # of each file; None: it is not there


class Calendars:
    """plan: is given the events, configured ones included, whenever they were read anew."""

    def __init__(
        self,
        config: Config,
        plan: Callable[[tuple[PlannedEvent, ...]], None],
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._plan = plan
        self._troubles = troubles
        self._clock = clock
        self._stamp: Stamp | None = None
        self._read_s = float("-inf")

    async def run(self) -> None:
        """Look, and look again. Ends at once when no calendar is configured."""
        if not self._config.forecast.calendars:
            return
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Read the files if one has changed or a day has passed. Does not block the loop."""
        files = self._config.forecast.calendars
        now_s = self._clock()
        stamp = await asyncio.to_thread(_stamp, files)
        # A clock that was set back must not hold this up.
        if stamp == self._stamp and abs(now_s - self._read_s) < AGAIN_AFTER_S:
            return
        self._stamp, self._read_s = stamp, now_s
        try:
            events = await asyncio.to_thread(calendars.read, self._config, Window.around(now_s))
        except CalendarError as error:
            # Tried again when a file changes; after a day in any case.
            self._troubles.begin(TROUBLE, f"{error} (the events read before still hold)")
            return
        self._troubles.end(TROUBLE)
        self._plan(planned_events(self._config) + events)
        LOG.info("%d planned events from %d calendars", len(events), len(files))


def _stamp(files: tuple[str, ...]) -> Stamp:
    return tuple(_of(file) for file in files)


def _of(file: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
