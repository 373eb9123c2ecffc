"""Redirects by source prefix: every client goes where the decision says, by the fewest rows."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.destinations import Location, Redirect, Standby, StandbyState
from controller.plan.redirects.aggregation import Prefix, fewest_rows
from controller.plan.redirects.decision import Routing, route_traffic
from controller.plan.redirects.numbers import PER_SERVICE, SlotNumber, slot_set_numbers
from controller.plan.redirects.rows import redirects_of
from controller.plan.redirects.sources import sources_of

HOME, EAST, NORTH = "home", "east", "north"
WEB = 1


def copy_at(site: str) -> Standby:
    return Standby(WEB, site, ("r3",), 100.0, 0.0, StandbyState.READY)


def routing(
    locations: list[Location], predicted: dict[str, str], usable: tuple[str, ...] = (EAST, NORTH)
) -> Routing:
    return Routing(
        sources_of(locations),
        {WEB: HOME},
        {(WEB, name): site for name, site in predicted.items()},
        {(WEB, site): copy_at(site) for site in usable},
    )


def longest(rows: list[tuple[str, str]], address: str, default: str) -> str:
    """What a longest-prefix table answers, by its definition."""
    source = ipaddress.ip_address(address)
    inside = [(ipaddress.ip_network(text), site) for text, site in rows]
    hits = [(net.prefixlen, site) for net, site in inside if source in net]
    return max(hits)[1] if hits else default


def edges_of(prefix: str) -> list[int]:
    net = ipaddress.IPv4Network(prefix)
    first, last = int(net.network_address), int(net.broadcast_address)
    return [n for n in (first - 1, first, last, last + 1) if 0 <= n < 1 << 32]


# Prefixes that lie within and beside each other often
prefixes = st.builds(
    lambda bits, length: f"{ipaddress.IPv4Address(bits >> 32 - length << 32 - length)}/{length}",
    st.sampled_from([0x0A000000, 0x0A010000, 0x0A018000, 0x0A01C0FF, 0x0A020304, 0xC0A80101, 0]),
    st.one_of(st.sampled_from([0, 8, 15, 16, 17, 24, 31, 32]), st.integers(1, 32)),
)
owned = st.dictionaries(prefixes, st.integers(0, 4), max_size=14)


@st.composite
def cases(draw: st.DrawFn) -> Routing:
    owner = draw(owned)
    locations = [
        Location(f"l{n}", None, tuple(p for p, one in owner.items() if one == n)) for n in range(5)
    ]
    predicted = draw(
        st.dictionaries(st.integers(0, 4).map("l{}".format), st.sampled_from([HOME, EAST, NORTH]))
    )
    return routing(locations, predicted, draw(st.sampled_from([(), (EAST,), (EAST, NORTH)])))


@settings(max_examples=300, deadline=None)
@given(cases(), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_rows_send_every_client_where_the_decision_says(case: Routing, more: list[int]) -> None:
    rows = [(one.source_prefix, one.site) for one in redirects_of(case, WEB)]
    told = [f"{ipaddress.IPv4Address(p.network)}/{p.length}" for p in case.sources.prefixes]
    numbers = {n for text in [*told, *(text for text, _ in rows)] for n in edges_of(text)}
    for number in numbers | set(more):
        address = str(ipaddress.IPv4Address(number))
        assert longest(rows, address, HOME) == route_traffic(case, address, WEB), address


@settings(max_examples=300, deadline=None)
@given(cases())
def test_there_are_never_more_rows_than_prefixes(case: Routing) -> None:
    rows = redirects_of(case, WEB)
    assert len(rows) <= len(case.sources.prefixes)
    assert len({one.source_prefix for one in rows}) == len(rows)


# The eight addresses of 0.0.0.0/29: the shortest table is found by trying all
EIGHT = [(n << (3 - bits), 29 + bits) for bits in range(4) for n in range(1 << bits)]


def table(rows: tuple[Prefix, ...]) -> tuple[str, ...]:
    found = []
    for address in range(8):
        hits = [(p, v) for net, p, v in rows if address >> (32 - p) == net >> (32 - p)]
        found.append(max(hits)[1] if hits else HOME)
    return tuple(found)


def least_rows(wanted: tuple[str, ...]) -> int:
    """Dynamic programming over (prefix, inherited value): rows that give these values."""

    def cost(network: int, length: int, inherited: str) -> int:
        if length == 32:
            return int(wanted[network] != inherited)
        middle = network + (1 << (31 - length))
        return min(
            int(value != inherited)
            + cost(network, length + 1, value)
            + cost(middle, length + 1, value)
            for value in (HOME, EAST, NORTH)
        )

    return cost(0, 29, HOME)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.sampled_from([HOME, EAST, NORTH])] * 8))
def test_no_table_with_fewer_rows_says_the_same(wanted: tuple[str, ...]) -> None:
    rows = tuple(fewest_rows([(n, 32, value) for n, value in enumerate(wanted)], HOME))
    assert table(rows) == wanted
    # A row above /29 would reach addresses that none of these prefixes has
    assert {length for _, length, _ in rows} <= set(range(29, 33))
    assert len(rows) == least_rows(wanted)


def test_neighbours_become_one_row_and_an_exception_is_kept() -> None:
    locations = [
        Location("a", None, tuple(f"10.1.{n}.0/24" for n in range(256) if n != 7)),
        Location("b", None, ("10.1.7.0/24",)),
    ]
    assert redirects_of(routing(locations, {"a": EAST}), WEB) == (
        Redirect(WEB, "10.1.0.0/16", EAST),
        Redirect(WEB, "10.1.7.0/24", HOME),
    )


def test_the_longest_prefix_wins_whatever_the_order() -> None:
    wide, narrow = Location("w", None, ("10.0.0.0/8",)), Location("n", None, ("10.1.0.0/16",))
    for locations in ([wide, narrow], [narrow, wide]):
        case = routing(locations, {"w": EAST, "n": NORTH})
        assert route_traffic(case, "10.1.2.3", WEB) == NORTH
        assert route_traffic(case, "10.2.2.3", WEB) == EAST
        assert route_traffic(case, "11.0.0.1", WEB) == HOME


LOCATION = Location("rome", "east", ("10.2.0.0/16",))


@pytest.mark.parametrize(
    ("predicted", "usable", "source", "site"),
    [
        ({"rome": EAST}, (EAST,), "10.2.0.1", EAST),
        ({"rome": EAST}, (), "10.2.0.1", HOME),  # findShadowDIResource finds none
        ({"rome": HOME}, (EAST,), "10.2.0.1", HOME),  # it is there already
        ({}, (EAST,), "10.2.0.1", HOME),  # no prediction
        ({"rome": EAST}, (EAST,), "10.3.0.1", HOME),  # from nowhere that is known
    ],
)
def test_each_branch_of_route_traffic(
    predicted: dict[str, str], usable: tuple[str, ...], source: str, site: str
) -> None:
    assert route_traffic(routing([LOCATION], predicted, usable), source, WEB) == site


def test_a_prefix_of_two_locations_is_refused() -> None:
    with pytest.raises(ValueError, match="give it to one of them"):
        sources_of([LOCATION, Location("bari", "east", ("10.2.0.0/16",))])


def test_a_prefix_with_host_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="location rome"):
        sources_of([Location("rome", None, ("10.2.0.1/16",))])


def test_ipv6_sources_have_no_rows() -> None:
    assert sources_of([Location("rome", None, ("2001:db8::/32",))]).prefixes == ()


copies = st.frozensets(
    st.tuples(st.integers(1, 2), st.integers(0, 20).map("s{}".format)), max_size=18
)


@settings(max_examples=100, deadline=None)
@given(st.lists(copies, max_size=12))
def test_a_slot_set_number_never_changes_its_meaning_between_two_plans(
    plans: list[frozenset[tuple[int, str]]],
) -> None:
    memory: dict[tuple[int, str], SlotNumber] = {}
    last: dict[int, tuple[int, str]] = {}
    for turn, wanted in enumerate(plans, 1):
        memory = slot_set_numbers(wanted, memory, turn)
        now = {one.number: copy for copy, one in memory.items() if one.turn == turn}
        assert set(now.values()) <= wanted
        for number, (service, _) in now.items():
            assert service * PER_SERVICE < number < (service + 1) * PER_SERVICE
            assert last.get(number, now[number]) == now[number]
        for service in (1, 2):
            own = {copy for copy in wanted if copy[0] == service}
            if len(own | {copy for copy in last.values() if copy[0] == service}) < PER_SERVICE:
                assert own <= set(now.values())
        last = now


def test_a_new_copy_waits_for_a_number_that_the_last_plan_used() -> None:
    first = slot_set_numbers([(WEB, f"s{n:02}") for n in range(15)], {}, 1)
    assert len({one.number for one in first.values()}) == 15
    new = (WEB, "new")
    second = slot_set_numbers([new], first, 2)
    assert new not in second
    third = slot_set_numbers([new], second, 3)
    assert third[new].number == first[WEB, "s00"].number
    assert (WEB, "s00") not in third
