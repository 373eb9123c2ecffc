"""The decision as redirects by source prefix: the same answer for every address, in the fewest rows."""

from __future__ import annotations

import ipaddress

from controller.model.destinations import Redirect
from controller.plan.redirects.aggregation import fewest_rows
from controller.plan.redirects.decision import Routing, serving_site


def redirects_of(routing: Routing, service: int) -> tuple[Redirect, ...]:
    """The redirects of one service, sorted by prefix. One to the primary's site is an exception within a wider one."""
    primary = routing.primaries[service]
    site_of: dict[str, str] = {}
    prefixes = []
    for one in routing.sources.prefixes:
        site = site_of.get(one.location)
        if site is None:
            site = site_of[one.location] = serving_site(routing, service, one.location)
        prefixes.append((one.network, one.length, site))
    return tuple(
        Redirect(service, f"{ipaddress.IPv4Address(network)}/{length}", site)
        for network, length, site in fewest_rows(prefixes, primary)
    )
