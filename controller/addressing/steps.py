"""What the address shadow manager does and why, for the log, the audit log and the API."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

LOG = logging.getLogger("umbra.addresses")
KEPT = 200
Note = Callable[[float, Mapping[str, Any]], None]  # time, what is written to the audit log


class Steps:
    """The latest steps, newest last. `note` takes each to the audit log."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(
        self,
        time_s: float,
        act: str,
        subdivision: str,
        what: str,
        reason: str,
        inputs: Mapping[str, float | str | None] | None = None,
        *,
        dry: bool = False,
    ) -> None:
        """One step; `what`: a prefix, an address, or how many of them. `dry`: it was only planned."""
        step = {
            "time_s": time_s,
            "act": act,
            "subdivision": subdivision,
            "what": what,
            "reason": reason,
            "dry_run": dry,
        }
        self._kept.append(step)
        self._note(time_s, {**step, "inputs": dict(inputs or {})})
        LOG.info("%s %s%s: %s", act, what, " (dry run)" if dry else "", reason)

    def latest(self, most: int = 50) -> list[dict[str, Any]]:
        """The newest first."""
        return [dict(one) for one in list(self._kept)[: -most - 1 : -1]]
