"""What umbra observes and decides, as points of the telemetry store; and decisions back from there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from controller.model import Decision, NodeCounters, Outcome, RouterSample, SampledConnection
from controller.observe.demand import Demand
from controller.store.point import Point, Value, known
from controller.store.schema import SCHEMA
from ml.breaches.breach import Breach
from ml.forecasting.forecast import Forecast

_LEVELS = {
    name: index
    for index, name in enumerate(SCHEMA["forecasts"].field_names)
    if name.startswith("p")
}
_DECISION = SCHEMA["decisions"].field_names
_OUTCOME = SCHEMA["outcomes"].field_names


class Row(NamedTuple):
    """A point that has not been given its final time (`controller.store.stamps`) yet."""

    measurement: str
    time_s: float
    tags: tuple[str, ...]
    values: tuple[Value, ...]


def sample(sample: RouterSample, demand: Demand, shift_pct: float) -> Row:
    """One router in one cycle."""
    values = (
        float(sample.live), known(sample.new_per_s), known(sample.closed_per_s),
        known(sample.refused_per_s), known(demand.mean_duration_s), known(sample.bytes_per_s),
        known(demand.count), known(demand.new_per_s), known(shift_pct),
    )  # fmt: skip
    return Row("samples", sample.time_s, (sample.router,), values)


def services(counters: NodeCounters) -> list[Row]:
    """One for each service of a switch."""
    return [
        Row(
            "services",
            counters.time_s,
            (counters.node, str(service)),
            (own.opened, own.closed, own.expired, own.refused, own.unbound, own.packets, own.bytes),
        )
        for service, own in counters.services.items()
    ]


def connection(one: SampledConnection) -> Row:
    """A digest."""
    values = (
        one.client, one.address, one.protocol, one.client_port, one.service_port, one.service_id,
        one.binding,
    )  # fmt: skip
    return Row("connections", one.time_s, (one.node,), values)


def arrivals(time_s: float, destination: str, location: str, count: int) -> Row:
    """New connections to a destination from a location: a service and a configured location, or, without the section
    `destinations`, a service address and a /24 of those that were reported.
    """
    return Row("arrivals", time_s, (destination, location), (count,))


def location(client: str) -> str:
    """Of a client: its /24."""
    return client.rpartition(".")[0] + ".0/24"


def forecast(made: Forecast, threat: Breach | None) -> list[Row]:
    """One for each horizon, and one for the breach that is foreseen."""
    names = [f"p{round(100 * level):02d}" for level in made.quantiles]
    rows = []
    for horizon_s, counts in zip(made.horizons_s, made.values, strict=True):
        values: list[Value] = [None] * len(SCHEMA["forecasts"].fields)
        values[0] = made.model
        for name, count in zip(names, counts, strict=True):
            if name in _LEVELS:
                values[_LEVELS[name]] = known(float(count))
        tags = (made.target, f"{horizon_s:g}")
        rows.append(Row("forecasts", made.made_at_s, tags, tuple(values)))
    if threat is not None:
        lead_s = known(threat.lead_s) if threat.lead_s is not None else None
        breach = (known(threat.probability), lead_s)
        rows.append(Row("breaches", made.made_at_s, (made.target,), breach))
    return rows


def decision(made: Decision) -> Row:
    """Lists and mappings as JSON."""
    values = (
        made.id, made.trigger, float(made.shift_before_pct), float(made.shift_after_pct),
        json.dumps(made.shadows), made.reason, json.dumps(dict(made.inputs)), made.dry_run,
    )  # fmt: skip
    return Row("decisions", made.time_s, (made.router, made.kind.value), values)


def outcome(came: Outcome, time_s: float) -> Row:
    """Lists as JSON."""
    result = "failed" if came.failed else "written" if came.written else "none"
    values = (
        came.decision_id, json.dumps(came.written), json.dumps(came.failed),
        came.decide_to_written_ms,
    )  # fmt: skip
    return Row("outcomes", time_s, (result,), values)


def decisions(found: Sequence[Point], came: Mapping[str, Point]) -> list[dict[str, Any]]:
    """Decisions with their outcomes (by id) as the API shows them."""
    shown = []
    for point in found:
        own = dict(zip(_DECISION, point.values, strict=True))
        after = came.get(str(own["id"]))
        then: dict[str, Any] = dict.fromkeys(_OUTCOME)
        if after is not None:
            then = dict(zip(_OUTCOME, after.values, strict=True))
        shown.append(
            {
                "id": own["id"],
                "time_s": point.time_ns // 1000 / 1e6,
                "router": point.tags[0],
                "kind": point.tags[1],
                "trigger": own["trigger"],
                "shift_before_pct": own["shift_before_pct"],
                "shift_after_pct": own["shift_after_pct"],
                "shadows": json.loads(str(own["shadows"] or "[]")),
                "reason": own["reason"],
                "inputs": json.loads(str(own["inputs"] or "{}")),
                "dry_run": bool(own["dry_run"]),
                "written": json.loads(then["written"]) if then["written"] else [],
                "failed": json.loads(then["failed"]) if then["failed"] else [],
                "decide_to_written_ms": then["decide_to_written_ms"],
            }
        )
    return shown
