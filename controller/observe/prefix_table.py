"""Longest-prefix match on source prefixes, IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class PrefixTable:
    """Prefix → name. One dictionary per version and length, so that a look-up asks as often as there are lengths.

    Raises ValueError for what is no prefix, for host bits that are set, and for a prefix given to two names.
    """

    def __init__(self, entries: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[tuple[int, int], dict[int, str]] = {}
        for text, name in entries:
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(
                    f"{name}: {text!r} is no prefix ({error}); give one like 192.0.2.0/24"
                ) from None
            names = self._names.setdefault((network.version, network.prefixlen), {})
            key = int(network.network_address)
            if names.setdefault(key, name) != name:
                raise ValueError(
                    f"{network} belongs to {names[key]} and to {name}: name it in one of them only"
                )
        self._lengths = {
            version: sorted((length for own, length in self._names if own == version), reverse=True)
            for version in (4, 6)
        }

    def of(self, address: Address) -> str | None:
        """The name of the longest prefix that holds the address."""
        return self._longest(address, address.max_prefixlen)

    def of_network(self, network: Network) -> str | None:
        """The name of the longest prefix that holds the whole network."""
        return self._longest(network.network_address, network.prefixlen)

    def __iter__(self) -> Iterator[tuple[Network, str]]:
        for (version, length), names in sorted(self._names.items()):
            kind = IPv4Network if version == 4 else IPv6Network
            for key, name in sorted(names.items()):
                yield kind((key, length)), name

    def _longest(self, address: Address, most: int) -> str | None:
        number, bits, version = int(address), address.max_prefixlen, address.version
        for length in self._lengths[version]:
            if length > most:
                continue
            found = self._names[version, length].get(number >> (bits - length) << (bits - length))
            if found is not None:
                return found
        return None
