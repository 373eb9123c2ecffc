"""Who is served where: the copy that placement wants, or what stands in for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from controller.model.destinations import Standby
from controller.plan.redirects.achieved import Path
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.state import Cell, Copy, RedirectView


def chosen_sites(
    view: RedirectView,
    primaries: Mapping[int, str],
    usable: Mapping[Copy, Standby],
    barred: frozenset[Path],
    before: Mapping[Cell, str],
    settings: RedirectSettings,
) -> dict[Cell, str]:
    """(service, location) → site of a usable copy; who is not in it is for the primary.

    Where the wanted copy is not usable (it failed, or is not ready yet), the location stays at the copy that it has,
    if that is usable; else the nearest other copy takes it that is nearer than the primary and has room in its
    share, the largest demand first. A redirect that is withdrawn leads to the primary.
    """
    chosen: dict[Cell, str] = {}
    load: defaultdict[Copy, float] = defaultdict(float)
    waiting: list[Cell] = []
    for cell, site in sorted(view.served.items()):
        service, location = cell
        if site == primaries[service] or (service, location, site) in barred:
            continue
        if (service, site) in usable:
            chosen[cell] = site
            load[service, site] += view.forecast_cps.get(cell, 0.0)
        else:
            waiting.append(cell)
    copies: defaultdict[int, list[str]] = defaultdict(list)
    for service, site in sorted(usable):
        copies[service].append(site)
    for cell in sorted(waiting, key=lambda c: (-view.forecast_cps.get(c, 0.0), c)):
        service, location = cell
        cps = view.forecast_cps.get(cell, 0.0)
        near = [
            (saved_ms, site)
            for site in copies[service]
            if (service, location, site) not in barred
            and (saved_ms := saved(view, primaries[service], location, site)) is not None
            and saved_ms >= settings.least_saved_ms
            and load[service, site] + cps <= usable[service, site].share_cps
        ]
        now = before.get(cell)
        if now in copies[service] and (service, location, now) not in barred:
            chosen[cell] = now
        elif near:
            chosen[cell] = min(near, key=lambda one: (-one[0], one[1]))[1]
        else:
            continue
        load[service, chosen[cell]] += cps
    return chosen


def saved(view: RedirectView, primary: str, location: str, site: str) -> float | None:
    """Milliseconds by which a site is nearer to a location than the primary's is; None: not known."""
    here = view.latency_ms.get((location, site))
    home = view.latency_ms.get((location, primary))
    return None if here is None or home is None else home - here
