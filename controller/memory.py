"""What outlives the controller: read at its start, written as it changes."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Collection, Mapping

from controller.observe.store import TROUBLE as STORE_TROUBLE
from controller.plan import failover_memory, routes_memory
from controller.plan.failover_memory import FailoverState
from controller.plan.routes_state import RoutesState
from controller.recorder import Recorder
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)


class Memory:
    """The controller's own notes, in the store."""

    def __init__(self, recorder: Recorder, troubles: Troubles) -> None:
        self._recorder = recorder
        self._troubles = troubles
        self._written: dict[str, str] = {}

    async def routes(self) -> RoutesState:
        """Shifts, freezes and weights set by hand."""
        text = await self._recorder.meta("routes")
        if text is not None:
            try:
                return routes_memory.from_json(text)
            except ValueError as error:
                self._troubles.begin("recall", f"{error}; starting from what the switches hold")
        elif STORE_TROUBLE in self._troubles.open:
            self._troubles.begin(
                "recall",
                "the store could not be read: freezes, weights set by hand, drained routers and a "
                "dry run of an earlier run are not known; starting from what the switches hold",
            )
        return RoutesState()

    async def failover(self, known: Collection[str]) -> FailoverState:
        """Who is away, who stands in, who is drained."""
        text = await self._recorder.meta("failover")
        if text is not None:
            try:
                return failover_memory.from_json(text, known)
            except ValueError as error:
                self._troubles.begin("recall", f"{error}; every router is taken to be in service")
        return FailoverState()

    async def dry_run(self) -> bool:
        """Whether the run before was a dry one."""
        return await self._recorder.meta("dry_run") == "on"

    async def displaced(self, routers: Collection[str]) -> dict[str, dict[int, float]]:
        """Connections of these routers that live elsewhere."""
        text = await self._recorder.meta("displaced")
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            return {
                router: {int(service): float(count) for service, count in own.items()}
                for router, own in json.loads(text or "{}").items()
                if router in routers
            }
        return {}

    def keep(
        self,
        routes: RoutesState,
        failover: FailoverState,
        dry_run: bool,
        displaced: Mapping[str, Mapping[int, float]],
    ) -> None:
        """Write down what changed."""
        own = {name: counts for name, counts in displaced.items() if counts}
        for key, text in (
            ("routes", routes_memory.to_json(routes)),
            ("failover", failover_memory.to_json(failover)),
            ("dry_run", "on" if dry_run else "off"),
            ("displaced", json.dumps(own)),
        ):
            if self._written.get(key) != text:
                self._written[key] = text
                self._recorder.store.set_meta(key, text)
