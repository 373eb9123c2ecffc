"""1:1 NAT on a Linux host with nftables: for networks whose NAT is there already, beside the data plane's own.

One table of our own, `ip umbra_nat`; nothing else of the host's rules is touched. Its rules never change: what is
translated is in two maps, and one transaction of nft(8) brings them from what was read back to what is wanted. What the
host tracks keeps its translation until it ends, by its row or after it: a cool-down keeps addresses from strangers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.model import NatRow

TABLE = "umbra_nat"
NFT = ("nft",)
TIMEOUT_S = 10.0
Json = dict[str, Any]


class NatFailed(RuntimeError):
    """nft refused, or is not there."""


@dataclass(frozen=True, slots=True)
class NatTable:
    """What the host's table holds. `sound`: its rules are ours, as this version writes them."""

    rows: frozenset[NatRow]
    inside: frozenset[str]
    sound: bool = True


EMPTY = NatTable(frozenset(), frozenset(), sound=False)


def wanted_table(rows: Iterable[NatRow], inside: Iterable[str]) -> NatTable:
    """The table for these rows. Raises ValueError when an address is in two of them."""
    own = frozenset(rows)
    for name in ("internal", "external"):
        counted = Counter(getattr(row, name) for row in own)
        twice = [address for address, count in counted.items() if count > 1]
        if twice:
            raise ValueError(f"NAT: {sorted(twice)[0]} is the {name} address of two rows")
    prefixes = ipaddress.collapse_addresses(ipaddress.IPv4Network(prefix) for prefix in inside)
    return NatTable(own, frozenset(map(str, prefixes)))


def transaction(found: NatTable, wanted: NatTable) -> list[Json]:
    """Commands, for one transaction, that make the one table the other; none when it is so already. Pure."""
    if not found.sound:
        return [*_fresh(), *_elements("add", wanted)]
    gone = NatTable(found.rows - wanted.rows, found.inside - wanted.inside)
    new = NatTable(wanted.rows - found.rows, wanted.inside - found.inside)
    return [*_elements("delete", gone), *_elements("add", new)]


def _fresh() -> list[Json]:
    """The table, empty. Adding it first makes the deletion succeed when there was none."""
    table = {"table": {"family": "ip", "name": TABLE}}
    commands: list[Json] = [{"add": table}, {"delete": table}, {"add": table}]
    for name, kind in (("to_external", "map"), ("to_internal", "map"), ("inside", "set")):
        body: Json = {"family": "ip", "table": TABLE, "name": name, "type": "ipv4_addr"}
        body |= {"map": "ipv4_addr"} if kind == "map" else {"flags": ["interval"]}
        commands.append({"add": {kind: body}})
    for hook, priority in (("prerouting", -100), ("output", -100), ("postrouting", 100)):
        chain = {"family": "ip", "table": TABLE, "name": hook, "type": "nat", "hook": hook}
        commands.append({"add": {"chain": {**chain, "prio": priority, "policy": "accept"}}})
    commands += [
        {"add": {"rule": {"family": "ip", "table": TABLE, "chain": chain, "expr": expression}}}
        for chain, expression in _rules()
    ]
    return commands


def _rules() -> list[tuple[str, list[Json]]]:
    def mapped(field: str, name: str) -> Json:
        key = {"payload": {"protocol": "ip", "field": field}}
        return {"addr": {"map": {"key": key, "data": f"@{name}"}}}

    # The destination that the packet came with: after translation every one is inside.
    asked = {"ct": {"key": "ip daddr", "dir": "original"}}
    return [
        ("prerouting", [{"dnat": mapped("daddr", "to_internal")}]),
        ("output", [{"dnat": mapped("daddr", "to_internal")}]),
        (
            "postrouting",
            [{"match": {"op": "==", "left": asked, "right": "@inside"}}, {"return": None}],
        ),
        ("postrouting", [{"snat": mapped("saddr", "to_external")}]),
    ]


def _elements(verb: str, table: NatTable) -> list[Json]:
    rows = sorted(table.rows, key=lambda row: row.internal)
    outward = [[row.internal, row.external] for row in rows]
    inward = [[row.external, row.internal] for row in rows]
    prefixes = [_prefix(text) for text in sorted(table.inside)]
    contents: Mapping[str, Sequence[Any]] = {
        "to_external": outward,
        "to_internal": inward,
        "inside": prefixes,
    }
    return [
        {verb: {"element": {"family": "ip", "table": TABLE, "name": name, "elem": list(elements)}}}
        for name, elements in contents.items()
        if elements
    ]


def _prefix(text: str) -> Json | str:
    network = ipaddress.IPv4Network(text)
    if network.prefixlen == 32:
        return str(network.network_address)
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def table_of(listing: Json) -> NatTable:
    """What `nft -j list table` says. Anything that is not as this version writes it makes the table unsound."""
    maps: dict[str, list[Any]] = {}
    rules: list[tuple[str, list[Json]]] = []
    chains = 0
    for item in listing.get("nftables", ()):
        for kind in ("map", "set"):
            if kind in item:
                maps[item[kind]["name"]] = item[kind].get("elem", [])
        if "rule" in item:
            rules.append((item["rule"]["chain"], item["rule"]["expr"]))
        chains += "chain" in item
    try:
        outward = {(one, other) for one, other in maps["to_external"]}
        inward = {(other, one) for one, other in maps["to_internal"]}
        inside = frozenset(map(_text, maps["inside"]))
    except (KeyError, TypeError, ValueError):
        return EMPTY
    sound = outward == inward and rules == _rules() and chains == 3
    return NatTable(frozenset(NatRow(*pair) for pair in outward), inside, sound)


def _text(element: Json | str) -> str:
    if isinstance(element, str):
        return f"{element}/32"
    return f"{element['prefix']['addr']}/{element['prefix']['len']}"


class NatHost:
    """The nftables of a host. `nft`: how to call it, for instance inside a network namespace."""

    def __init__(self, nft: Sequence[str] = NFT) -> None:
        self._nft = tuple(nft)
        self._lock = asyncio.Lock()

    async def read(self) -> NatTable:
        """What the host's table holds now. Raises NatFailed."""
        code, output, error = await self._call(("-j", "list", "table", "ip", TABLE))
        if code != 0:
            if "No such file" in error:
                return EMPTY
            raise NatFailed(f"nft does not list {TABLE}: {error}")
        return table_of(json.loads(output))

    async def reconcile(self, rows: Iterable[NatRow], inside: Iterable[str]) -> int:
        """Read back, compare, and write the difference in one transaction; how many commands that took.

        Raises NatFailed, and then nothing has changed; ValueError for rows that contradict each other.
        """
        wanted = wanted_table(rows, inside)
        async with self._lock:
            commands = transaction(await self.read(), wanted)
            if commands:
                text = json.dumps({"nftables": commands})
                code, _, error = await self._call(("-j", "-f", "-"), text)
                if code != 0:
                    raise NatFailed(f"nft refuses the rows of {TABLE}: {error}")
        return len(commands)

    async def _call(self, arguments: Sequence[str], text: str = "") -> tuple[int, str, str]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._nft,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError:
            raise NatFailed(
                f"{self._nft[0]} is not installed on the NAT host (Debian: apt-get install nftables)"
            ) from None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, error = await process.communicate(text.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise NatFailed(f"nft has not answered for {TIMEOUT_S:g} s") from None
        assert process.returncode is not None
        return process.returncode, output.decode(), error.decode().strip()
