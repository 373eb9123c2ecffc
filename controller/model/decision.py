"""Decisions: every step umbra takes, with its reason, its inputs, what was written and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a decision does to a router's share of new connections."""

    SHIFT = "shift"  # more of the router's new connections go to its shadows
    RESTORE = "restore"  # some come back
    HOLD = "hold"  # something wanted to change and was held back
    MANUAL = "manual"  # a person set the weight
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    FAILOVER = "failover"  # its connections and all its new ones go to shadows: it is dead
    FAILBACK = "failback"  # it has them back
    DRAIN = "drain"  # as failover, in order, because a person asked for it
    UNDRAIN = "undrain"


@dataclass(frozen=True, slots=True)
class Decision:
    """One step for one router. `inputs` holds what it was made from: counts, thresholds, forecast quantiles."""

    id: str
    time_s: float
    kind: Kind
    router: str
    shift_before_pct: float
    shift_after_pct: float
    shadows: tuple[str, ...]
    trigger: str  # "prediction", "anomaly", "reactive", "restore", "manual", "freeze", "probes"
    reason: str  # one sentence for a person
    inputs: Mapping[str, float | str | None] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision led to."""

    decision_id: str
    written: tuple[str, ...]  # names of the switches that took the write
    failed: tuple[tuple[str, str], ...]  # (switch, error)
    decide_to_written_ms: float | None
