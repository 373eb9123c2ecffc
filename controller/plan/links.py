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
        self._ways: dict[tuple[str, str], _Way] = {}

    def sent(self, router: str, spine: str) -> None:
        """A probe went to the router by that spine."""
        way = self._ways.get((router, spine))
        if way is not None:
            way.unanswered += 1

    def answered(self, router: str, spine: str, now_s: float) -> None:
        """A probe came back by that spine."""
        way = self._ways.setdefault((router, spine), _Way(now_s))
        way.heard_s, way.unanswered = now_s, 0

    def whole_since(self, router: str, since_s: float) -> bool:
        """The router was heard by every spine since then."""
        own = [way for (name, _), way in self._ways.items() if name == router]
        return all(way.heard_s > since_s for way in own)

    def cut(self, router: str, now_s: float, limit_s: float) -> str | None:
        """A spine by which the router has been silent for so long, though both are heard otherwise."""
        own = {spine: way for (name, spine), way in self._ways.items() if name == router}
        for spine, way in sorted(own.items()):
            silent = now_s - way.heard_s >= limit_s and way.unanswered >= LEAST_UNANSWERED
            if not silent:
                continue
            recent_s = now_s - limit_s / 2
            otherwise = any(o.heard_s >= recent_s for name, o in own.items() if name != spine)
            others = [w for (name, s), w in self._ways.items() if s == spine and name != router]
            witnesses = sum(1 for other in others if other.heard_s >= recent_s)
            if otherwise and witnesses >= max(1, math.ceil(WITNESSES * len(others))):
                return spine
        return None
