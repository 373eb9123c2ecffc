"""One cycle of the Shadow Manager (the specification's updateShadowResources). Pure, deterministic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.model.resources import (
    NOTHING,
    Allocation,
    Amounts,
    Cover,
    Mode,
    Policy,
    Resource,
)
from controller.plan.resources import budget, give_back, queue, transition
from controller.plan.resources.amounts import (
    AllocationRequest,
    generate_allocation_requests,
    within,
)
from controller.plan.resources.cost import Choice, Demand, choose, regret_of, saving
from controller.plan.resources.rules import Standing, policy_of, standing
from controller.plan.resources.sizes import split
from controller.plan.resources.state import (
    DeviceDecision,
    DeviceState,
    DeviceView,
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
)


@dataclass(frozen=True, slots=True)
class _Wish:
    """One device on its way to a decision."""

    view: DeviceView
    before: DeviceState
    policy: Policy
    standing: Standing
    trust: give_back.Trust
    predicted: Amounts
    near: Amounts  # predicted for the nearest horizon, as it counts for moving traffic
    requests: tuple[AllocationRequest, ...]
    choices: tuple[Choice, ...]
    wanted: Amounts
    amounts: Amounts
    floor: Amounts
    reasons: tuple[str, ...]
    doubted: tuple[bool, bool, bool]
    saving: float


def update_shadow_resources(
    view: ManagerView, state: ManagerState, now_s: float, settings: ManagerSettings
) -> tuple[ManagerPlan, ManagerState]:
    """Decide for all devices. Those that no policy matches, or that are no longer in the view, are forgotten."""
    wishes = []
    for one in sorted(view.devices, key=lambda device: device.device):
        policy = policy_of(one.device, view.policies)
        if policy is not None:
            before = state.devices.get(one.device, DeviceState())
            wishes.append(_wish(one, before, policy, now_s, settings))
    amounts, over = _within_budgets(wishes, settings)
    waiting = queue.report(state.queue, view.reports, now_s, settings.queue)
    ready = _ready(waiting)
    decisions: list[DeviceDecision] = []
    allocations: list[Allocation] = []
    wanted: list[queue.WarmRequest] = []
    devices: dict[str, DeviceState] = {}
    shares: dict[str, int] = {}
    for wish in wishes:
        name = wish.view.device
        own_ready = ready.get(name, frozenset())
        decision, after = _decide(wish, amounts[name], own_ready, settings)
        decisions.append(decision)
        devices[name] = after
        if wish.standing.mode is not Mode.ACTIVE:
            if wish.before.active:
                shares[name] = 0
                allocations += _wound_up(wish, state.cycle, now_s)
            continue
        shares[name] = decision.transition.share.share_pct
        wanted += _to_warm(wish, decision, now_s)
    waiting, begun = queue.start(queue.ask(waiting, wanted), now_s, settings.queue)
    queued = {one.key: one for one in waiting if one.state is queue.Warming.QUEUED}
    for wish, decision in zip(wishes, decisions, strict=True):
        if wish.standing.mode is Mode.ACTIVE:
            allocations += _allocations(wish, decision, queued, state.cycle, now_s)
    plan = ManagerPlan(tuple(decisions), tuple(allocations), begun, shares, over)
    return plan, ManagerState(state.cycle + 1, devices, waiting)


def _wish(
    view: DeviceView,
    before: DeviceState,
    policy: Policy,
    now_s: float,
    settings: ManagerSettings,
) -> _Wish:
    now = standing(policy, now_s)
    reasons = []
    if view.forecast is None:
        reasons.append("no forecast: sized by use")
    elif now_s > view.forecast.made_s + view.forecast.horizons_s[-1]:
        reasons.append("the forecast has run out: sized by use")
        view = replace(view, forecast=None)
    trust = give_back.look(before.trust, view.forecast, view.use, now_s, policy)
    doubted = trust.doubted(now_s)
    demands = _demands(view, trust, doubted, policy)
    carried = _carried(view, policy)
    if view.forecast is not None and any(doubted):
        names = ", ".join(r.value for r, one in zip(Resource, doubted, strict=True) if one)
        reasons.append(f"the load did not come: {names} sized by use")
    utilisation, choices = [], []
    for resource, demand in zip(Resource, demands, strict=True):
        base, less = policy.base.of(resource), carried.of(resource)
        values = tuple(max(0.0, one * base - less) for one in demand.values)
        choice = choose(
            resource,
            Demand(demand.levels, values),
            before.held.of(resource),
            policy.prices,
            settings.period_s,
        )
        choices.append(choice)
        utilisation.append(demand.quantile(choice.level) if choice.level > 0 else 0.0)
    predicted = Amounts(*utilisation)
    wanted = Amounts(*(one.chosen.amount for one in choices))
    near = _near(view, demands, doubted, policy)
    in_use = _sum(view.in_use.values())
    trust, held = give_back.hold(trust, wanted, policy)
    bounded = within(held, before.held, in_use, policy, now)
    return _Wish(
        view,
        before,
        policy,
        now,
        trust,
        predicted,
        near,
        generate_allocation_requests(predicted, policy.base),
        tuple(choices),
        wanted,
        bounded.amounts,
        in_use.at_least(now.least),
        (*reasons, *bounded.reasons),
        doubted,
        sum(saving(one.options) for one in choices),
    )


def _demands(
    view: DeviceView,
    trust: give_back.Trust,
    doubted: tuple[bool, bool, bool],
    policy: Policy,
) -> tuple[Demand, ...]:
    """Per resource the demand of the window in shares of the base: as predicted; where there is no forecast, or it
    is not believed, what was used lately with headroom.
    """
    seen = (give_back.seen(trust) * (1.0 + policy.headroom_pct / 100.0)).per(policy.base)
    forecast = view.forecast
    peak = forecast.peak() if forecast is not None else ()
    found = []
    for place, resource in enumerate(Resource):
        if forecast is None or doubted[place]:
            found.append(Demand((0.5,), (seen.of(resource),)))
        else:
            found.append(Demand(forecast.levels, tuple(one.of(resource) for one in peak)))
    return tuple(found)


def _near(
    view: DeviceView,
    demands: tuple[Demand, ...],
    doubted: tuple[bool, bool, bool],
    policy: Policy,
) -> Amounts:
    """Utilisation at the nearest horizon at `move_level`. Traffic moves at once: what is farther away can wait."""
    forecast = view.forecast
    found = []
    for place, resource in enumerate(Resource):
        demand = demands[place]
        if forecast is not None and not doubted[place]:
            row = tuple(one.of(resource) for one in forecast.quantiles[0])
            demand = Demand(forecast.levels, row)
        found.append(demand.quantile(policy.move_level))
    return Amounts(*found)


def _within_budgets(
    wishes: list[_Wish], settings: ManagerSettings
) -> tuple[dict[str, Amounts], dict[str, float]]:
    """Device → amounts, and policy → what must be held beyond its budget."""
    groups: dict[str, list[_Wish]] = defaultdict(list)
    for wish in wishes:
        groups[wish.policy.name].append(wish)
    found: dict[str, Amounts] = {}
    over: dict[str, float] = {}
    for name, group in groups.items():
        policy = group[0].policy
        asked = [
            budget.Wish(
                one.view.device,
                one.floor.at_most(one.amounts),
                one.amounts,
                one.saving * 3600.0 / settings.period_s,
            )
            for one in group
        ]
        granted, beyond = budget.granted(asked, policy.prices.hold, policy.budget_per_h)
        found |= granted
        if beyond > 0:
            over[name] = beyond
    return found, over


def _decide(
    wish: _Wish,
    amounts: Amounts,
    ready: frozenset[str],
    settings: ManagerSettings,
) -> tuple[DeviceDecision, DeviceState]:
    policy, view, before = wish.policy, wish.view, wish.before
    reasons = wish.reasons
    if amounts != wish.amounts:
        reasons = (*reasons, "cut by the budget")
    placed = split(amounts, policy.shadows, view.in_use, ready)
    if any(placed.unplaced):
        reasons = (*reasons, "the shadows' sizes do not take all of it")
    # What is only recorded is decided as if all shadows were warm: that is what one wants to know of it.
    active = wish.standing.mode is Mode.ACTIVE
    carrying = _sum(given for name, given in placed.amounts.items() if name in ready or not active)
    moved = transition.decide(
        before.share,
        view.use,
        wish.near.times(policy.base),
        view.primary,
        carrying,
        policy,
    )
    regret = None
    if before.trust.used:  # the first cycle has held nothing before
        demand = view.use.spare(_carried(view, policy))
        regret = regret_of(before.held, demand, policy.prices, settings.period_s)
    decision = DeviceDecision(
        view.device,
        policy.name,
        wish.standing.mode,
        wish.standing.by,
        view.use,
        wish.predicted,
        wish.requests,
        wish.choices,
        wish.wanted,
        amounts,
        placed.amounts,
        placed.unplaced,
        wish.doubted,
        reasons,
        wish.saving,
        regret,
        moved,
    )
    # Connections may outlast the policy: what they stand on follows until nothing is in use.
    still = active or (
        before.active
        and any(
            not size.idle.covers(view.in_use.get(size.name, NOTHING)) for size in policy.shadows
        )
    )
    return decision, DeviceState(amounts, placed.amounts, still, wish.trust, moved.share)


def _allocations(
    wish: _Wish,
    decision: DeviceDecision,
    queued: Mapping[tuple[str, str], queue.WarmRequest],
    cycle: int,
    now_s: float,
) -> list[Allocation]:
    """For every shadow; one that still waits for its turn stays idle, save for what is in use there."""
    name = wish.view.device
    found = []
    for size in wish.policy.shadows:
        given, why = decision.placed[size.name], "; ".join(decision.reasons) or "as predicted"
        waits = queued.get((name, size.name))
        if waits is not None:
            given = size.idle.at_least(wish.view.in_use.get(size.name, NOTHING))
            why = "waits in the pre-warming queue"
            if waits.trouble:
                why += f" after {waits.failures} failures: {waits.trouble}"
        found.append(Allocation(name, size.name, given, why, cycle, now_s))
    return found


def _wound_up(wish: _Wish, cycle: int, now_s: float) -> list[Allocation]:
    """Idle again, save for what is in use there."""
    name, why = wish.view.device, "the policy only forecasts now"
    return [
        Allocation(
            name,
            size.name,
            size.idle.at_least(wish.view.in_use.get(size.name, NOTHING)),
            why,
            cycle,
            now_s,
        )
        for size in wish.policy.shadows
    ]


def _carried(view: DeviceView, policy: Policy) -> Amounts:
    """What the shadows need not be sized for."""
    excess = policy.cover is Cover.EXCESS
    return view.primary * (policy.full_pct / 100.0) if excess else NOTHING


def _to_warm(wish: _Wish, decision: DeviceDecision, now_s: float) -> list[queue.WarmRequest]:
    """Shadows that have more than their idle amounts are to be warm by the time the load is due; all of them when the
    primary is full, or is about to be: what they have while idle may be all that is wanted of them.
    """
    found = []
    moved = decision.transition
    load = max(moved.real, moved.predicted) if moved.believed else moved.real
    pressed = load > wish.policy.full_pct / 100.0
    for size in wish.policy.shadows:
        given = decision.placed[size.name]
        if size.idle.covers(given) and not pressed:
            continue
        due_s = _needed_s(wish, now_s)
        found.append(queue.WarmRequest(wish.view.device, size.name, given, due_s, decision.saving))
    return found


def _needed_s(wish: _Wish, now_s: float) -> float:
    """When the middle of the forecast first fills the primary; its last horizon, if it never does."""
    forecast, policy = wish.view.forecast, wish.policy
    if forecast is None:
        return now_s
    full = wish.view.primary * (policy.full_pct / 100.0)
    middle = len(forecast.levels) // 2
    for horizon_s, row in zip(forecast.horizons_s, forecast.quantiles, strict=True):
        if not full.covers(row[middle].times(policy.base)):
            return forecast.made_s + horizon_s
    return forecast.made_s + forecast.horizons_s[-1]


def _ready(waiting: queue.Queue) -> dict[str, frozenset[str]]:
    """Device → its shadows that are warm."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in waiting:
        if one.state is queue.Warming.READY:
            found[one.device].add(one.shadow)
    return {device: frozenset(names) for device, names in found.items()}


def _sum(many: Iterable[Amounts]) -> Amounts:
    total = NOTHING
    for one in many:
        total = total + one
    return total
