"""UPDATE messages: what a router reads out of them is what was meant, and each fits."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from os_ken.lib.packet import bgp

from controller.act.bgp.updates import announcements, end_of_rib, withdrawals
from controller.model.bgp import Advertisement

MAX_MESSAGE_BYTES = 4096

prefixes4 = st.builds(
    lambda bits, length: str(ipaddress.ip_network((bits, length), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(1, 32),
)
prefixes6 = st.builds(
    lambda bits, length: str(ipaddress.ip_network((bits << 64, length), strict=False)),
    st.integers(1, 2**64 - 1),
    st.integers(1, 64),
)
communities = st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=3).map(
    tuple
)


@st.composite
def routes(draw: st.DrawFn) -> list[Advertisement]:
    chosen = draw(st.sets(prefixes4 | prefixes6, max_size=60))
    return [
        Advertisement(
            prefix,
            "2001:db8::1" if ":" in prefix else "10.1.1.1",
            draw(st.sampled_from((0, 150, 200))),
            draw(st.integers(0, 2**32 - 1)),
            draw(communities),
        )
        for prefix in sorted(chosen)
    ]


def parsed(message: Any) -> Any:
    """As a router reads it."""
    data = bytes(message.serialize())
    assert len(data) <= MAX_MESSAGE_BYTES
    read, _, rest = bgp.BGPMessage.parser(data)
    assert rest == b""
    return read


def read(messages: list[Any]) -> dict[str, tuple[Any, ...]]:
    """Prefix → next hop, LOCAL_PREF, MED, communities, AS path."""
    found: dict[str, tuple[Any, ...]] = {}
    for message in messages:
        attributes = {one.type: one for one in message.path_attributes}
        reach = attributes.get(bgp.BGP_ATTR_TYPE_MP_REACH_NLRI)
        nlri = list(message.nlri) + (list(reach.nlri) if reach else [])
        hop = reach.next_hop if reach else attributes[bgp.BGP_ATTR_TYPE_NEXT_HOP].value
        preference = attributes.get(bgp.BGP_ATTR_TYPE_LOCAL_PREF)
        marks = attributes.get(bgp.BGP_ATTR_TYPE_COMMUNITIES)
        for one in nlri:
            prefix = str(ipaddress.ip_network(f"{one.addr}/{one.length}"))
            assert prefix not in found
            found[prefix] = (
                hop,
                preference.value if preference else None,
                attributes[bgp.BGP_ATTR_TYPE_MULTI_EXIT_DISC].value,
                tuple((m >> 16, m & 0xFFFF) for m in marks.communities) if marks else (),
                attributes[bgp.BGP_ATTR_TYPE_AS_PATH].path_seg_list,
            )
    return found


@given(routes(), st.booleans())
def test_a_router_reads_what_was_meant(wanted: list[Advertisement], external: bool) -> None:
    messages = announcements(wanted, local_as=65000, external=external, four_octet_as=False)
    assert read([parsed(message) for message in messages]) == {
        route.prefix: (
            route.next_hop,
            None if external else route.local_pref,
            route.med,
            route.communities,
            [[65000]] if external else [],
        )
        for route in wanted
    }


@given(st.sets(prefixes4 | prefixes6, max_size=60))
def test_withdrawn_prefixes_arrive(gone: set[str]) -> None:
    found = set()
    for message in map(parsed, withdrawals(sorted(gone))):
        nlri = list(message.withdrawn_routes)
        for attribute in message.path_attributes:
            nlri += list(attribute.withdrawn_routes)
        found |= {str(ipaddress.ip_network(f"{one.addr}/{one.length}")) for one in nlri}
    assert found == gone


def test_a_thousand_alike_routes_need_two_messages() -> None:
    many = [Advertisement(f"10.{n // 256}.{n % 256}.0/24", "10.1.1.1") for n in range(1000)]
    messages = list(announcements(many, local_as=65000, external=True, four_octet_as=True))
    assert len(messages) == 2
    for message in messages:
        parsed(message)


def test_the_longest_messages_fit() -> None:
    marks = tuple((65000, number) for number in range(30))
    many = [
        Advertisement(f"10.1.{n // 256}.{n % 256}/32", "10.1.1.1", 1, 1, marks) for n in range(900)
    ]
    six = [Advertisement(f"2001:db8::{n:x}/128", "2001:db8::1", 1, 1, marks) for n in range(900)]
    for message in announcements([*many, *six], local_as=1, external=False, four_octet_as=True):
        parsed(message)
    for message in withdrawals([route.prefix for route in (*many, *six)]):
        parsed(message)


def test_an_as_number_of_32_bits_reaches_old_routers_as_as_trans() -> None:
    (message,) = announcements(
        [Advertisement("10.1.0.0/24", "10.1.1.1")],
        local_as=4200000000,
        external=True,
        four_octet_as=False,
    )
    attributes = {one.type: one for one in parsed(message).path_attributes}
    assert attributes[bgp.BGP_ATTR_TYPE_AS_PATH].path_seg_list == [[bgp.AS_TRANS]]
    assert attributes[bgp.BGP_ATTR_TYPE_AS4_PATH].path_seg_list == [[4200000000]]


def test_end_of_rib_is_empty_in_both_families() -> None:
    assert bytes(end_of_rib(4).serialize())[16:] == b"\x00\x17\x02\x00\x00\x00\x00"
    (attribute,) = parsed(end_of_rib(6)).path_attributes
    assert (attribute.afi, attribute.safi, attribute.withdrawn_routes) == (2, 1, [])
