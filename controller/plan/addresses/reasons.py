"""Why a range changes: one sentence for a person, and the numbers that it was made from."""

from __future__ import annotations

import math

from controller.plan.addresses.state import Change, RangeState, RangeStep, RangeView


def grown(
    view: RangeView, state: RangeState, now_s: float, count: int, needed: int, expected: float
) -> RangeStep:
    """More addresses are held."""
    reason = (
        f"{view.subdivision} needs {needed} warm addresses and has {view.held}: {count} more "
        f"({_expectation(view, state, expected)})"
    )
    return _step(view, state, now_s, Change.GROW, count, needed, reason)


def short(
    view: RangeView, state: RangeState, now_s: float, count: int, needed: int, expected: float
) -> RangeStep:
    """More are needed than there is room for."""
    reason = (
        f"{view.subdivision} needs {needed} warm addresses, but only {view.room} are idle in its shards: "
        f"{count} lack ({_expectation(view, state, expected)})"
    )
    return _step(view, state, now_s, Change.SHORT, count, needed, reason)


def shrunk(
    view: RangeView, state: RangeState, now_s: float, count: int, needed: int, quiet_s: float
) -> RangeStep:
    """Some are released."""
    most = max(state.peak, state.peak_before)
    reason = (
        f"{view.subdivision} has {view.held} warm addresses and needs {needed}, "
        f"at most {most} in the last {quiet_s:.0f} s: {count} are released"
    )
    return _step(view, state, now_s, Change.SHRINK, count, needed, reason)


def _expectation(view: RangeView, state: RangeState, expected: float) -> str:
    foreseen = view.expected_per_s or 0.0
    source = (
        "watched" if max(state.rates_per_s, default=0.0) >= foreseen else view.why or "foreseen"
    )
    confidence = 100.0 * (1.0 - math.exp(state.log_risk))
    return f"{expected:.1f} grants expected until more are warm, {source}; confidence {confidence:.2f} %"


def _step(
    view: RangeView,
    state: RangeState,
    now_s: float,
    change: Change,
    count: int,
    needed: int,
    reason: str,
) -> RangeStep:
    inputs: dict[str, float | str | None] = {
        "needed": needed,
        "held": view.held,
        "granted": view.granted,
        "room": view.room,
        "quota": view.quota,
        "foreseen_per_s": view.expected_per_s,
        "watched_per_s": round(max(state.rates_per_s, default=0.0), 6),
        "confidence": round(1.0 - math.exp(state.log_risk), 6),
    }
    return RangeStep(now_s, change, view.subdivision, view.family, count, reason, inputs)
