"""The pure parts of the loop of destinations: whom rows count, what sites have free, what redirects achieved."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import parse
from controller.destinations import settings
from controller.destinations.achieved import achieved, offered
from controller.destinations.capacity import site_resources
from controller.destinations.copies import by_copy, drained, failed_copies, placed, prepared
from controller.destinations.latency import SiteLatencies
from controller.destinations.planning import Rules, Seen, merged, place, redirect
from controller.destinations.position import Position, from_json, to_json
from controller.model import (
    DemandCell,
    Destination,
    Location,
    SampledConnection,
    SiteResources,
    Standby,
    StandbyState,
)
from controller.observe.access import AccessHistory, AccessStep
from controller.observe.access_settings import AccessSettings
from controller.observe.demand import Demand
from controller.observe.locations import SourceLocations
from controller.observe.prefix_table import PrefixTable
from controller.observe.row_locations import row_locations
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.state import PlacementState
from controller.plan.paths import site_round_trips_ms
from controller.plan.redirects.aggregation import fewest_rows
from controller.plan.redirects.settings import RedirectSettings
from harness.destinations import CYCLE_YAML, DESTINATIONS_YAML, SITES_YAML

READY, PREPARING, DRAINING = StandbyState.READY, StandbyState.PREPARING, StandbyState.DRAINING
CONFIG = parse(CYCLE_YAML + SITES_YAML + DESTINATIONS_YAML)
SECTION = CONFIG.destinations
assert SECTION is not None
FABRIC = CONFIG.fabric()


def prefixes(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Distinct (network, length) within 10.0.0.0/24."""
    one = st.integers(24, 30).flatmap(
        lambda length: st.integers(0, (1 << (length - 24)) - 1).map(
            lambda part: (0x0A000000 + (part << (32 - length)), length)
        )
    )
    return st.lists(one, unique=True, max_size=most)


@given(prefixes(6), st.data())
def test_a_row_counts_for_a_location_only_if_all_its_clients_are_there(
    networks: list[tuple[int, int]], data: st.DataObject
) -> None:
    names = [data.draw(st.sampled_from(("rome", "oslo", "bonn"))) for _ in networks]
    sites = {
        name: data.draw(st.sampled_from(("east", "west"))) for name in ("rome", "oslo", "bonn")
    }
    given_rows = [
        (network, length, sites[name])
        for (network, length), name in zip(networks, names, strict=True)
    ]
    rows = [
        f"{ipaddress.IPv4Address(network)}/{length}"
        for network, length, _ in fewest_rows(given_rows, "west")
    ]
    table = PrefixTable(
        (f"{ipaddress.IPv4Address(network)}/{length}", name)
        for (network, length), name in zip(networks, names, strict=True)
    )
    told = row_locations(rows, table)
    held = PrefixTable((row, row) for row in rows)
    for number in range(0x0A000000, 0x0A000100):
        address = ipaddress.IPv4Address(number)
        row, location = held.of(address), table.of(address)
        if row is not None and location is not None:
            assert told[row] in (location, None)
    assert told.keys() == set(rows)


def test_clients_of_a_row_for_two_locations_are_divided_as_digests_say() -> None:
    where = (
        Location("rome", "east", ("10.2.0.0/17",)),
        Location("bari", "east", ("10.2.128.0/17",)),
    )
    own = AccessHistory(
        SourceLocations(where), ("rome", "bari"), AccessSettings(10.0, 20, 4, 8, prior_samples=0.0)
    )
    own.advance(0.0)
    own.advance(10.0)
    own.attribute(1, {"10.2.0.0/16": None})
    own.opened("e1", 1, 0, 11.0)
    own.counted("e1", 1, "10.2.0.0/16", 0, 11.0)
    for number in range(40):
        client = "10.2.0.9" if number < 30 else "10.2.128.9"
        own.sampled(SampledConnection("e1", 12.0, client, "10.9.0.1", 6, 1, 80, 1, 301))
    own.opened("e1", 1, 40, 19.0)
    own.counted("e1", 1, "10.2.0.0/16", 40, 19.0)
    assert own.advance(20.0) == AccessStep(20.0, {(1, "bari"): 10.0, (1, "rome"): 30.0})
    own.attribute(1, {})  # the row is gone
    own.sampled(SampledConnection("e1", 22.0, "10.2.0.9", "10.9.0.1", 6, 1, 80, 1, 301))
    own.opened("e1", 1, 44, 29.0)
    assert own.advance(30.0) == AccessStep(30.0, {(1, "rome"): 4.0})


def resources(demands: dict[str, Demand], *dead: str, copies_cps: float = 0.0) -> dict[str, float]:
    assert SECTION is not None
    found = site_resources(
        [one for one in settings.sites(CONFIG, SECTION) if one.name == "west"]
        + [settings.SiteSettings("east", ("r2", "r3"), None, 4, 100.0, 0.0)],
        FABRIC,
        demands,
        dead,
        {"east": copies_cps},
    )
    return {one.site: one.spare_cps if one.up else -1.0 for one in found}


def test_a_site_has_what_its_routers_have_free_by_littles_law() -> None:
    demands = {"r1": Demand(200.0, 10.0, 5.0), "r2": Demand(100.0, 10.0, 4.0)}
    assert resources(demands) == {"west": 20.0, "east": 50.0}  # nothing is known of r3
    assert resources(demands, copies_cps=7.0)["east"] == 57.0
    assert resources(demands, "r2", "r3")["east"] == -1.0
    crowded = {"r2": Demand(900.0, 10.0, 4.0), "r3": Demand(100.0, 10.0, math.nan)}
    assert resources(crowded)["east"] == pytest.approx(200 / 4.0)


def copy(site: str, state: StandbyState = PREPARING, share_cps: float = 1.0) -> Standby:
    return Standby(1, site, ("r2", "r3"), share_cps, 5.0, state)


def test_a_copy_lives_from_preparing_to_its_last_connection() -> None:
    first = placed({}, [copy("east")], {(1, "east"): ("r3",)})
    assert (first[1, "east"].state, first[1, "east"].routers) == (PREPARING, ("r3",))
    assert prepared(first, [])[1, "east"].state is PREPARING
    ready = prepared(first, [(1, "east")])
    assert placed(ready, [copy("east")], {})[1, "east"].state is READY
    going = placed(ready, [], {})
    assert (going[1, "east"].state, going[1, "east"].share_cps) == (DRAINING, 0.0)
    assert placed(going, [copy("east")], {})[1, "east"].state is PREPARING
    assert drained(going, lambda _: 3) == drained(going, lambda _: None) == going
    assert drained(going, lambda _: 0) == {}
    assert drained(ready, lambda _: 0) == ready


def test_a_copy_fails_with_its_last_router_or_when_somebody_says_so() -> None:
    services = [Destination(number, f"di-{number}", "west", ("east",)) for number in (1, 2)]

    def failed(dead: set[str], *marked: tuple[int, str]) -> set[tuple[int, str]]:
        sites = {"west": ("r1",), "east": ("r2", "r3")}
        own: dict[tuple[int, str], tuple[str, ...]] = {(2, "east"): ("r3",)}
        return {*failed_copies(services, sites, own, dead, marked)}

    assert failed({"r2"}) == set()
    assert failed({"r3"}) == {(2, "east")}
    assert failed({"r2", "r3"}) == {(1, "east"), (2, "east")}
    assert failed(set(), (1, "east")) == {(1, "east")}


def test_latency_is_as_configured_until_it_is_measured() -> None:
    assert SECTION is not None
    own = SiteLatencies(FABRIC, SECTION.locations, site_round_trips_ms(FABRIC))
    known = own.known()
    assert known["rome", "west"] - known["rome", "east"] == pytest.approx(40.0, abs=0.1)
    rome = SECTION.locations[1]
    for ms in (50.0, 52.0, 900.0):
        assert own.measured_ms(rome, "west") is None
        own.answered("e2", "r1", ms)
    assert own.known()["rome", "west"] == 52.0
    assert own.measured_ms(rome, "east", ("r3",)) is None


def test_what_a_copy_refused_is_divided_among_its_locations() -> None:
    served = {(1, "rome"): "east", (1, "bari"): "east"}
    found = achieved(
        served,
        {1: "west"},
        {(1, "rome"): 30.0, (1, "bari"): 10.0, (1, "oslo"): 5.0},
        10.0,
        {(1, "east"): 8},
        lambda _, site, __: 2.0 if site == "east" else 42.0,
    )
    assert [(one.location, one.connections, one.refused, one.gain) for one in found] == [
        ("bari", 10, 2, 40.0),
        ("rome", 30, 6, 120.0),
    ]


@given(
    st.dictionaries(st.sampled_from(("rome", "bari", "oslo")), st.floats(0, 1e6), max_size=3),
    st.sets(st.sampled_from(("rome", "bari", "oslo"))),
)
def test_all_connections_are_offered_to_somebody(counts: dict[str, float], away: set[str]) -> None:
    shares = offered(
        {"r1": 60.0, "r4": 40.0},
        1,
        {(1, place): "east" for place in away},
        {(1, place): count for place, count in counts.items()},
        lambda _: ("r2", "r3"),
    )
    assert sum(shares.values()) == pytest.approx(100.0)
    assert min(shares.values()) >= 0
    total = sum(counts.values())
    if total > 0:
        gone = sum(counts.get(place, 0.0) for place in away) / total
        assert shares["r1"] == pytest.approx(60.0 * (1 - gone), abs=1e-9)


def test_a_position_is_read_back_as_it_was() -> None:
    position = Position(
        copies=by_copy([copy("east", READY)]),
        served={(1, "rome"): "east"},
        placement=PlacementState({"east": 2.5}),
        marked=frozenset({(2, "east")}),
    )
    text = to_json(position, {1: 10.0}, 60.0)
    assert from_json(text) == (position, {1: 10.0}, 60.0)
    with pytest.raises(ValueError, match="no state of destinations"):
        from_json("{}")


def test_a_copy_that_failed_is_replaced_where_it_pays_next() -> None:
    rules = Rules(
        [Destination(1, "web", "west", ("east", "north"))],
        {},
        PlacementSettings(),
        RedirectSettings(),
    )
    names = ("east", "north", "west")
    seen = Seen(
        [Location("rome", "east", ("10.2.0.0/16",))],
        [SiteResources(name, (f"r-{name}",), 100.0, 4, 100.0) for name in names],
        {("rome", "east"): 2.0, ("rome", "north"): 12.0, ("rome", "west"): 42.0},
        [DemandCell(1, "rome", (0.5, 0.9), (40.0, 50.0))],
    )

    def turn(position: Position, now: Seen, now_s: float) -> Position:
        placement, after = place(rules, position, now, now_s)
        after = merged(rules, after, placement, now.failed)
        plan, after = redirect(rules, after, now, now_s)
        after = replace(after, copies=prepared(after.copies, plan.slot_sets))
        return redirect(rules, after, now, now_s)[1]

    position = turn(Position(), seen, 0.0)
    assert position.redirects.sites == {(1, "rome"): "east"}
    broken = replace(seen, failed=frozenset({(1, "east")}))
    left = redirect(rules, position, broken, 5.0)[1]
    assert left.redirects.sites == {}  # at once, to the primary
    assert turn(left, broken, 6.0).redirects.sites == {(1, "rome"): "north"}


def test_nobody_is_led_to_a_site_that_nothing_is_known_of() -> None:
    rules = Rules(
        [Destination(1, "web", "west", ("east",))], {}, PlacementSettings(), RedirectSettings()
    )
    cells = [DemandCell(1, "rome", (0.5, 0.9), (40.0, 50.0))]
    sites = [SiteResources(name, (name,), 100.0, 4, 100.0) for name in ("east", "west")]
    for known in ({("rome", "west"): 50.0}, {("rome", "east"): 1.0}, {}):
        seen = Seen([Location("rome", None, ("10.2.0.0/16",))], sites, known, cells)
        assert place(rules, Position(), seen, 0.0)[0].standbys == ()
