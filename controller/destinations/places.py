"""The locations with all their prefixes: configured ones, and those of the geographic database while it is there."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from controller.model import Location
from controller.observe.geo_database import GeoDatabase, GeoDatabaseError
from controller.observe.locations import SourceLocations
from controller.trouble import Troubles

REFRESH_S = 60.0
TROUBLE = "geographic database"


class Places:
    """`look` at the start, and when it is `due`: somebody may have put a newer database there."""

    def __init__(
        self, locations: Sequence[Location], database: GeoDatabase | None, troubles: Troubles
    ) -> None:
        """Raises ValueError for locations that contradict each other."""
        self.sources = SourceLocations(locations, database)
        self.locations: tuple[Location, ...] = tuple(locations)
        self._database = database
        self._troubles = troubles
        self._looked_s = -math.inf
        self._damage: str | None = None

    def due(self, now_s: float) -> bool:
        """Whether there is another database file than the one in use, or this one has turned out to be damaged.

        A new one that cannot be opened leaves the old one in use.
        """
        if self._database is None:
            return False
        found = self._database.damage != self._damage
        if not found and abs(now_s - self._looked_s) < REFRESH_S:
            return False
        self._looked_s = now_s
        try:
            fresh = self._database.refresh()
        except GeoDatabaseError as error:
            self._troubles.begin(TROUBLE, str(error))
            return found
        self._tell()
        return fresh or found

    async def look(self) -> tuple[Location, ...]:
        """Read the whole database; seconds for a large one, beside the event loop. One that is damaged adds nothing."""
        if self._database is not None:
            self.locations = await asyncio.to_thread(self.sources.locations)
            self._tell()
        return self.locations

    def _tell(self) -> None:
        assert self._database is not None
        self._damage = self._database.damage
        if self._damage is None:
            self._troubles.end(TROUBLE)
        else:
            self._troubles.begin(TROUBLE, self._damage)

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
