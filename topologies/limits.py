"""Switches in cgroups of their own, limited from their first instruction on: a primary that can be overloaded."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from controller.act.resources import Allocator, GroupTree, Place
from controller.model.resources import NOTHING, Amounts
from topologies.wiring import Wiring


class Limits:
    """amounts: switch → its limits; the others have a group and no limit. Raises AllocationError, and ValueError for a
    switch that does not exist.
    """

    def __init__(self, wiring: Wiring, amounts: Mapping[str, Amounts]) -> None:
        unknown = [name for name in amounts if name not in {one.name for one in wiring.switches}]
        if unknown:
            raise ValueError(f"limits of {', '.join(unknown)}: there is no such switch")
        self._amounts = dict(amounts)
        self._tree = GroupTree(f"run-{secrets.token_hex(4)}")
        self.places: Mapping[str, Place] = {
            one.name: Place(self._tree.path(one.name), tuple(name for _, name in one.interfaces))
            for one in wiring.switches
        }
        self._allocator = Allocator(self.places)

    def open(self) -> None:
        """Make the groups, and limit those that are to be limited; the interfaces must be there."""
        self._tree.open()
        for name in self.places:
            self._tree.make(name)
        for name, amounts in self._amounts.items():
            self._allocator.set(name, amounts, NOTHING)

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """The command of a switch, such that it starts inside its group."""
        return self._tree.command(name, command)

    def close(self) -> None:
        """Remove the groups, whose processes have ended."""
        try:
            for device in self.places:
                self._allocator.lift(device)
        finally:
            self._tree.close()
