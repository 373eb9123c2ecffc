"""`umbra bench addresses`, shards: whether a fortnight's demand finds room, at how many routes and how much spare.

The forecasts of running instances go through the sharding engine, once a minute. Claims are confirmed in the next
turn, as if the routers took a minute to write their routes. Instances fill the fullest shard first, and leave when
they end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

import numpy as np

from controller.model import Shard, ShardState, Subdivision
from controller.plan.shards.aggregation import advertised
from controller.plan.shards.block import block
from controller.plan.shards.demand import DemandSettings, predict_demand
from controller.plan.shards.engine import plan_shards
from controller.plan.shards.needs import need_of
from controller.plan.shards.profiles import ApplicationProfile, mean_instance
from controller.plan.shards.state import Act, Excess, ShardSettings, ShardStep, ShardView
from ml.forecasting.forecast import Forecast
from topologies.bench.addresses.instance_trace import Subject, Trace
from topologies.bench.result import Figure

SUPERNET = "10.0.0.0/17"  # shared by all, a quarter of it is never needed at one time
MOST_SHARDS = 64
WARM = 20  # held in each subdivision besides
TURN_S = 60.0
Looks = Sequence[tuple[float, Mapping[str, Forecast]]]


@dataclass(slots=True)
class _Tenant:
    """A subdivision's instances; ends: (time, prefix) of those that run, the next to end first."""

    subject: Subject
    cursor: int
    ends: list[tuple[float, str]]
    granted: dict[str, int]
    refused: int = 0


def sharding_figures(
    trace: Trace, looks: Looks, settings: ShardSettings | None = None
) -> dict[str, Figure]:
    """refused: creations that found no room in any shard, in percent."""
    settings = settings or ShardSettings()
    tenants = {one.name: _Tenant(one, 0, [], {}) for one in trace.subjects}
    subdivisions = {
        name: Subdivision(name, (SUPERNET,), "here", max_shards=MOST_SHARDS) for name in tenants
    }
    mean = mean_instance({"any": ApplicationProfile("any")}, {}, "any")
    shards: dict[str, Shard] = {}
    routed: set[str] = set()
    excess: dict[tuple[str, int], Excess] = {}
    steps = drained = 0
    capacity, used, routes = [], [], []
    begin: list[tuple[float, Mapping[str, Forecast]]] = [(trace.begin_s, {})] * 2
    for now_s, forecasts in (*begin, *_turns(looks, trace.end_s)):
        needs = []
        for name, tenant in tenants.items():
            if now_s > trace.begin_s:
                _pass(tenant, shards, now_s)
                running = float(sum(tenant.granted.values()))
            else:  # what runs already when all begins has its shards, too
                running = float(np.searchsorted(tenant.subject.created_s, now_s, side="right"))
            demand = predict_demand(
                name, forecasts.get(name), running, mean, DemandSettings(), now_s
            )
            needs.append(need_of(demand, 4, warm=WARM))
        views = [
            ShardView(one, granted=tenants[one.subdivision or ""].granted.get(prefix, 0))
            for prefix, one in shards.items()
        ]
        plan, excess = plan_shards(needs, views, subdivisions, routed, excess, now_s, settings)
        steps += len(plan.steps)
        drained += sum(step.act is Act.DRAIN for step in plan.steps)
        _do(plan.steps, shards, now_s)
        routed = {one.prefix for one in plan.routed}
        capacity.append(sum(block(prefix).capacity for prefix in shards))
        used.append(sum(sum(one.granted.values()) for one in tenants.values()))
        routes.append(sum(map(len, advertised(shards.values()).values())))
    refused = sum(one.refused for one in tenants.values())
    number, turns = trace.creations, len(used)
    return {
        "shards.refused_pct": Figure(round(100.0 * refused / number, 4), "%", number, "lower"),
        "shards.routes_per_subdivision": Figure(
            round(float(np.mean(routes)) / len(tenants), 2), "routes", turns, "lower"
        ),
        "shards.assigned_over_used": Figure(
            round(float(np.sum(capacity) / max(1, np.sum(used))), 2), "1", turns, "lower"
        ),
        "shards.steps_per_day": Figure(
            round(steps / max(1e-9, (trace.end_s - trace.begin_s) / 86_400.0), 1),
            "steps",
            turns,
            "lower",
        ),
        "shards.drained": Figure(drained, "shards", turns, "lower"),
    }


def _turns(looks: Looks, end_s: float) -> Iterator[tuple[float, Mapping[str, Forecast]]]:
    """Every minute, with the latest forecasts."""
    for place, (made_s, forecasts) in enumerate(looks):
        until_s = looks[place + 1][0] if place + 1 < len(looks) else end_s
        for turn in range(max(1, math.ceil((until_s - made_s) / TURN_S))):
            yield made_s + TURN_S * turn, forecasts


def _pass(tenant: _Tenant, shards: Mapping[str, Shard], until_s: float) -> None:
    """Creations and ends up to then, in order of time."""
    own = [
        prefix
        for prefix, one in shards.items()
        if one.subdivision == tenant.subject.name and one.state is ShardState.ASSIGNED
    ]
    created_s, lasting_s = tenant.subject.created_s, tenant.subject.lasting_s
    end = int(np.searchsorted(created_s, until_s, side="right"))
    for place in range(tenant.cursor, end):
        begun_s = float(created_s[place])
        _end(tenant, begun_s)
        free = [one for one in own if tenant.granted.get(one, 0) < block(one).capacity]
        if not free:
            tenant.refused += 1
            continue
        prefix = max(free, key=lambda one: (tenant.granted.get(one, 0), one))
        tenant.granted[prefix] = tenant.granted.get(prefix, 0) + 1
        heappush(tenant.ends, (begun_s + float(lasting_s[place]), prefix))
    tenant.cursor = end
    _end(tenant, until_s)


def _end(tenant: _Tenant, until_s: float) -> None:
    while tenant.ends and tenant.ends[0][0] <= until_s:
        _, prefix = heappop(tenant.ends)
        tenant.granted[prefix] -= 1


def _do(steps: Sequence[ShardStep], shards: dict[str, Shard], now_s: float) -> None:
    """As the pool does."""
    after = {
        Act.CONFIRM: ShardState.ASSIGNED,
        Act.DRAIN: ShardState.DRAINING,
        Act.UNDRAIN: ShardState.ASSIGNED,
    }
    for step in steps:
        if step.act is Act.CLAIM:
            shards[step.prefix] = Shard(
                step.prefix, step.subdivision, ShardState.CLAIMING, 0, now_s
            )
        elif step.act in (Act.FREE, Act.ABANDON):
            del shards[step.prefix]
        elif step.act in after:
            shards[step.prefix] = replace(shards[step.prefix], state=after[step.act], since_s=now_s)
