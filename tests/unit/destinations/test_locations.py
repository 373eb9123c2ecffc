"""From where a client asks: configured prefixes, and a file in the MaxMind format made by a writer of that format."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from controller.destinations.places import REFRESH_S, TROUBLE, Places
from controller.model.destinations import Location
from controller.observe.geo_database import GeoArea, GeoDatabase, GeoDatabaseError
from controller.observe.locations import SourceLocations
from controller.observe.prefix_table import PrefixTable
from controller.trouble import Troubles

LOCATIONS = (
    Location("rome", "south", ("10.1.0.0/16",)),
    Location("milan", "north", ("10.1.7.0/24", "2001:db8:7::/48")),
    Location("italy", None, ()),
    Location("europe", None, ()),
)
AREAS = (
    GeoArea("rome", cities=("IT/Rome",)),
    GeoArea("italy", countries=("it",)),
    GeoArea("europe", continents=("EU",)),
    GeoArea("nowhere", countries=("US",)),
)


def record(continent: str, country: str, city: str | None = None) -> dict[str, object]:
    made: dict[str, object] = {"continent": {"code": continent}, "country": {"iso_code": country}}
    if city:
        made["city"] = {"names": {"en": city, "de": city + "-de"}}
    return made


def write(path: Path, rows: dict[str, dict[str, object]]) -> Path:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-City")
    for prefix, one in rows.items():
        writer.insert_network(IPSet([prefix]), one)
    fresh = path.with_suffix(".new")
    writer.to_db_file(str(fresh))
    os.replace(fresh, path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "city.mmdb",
        {
            "192.0.2.0/25": record("EU", "IT", "Rome"),
            "192.0.2.128/25": record("EU", "IT", "Naples"),
            "198.51.100.0/24": record("EU", "FR", "Paris"),
            "203.0.113.0/24": record("NA", "US", "Rome"),
            "10.1.7.0/25": record("EU", "FR", "Paris"),
            "2001:db8:1::/48": record("EU", "IT", "Rome"),
        },
    )


def test_a_client_belongs_to_the_longest_configured_prefix() -> None:
    own = SourceLocations(LOCATIONS)
    assert own.of("10.1.8.1") == "rome"
    assert own.of("10.1.7.1") == "milan"
    assert own.of("::ffff:10.1.7.1") == "milan"
    assert own.of("2001:db8:7::1") == "milan"
    assert own.of("10.2.0.1") is None


def test_the_database_knows_clients_that_no_configured_prefix_holds(file: Path) -> None:
    with GeoDatabase(file, AREAS) as database:
        own = SourceLocations(LOCATIONS, database)
        assert own.of("192.0.2.1") == "rome"  # the city before the country
        assert own.of("192.0.2.129") == "italy"
        assert own.of("198.51.100.9") == "europe"
        assert own.of("2001:db8:1::9") == "rome"
        assert own.of("203.0.113.9") is None  # another Rome, at a location that is not configured
        assert own.of("172.16.0.1") is None
        assert own.of("10.1.7.1") == "milan"  # what is configured goes before the database


def test_a_whole_prefix_has_a_location_only_if_one_entry_holds_it(file: Path) -> None:
    with GeoDatabase(file, AREAS) as database:
        own = SourceLocations(LOCATIONS, database)
        assert own.of_prefix("10.1.7.0/24") == "milan"
        assert own.of_prefix("10.0.0.0/8") is None
        assert own.of_prefix("192.0.2.0/26") == "rome"
        assert own.of_prefix("192.0.2.0/24") is None  # Rome and Naples
        assert own.of_prefix("2001:db8:1:2::/64") == "rome"


def test_the_longest_of_all_prefixes_told_to_planners_decides_as_the_look_up_does(
    file: Path,
) -> None:
    with GeoDatabase(file, AREAS) as database:
        own = SourceLocations(LOCATIONS, database)
        told = PrefixTable((prefix, one.name) for one in own.locations() for prefix in one.prefixes)
        for client in (
            "192.0.2.1",
            "192.0.2.200",
            "10.1.7.1",
            "10.1.9.9",
            "198.51.100.1",
            "8.8.8.8",
        ):
            assert told.of(ipaddress.ip_address(client)) == own.of(client)
        few = own.locations(most=1)
        assert sum(len(one.prefixes) for one in few) == 3 + 1


def test_large_ipv6_networks_of_the_database_do_not_take_the_place_of_ipv4_ones(
    tmp_path: Path,
) -> None:
    rows = {"2001:db8::/32": "Rome", "2001:db9::/32": "Rome", "198.51.100.0/24": "Rome"}
    path = tmp_path / "mixed.mmdb"
    write(path, {prefix: record("EU", "IT", city) for prefix, city in rows.items()})
    with GeoDatabase(path, AREAS) as database:
        own = SourceLocations([Location("rome", "south", ())], database)
        [rome] = own.locations(most=1)
        assert rome.prefixes == ("198.51.100.0/24",)


def test_a_new_file_is_taken_when_it_lies_there_and_the_old_one_stays_when_it_is_broken(
    file: Path,
) -> None:
    with GeoDatabase(file, AREAS) as database:
        own = SourceLocations(LOCATIONS, database)
        assert not database.refresh()
        write(file, {"198.51.100.0/24": record("EU", "IT", "Rome")})
        assert database.refresh()
        assert own.of("198.51.100.9") == "rome"
        broken = file.with_suffix(".broken")
        broken.write_bytes(b"not a database")
        os.replace(broken, file)
        with pytest.raises(GeoDatabaseError, match=r"city\.mmdb is no database.*unpacked"):
            database.refresh()
        assert own.of("198.51.100.9") == "rome"


def damaged(file: Path) -> None:
    """It opens still; one of its texts is none."""
    fresh = file.with_suffix(".damaged")
    fresh.write_bytes(file.read_bytes().replace(b"Paris", b"Par\xff\xfe"))
    os.replace(fresh, file)


def test_a_database_that_is_damaged_inside_is_named_and_what_is_configured_goes_on(
    file: Path,
) -> None:
    whole = file.read_bytes()
    troubles = Troubles()
    configured = Places(LOCATIONS, None, troubles).locations

    async def story() -> None:
        places = Places(LOCATIONS, GeoDatabase(file, AREAS), troubles)
        assert await places.look() != configured
        damaged(file)
        assert places.due(1.0)
        assert await places.look() == configured
        assert "city.mmdb is damaged" in troubles.open[TROUBLE]
        assert not places.due(1.0 + REFRESH_S)  # no other file: nothing to look for
        assert TROUBLE in troubles.open
        assert places.sources.of("10.1.8.1") == "rome"
        assert places.sources.of("192.0.2.1") is None
        fresh = file.with_suffix(".fresh")
        fresh.write_bytes(whole)
        os.replace(fresh, file)
        assert places.due(1.0 + 2 * REFRESH_S)
        assert await places.look() != configured
        assert troubles.open == {}
        assert places.sources.of("192.0.2.1") == "rome"
        places.close()

    asyncio.run(story())


def test_damage_that_a_look_up_finds_has_the_planners_prefixes_looked_at_again(file: Path) -> None:
    troubles = Troubles()

    async def story() -> None:
        damaged(file)
        places = Places(LOCATIONS, GeoDatabase(file, AREAS), troubles)
        places.due(0.0)
        assert not places.due(1.0)
        assert places.sources.of("192.0.2.1") == "rome"
        assert places.sources.of_prefix("198.51.100.0/24") is None  # here it is broken
        assert places.sources.of("192.0.2.1") is None
        assert places.due(1.0)
        assert "city.mmdb is damaged" in troubles.open[TROUBLE]
        assert not places.due(2.0)
        places.close()

    asyncio.run(story())


def test_what_cannot_be_used_is_refused_with_the_remedy(tmp_path: Path, file: Path) -> None:
    with pytest.raises(GeoDatabaseError, match=r"absent\.mmdb cannot be read"):
        GeoDatabase(tmp_path / "absent.mmdb", AREAS)
    with pytest.raises(ValueError, match="IT/Rome"):
        GeoDatabase(file, (GeoArea("rome", cities=("Rome",)),))
    with pytest.raises(ValueError, match="belongs to a and to b"):
        GeoDatabase(file, (GeoArea("a", countries=("IT",)), GeoArea("b", countries=("it",))))
    with pytest.raises(ValueError, match="belongs to a and to b"):
        SourceLocations(
            (Location("a", None, ("10.0.0.0/8",)), Location("b", None, ("10.0.0.0/8",)))
        )
    with pytest.raises(ValueError, match="is no prefix"):
        SourceLocations((Location("a", None, ("10.0.0.1/8",)),))
    with pytest.raises(ValueError, match="same name"):
        SourceLocations((Location("a", None, ()), Location("a", None, ())))


networks = st.builds(
    lambda number, length: ipaddress.ip_network((number >> (32 - length) << (32 - length), length)),
    st.sampled_from([0x0A010000, 0x0A010780, 0x0A018000, 0xC0000200]),
    st.integers(0, 32),
)


@given(st.sets(networks, max_size=12), st.integers(0x0A010000, 0x0A01FFFF))
def test_the_table_finds_what_a_search_through_all_prefixes_finds(
    given_networks: set[ipaddress.IPv4Network], number: int
) -> None:
    table = PrefixTable((str(one), str(one)) for one in given_networks)
    client = ipaddress.ip_address(number)
    holding = [one for one in given_networks if client in one]
    longest = max(holding, key=lambda one: one.prefixlen, default=None)
    assert table.of(client) == (None if longest is None else str(longest))
    assert {network for network, _ in table} == given_networks
