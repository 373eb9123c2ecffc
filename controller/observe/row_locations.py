"""Whom a row of the table `redirects` counts: one location's clients, or several's.

Rows are as few as possible, so that one may stand for neighbouring locations, or for parts of one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from controller.observe.prefix_table import PrefixTable


def row_locations(rows: Iterable[str], locations: PrefixTable) -> dict[str, str | None]:
    """Of each of one service's rows: the location of all whom it counts; None where they are at several, or at none.

    locations: prefix → location. Whoever is within a longer row is counted there. Clients of no location within a
    row count with those of its only location.
    """
    given = list(dict.fromkeys(rows))
    table = PrefixTable((row, row) for row in given)
    found: dict[str, set[str]] = {row: set() for row in given}
    for network, name in locations:
        row = table.of_network(network)
        if row is not None:
            found[row].add(name)
    for row, names in found.items():
        around = locations.of_network(ipaddress.ip_network(row))
        if around is not None:
            names.add(around)
    return {row: next(iter(names)) if len(names) == 1 else None for row, names in found.items()}
