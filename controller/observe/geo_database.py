"""A geographic database file in the MaxMind format: address → continent, country, city → location."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import maxminddb

from controller.observe.prefix_table import Address, Network


class GeoDatabaseError(Exception):
    """The file cannot be used. The text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class GeoArea:
    """What of the database belongs to a location.

    cities: "IT/Rome" (country code, English name: there is more than one Rome). countries: ISO 3166-1 codes,
    "IT". continents: the format's two letters, "EU". A city goes before its country, a country before its continent.
    """

    location: str
    cities: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    continents: tuple[str, ...] = ()


class GeoDatabase:
    """An open file. Records as of GeoLite2/GeoIP2 City or Country, or any file with the same keys.

    The file is mapped into memory: replace it by renaming a new one over it (as geoipupdate does), never by writing
    into it. `refresh` then opens the new one. Raises GeoDatabaseError, and ValueError for an area told twice.

    damage: what is wrong inside of the file, once that is found; it is then as if the database knew nobody, until
    another file is opened.
    """

    def __init__(self, path: Path, areas: Iterable[GeoArea]) -> None:
        self.path = path
        self.damage: str | None = None
        self._areas = _by_area(areas)
        self._reader, self._identity = _open(path)

    def of(self, address: Address) -> str | None:
        """The location of an address; None: the database or the areas do not know it."""
        return self._find(address)[0]

    def of_network(self, network: Network) -> str | None:
        """The location of a whole network; None also where the database divides it."""
        found, length = self._find(network.network_address)
        return found if length <= network.prefixlen else None

    def networks(self) -> dict[str, list[Network]]:
        """All networks of each location, neighbours merged. Reads the whole file: seconds for a large one."""
        found: dict[str, list[Network]] = {}
        if self.damage is not None:
            return found
        try:
            for network, record in self._reader:
                name = self._location(record)
                if name is not None:
                    found.setdefault(name, []).append(network)
        except Exception as error:  # broken text, keys that are none: whatever its bytes lead to
            self._damaged(error)
            return {}
        return {name: _merged(given) for name, given in found.items()}

    def refresh(self) -> bool:
        """Open the file anew if another one lies there now; whether it did.

        On an error the old one stays in use.
        """
        try:
            identity = _identity(self.path)
        except OSError as error:
            raise GeoDatabaseError(_unreadable(self.path, error)) from None
        if identity == self._identity:
            return False
        reader, identity = _open(self.path)
        self._reader.close()
        self._reader, self._identity, self.damage = reader, identity, None
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> GeoDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, address: Address) -> tuple[str | None, int]:
        if self.damage is not None:
            return None, 0
        if address.version == 6 and self._reader.metadata().ip_version == 4:
            return None, 0
        try:
            record, length = self._reader.get_with_prefix_len(address)
        except Exception as error:  # as in `networks`
            self._damaged(error)
            return None, 0
        return self._location(record), length

    def _location(self, record: object) -> str | None:
        for place in _places(record):
            name = self._areas.get(place)
            if name is not None:
                return name
        return None

    def _damaged(self, error: Exception) -> None:
        self.damage = f"{self.path} is damaged ({error}); fetch it again"


def _places(record: object) -> Iterable[str]:
    """Of a record: city, country, continent, as areas name them; the most exact first."""
    if not isinstance(record, Mapping):
        return
    country = _text(record, "country", "iso_code") or _text(
        record, "registered_country", "iso_code"
    )
    city = _text(record, "city", "names", "en")
    if country and city:
        yield f"city {country.upper()}/{city.casefold()}"
    if country:
        yield f"country {country.upper()}"
    continent = _text(record, "continent", "code")
    if continent:
        yield f"continent {continent.upper()}"


def _text(record: object, *keys: str) -> str | None:
    for key in keys:
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    return record if isinstance(record, str) else None


def _by_area(areas: Iterable[GeoArea]) -> dict[str, str]:
    found: dict[str, str] = {}
    for area in areas:
        places = [f"country {one.upper()}" for one in area.countries]
        places += [f"continent {one.upper()}" for one in area.continents]
        for city in area.cities:
            country, slash, name = city.partition("/")
            if not (country and slash and name):
                raise ValueError(
                    f"{area.location}: write the city {city!r} as COUNTRY/City: IT/Rome"
                )
            places.append(f"city {country.upper()}/{name.casefold()}")
        for place in places:
            if found.setdefault(place, area.location) != area.location:
                raise ValueError(
                    f"{place} belongs to {found[place]} and to {area.location}: name it in one only"
                )
    return found


def _open(path: Path) -> tuple[maxminddb.Reader, tuple[int, int, int]]:
    try:
        identity = _identity(path)
        return maxminddb.open_database(path), identity
    except OSError as error:
        raise GeoDatabaseError(_unreadable(path, error)) from None
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise GeoDatabaseError(
            f"{path} is no database in the MaxMind format ({error}); give a .mmdb file, unpacked"
        ) from None


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror or error}); give the .mmdb file's path"


def _identity(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_ino, state.st_mtime_ns, state.st_size


def _merged(networks: Iterable[Network]) -> list[Network]:
    given = list(networks)
    four = [one for one in given if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in given if isinstance(one, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]
