"""The planner's state as text, and what can be told of it from the switches alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.plan.routes_shares import base_pct, shares
from controller.plan.routes_state import RouterState, RoutesState, ServiceView


def to_json(state: RoutesState) -> str:
    """Text that `from_json` reads back as the same state."""
    routers = {
        name: {
            "split": own.split,
            "direction": own.direction,
            "turns": own.turns,
            "manual_pct": own.manual_pct,
            "frozen": own.frozen,
            "held": own.held,
        }
        for name, own in state.routers.items()
    }
    return json.dumps(
        {
            "cycle": state.cycle,
            "frozen": state.frozen,
            "routers": routers,
            "ordered": state.ordered,
        }
    )


def from_json(text: str) -> RoutesState:
    """The state; ValueError when the text is none."""
    try:
        plain: dict[str, Any] = json.loads(text)
        routers = {
            str(name): RouterState(
                split=tuple((str(shadow), int(pct)) for shadow, pct in own["split"]),
                direction=int(own["direction"]),
                turns=tuple(int(turn) for turn in own["turns"]),
                manual_pct=None if own["manual_pct"] is None else int(own["manual_pct"]),
                frozen=bool(own["frozen"]),
                held=str(own["held"]),
            )
            for name, own in plain["routers"].items()
        }
        ordered = {
            str(source): {
                str(router): tuple((str(other), float(pct)) for other, pct in parts)
                for router, parts in own.items()
            }
            for source, own in plain.get("ordered", {}).items()
        }
        return RoutesState(int(plain["cycle"]), routers, bool(plain["frozen"]), ordered)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no state of the route planner: {error}") from error


def continued(
    state: RoutesState,
    in_force: Mapping[int, Mapping[int, int]],
    services: tuple[ServiceView, ...],
    labels: Mapping[str, int],
    away: Mapping[str, tuple[str, ...]] | None = None,
) -> RoutesState:
    """The state to go on with after a restart, such that no traffic moves.

    in_force: service → router label → percent, read back from an edge; services that could not be
    read back are absent. away: routers that others stand in for. Shifts come from the remembered state where that gives
    what is in force, else from what is in force: a primary below its base share is shifted to the
    routers above theirs, in proportion.
    """
    known = set(labels)
    routers = {
        name: replace(own, split=tuple(part for part in own.split if part[0] in known))
        for name, own in state.routers.items()
        if name in known
    }
    state = replace(state, routers=routers)
    remembered = shares(services, ("",), labels, state, away)
    differing = [
        service
        for service in services
        if service.id in in_force and dict(remembered["", service.id]) != in_force[service.id]
    ]
    if not differing:
        return state
    by_label = {label: name for name, label in labels.items()}
    found: dict[str, dict[str, int]] = {}
    for service in differing:
        base = base_pct(service, labels)
        now = {by_label[k]: pct for k, pct in in_force[service.id].items() if k in by_label}
        above = {name: pct - base.get(name, 0) for name, pct in now.items()}
        above = {name: pct for name, pct in sorted(above.items()) if pct > 0}
        for name, pct in base.items():
            missing = pct - now.get(name, 0)
            if missing > 0 and above:
                split = _in_proportion(min(100, round(100 * missing / pct)), above)
                if sum(split.values()) > sum(found.get(name, {}).values()):
                    found[name] = split
            else:
                found.setdefault(name, {})
    for name, split in found.items():
        own = state.of(name)
        routers[name] = replace(own, split=tuple(split.items()), direction=1 if split else 0)
    # What was ordered is part of what was found now, until it is ordered anew.
    return replace(state, routers=routers, ordered={})


def _in_proportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole numbers that add up to `total`, by largest remainder."""
    whole = sum(weights.values())
    parts = {name: total * weight // whole for name, weight in weights.items()}
    rest = total - sum(parts.values())
    order = sorted(weights, key=lambda name: (-(total * weights[name] % whole), name))
    for name in order[:rest]:
        parts[name] += 1
    return {name: pct for name, pct in parts.items() if pct}
