"""A primary that is full is relieved also when its shadow's idle amounts are all that is wanted of the shadow."""

from __future__ import annotations

from controller.model.resources import Amounts, Cover, Mode, Policy, ShadowSize
from controller.plan.resources import (
    DeviceView,
    ManagerSettings,
    ManagerState,
    ManagerView,
    WarmReport,
    update_shadow_resources,
)

POLICY = Policy(
    "p",
    Amounts(1.0, 1.0, 1.0),
    mode=Mode.ACTIVE,
    cover=Cover.EXCESS,
    shadows=(ShadowSize("shadow", idle=Amounts(0.5, 1.0, 1.0)),),
)
SETTINGS = ManagerSettings(1.0)


def view(used: float, *reports: WarmReport) -> ManagerView:
    device = DeviceView("r1", Amounts(used, 0.0, 0.0), Amounts(1.0, 0.0, 0.0))
    return ManagerView((device,), (POLICY,), reports)


def test_a_full_primary_has_its_idle_shadow_warmed_and_then_moves_traffic_there() -> None:
    plan, state = update_shadow_resources(view(0.95), ManagerState(), 0.0, SETTINGS)
    assert [one.shadow for one in plan.warm] == ["shadow"]
    assert plan.shares_pct == {"r1": 0}
    plan, _ = update_shadow_resources(view(0.95, WarmReport("r1", "shadow")), state, 1.0, SETTINGS)
    assert plan.shares_pct["r1"] > 0
    assert plan.decisions[0].placed["shadow"].cpu_cores == 0.5


def test_a_calm_primary_leaves_its_idle_shadow_cold() -> None:
    plan, state = update_shadow_resources(view(0.4), ManagerState(), 0.0, SETTINGS)
    assert plan.warm == ()
    assert state.queue == ()
