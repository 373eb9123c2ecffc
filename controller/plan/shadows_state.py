"""What the choice of shadows is made from, what it remembers, and that as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from controller.model import Fabric, Stage, Switch
from controller.plan.replicas import MAX_NUMBER

WAYS = 4  # of the connection table: what a switch without a configured capacity can hold
CHANGES_KEPT = 8  # per primary


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    """The rules' numbers. Cycles are calls of `select`.

    near_ms: round trip within which another failure domain is near enough to be used. margin: a
    rival must cost less than a shadow's cost divided by it, for `patience_cycles` in a row, before it
    replaces a shadow that has been one for `tenure_cycles`. full_cycles: so long a shadow must be
    full before it is replaced; silent_cycles: so long one may be not usable. overrides: primary → the
    only shadows that it may have.
    """

    per_router: int = 2
    near_ms: float = 10.0
    margin: float = 1.5
    patience_cycles: int = 30
    tenure_cycles: int = 60
    full_cycles: int = 10
    silent_cycles: int = 10
    overrides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """One switch of the stage. capacity: connections. usable: it is connected and programmed, and may
    be chosen. failed: it is known to be dead, or is drained: it can be nobody's shadow any more.

    available: connections that it can still take; None: not known, its whole capacity is assumed.
    """

    name: str
    domain: str
    capacity: float
    usable: bool = True
    available: float | None = None
    failed: bool = False

    @property
    def room(self) -> float:
        """Connections that it can take, at least one."""
        return max(1.0, self.capacity if self.available is None else self.available)


@dataclass(frozen=True, slots=True)
class Trip:
    """There and back. measured: by probes; else from the configured delays (`shadows_near`)."""

    ms: float
    measured: bool = False


Trips = Mapping[str, Mapping[str, Trip]]  # primary → candidate within reach → round trip


@dataclass(frozen=True, slots=True)
class ShadowInputs:
    """One stage in one cycle. peers: in configured order."""

    peers: tuple[Peer, ...]
    trips: Trips


@dataclass(frozen=True, slots=True)
class Seat:
    """One shadow in place. since: the cycle in which it was chosen. rival: who has been clearly
    better for `rival_cycles`. full_cycles, silent_cycles: for how many it has been full, not usable.
    """

    shadow: str
    since: int
    rival: str = ""
    rival_cycles: int = 0
    full_cycles: int = 0
    silent_cycles: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an assignment. Empty names: a place that was free, or stays free."""

    cycle: int
    time_s: float
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class ShadowState:
    """The shadows of one stage. changes: primary → the latest changes, oldest first."""

    cycle: int = 0
    seats: Mapping[str, tuple[Seat, ...]] = field(default_factory=dict)
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)

    @property
    def assigned(self) -> dict[str, tuple[str, ...]]:
        """Primary → its shadows."""
        return {name: tuple(seat.shadow for seat in own) for name, own in self.seats.items()}

    def primaries_of(self, holder: str) -> tuple[str, ...]:
        """Whose shadow it is."""
        return tuple(
            name for name, own in self.seats.items() if any(s.shadow == holder for s in own)
        )


def most_primaries(own_shadows: int) -> int:
    """For how many others a switch can be a shadow: its own shadows need numbers, too (they give back
    what they hold), and one stays free for a replacement.
    """
    return MAX_NUMBER - 1 - own_shadows


def capacity(switch: Switch) -> float:
    """Connections that it may hold: as configured, else what its table holds."""
    return float(switch.capacity or WAYS * switch.table_size)


def peers(fabric: Fabric, stage: Stage) -> tuple[Peer, ...]:
    """All switches of a stage, usable and empty."""
    return tuple(Peer(s.name, s.domain, capacity(s)) for s in fabric.stage(stage))


def to_json(state: ShadowState) -> str:
    """Text that `from_json` reads back as the same state."""
    return json.dumps(
        {
            "cycle": state.cycle,
            "seats": {name: [asdict(seat) for seat in own] for name, own in state.seats.items()},
            "changes": {name: [asdict(one) for one in own] for name, own in state.changes.items()},
        }
    )


def from_json(text: str, known: frozenset[str]) -> ShadowState:
    """The state, without switches that are not `known`; ValueError when the text is none."""
    try:
        plain: dict[str, Any] = json.loads(text)
        seats = {
            str(name): tuple(Seat(**seat) for seat in own if seat["shadow"] in known)
            for name, own in plain["seats"].items()
            if name in known
        }
        changes = {
            str(name): tuple(Change(**one) for one in own)
            for name, own in plain["changes"].items()
            if name in known
        }
        return ShadowState(int(plain["cycle"]), seats, changes)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no state of the choice of shadows: {error}") from error
