"""Limits outlive a run: which switches have been given some, and the lifting of those that are configured no longer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping

from controller.act.resources import AllocationError, Place
from controller.trouble import Troubles

LOG = logging.getLogger("umbra.resources")


class Limited:
    """places: switch → where it is, of all shadows that are configured. lift: takes all limits of a switch at a place
    away (blocking; raises AllocationError). remember: keeps a text for the next run.
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        lift: Callable[[str, Place], None],
        remember: Callable[[str], None],
        troubles: Troubles,
    ) -> None:
        self._places = dict(places)
        self._lift = lift
        self._remember = remember
        self._troubles = troubles
        self._given: set[tuple[str, Place]] = set()

    def recall(self, text: str | None) -> None:
        """What the run before remembered."""
        try:
            rows = json.loads(text or "[]")
            self._given |= {(str(name), Place(group, tuple(ports))) for name, group, ports in rows}
        except (ValueError, TypeError) as error:
            LOG.warning(
                "limits of earlier runs are not known (%s): look after them yourself", error
            )

    def add(self, switches: Iterable[str]) -> None:
        """These shadows are about to be limited."""
        more = {(name, self._places[name]) for name in switches} - self._given
        if more:
            self._given |= more
            self._keep()

    async def lift_removed(self) -> None:
        """Of shadows that are configured no longer, or elsewhere now. What cannot be lifted is told, and tried again by
        the next run.
        """
        gone = self._given - set(self._places.items())
        for name, place in sorted(gone, key=lambda one: one[0]):
            try:
                await asyncio.to_thread(self._lift, name, place)
            except (AllocationError, OSError) as error:
                what = f"{name} is no shadow any more, but keeps its limits: {error}"
                self._troubles.begin(f"limits of {name}", f"{what}; then start umbra again")
            else:
                LOG.info("limits of %s are lifted: it is no shadow any more", name)
                self._given.discard((name, place))
        if gone:
            self._keep()

    def _keep(self) -> None:
        rows = [(name, place.group, place.ports) for name, place in self._given]
        self._remember(json.dumps(sorted(rows)))
