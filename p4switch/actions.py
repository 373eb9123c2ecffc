"""What a table entry may do: an action call, a profile member or group, or a one-shot action set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p4switch.errors import InvalidArgument

# A row is what the generated code works on: (action index, Entry, *action arguments). The index is
# ActionSpec.index, or CHOOSE, and then the third item is a Slots from which the selector's hash
# picks the row to run.
Row = tuple[Any, ...]
CHOOSE = -1


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action with its arguments, named as in the P4Info ("MyIngress.set_x", "NoAction")."""

    name: str
    args: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberRef:
    """The action of one member of the table's action profile."""

    member_id: int


@dataclass(frozen=True, slots=True)
class GroupRef:
    """One member of a group of the table's action selector, chosen by hash."""

    group_id: int


@dataclass(frozen=True, slots=True)
class ActionSet:
    """A one-shot slot set: (action, weight, watch_port or -1), expanded to slots in this order."""

    actions: tuple[tuple[ActionCall, int, int], ...]


EntryAction = ActionCall | MemberRef | GroupRef | ActionSet


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A program's action: its number in generated code and the widths of its parameters."""

    name: str
    index: int
    param_names: tuple[str, ...]
    param_widths: tuple[int, ...]

    def check(self, call: ActionCall) -> None:
        """Raise InvalidArgument unless the arguments fit the parameters."""
        if len(call.args) != len(self.param_widths):
            raise InvalidArgument(
                f"action {self.name} takes {len(self.param_widths)} arguments, not {len(call.args)}"
            )
        for name, width, value in zip(self.param_names, self.param_widths, call.args, strict=True):
            if not 0 <= value < 1 << width:
                raise InvalidArgument(
                    f"action {self.name}: {name} = {value:#x} is wider than bit<{width}>"
                )


class Slots:
    """The rows from which `hash % len(slots)` chooses; replaced as a whole, so always consistent.

    weighted: (row, weight, watch_port or -1) in slot order. Slots behind a port that is down are
    left out.
    """

    __slots__ = ("slots", "weighted")

    def __init__(self) -> None:
        self.slots: tuple[Row, ...] = ()
        self.weighted: tuple[tuple[Row, int, int], ...] = ()

    def assign(self, weighted: tuple[tuple[Row, int, int], ...], down: frozenset[int]) -> None:
        """Set the weighted rows and expand them."""
        self.weighted = weighted
        self.refresh(down)

    def refresh(self, down: frozenset[int]) -> None:
        """Expand again after ports went up or down."""
        self.slots = tuple(
            row for row, weight, port in self.weighted if port not in down for _ in range(weight)
        )
