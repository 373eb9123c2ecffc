"""Why a step was taken, in one sentence for a person, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping

from controller.model import Kind
from controller.plan.routes_rules import Wish, prediction_severity, upper_demand
from controller.plan.routes_state import RouterState, RouterView, RouteSettings


def reason(
    view: RouterView,
    state: RouterState,
    wish: Wish,
    kind: Kind,
    split: tuple[tuple[str, int], ...],
    lost: int,
    squeezed: int,
    held: str,
) -> str:
    """One sentence: the cause, and what was done about it."""
    before, after = state.shift_pct, sum(pct for _, pct in split)
    shadows = ", ".join(f"{name} {pct} %" for name, pct in split) or "no shadow"
    if kind is Kind.HOLD:
        return f"{_cause(view, wish)}; the shift stays at {after} %: {_held(held, view)}"
    if kind is Kind.MANUAL:
        return f"a person set the shift of {view.name} to {state.manual_pct} %: {shadows}"
    if after < before:
        if lost:
            why = "a shadow failed or ran short itself and no other has room"
        elif held == "ceiling":
            why = "it is more than may be shifted without a person"
        elif squeezed:
            why = "its shadows have no room for more"
        else:
            why = (
                f"{view.live:.0f} connections and a demand of at most "
                f"{upper_demand(view):.0f} leave room below {view.limit:.0f}"
            )
        return f"{why}: the shift of {view.name} goes from {before} % to {after} % ({shadows})"
    if after == before:
        return f"the shadows of {view.name} changed, the shift stays at {after} %: {shadows}"
    short = f"; {_held(held, view)}" if held else ""
    return f"{_cause(view, wish)}: the shift goes from {before} % to {after} % ({shadows}){short}"


def inputs(
    view: RouterView, wish: Wish, settings: RouteSettings
) -> Mapping[str, float | str | None]:
    """What the decision was made from."""
    return {
        "live": view.live,
        "capacity": float(view.capacity),
        "threshold_available": float(view.threshold_available),
        "limit": view.limit,
        "demand": view.demand,
        "demand_p50": view.demand_p50,
        "demand_p95": view.demand_p95,
        "breach_probability": view.breach_probability,
        "lead_s": view.lead_s,
        "alarm": None if view.alarm is None else float(view.alarm),
        "prediction_severity": prediction_severity(view, settings),
        "anomaly_severity": view.anomaly_severity,
        "severity": wish.severity,
        "target_pct": float(wish.target_pct),
    }


def _cause(view: RouterView, wish: Wish) -> str:
    live = "unknown" if view.live is None else f"{view.live:.0f}"
    match wish.trigger:
        case "prediction":
            lead = "" if view.lead_s is None else f" in {view.lead_s:.0f} s"
            chance = 100.0 * (view.breach_probability or 0.0)
            return (
                f"{view.name} is forecast to exceed {view.limit:.0f} connections{lead} "
                f"with {chance:.0f} % probability (now {live})"
            )
        case "anomaly":
            return (
                f"{view.name} sees a surge of new connections (severity "
                f"{view.anomaly_severity:.1f} of 5, {live} connections)"
            )
        case "reactive":
            return (
                f"{view.name} has {view.capacity - (view.live or 0.0):.0f} connections available, "
                f"fewer than its threshold of {view.threshold_available}"
            )
        case "blind":
            return f"{view.name} has no fresh counters"
        case "manual":
            return f"a person wants {wish.shift_pct} % of {view.name} shifted"
    return f"nothing threatens {view.name} (now {live} connections)"


def _held(held: str, view: RouterView) -> str:
    match held:
        case "hysteresis":
            return "its direction changed less than ten cycles ago"
        case "no_room":
            return "no shadow has room for more"
        case "no_shadow":
            return "no healthy shadow is there"
        case "frozen":
            return "it is frozen"
        case "blind":
            return "nothing is changed without knowing"
        case "demand":
            return (
                f"its demand may still reach {upper_demand(view):.0f} connections, "
                f"more than {view.limit:.0f}"
            )
    return held
