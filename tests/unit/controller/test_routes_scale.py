"""Many routers are planned together."""

from __future__ import annotations

from controller.plan.routes import plan_routes
from controller.plan.routes_state import (
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesState,
    ServiceView,
)


def synthetic(number: int) -> RoutesInputs:
    """Every tenth router is about to run short."""
    names = [f"r{index}" for index in range(number)]
    routers = tuple(
        RouterView(
            name,
            1000 + index,
            400,
            100,
            live=200.0,
            demand=200.0,
            demand_p50=320.0 if index % 10 == 0 else 200.0,
            demand_p95=340.0 if index % 10 == 0 else 220.0,
            breach_probability=0.9 if index % 10 == 0 else 0.0,
            lead_s=30.0,
        )
        for index, name in enumerate(names)
    )
    services = tuple(
        ServiceView(index, tuple(names[index * 4 : index * 4 + 4])) for index in range(number // 4)
    )
    candidates = {
        name: tuple(names[(index + step) % number] for step in (1, 2, 3))
        for index, name in enumerate(names)
    }
    return RoutesInputs(routers, services, ("e1", "e2"), candidates)


def test_a_thousand_routers_are_planned_together() -> None:
    state, inputs = RoutesState(), synthetic(1000)
    for cycle in range(5):
        plan = plan_routes(state, inputs, float(cycle), RouteSettings())
        state = plan.state
    assert sum(state.shift_pct > 0 for state in plan.state.routers.values()) == 100
    assert all(sum(shares.values()) == 100 for shares in plan.shares.values())
