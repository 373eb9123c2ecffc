"""Rows that are kept as addresses come and go are those that a plan made anew has."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.addressing.row_cache import RowCache
from controller.model import NodePlan
from controller.plan.address_rows import PlacedAddress, with_addresses
from controller.plan.fabric import fabric_plan
from harness.small import PATIENT, small_fabric

FABRIC = small_fabric()
BASE = fabric_plan(FABRIC, idle=PATIENT)
INSIDE, EXTERNAL = ("10.64.0.0/16",), ("198.51.100.0/24",)
Change = tuple[int, int | None]  # which address; the port that it is behind from now on, None: gone


def placed(number: int, port: int) -> PlacedAddress:
    external = f"198.51.100.{number}" if number % 3 else None
    return PlacedAddress(f"10.64.0.{number}", f"02:00:00:00:00:{number:02x}", "s1", port, external)


def rows(plan: NodePlan) -> tuple[object, ...]:
    own = (plan.arp, plan.delivers, plan.tunnels, plan.nat)
    return (*(frozenset(each) for each in own), *(len(each) for each in own), plan.nat_inside)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 9), st.one_of(st.none(), st.integers(4, 7))), max_size=5),
        max_size=6,
    )
)
def test_rows_follow_every_change(rounds: list[list[Change]]) -> None:
    cache = RowCache(BASE, FABRIC, INSIDE, EXTERNAL)
    there: dict[int, PlacedAddress] = {}
    for changes in rounds:
        gone: dict[str, str | None] = {}
        for number, port in changes:
            gone[f"10.64.0.{number}"] = placed(number, 4).external
            if port is None:
                there.pop(number, None)
            else:
                there[number] = placed(number, port)
        again = [there[number] for number in dict(changes) if number in there]
        cache.change(gone, again)
        wanted = with_addresses(
            BASE, FABRIC, tuple(there.values()), inside=INSIDE, external=EXTERNAL
        )
        for node in BASE.nodes:
            assert rows(cache.over(node)) == rows(wanted.node(node.node))
