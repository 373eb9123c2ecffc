"""Match-action tables: entries, default action, direct counters and meters, idle time-outs."""

from __future__ import annotations

from dataclasses import dataclass

from p4switch.actions import (
    CHOOSE,
    ActionCall,
    ActionSet,
    ActionSpec,
    EntryAction,
    GroupRef,
    MemberRef,
    Row,
)
from p4switch.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from p4switch.matches import KeySpec, Match, PriorityIndex, index_for
from p4switch.profiles import ActionProfile
from p4switch.stateful import MeterConfig, MeterState

__all__ = [
    "ActionCall",
    "ActionSet",
    "Entry",
    "GroupRef",
    "KeySpec",
    "Match",
    "MemberRef",
    "Table",
]


@dataclass(slots=True)
class Entry:
    """A table entry. `packets`, `bytes` and last_hit_us are live: the packet thread writes them."""

    match: Match
    priority: int
    action: EntryAction
    idle_timeout_ns: int = 0
    metadata: bytes = b""
    controller_metadata: int = 0
    is_const: bool = False
    packets: int = 0
    bytes: int = 0
    last_hit_us: int = 0
    meter: MeterState | None = None


class Table:
    """One table of the running program.

    Entries are identified by match and, when has_priority, also by priority (the higher wins).
    Every change becomes visible to packets by one assignment.
    """

    def __init__(
        self,
        name: str,
        keys: tuple[KeySpec, ...],
        actions: dict[str, ActionSpec],
        *,
        size: int = 1024,
        profile: ActionProfile | None = None,
        default: ActionCall | None = None,
        is_const_default: bool = False,
        has_counter: bool = False,
        has_meter: bool = False,
        meter_unit: str = "bytes",
        supports_timeout: bool = False,
    ) -> None:
        self.name = name
        self.keys = keys
        self.actions = actions
        self.size = size
        self.profile = profile
        self.is_const = False  # set once the program's entries are in; see open_entries
        self.is_const_default = is_const_default
        self.has_counter = has_counter
        self.has_meter = has_meter
        self.meter_unit = meter_unit
        self.supports_timeout = supports_timeout
        self.index = index_for(keys)
        self.has_priority = isinstance(self.index, PriorityIndex)
        self._entries: dict[tuple[Match, int], Entry] = {}
        self._initial_default = default
        self.default_entry = Entry((), 0, default or ActionCall("NoAction"))
        self._default: EntryAction | None = default
        # index -2: no default action at all, the generated code then does nothing
        self.default_row: Row = (-2, self.default_entry)
        if default is not None:
            self.default_row = self._row(default, self.default_entry)

    # entries

    def insert(self, entry: Entry) -> None:
        """Add an entry; the table keeps this object, and its match as given."""
        self._changeable()
        match, priority = self._identity(entry.match, entry.priority)
        if (match, priority) in self._entries:
            raise AlreadyExists(f"table {self.name}: an entry for {_show(match)} exists")
        if len(self._entries) >= self.size:
            raise ResourceExhausted(f"table {self.name} is full ({self.size} entries)")
        self._check_timeout(entry)
        self._check_action(entry.action)
        row = self._row(entry.action, entry)
        entry.priority = priority
        self._use(entry.action, +1)
        self._entries[match, priority] = entry
        self.index.put(match, priority, row)

    def modify(self, entry: Entry) -> None:
        """Replace action, time-out and metadata; counters, meter and last hit stay."""
        self._changeable()
        old = self.get(entry.match, entry.priority)
        self._check_timeout(entry)
        self._check_action(entry.action)
        row = self._row(entry.action, old)
        self._use(entry.action, +1)
        self.index.put(*self._identity(old.match, old.priority), row)
        self._use(old.action, -1)
        old.action = entry.action
        old.idle_timeout_ns = entry.idle_timeout_ns
        old.metadata = entry.metadata
        old.controller_metadata = entry.controller_metadata

    def delete(self, match: Match, priority: int) -> None:
        """Remove an entry."""
        self._changeable()
        old = self.get(match, priority)
        identity = self._identity(match, priority)
        self.index.remove(*identity)
        del self._entries[identity]
        self._use(old.action, -1)

    def get(self, match: Match, priority: int) -> Entry:
        """The live entry."""
        match, priority = self._identity(match, priority)
        try:
            return self._entries[match, priority]
        except KeyError:
            raise NotFound(f"table {self.name} has no entry for {_show(match)}") from None

    def entries(self) -> list[Entry]:
        """All live entries in order of insertion."""
        return list(self._entries.values())

    def idle_entries(self, now_us: int) -> list[Entry]:
        """Entries that no packet hit for their idle time-out.

        An entry that was never hit counts from the first call that saw it.
        """
        idle = []
        for entry in self.entries():
            if not entry.idle_timeout_ns:
                continue
            if not entry.last_hit_us:
                entry.last_hit_us = now_us
            elif (now_us - entry.last_hit_us) * 1000 >= entry.idle_timeout_ns:
                idle.append(entry)
        return idle

    def set_meter(self, match: Match, priority: int, config: MeterConfig | None) -> None:
        """Set the direct meter of an entry; None makes it green."""
        if not self.has_meter:
            raise FailedPrecondition(f"table {self.name} has no direct meter")
        self.get(match, priority).meter = MeterState(config) if config else None

    # default action

    def default(self) -> EntryAction | None:
        """What a miss does; None when the program gives no default action."""
        return self._default

    def set_default(self, action: EntryAction) -> None:
        """Change what a miss does."""
        if self.is_const_default:
            raise PermissionDenied(f"table {self.name}: the default action is constant")
        row = self._row(action, self.default_entry)
        self._use(action, +1)
        self.default_row = row
        if self._default is not None:
            self._use(self._default, -1)
        self._default = self.default_entry.action = action

    def reset_default(self) -> None:
        """Return to the program's default action."""
        if self._initial_default is not None and self._default != self._initial_default:
            self.set_default(self._initial_default)

    @property
    def default_packets(self) -> int:
        """What a client wrote: a miss is not counted, as in BMv2."""
        return self.default_entry.packets

    @property
    def default_bytes(self) -> int:
        """What a client wrote: a miss is not counted, as in BMv2."""
        return self.default_entry.bytes

    def open_entries(self, size: int) -> None:
        """The program's entries are initial ones (`entries` without const): they may be changed."""
        self.is_const = False
        self.size = max(size, len(self._entries))
        for entry in self._entries.values():
            entry.is_const = False

    # helpers

    def _changeable(self) -> None:
        if self.is_const:
            raise PermissionDenied(f"table {self.name}: the entries are constant")
        if not self.keys:
            raise InvalidArgument(f"table {self.name} has no key: it has a default action only")

    def _check_timeout(self, entry: Entry) -> None:
        if entry.idle_timeout_ns and not self.supports_timeout:
            raise InvalidArgument(f"table {self.name} does not support idle time-outs")

    def _check_action(self, action: EntryAction) -> None:
        if self.profile is not None and isinstance(action, ActionCall):
            raise InvalidArgument(
                f"table {self.name} takes members, groups or one-shot sets of {self.profile.name},"
                f" not the action {action.name} itself"
            )

    def _identity(self, match: Match, priority: int) -> tuple[Match, int]:
        if len(match) != len(self.keys):
            raise InvalidArgument(f"table {self.name} has {len(self.keys)} key fields")
        canonical = tuple(k.canonical(m) for k, m in zip(self.keys, match, strict=True))
        return canonical, priority if self.has_priority else 0

    def _row(self, action: EntryAction, entry: Entry) -> Row:
        if isinstance(action, ActionCall):
            spec = self.actions.get(action.name)
            if spec is None:
                raise InvalidArgument(f"table {self.name} does not offer action {action.name}")
            spec.check(action)
            return (spec.index, entry, *action.args)
        if self.profile is None:
            raise InvalidArgument(f"table {self.name} has no action profile")
        if isinstance(action, MemberRef):
            return (CHOOSE, entry, self.profile.get_member(action.member_id).slots)
        if isinstance(action, GroupRef):
            return (CHOOSE, entry, self.profile.get_group(action.group_id).slots)
        return (CHOOSE, entry, self.profile.one_shot(action.actions))

    def _use(self, action: EntryAction, change: int) -> None:
        if self.profile is None:
            return
        if isinstance(action, MemberRef):
            self.profile.get_member(action.member_id).uses += change
        elif isinstance(action, GroupRef):
            self.profile.get_group(action.group_id).uses += change


def _show(match: Match) -> str:
    return ", ".join(
        f"{m:#x}" if isinstance(m, int) else "any" if m is None else f"{m[0]:#x}/{m[1]:#x}"
        for m in match
    )
