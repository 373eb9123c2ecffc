"""What one router should do, seen on its own (seed 9807645, traffic shifting logic).

- A predicted breach: severity = 5 * probability * nearness, nearness falling from 1 (now) to 0
  (at the longest horizon). An anomaly: its own severity. An observed breach (fewer available
  connections than the threshold): certain and now, severity 5. This floor is always on.
- The shift aimed at is min(max_shift, max(10, severity * 10)) percent, reached by `ramp_pct` a
  cycle; an anomaly skips the ramp. While the cause lasts the shift never shrinks, except one that a
  person had set beyond max_shift: once released, it comes back to that by `restore_pct` a cycle.
- When no cause is left, `restore_pct` a cycle comes back, but only while what is seen and the 95 %
  forecast of the demand both leave room: never in on a forecast alone, never on a quiet second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controller.plan.routes_state import RouterState, RouterView, RouteSettings

LEAST_SHIFT_PCT = 10
MAX_SEVERITY = 5.0
UPPER = 1.645  # standard deviations to the 95 % quantile


@dataclass(frozen=True, slots=True)
class Wish:
    """The shift wanted in this cycle and why. held: a code when a restore has to wait."""

    shift_pct: int
    target_pct: int
    trigger: str
    severity: float
    held: str = ""


def predicted(view: RouterView, settings: RouteSettings) -> bool:
    """A breach is forecast: an alarm of the trained rule stands, or, without one, it is probable enough."""
    probability = view.breach_probability
    if not settings.predictive or probability is None:
        return False
    return probability >= settings.min_probability if view.alarm is None else view.alarm


def anomalous(view: RouterView, settings: RouteSettings) -> bool:
    """A surge is on."""
    return settings.predictive and settings.surge and view.anomaly_severity > 0


def in_breach(view: RouterView) -> bool:
    """Fewer available connections than the threshold, as observed."""
    return view.live is not None and view.live > view.limit


def overloaded(view: RouterView, hosting: bool) -> bool:
    """In breach of its own accord.

    A shadow that is over its limit with guests gives guests back (`routes_room`) instead of
    sending its own connections away and so losing the right to help.
    """
    own = observed_demand(view) > view.limit
    return in_breach(view) and (own or not hosting)


def near_breach(view: RouterView, settings: RouteSettings, hosting: bool) -> bool:
    """In danger itself: it must not take from others."""
    return overloaded(view, hosting) or predicted(view, settings) or anomalous(view, settings)


def wish(view: RouterView, state: RouterState, settings: RouteSettings, hosting: bool) -> Wish:
    """What this router should do now; its shadows' room is not looked at here.

    hosting: it is a shadow in use.
    """
    wanted = _free_wish(view, state, settings, hosting)
    ceiling = max(settings.max_shift_pct, state.shift_pct - settings.restore_pct)
    if view.live is None or wanted.shift_pct <= ceiling:
        return wanted
    return replace(wanted, shift_pct=ceiling, held="ceiling")


def _free_wish(
    view: RouterView, state: RouterState, settings: RouteSettings, hosting: bool
) -> Wish:
    current = state.shift_pct
    if view.live is None:
        return Wish(current, current, "blind", 0.0, "blind" if current else "")
    foreseen = prediction_severity(view, settings)
    surge = view.anomaly_severity if anomalous(view, settings) else 0.0
    severity = foreseen + surge
    if overloaded(view, hosting):
        severity = max(severity, MAX_SEVERITY)
    if severity > 0.0 or predicted(view, settings):
        target = min(settings.max_shift_pct, max(LEAST_SHIFT_PCT, round(severity * 10)))
        goal = max(current, target)
        if surge:
            return Wish(goal, target, "anomaly", severity)
        trigger = "prediction" if predicted(view, settings) else "reactive"
        return Wish(min(goal, current + settings.ramp_pct), target, trigger, severity)
    if current == 0:
        return Wish(0, 0, "", 0.0)
    if upper_demand(view) > view.limit:
        return Wish(current, 0, "restore", 0.0, "demand")
    return Wish(max(0, current - settings.restore_pct), 0, "restore", 0.0)


def prediction_severity(view: RouterView, settings: RouteSettings) -> float:
    """0..5: probability of the breach times its nearness; 0 when it is not probable enough."""
    if not predicted(view, settings) or view.breach_probability is None:
        return 0.0
    lead_s = settings.horizon_s if view.lead_s is None else view.lead_s
    nearness = min(1.0, max(0.0, 1.0 - lead_s / settings.horizon_s))
    return MAX_SEVERITY * view.breach_probability * nearness


def upper_demand(view: RouterView) -> float:
    """Connections that must fit before anything is restored.

    The 95 % forecast and what is seen; without a forecast the observed demand with a margin for its
    own scatter (a Poisson count's).
    """
    seen = max(view.live or 0.0, view.demand or 0.0)
    if view.demand_p95 is not None:
        return max(seen, view.demand_p95)
    return seen + UPPER * math.sqrt(seen)


def expected_demand(view: RouterView) -> float:
    """The demand to plan with: observed or forecast, whichever is more."""
    return max(view.live or 0.0 if view.demand is None else view.demand, view.demand_p50 or 0.0)


def observed_demand(view: RouterView) -> float:
    """The demand now; the live count where the demand is not known."""
    return view.demand if view.demand is not None else view.live or 0.0
