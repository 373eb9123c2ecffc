"""Four service routers and what the route planner is told of them."""

from __future__ import annotations

from typing import Any

from controller.model import Decision
from controller.plan.routes import plan_routes
from controller.plan.routes_state import (
    RouterState,
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesPlan,
    RoutesState,
    ServiceView,
)

RULES = RouteSettings()
NAMES = ("r1", "r2", "r3", "r4")
LABELS = {name: 301 + index for index, name in enumerate(NAMES)}


def view(name: str, live: float = 50.0, **known: Any) -> RouterView:
    known.setdefault("demand", live)
    return RouterView(name, LABELS[name], 400, 100, live=live, **known)


def threatened(name: str, probability: float = 1.0, lead_s: float = 60.0) -> RouterView:
    return view(
        name,
        200.0,
        demand_p50=320.0,
        demand_p95=360.0,
        breach_probability=probability,
        lead_s=lead_s,
    )


def given_routers(*views: RouterView) -> RoutesInputs:
    named = {one.name: one for one in views}
    routers = tuple(named.get(name, view(name)) for name in NAMES)
    services = (ServiceView(1, ("r1",)), ServiceView(2, ("r1", "r2")))
    candidates = {name: tuple(n for n in NAMES if n != name) for name in NAMES}
    return RoutesInputs(routers, services, ("e1", "e2"), candidates)


def steps(
    inputs: RoutesInputs,
    number: int = 1,
    state: RoutesState | None = None,
    rules: RouteSettings = RULES,
) -> RoutesPlan:
    state = state or RoutesState()
    for _ in range(number):
        plan = plan_routes(state, inputs, float(state.cycle + 1), rules)
        state = plan.state
    return plan


def shifted(pct: int = 50, **known: Any) -> RoutesState:
    half = pct // 2
    own = RouterState((("r2", pct - half), ("r3", half)), direction=1, turns=(0,), **known)
    return RoutesState(cycle=50, routers={"r1": own})


def only(plan: RoutesPlan, router: str = "r1") -> Decision:
    decisions = [d for d in plan.decisions if d.router == router]
    assert len(decisions) == 1, plan.decisions
    return decisions[0]
