"""Action profiles and selectors: members, groups, and the slots that one-shot sets expand to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from weakref import WeakSet

from p4switch.actions import ActionCall, ActionSpec, Row, Slots
from p4switch.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)


class WatchedSlots(Slots):
    """Slots that can be watched for port changes without being kept alive."""

    __slots__ = ("__weakref__",)


@dataclass(slots=True)
class Member:
    """One member. `serial` is its order of creation, which is its order among a group's slots."""

    member_id: int
    action: ActionCall
    serial: int = 0
    uses: int = 0
    slots: Slots = field(default_factory=Slots)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group with its weight and the port that it depends on (-1: none)."""

    member_id: int
    weight: int = 1
    watch_port: int = -1


@dataclass(slots=True)
class Group:
    """One group. max_size 0 means the profile's own limit."""

    group_id: int
    members: tuple[GroupMember, ...] = ()
    max_size: int = 0
    uses: int = 0
    slots: WatchedSlots = field(default_factory=WatchedSlots)


class ActionProfile:
    """An action profile (is_selector False) or action selector (True) of a program."""

    def __init__(
        self,
        name: str,
        max_group_size: int = 0,
        size: int = 1024,
        is_selector: bool = True,
    ) -> None:
        self.name = name
        self.size = size
        self.max_group_size = max_group_size
        self.is_selector = is_selector
        self.actions: dict[str, ActionSpec] = {}
        self._members: dict[int, Member] = {}
        self._groups: dict[int, Group] = {}
        self._serial = 0
        self._down: frozenset[int] = frozenset()
        self._watched: WeakSet[WatchedSlots] = WeakSet()

    # members

    def insert_member(self, member_id: int, action: ActionCall) -> None:
        """Add a member."""
        if member_id in self._members:
            raise AlreadyExists(f"{self.name}: member {member_id} exists")
        if self.size and len(self._members) >= self.size:
            raise ResourceExhausted(f"{self.name} is full ({self.size} members)")
        row = self.row(action)
        member = Member(member_id, action, self._serial)
        self._serial += 1
        member.slots.assign(((row, 1, -1),), self._down)
        self._members[member_id] = member

    def modify_member(self, member_id: int, action: ActionCall) -> None:
        """Replace a member's action, for all groups and entries that use it."""
        member = self.get_member(member_id)
        row = self.row(action)
        member.action = action
        member.slots.assign(((row, 1, -1),), self._down)
        for group in self._groups.values():
            if any(m.member_id == member_id for m in group.members):
                self._fill(group)

    def delete_member(self, member_id: int) -> None:
        """Remove a member that neither an entry nor a group uses."""
        member = self.get_member(member_id)
        if member.uses:
            raise FailedPrecondition(f"{self.name}: member {member_id} is in use")
        del self._members[member_id]

    def get_member(self, member_id: int) -> Member:
        """The member with this id."""
        try:
            return self._members[member_id]
        except KeyError:
            raise NotFound(f"{self.name} has no member {member_id}") from None

    def members(self) -> list[Member]:
        """All members in order of creation."""
        return list(self._members.values())

    # groups

    def insert_group(
        self, group_id: int, members: Iterable[GroupMember] = (), max_size: int = 0
    ) -> None:
        """Add a group; its members must exist."""
        self._need_selector()
        if group_id in self._groups:
            raise AlreadyExists(f"{self.name}: group {group_id} exists")
        chosen = self._check_members(group_id, tuple(members), max_size)
        group = Group(group_id, max_size=max_size)
        self._set_members(group, chosen)
        self._watched.add(group.slots)
        self._groups[group_id] = group

    def modify_group(
        self,
        group_id: int,
        members: Iterable[GroupMember] = (),
        max_size: int | None = None,
    ) -> None:
        """Replace a group's members in one step."""
        group = self.get_group(group_id)
        limit = group.max_size if max_size is None else max_size
        chosen = self._check_members(group_id, tuple(members), limit)
        group.max_size = limit
        self._set_members(group, chosen)

    def delete_group(self, group_id: int) -> None:
        """Remove a group that no entry uses."""
        group = self.get_group(group_id)
        if group.uses:
            raise FailedPrecondition(f"{self.name}: group {group_id} is in use")
        self._set_members(group, ())
        del self._groups[group_id]

    def get_group(self, group_id: int) -> Group:
        """The group with this id."""
        try:
            return self._groups[group_id]
        except KeyError:
            raise NotFound(f"{self.name} has no group {group_id}") from None

    def groups(self) -> list[Group]:
        """All groups in order of creation."""
        return list(self._groups.values())

    # what tables use

    def row(self, action: ActionCall) -> Row:
        """The row of an action without an entry (entry counters come from the table's own row)."""
        spec = self.actions.get(action.name)
        if spec is None:
            raise InvalidArgument(f"{self.name} does not offer action {action.name}")
        spec.check(action)
        return (spec.index, None, *action.args)

    def one_shot(self, weighted: tuple[tuple[ActionCall, int, int], ...]) -> WatchedSlots:
        """Slots of a one-shot action set; raises when it is empty or larger than the limit."""
        self._need_selector()
        if not weighted:
            raise InvalidArgument(f"{self.name}: a one-shot action set needs at least one action")
        for action, weight, _ in weighted:
            if weight <= 0:
                raise InvalidArgument(f"{self.name}: weight {weight} of {action.name} is not > 0")
        total = sum(weight for _, weight, _ in weighted)
        if self.max_group_size and total > self.max_group_size:
            raise ResourceExhausted(
                f"{self.name}: {total} slots, but a group has at most {self.max_group_size}"
            )
        slots = WatchedSlots()
        slots.assign(tuple((self.row(a), w, port) for a, w, port in weighted), self._down)
        self._watched.add(slots)
        return slots

    def set_port_status(self, port: int, up: bool) -> None:
        """Take the slots that watch this port out of, or back into, every choice."""
        self._down = self._down - {port} if up else self._down | {port}
        for slots in list(self._watched):
            slots.refresh(self._down)

    def _need_selector(self) -> None:
        if not self.is_selector:
            raise FailedPrecondition(f"{self.name} is an action profile without a selector")

    def _check_members(
        self, group_id: int, members: tuple[GroupMember, ...], max_size: int
    ) -> tuple[GroupMember, ...]:
        seen: set[int] = set()
        for m in members:
            self.get_member(m.member_id)
            if m.weight <= 0:
                raise InvalidArgument(
                    f"{self.name}: group {group_id}: weight {m.weight} is not > 0"
                )
            if m.member_id in seen:
                raise InvalidArgument(f"{self.name}: group {group_id}: member {m.member_id} twice")
            seen.add(m.member_id)
        limit = max_size or self.max_group_size
        total = sum(m.weight for m in members)
        if limit and total > limit:
            raise ResourceExhausted(
                f"{self.name}: group {group_id}: total weight {total} is above {limit}"
            )
        return members

    def _set_members(self, group: Group, members: tuple[GroupMember, ...]) -> None:
        for m in members:
            self._members[m.member_id].uses += 1
        for m in group.members:
            self._members[m.member_id].uses -= 1
        group.members = members
        self._fill(group)

    def _fill(self, group: Group) -> None:
        # BMv2 keeps a group in order of its own handles: members as they were created, then, by
        # member id, the copies that a weight above one asks for
        order = [
            *(
                (m, 1)
                for m in sorted(group.members, key=lambda m: self._members[m.member_id].serial)
            ),
            *((m, m.weight - 1) for m in sorted(group.members, key=lambda m: m.member_id)),
        ]
        rows = tuple(
            (self._members[m.member_id].slots.weighted[0][0], count, m.watch_port)
            for m, count in order
            if count
        )
        group.slots.assign(rows, self._down)
