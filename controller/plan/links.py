"""Probes by the way they took → a router whose link to one spine is cut. No I/O; time is given.

Such a router answers, by its other spines, but what goes by that one is lost: half of its connections, with two
spines. What is silent is its link only if both ends are heard otherwise: the router by another spine, and
other routers by that spine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_UNANSWERED = 4
WITNESSES = 0.5  # part of the other routers on that spine that must have been heard by it meanwhile


@dataclass(slots=True)
class _Way:
    heard_s: float
    unanswered: int = 0


class Links:
    """All ways (router, spine) by which a probe has ever come back."""

    def __init__(self) -> None:
        self._ways: dict[str, dict[str, _Way]] = {}  # router → spine → way

    def sent(self, router: str, spine: str) -> None:
        """A probe went to the router by that spine."""
        way = self._ways.get(router, {}).get(spine)
        if way is not None:
            way.unanswered += 1

    def answered(self, router: str, spine: str, now_s: float) -> None:
        """A probe came back by that spine."""
        way = self._ways.setdefault(router, {}).setdefault(spine, _Way(now_s))
        way.heard_s, way.unanswered = now_s, 0

    def whole_since(self, router: str, since_s: float, recent_s: float) -> bool:
        """The router was heard since then by every spine by which anybody was heard since `recent_s`."""
        working = {
            s for own in self._ways.values() for s, w in own.items() if w.heard_s >= recent_s
        }
        own = self._ways.get(router, {})
        return all(way.heard_s > since_s for spine, way in own.items() if spine in working)

    def cut(self, router: str, now_s: float, limit_s: float) -> str | None:
        """A spine by which the router has been silent for so long, though both are heard otherwise."""
        own = self._ways.get(router, {})
        for spine, way in sorted(own.items()):
            silent = now_s - way.heard_s >= limit_s and way.unanswered >= LEAST_UNANSWERED
            if not silent:
                continue
            recent_s = now_s - limit_s / 2
            otherwise = any(o.heard_s >= recent_s for name, o in own.items() if name != spine)
            others = [w[spine] for name, w in self._ways.items() if name != router and spine in w]
            witnesses = sum(1 for other in others if other.heard_s >= recent_s)
            if otherwise and witnesses >= max(1, math.ceil(WITNESSES * len(others))):
                return spine
        return None
