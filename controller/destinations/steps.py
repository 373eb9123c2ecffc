"""What destination shadowing does and why, for the log, the audit log, the API and whoever listens."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from controller.plan.destinations.state import PlacementStep
from controller.plan.redirects.state import RedirectStep

LOG = logging.getLogger("umbra.destinations")
KEPT = 500
Step = dict[str, Any]
Listener = Callable[[Sequence[Step]], None]
Note = Callable[[float, Mapping[str, Any]], None]


class DestinationSteps:
    """The latest steps, newest last. `note` takes each to the audit log; `listeners` get every batch."""

    def __init__(self, note: Note, names: Mapping[int, str]) -> None:
        """names: of the services, by id."""
        self.listeners: list[Listener] = []
        self._note = note
        self._names = dict(names)
        self._kept: deque[Step] = deque(maxlen=KEPT)

    def placed(self, steps: Iterable[PlacementStep], *, dry: bool) -> list[Step]:
        """Copies that are opened and given up."""
        return self._add(
            [
                self._step(one, None, None, None, one.site, dry) | {"act": one.act.value}
                for one in steps
            ]
        )

    def redirected(self, steps: Iterable[RedirectStep], *, dry: bool) -> list[Step]:
        """Locations whose new connections go elsewhere."""
        return self._add(
            [
                self._step(one, one.location, one.before, one.after, None, dry)
                | {"act": one.act.value}
                for one in steps
            ]
        )

    def said(self, time_s: float, act: str, service: int, site: str, reason: str) -> None:
        """A person, or somebody's health check, told something of a copy."""
        step: Step = {
            "time_s": time_s,
            "act": act,
            "service": self._names[service],
            "service_id": service,
            "location": None,
            "before": None,
            "after": None,
            "site": site,
            "reason": reason,
            "inputs": {},
            "dry_run": False,
        }
        self._add([step])

    def latest(self, most: int = 50) -> list[Step]:
        """The newest first."""
        return [dict(one) for one in list(self._kept)[: -most - 1 : -1]]

    def _step(
        self,
        one: PlacementStep | RedirectStep,
        location: str | None,
        before: str | None,
        after: str | None,
        site: str | None,
        dry: bool,
    ) -> Step:
        return {
            "time_s": one.time_s,
            "act": "",
            "service": self._names.get(one.service, str(one.service)),
            "service_id": one.service,
            "location": location,
            "before": before,
            "after": after,
            "site": site,
            "reason": one.reason,
            "inputs": dict(one.inputs),
            "dry_run": dry,
        }

    def _add(self, steps: list[Step]) -> list[Step]:
        for step in steps:
            self._kept.append(step)
            self._note(step["time_s"], step)
            LOG.info("%s%s", step["reason"], " (dry run)" if step["dry_run"] else "")
        if steps:
            for listener in self.listeners:
                listener(steps)
        return steps
