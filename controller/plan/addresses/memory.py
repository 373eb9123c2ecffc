"""What a warm range has learned, as text: for the controller that starts after this one. Pure.

Kept are the counts of windows, the steered confidence and the watched rates: days of experience. Not kept are windows
that have not ended, and what was needed lately: a start releases nothing by itself.
"""

from __future__ import annotations

import json
import math
from typing import Any

from controller.plan.addresses.counts import CLASSES, NOTHING, Seen
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import RangeState


def to_json(state: RangeState, settings: RangeSettings) -> str:
    """Text that `from_json` reads back with the same settings."""
    return json.dumps(
        {
            "under": _under(settings),
            "time_s": state.time_s,
            "rates_per_s": state.rates_per_s,
            "log_risk": None if math.isnan(state.log_risk) else state.log_risk,
            "counts": {
                place: _trimmed(seen.windows)
                for place, seen in enumerate(state.counts)
                if seen.total
            },
        }
    )


def from_json(text: str, settings: RangeSettings) -> RangeState:
    """What was learned; nothing when it was learned under other settings: counts hold for one length of window, and
    the confidence was steered to one share. ValueError when the text is none.
    """
    try:
        plain: dict[str, Any] = json.loads(text)
        if plain["under"] != _under(settings):
            return RangeState()
        counts = list(NOTHING)
        for place, windows in plain["counts"].items():
            counts[_checked(int(place))] = _seen(windows)
        log_risk, time_s = plain["log_risk"], plain["time_s"]
        return RangeState(
            time_s=None if time_s is None else float(time_s),
            rates_per_s=tuple(float(one) for one in plain["rates_per_s"]),
            counts=tuple(counts),
            log_risk=math.nan if log_risk is None else float(log_risk),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is nothing that a warm range has learned: {error!r}") from error


def _under(settings: RangeSettings) -> list[float]:
    """What the learned holds for. Lists, as JSON reads them back."""
    return [
        settings.cycle_s,
        settings.warm_up_s,
        settings.warm_share,
        settings.confidence,
        *settings.watch_s,
    ]


def _trimmed(windows: tuple[float, ...]) -> list[float]:
    return [round(one, 3) for one in windows]


def _seen(windows: list[float]) -> Seen:
    read = tuple(float(one) for one in windows)
    if not all(one >= 0 and math.isfinite(one) for one in read):
        raise ValueError("a range has learned of a negative or infinite number of windows")
    return Seen(read, sum(read))


def _checked(place: int) -> int:
    if not 0 <= place < CLASSES:
        raise ValueError(f"a range has learned of class {place}; there are {CLASSES}")
    return place
