"""What really runs, as somebody who looked found it; and what came of comparing it with the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Observation:
    """The moment at which somebody began to look: what changes in the pool later, the look tells nothing about."""

    sequence: int
    begun_s: float  # in the pool's own time


@dataclass(frozen=True, slots=True)
class World:
    """`observation`: from `Pool.observe`, called before looking.

    subdivisions: those of which every host was seen; nothing is concluded from an absence elsewhere.
    instances: address → owner (None: not known) of every instance that runs.
    owners: whose request is in hand or whose instance is starting: a grant of theirs is no leak though no instance
    was seen. holders: addresses that a shadow instance answers for.
    """

    observation: Observation
    subdivisions: frozenset[str]
    instances: Mapping[str, str | None] = field(default_factory=dict)
    owners: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was changed in the pool, and what the caller has to change in the world."""

    released: tuple[str, ...] = ()  # leaks: granted, but twice nobody was seen using them
    suspected: tuple[str, ...] = ()  # the same, seen once
    adopted: tuple[str, ...] = ()  # an instance runs with it, so it is granted
    lingering: tuple[str, ...] = ()  # released, but still in use: it cools down anew
    unheld: tuple[str, ...] = ()  # warm, but twice no holder was seen
    holders_missing: tuple[str, ...] = ()  # warm without a holder: start one
    holders_to_end: tuple[str, ...] = ()  # a holder answers for what is not warm: end it
    conflicts: tuple[str, ...] = ()  # sentences for a person; nothing was changed
