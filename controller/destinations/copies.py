"""The life of standby copies: preparing until the edges have their slot sets, ready, draining, gone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from controller.model import Destination, Standby, StandbyState

Copy = tuple[int, str]  # service, site
Copies = Mapping[Copy, Standby]


def by_copy(standbys: Iterable[Standby]) -> dict[Copy, Standby]:
    """By service and site."""
    return {(one.service, one.site): one for one in standbys}


def placed(
    before: Copies, wanted: Iterable[Standby], routers: Mapping[Copy, tuple[str, ...]]
) -> dict[Copy, Standby]:
    """After a placement: those wanted, new ones preparing; the others draining.

    routers: (service, site) → routers, where not all of the site's serve a copy.
    """
    after = {}
    for copy, one in by_copy(wanted).items():
        old = before.get(copy)
        state = StandbyState.PREPARING
        if old is not None and old.state is StandbyState.READY:
            state = old.state
        after[copy] = replace(one, routers=routers.get(copy, one.routers), state=state)
    for copy, old in before.items():
        if copy not in after:
            after[copy] = replace(old, state=StandbyState.DRAINING, share_cps=0.0)
    return after


def as_configured(
    copies: Copies, routers: Callable[[Copy], tuple[str, ...]]
) -> dict[Copy, Standby]:
    """Those of an earlier run, on the routers that serve them now; a copy that has none any more is gone."""
    return {
        copy: replace(one, routers=now) for copy, one in copies.items() if (now := routers(copy))
    }


def prepared(copies: Copies, installed: Collection[Copy]) -> dict[Copy, Standby]:
    """After a write: copies whose slot sets every edge has are ready."""
    return {
        copy: replace(one, state=StandbyState.READY)
        if one.state is StandbyState.PREPARING and copy in installed
        else one
        for copy, one in copies.items()
    }


def drained(copies: Copies, live: Callable[[Standby], int | None]) -> dict[Copy, Standby]:
    """Without the draining copies that carry no connection any more. live: None, if that is not known."""
    return {
        copy: one
        for copy, one in copies.items()
        if one.state is not StandbyState.DRAINING or live(one) != 0
    }


def failed_copies(
    destinations: Iterable[Destination],
    site_routers: Mapping[str, tuple[str, ...]],
    own_routers: Mapping[Copy, tuple[str, ...]],
    gone: Collection[str],
    marked: Collection[Copy],
) -> frozenset[Copy]:
    """Copies, existing or possible, that cannot serve now: all of their routers are `gone`, or somebody said so
    (`marked`). own_routers: of copies that not all of the site's serve. It is asked for all the time, and costs as
    much as there are routers, not copies, while all is well.
    """
    dead = {site for site, names in site_routers.items() if all(name in gone for name in names)}
    failed = {copy for copy, names in own_routers.items() if all(name in gone for name in names)}
    if dead:
        failed |= {
            (one.service, site) for one in destinations for site in one.sites if site in dead
        }
    return frozenset(failed | {*marked})
