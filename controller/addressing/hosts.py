"""The hosts that hold addresses and run instances, through their agents: which answers, and who has which address.

The agents are believed. An address that none of them has is where it was last (`placements`), or else at its usual
host, which follows from the address alone. So a controller that starts anew writes the same rows as the one before.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from controller.act.host_values import PERIOD_S, Holding, HostState, Running
from controller.act.hosts import CHUNK, HostDown, HostRefused
from controller.addressing.settings import HostPlace
from controller.model import Address
from controller.trouble import Troubles

SILENT_S = 4 * PERIOD_S  # without an answer to its heartbeats, a holder reaches nobody


class HostLike(Protocol):
    """What is needed of an agent (`controller.act.hosts.Host`)."""

    async def hold(self, holdings: Sequence[Holding]) -> None: ...

    async def unhold(self, addresses: Sequence[str]) -> tuple[str, ...]: ...

    async def start(self, name: str, holding: Holding, *, port: int) -> Running: ...

    async def stop(self, name: str) -> bool: ...

    async def state(self) -> HostState: ...

    async def close(self) -> None: ...


class Hosts:
    """All hosts. `where`: address → host that has it, as far as that was seen or done."""

    def __init__(
        self,
        places: Iterable[HostPlace],
        connect: Callable[[HostPlace], HostLike],
        troubles: Troubles,
        elsewhere: frozenset[str] = frozenset(),
    ) -> None:
        self.where: dict[str, str] = {}
        self._places = {place.name: place for place in places}
        self._links = {name: connect(place) for name, place in self._places.items()}
        self._troubles = troubles
        self._blind = {one.name for one in self._places.values() if one.subdivision in elsewhere}
        self._down: set[str] = set()
        self._claimed: set[str] = set()  # addresses that instances have, or are about to
        self._coming: dict[str, asyncio.Event] = {}  # whose shadow instance is being made

    def of(self, subdivision: str) -> tuple[HostPlace, ...]:
        """The hosts of a subdivision."""
        return tuple(one for one in self._places.values() if one.subdivision == subdivision)

    def candidates(
        self, subdivision: str, address: str, first: str | None = None
    ) -> list[HostPlace]:
        """Hosts for an address: `first`, who has it, its usual one, then the others; those that do not answer last."""
        own = self.of(subdivision)
        if not own:
            return []
        usual = int(ipaddress.ip_address(address)) % len(own)
        order = [*own[usual:], *own[:usual]]
        preferred = (first, self.where.get(address))
        chosen = [one for name in preferred for one in own if one.name == name]
        unique = list(dict.fromkeys([*chosen, *order]))
        return sorted(unique, key=lambda one: one.name in self._down)

    def home(self, subdivision: str, address: str) -> HostPlace | None:
        """Who has the address, or its usual host; None when the subdivision has none."""
        own = self.of(subdivision)
        known = self.where.get(address)
        for one in own:
            if one.name == known:
                return one
        return own[int(ipaddress.ip_address(address)) % len(own)] if own else None

    async def look(self) -> dict[str, HostState]:
        """What every host that answers really runs. Silent and disputed holders are told as troubles."""
        found: dict[str, HostState] = {}

        async def one(name: str, link: HostLike) -> None:
            try:
                found[name] = await link.state()
            except (HostDown, HostRefused, OSError, KeyError, TypeError) as error:
                self._lost(name, error)
            else:
                self._there(name)

        await asyncio.gather(*(one(name, link) for name, link in self._links.items()))
        for name, state in found.items():
            self._judge(name, state)
        return found

    def seen(self, states: Mapping[str, HostState]) -> None:
        """Take over who has which address. What is known stays of hosts that were not seen, and of those whose
        instances somebody else runs: their agents do not see them.
        """
        believed = states.keys() - self._blind
        kept = {address: name for address, name in self.where.items() if name not in believed}
        for name, state in states.items():
            kept |= {one.address: name for one in state.held}
        for name, state in states.items():  # where both are said, the instance has it
            kept |= {one.address: name for one in state.instances}
        self.where = kept

    async def hold(self, subdivision: str, addresses: Sequence[Address]) -> list[Address]:
        """Make shadow instances; returns the addresses that no host holds after all. What an instance claims meanwhile
        is left out: an address has one that answers for it.
        """
        wanted: dict[str, list[Address]] = defaultdict(list)
        left: list[Address] = []
        for address in addresses:
            place = self.home(subdivision, address.address)
            (wanted[place.name] if place is not None else left).append(address)
        await asyncio.gather(*(self._hold_on(name, own, left) for name, own in wanted.items()))
        return left

    async def _hold_on(self, name: str, addresses: Sequence[Address], left: list[Address]) -> None:
        for start in range(0, len(addresses), CHUNK):
            chunk = [
                one for one in addresses[start : start + CHUNK] if one.address not in self._claimed
            ]
            done = asyncio.Event()
            self._coming |= {one.address: done for one in chunk}
            gateway = self._places[name].gateway
            try:
                await self._links[name].hold(
                    [Holding(one.address, one.mac or "", gateway) for one in chunk]
                )
            except (HostDown, HostRefused, OSError) as error:
                self._lost(name, error)
                left += addresses[start:]
                return
            finally:
                done.set()
                for one in chunk:
                    self._coming.pop(one.address, None)
            self.where |= {one.address: name for one in chunk}
            self._there(name)

    async def claim(self, address: str) -> None:
        """An instance is to have this address: no shadow instance is made of it from now on; one that is being made
        is waited for, to be handed over.
        """
        self._claimed.add(address)
        coming = self._coming.get(address)
        if coming is not None:
            await coming.wait()

    def claimed(self, address: str) -> bool:
        """Whether an instance has it, or is about to."""
        return address in self._claimed

    def unclaim(self, address: str) -> None:
        """Its instance has ended."""
        self._claimed.discard(address)

    def settle(self, subdivision: str, address: str) -> HostPlace | None:
        """The host that shall hold an address: one that answers, if there is any."""
        found = self.candidates(subdivision, address)
        if found:
            self.where[address] = found[0].name
        return found[0] if found else None

    async def unhold(self, addresses: Iterable[str], *, only: str | None = None) -> None:
        """End shadow instances; a host that does not answer ends them with its agent, or at the next look."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for address in addresses:
            name = only or self.where.get(address)
            if name is not None:
                wanted[name].append(address)

        async def one(name: str, own: list[str]) -> None:
            try:
                await self._links[name].unhold(own)
            except (HostDown, HostRefused, OSError) as error:
                self._lost(name, error)

        await asyncio.gather(*(one(name, own) for name, own in wanted.items()))

    async def start(self, place: HostPlace, owner: str, address: str, mac: str) -> Running:
        """Start an instance. Raises HostDown, HostRefused, OSError."""
        try:
            running = await self._links[place.name].start(
                owner, Holding(address, mac, place.gateway), port=place.instance_port
            )
        except (HostDown, OSError) as error:
            self._lost(place.name, error)
            raise
        self.where[address] = place.name
        return running

    async def stop(self, owner: str, address: str) -> bool:
        """Stop an instance; False when its host is not known, or has none. Raises HostDown, HostRefused, OSError."""
        name = self.where.get(address)
        return name is not None and await self._links[name].stop(owner)

    async def close(self) -> None:
        """Close the connections: shadow instances and instances go on."""
        await asyncio.gather(*(link.close() for link in self._links.values()))

    def down(self) -> frozenset[str]:
        """Hosts that did not answer when they were asked last."""
        return frozenset(self._down)

    def _lost(self, name: str, error: Exception) -> None:
        if not isinstance(error, HostRefused):
            self._down.add(name)
        self._troubles.begin(f"host {name}", str(error) or type(error).__name__)

    def _there(self, name: str) -> None:
        self._down.discard(name)
        self._troubles.end(f"host {name}")

    def _judge(self, name: str, state: HostState) -> None:
        disputed = [one.address for one in state.held if one.disputed]
        silent = [
            one.address
            for one in state.held
            if one.silent_s is not None and one.silent_s > SILENT_S
        ]
        for kind, addresses, what in (
            ("disputed", disputed, "somebody else answers for them: end what uses them"),
            ("silent", silent, "their heartbeats are not answered: look at the host's link"),
        ):
            trouble = f"{kind} addresses on {name}"
            if addresses:
                told = ", ".join(addresses[:5]) + (" …" if len(addresses) > 5 else "")
                self._troubles.begin(trouble, f"{told}: {what}")
            else:
                self._troubles.end(trouble)
