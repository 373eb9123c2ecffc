"""getSourceLocation (seed 9407539): from where a client, or a whole source prefix, asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from controller.model.destinations import Location
from controller.observe.geo_database import GeoDatabase
from controller.observe.prefix_table import Network, PrefixTable


class SourceLocations:
    """Source address → location: by configured prefixes, the longest first; else by the geographic database.

    What is configured goes before the database, however long its prefixes are: operators know their own networks.
    Raises ValueError for locations of the same name, for a wrong prefix and for one that two locations have.
    """

    def __init__(self, locations: Sequence[Location], database: GeoDatabase | None = None) -> None:
        self._locations = {one.name: one for one in locations}
        if len(self._locations) != len(locations):
            raise ValueError("two locations have the same name: every location needs its own")
        self._table = PrefixTable(
            (prefix, one.name) for one in locations for prefix in one.prefixes
        )
        self._database = database

    def of(self, client: str) -> str | None:
        """The location of an address; None: nobody knows it. Raises ValueError if it is no address."""
        address = ipaddress.ip_address(client)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        found = self._table.of(address)
        if found is None and self._database is not None:
            found = self._known(self._database.of(address))
        return found

    def of_prefix(self, prefix: str) -> str | None:
        """The location to which all of a prefix belongs; None where there is no single one by one entry.

        Parts of it may belong elsewhere by longer prefixes: their rows count for themselves.
        """
        network = ipaddress.ip_network(prefix)
        found = self._table.of_network(network)
        if found is None and self._database is not None:
            found = self._known(self._database.of_network(network))
        return found

    def locations(self, most: int = 4096) -> tuple[Location, ...]:
        """The locations with the database's prefixes added, for planners and their rows.

        A network of the database inside a configured prefix is left out, so that the longest prefix among all those
        returned decides as `of` does. most: prefixes of the database in all, IPv4 and the largest networks first
        (clients in the rest are found by `of` and counted, and no row can lead them). Reads the whole database.
        """
        if self._database is None:
            return tuple(self._locations.values())
        added = [
            (network, name)
            for name, networks in self._database.networks().items()
            if name in self._locations
            for network in networks
            if self._table.of_network(network) is None
        ]
        added.sort(key=lambda one: _order(one[0]))
        more: dict[str, list[str]] = {}
        for network, name in added[:most]:
            more.setdefault(name, []).append(str(network))
        return tuple(
            replace(one, prefixes=one.prefixes + tuple(more.get(one.name, ())))
            for one in self._locations.values()
        )

    def _known(self, name: str | None) -> str | None:
        return name if name in self._locations else None


def _order(network: Network) -> tuple[int, int, int]:
    # The data plane carries IPv4: IPv6 networks, of which there are many large ones, must not take its rows' place.
    return network.version, network.prefixlen, int(network.network_address)
