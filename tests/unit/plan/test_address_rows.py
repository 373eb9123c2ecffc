"""Rows of held and granted addresses: who answers for them, where they are delivered, what they are called outside."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import ArpRow, DeliverRow, NatRow, Subdivision, TunnelRow
from controller.plan.address_rows import (
    PlacedAddress,
    external_of,
    inside_prefixes,
    with_addresses,
)
from controller.plan.fabric import fabric_plan
from harness.small import E1, PATIENT, VIP, mac, small_fabric

FABRIC = small_fabric()
BASE = fabric_plan(FABRIC, idle=PATIENT)
ONE = PlacedAddress("10.64.0.5", "02:00:0a:40:00:05", "s1", 4, "198.51.100.5")
TWO = PlacedAddress("10.64.0.6", "02:00:0a:40:00:06", "s2", 4)
POD = Subdivision(
    "pod", ("10.64.0.0/25", "fd00::/64", "10.65.0.0/25"), "main", "s1", external="198.51.100.0/24"
)


def test_the_switch_of_an_address_answers_arp_for_it_and_delivers_it() -> None:
    plan = with_addresses(BASE, FABRIC, [ONE, TWO])
    assert ArpRow(ONE.address, ONE.mac) in plan.node("s1").arp
    assert DeliverRow("10.64.0.5/32", 4, ONE.mac) in plan.node("s1").delivers
    assert plan.node("s2").delivers[-1] == DeliverRow("10.64.0.6/32", 4, TWO.mac)
    assert plan.node("r1") == BASE.node("r1")


def test_edges_know_external_addresses_and_answer_for_them() -> None:
    plan = with_addresses(
        BASE, FABRIC, [ONE, TWO], inside=("10.64.0.0/16",), external=("198.51.100.0/24",)
    )
    edge = plan.node("e1")
    assert edge.nat == (NatRow(ONE.address, "198.51.100.5"),)
    assert edge.nat_inside == ("10.64.0.0/16",)
    assert edge.arp[-1] == ArpRow("198.51.100.5", mac("e1"))
    assert plan.node("s1").nat == ()
    assert plan.node("s1").tunnels[-1] == TunnelRow("198.51.100.0/24", E1, mac("e1"))


def test_without_external_addresses_no_switch_does_nat() -> None:
    plan = with_addresses(
        BASE, FABRIC, [TWO], inside=("10.64.0.0/16",), external=("198.51.100.0/24",)
    )
    assert all(node.nat == () and node.nat_inside == () for node in plan.nodes)
    assert plan.node("s1") == BASE.node("s1")


def test_addresses_of_version_6_have_no_rows() -> None:
    placed = [PlacedAddress("fd00::5", "02:00:0a:40:00:05", "s1", 4)]
    assert with_addresses(BASE, FABRIC, placed) == BASE


@pytest.mark.parametrize(
    ("placed", "words"),
    [
        ([ONE, ONE], "10.64.0.5 is used twice"),
        (
            [PlacedAddress("10.64.0.7", ONE.mac, "s1", 4, "198.51.100.5"), ONE],
            "198.51.100.5 is used twice",
        ),
        ([PlacedAddress("10.1.1.10", ONE.mac, "s1", 4)], "10.1.1.10 is used twice"),
        ([PlacedAddress("10.64.0.7", ONE.mac, "s9", 4)], "s9, which is no switch"),
    ],
)
def test_what_contradicts_itself_is_refused(placed: list[PlacedAddress], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        with_addresses(BASE, FABRIC, placed)


def test_inside_is_every_subdivision_and_every_service() -> None:
    assert inside_prefixes(FABRIC, [POD]) == ("10.100.0.1/32", "10.64.0.0/25", "10.65.0.0/25")
    assert VIP == "10.100.0.1"


@given(st.integers(0, 127), st.sampled_from([0, 2]))
def test_every_internal_address_has_an_external_one_of_its_own(offset: int, prefix: int) -> None:
    network = ipaddress.ip_network(POD.prefixes[prefix])
    external = external_of(POD, str(network[offset]))
    assert external == f"198.51.100.{offset + 128 * (prefix == 2)}"


def test_external_addresses_that_do_not_suffice_are_refused() -> None:
    small = Subdivision("pod", ("10.64.0.0/16",), "main", external="198.51.100.0/24")
    with pytest.raises(ValueError, match="256 addresses for 65536 internal ones"):
        external_of(small, "10.64.0.1")
    with pytest.raises(ValueError, match="in no prefix of subdivision pod"):
        external_of(POD, "10.66.0.1")
    assert external_of(POD, "fd00::1") is None
    assert external_of(Subdivision("pod", ("10.64.0.0/16",), "main"), "10.64.0.1") is None
