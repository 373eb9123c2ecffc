"""The rows of a Linux NAT host: from what is there to what is wanted in one transaction, and nothing else touched."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.act.nat import (
    EMPTY,
    TABLE,
    NatFailed,
    NatHost,
    NatTable,
    table_of,
    transaction,
    wanted_table,
)
from controller.model import NatRow

INSIDE = ("10.64.0.0/16", "10.100.0.1/32")
ROWS = tuple(NatRow(f"10.64.0.{n}", f"198.51.100.{n}") for n in range(1, 5))

numbers = st.integers(0, 60)
pairs = st.dictionaries(numbers, numbers, max_size=20).map(
    lambda found: {b: a for a, b in found.items()}  # external numbers once
)
prefixes = st.frozensets(
    st.builds(
        lambda number, length: str(ipaddress.ip_network((number << 16, length), strict=False)),
        st.integers(0x0A00, 0x0AFF),
        st.integers(9, 16),
    ),
    max_size=6,
)


def table(numbered: dict[int, int], inside: frozenset[str] = frozenset()) -> NatTable:
    """Rows by number: internal and external."""
    rows = [NatRow(f"10.64.0.{b}", f"198.51.100.{a}") for a, b in numbered.items()]
    return wanted_table(rows, inside)


class Kernel:
    """What nft would hold after a transaction; what is not as nftables has it raises."""

    def __init__(self) -> None:
        self.sets: dict[str, list[Any]] = {}
        self.items: list[dict[str, Any]] = []

    def carry_out(self, commands: list[dict[str, Any]]) -> None:
        """All commands, in order."""
        for command in commands:
            [(verb, body)] = command.items()
            [(kind, value)] = body.items()
            assert value.get("table", value["name"] if kind == "table" else None) == TABLE
            getattr(self, f"{verb}_{kind}")(value)

    def add_table(self, _: dict[str, Any]) -> None:
        """It may be there."""

    def delete_table(self, _: dict[str, Any]) -> None:
        self.sets, self.items = {}, []

    def _add_named(self, kind: str, value: dict[str, Any]) -> None:
        assert value["name"] not in self.sets
        self.sets[value["name"]] = []
        self.items.append({kind: value})

    def add_map(self, value: dict[str, Any]) -> None:
        self._add_named("map", value)

    def add_set(self, value: dict[str, Any]) -> None:
        self._add_named("set", value)

    def add_chain(self, value: dict[str, Any]) -> None:
        self.items.append({"chain": value})

    def add_rule(self, value: dict[str, Any]) -> None:
        self.items.append({"rule": {**value, "handle": len(self.items)}})

    def add_element(self, value: dict[str, Any]) -> None:
        held = self.sets[value["name"]]
        keys = [one[0] for one in held if isinstance(one, list)]
        for one in value["elem"]:
            assert not isinstance(one, list) or one[0] not in keys, "nft: File exists"
            held.append(one)

    def delete_element(self, value: dict[str, Any]) -> None:
        for one in value["elem"]:
            self.sets[value["name"]].remove(one)

    def listing(self) -> dict[str, Any]:
        """As `nft -j list table` says it: a set without elements has no "elem"."""
        said: list[dict[str, Any]] = [{"metainfo": {}}, {"table": {"name": TABLE}}]
        for item in self.items:
            [(kind, value)] = item.items()
            elements = self.sets.get(value.get("name", ""))
            said.append({kind: {**value, "elem": elements} if elements else value})
        return {"nftables": said}


def test_a_host_without_the_table_gets_it_whole() -> None:
    kernel = Kernel()
    wanted = wanted_table(ROWS, INSIDE)
    kernel.carry_out(transaction(EMPTY, wanted))
    assert table_of(kernel.listing()) == wanted
    assert transaction(wanted, wanted) == []


@given(pairs, prefixes, pairs, prefixes)
def test_one_transaction_leads_from_any_table_to_any_other(
    before: dict[int, int], inside: frozenset[str], after: dict[int, int], later: frozenset[str]
) -> None:
    kernel = Kernel()
    was, wanted = table(before, inside), table(after, later)
    kernel.carry_out(transaction(EMPTY, was))
    assert table_of(kernel.listing()) == was
    kernel.carry_out(transaction(was, wanted))
    assert table_of(kernel.listing()) == wanted


@pytest.mark.parametrize("what", ["rule", "chain", "map", "element"])
def test_a_table_that_somebody_changed_is_made_anew(what: str) -> None:
    kernel = Kernel()
    wanted = wanted_table(ROWS, INSIDE)
    kernel.carry_out(transaction(EMPTY, wanted))
    if what == "element":
        kernel.sets["to_internal"].pop()
    else:
        index = next(i for i, item in enumerate(kernel.items) if what in item)
        del kernel.items[index]
    found = table_of(kernel.listing())
    assert not found.sound
    kernel.carry_out(transaction(found, wanted))
    assert table_of(kernel.listing()) == wanted


def test_an_address_in_two_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"198\.51\.100\.1 is the external address of two rows"):
        wanted_table([ROWS[0], NatRow("10.64.9.9", ROWS[0].external)], ())


def test_a_host_without_nft_says_what_to_install() -> None:
    host = NatHost(("nft-that-is-not-there",))
    with pytest.raises(NatFailed, match="apt-get install nftables"):
        asyncio.run(host.reconcile(ROWS, INSIDE))
