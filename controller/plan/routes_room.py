"""Where shifted traffic goes: shadows with room, equally, none beyond its limit.

A percent of a router's new connections becomes, once connections have turned over, a percent of
its demand (Little's law): that is what it costs its shadow. Two measures of room keep the plan
calm: what is there may stay while it fits the shadow as observed; more is added only where it fits
the shadow's 95 % forecast and its live count as well.

Where synthetic load has found a limit (`plan/capacity`), more is added only while the packets per
second of the shadow's own demand and of all its guests stay within it. What is there already stays:
it was part of the load when the limit was found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from controller.plan.routes_rules import UPPER, expected_demand, observed_demand
from controller.plan.routes_state import RouterView

MOST_SHADOWS = 3
GUESTS_SPREAD = 2.0  # standard deviations of their (Poisson) number that must fit as well

Split = dict[str, int]  # shadow → percent, in order of choice


class Rooms:
    """What every possible shadow can still take in this plan, in connections."""

    def __init__(self, views: Mapping[str, RouterView], barred: Iterable[str]) -> None:
        self._views = views
        self._barred = frozenset(barred)
        self._held: dict[str, float] = defaultdict(float)  # guests at the observed demand
        self._guests: dict[str, float] = defaultdict(float)  # guests at the expected demand
        self._added: dict[str, float] = defaultdict(float)  # of these, new in this cycle
        self._packets: dict[str, float] = defaultdict(float)  # guests' packets per second

    def usable(self, name: str) -> bool:
        """It is there, answers, and is not in danger itself."""
        view = self._views.get(name)
        known = view is not None and view.healthy and view.live is not None
        return known and name not in self._barred

    def keep(self, router: RouterView, shadow: str, pct: int) -> int:
        """Keep up to `pct` percent of `router` on `shadow`; returns how much fits."""
        if not self.usable(shadow):
            return 0
        point = observed_demand(router) / 100.0
        view = self._views[shadow]
        over = max(0.0, (view.live or 0.0) - view.limit)
        room = view.limit - observed_demand(view) - self._held[shadow] - over
        kept = pct if point * pct <= room else max(0, int(room / point)) if point > 0 else pct
        self.book(router, shadow, kept)
        return kept

    def book(self, router: RouterView, shadow: str, pct: int) -> None:
        """Count `pct` percent of `router` as guests of `shadow`, without looking at the room."""
        self._held[shadow] += observed_demand(router) / 100.0 * pct
        self._guests[shadow] += expected_demand(router) / 100.0 * pct
        self._packets[shadow] += _packets_per_s(router) / 100.0 * pct

    def add(self, router: RouterView, shadow: str, shifted_pct: int) -> bool:
        """Add one percent of `router` to `shadow` if it has room for it.

        shifted_pct: what of `router` is shifted with this percent. Room is what is left below the
        limit with a margin for chance. Without that margin, only while the shadow stays
        the less loaded of the two (relative to their limits): better even than one over.
        """
        point = expected_demand(router) / 100.0
        view = self._views[shadow]
        guests = self._guests[shadow] + point
        if point > view.limit - (view.live or 0.0) - self._added[shadow]:
            return False
        if _own_upper(view) + guests + GUESTS_SPREAD * math.sqrt(guests) > view.limit:
            load = expected_demand(view) + guests
            stays = point * (100 - shifted_pct)
            if load > view.limit or load * router.limit > stays * view.limit:
                return False
        if not self._carries(router, view):
            return False
        self._added[shadow] += point
        self.book(router, shadow, 1)
        return True

    def _carries(self, router: RouterView, shadow: RouterView) -> bool:
        """One percent more of `router` stays within the packets per second that `shadow` can carry."""
        point = _packets_per_s(router) / 100.0
        if shadow.carries_pps is None or point == 0.0:
            return True
        booked = _packets_per_s(shadow) + self._packets[shadow.name]
        return booked + point <= shadow.carries_pps


def _packets_per_s(view: RouterView) -> float:
    """Of its own demand; 0 where it is not known what a connection sends."""
    return expected_demand(view) * (view.packets_per_connection_s or 0.0)


def _own_upper(view: RouterView) -> float:
    """The most that its own demand may become (guests are counted apart)."""
    own = observed_demand(view)
    if view.demand_p95 is not None:
        return max(own, view.demand_p95)
    return own + UPPER * math.sqrt(own)


def grow(
    rooms: Rooms,
    router: RouterView,
    split: Split,
    extra: int,
    candidates: tuple[str, ...],
    shadows: int,
) -> Split:
    """Place up to `extra` percent more, each on the shadow that has least of it and has room.

    Shadows in use come first, then candidates in order until `shadows` are in use; a further one
    (up to MOST_SHADOWS) only when those have no room left.
    """
    result = dict(split)
    spare = [name for name in candidates if name not in result and rooms.usable(name)]
    open_ones = [name for name in result if rooms.usable(name)]
    while spare and len(open_ones) < shadows and len(result) < MOST_SHADOWS:
        name = spare.pop(0)
        result[name] = 0
        open_ones.append(name)
    while extra > 0:
        if not open_ones:
            if not spare or sum(pct > 0 for pct in result.values()) >= MOST_SHADOWS:
                break
            open_ones.append(spare.pop(0))
            result.setdefault(open_ones[0], 0)
        least = min(open_ones, key=lambda name: result[name])
        if rooms.add(router, least, sum(result.values()) + 1):
            result[least] += 1
            extra -= 1
        else:
            open_ones.remove(least)
    return {name: pct for name, pct in result.items() if pct > 0}


def level(
    rooms: Rooms,
    router: RouterView,
    split: Split,
    most: int,
    candidates: tuple[str, ...],
    shadows: int,
) -> Split:
    """Even out a split by moving up to `most` percent to shadows that have less and have room.

    A shadow that comes back so gets its part again, step by step, while fewer than `shadows` are
    in use.
    """
    result = dict(split)
    spare = [name for name in candidates if name not in result and rooms.usable(name)]
    for name in spare[: max(0, shadows - len(result))]:
        result[name] = 0
    open_ones = [name for name in result if rooms.usable(name)]
    while most > 0 and open_ones:
        least = min(open_ones, key=lambda name: result[name])
        fullest = max(result, key=lambda name: result[name])
        if result[fullest] - result[least] <= 1:
            break
        if not rooms.add(router, least, sum(result.values())):
            open_ones.remove(least)
            continue
        rooms.book(router, fullest, -1)
        result[fullest] -= 1
        result[least] += 1
        most -= 1
    return {name: pct for name, pct in result.items() if pct > 0}


def shrink(split: Split, total: int) -> Split:
    """Take percents off until `total` are left, each from the (last) shadow that has most."""
    result = dict(split)
    while sum(result.values()) > total:
        most = max(reversed(result), key=lambda name: result[name])
        result[most] -= 1
    return {name: pct for name, pct in result.items() if pct > 0}
