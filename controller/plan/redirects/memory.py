"""The state of redirecting as text, so that a restart neither renumbers slot sets nor forgets who failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from controller.plan.redirects.achieved import Verdict
from controller.plan.redirects.health import CopyHealth
from controller.plan.redirects.numbers import SlotNumber
from controller.plan.redirects.state import RedirectState


def to_json(state: RedirectState) -> str:
    """Text that `from_json` reads back as the same state, less what the next plan makes again of prefixes."""
    return json.dumps(
        {
            "turn": state.turn,
            "sites": [[*cell, site] for cell, site in state.sites.items()],
            "health": [[*copy, asdict(one)] for copy, one in state.health.items()],
            "verdicts": [[*path, asdict(one)] for path, one in state.verdicts.items()],
            "corrections": [[*cell, factor] for cell, factor in state.corrections.items()],
            "numbers": [[*copy, asdict(one)] for copy, one in state.numbers.items()],
        }
    )


def from_json(text: str) -> RedirectState:
    """The state; ValueError when the text is none. Names that are configured no more fall out with the next plan."""
    try:
        plain: dict[str, Any] = json.loads(text)
        return RedirectState(
            turn=int(plain["turn"]),
            sites={(int(s), str(at)): str(site) for s, at, site in plain["sites"]},
            health={(int(s), str(at)): CopyHealth(**one) for s, at, one in plain["health"]},
            verdicts={
                (int(s), str(at), str(to)): Verdict(**one) for s, at, to, one in plain["verdicts"]
            },
            corrections={(int(s), str(at)): float(one) for s, at, one in plain["corrections"]},
            numbers={(int(s), str(at)): SlotNumber(**one) for s, at, one in plain["numbers"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"this is no state of redirects: {error}") from error
