"""Where destination shadowing stands: what it carries from turn to turn, and from one run to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from controller.destinations.copies import by_copy
from controller.model import Standby, StandbyState
from controller.plan.destinations.state import PlacementState
from controller.plan.redirects import memory
from controller.plan.redirects.state import Cell, Copy, RedirectPlan, RedirectState


@dataclass(frozen=True, slots=True)
class Position:
    """copies: that exist, by service and site. served: (service, location) → site of the copy that placement wants.

    marked: copies that somebody said have failed. plan: the redirects as planned last.
    """

    copies: Mapping[Copy, Standby] = field(default_factory=dict)
    served: Mapping[Cell, str] = field(default_factory=dict)
    placement: PlacementState = field(default_factory=PlacementState)
    redirects: RedirectState = field(default_factory=RedirectState)
    plan: RedirectPlan | None = None
    marked: frozenset[Copy] = frozenset()


def to_json(position: Position, since_s: Mapping[int, float], step_s: float) -> str:
    """Text that `from_json` reads back, less the plan, which the next run makes again.

    since_s: destination → since when it can be asked for. step_s: of the access history.
    """
    return json.dumps(
        {
            "copies": [asdict(one) for one in position.copies.values()],
            "served": [[*cell, site] for cell, site in position.served.items()],
            "prices": dict(position.placement.per_cps),
            "redirects": memory.to_json(position.redirects),
            "marked": sorted(map(list, position.marked)),
            "since_s": sorted(since_s.items()),
            "step_s": step_s,
        }
    )


def from_json(text: str) -> tuple[Position, dict[int, float], float]:
    """(the position, since_s, step_s). Raises ValueError when the text is none."""
    try:
        plain: dict[str, Any] = json.loads(text)
        copies = [
            Standby(
                int(one["service"]),
                str(one["site"]),
                tuple(map(str, one["routers"])),
                float(one["share_cps"]),
                float(one["since_s"]),
                StandbyState(one["state"]),
            )
            for one in plain["copies"]
        ]
        position = Position(
            copies=by_copy(copies),
            served={(int(s), str(at)): str(site) for s, at, site in plain["served"]},
            placement=PlacementState({str(k): float(v) for k, v in plain["prices"].items()}),
            redirects=memory.from_json(plain["redirects"]),
            marked=frozenset((int(s), str(site)) for s, site in plain["marked"]),
        )
        since_s = {int(service): float(at) for service, at in plain["since_s"]}
        return position, since_s, float(plain["step_s"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no state of destinations: {error}") from error
