"""The controller at one moment as plain values, in the shape of `serve/schemas.State`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from controller.config import Config
from controller.cycle import Cycle
from controller.model import Stage, Switch
from controller.plan.routes_rules import in_breach
from controller.plan.routes_state import RouterView, RoutesState
from controller.predict import Outlook
from controller.recorder import Recorder
from controller.resilience.assembly import Resilience
from controller.trouble import Troubles


def snapshot(
    config: Config,
    cycle: Cycle,
    status: Mapping[str, Any],
    recorder: Recorder,
    troubles: Troubles,
    now_s: float,
    resilience: Resilience,
    models: Mapping[str, Any],
) -> dict[str, Any]:
    """JSON-able."""
    views = {view.name: view for view in cycle.views(now_s)}
    state = cycle.dry or cycle.state
    return {
        "time_s": now_s,
        "cycle": {
            "number": cycle.number,
            "period_s": config.cycle.period_s,
            "predictive": config.cycle.predictive,
            "finished_s": cycle.finished_s,
            "last_ms": dict(cycle.last_ms),
        },
        "frozen": state.frozen,
        "dry_run": cycle.dry is not None,
        "nodes": [_node(switch, status) for switch in cycle.fabric.switches],
        "routers": [
            _router(cycle, router, views[router.name], status)
            | _resilience(resilience, router.name, now_s)
            | {"shadows": _shadows(state, resilience, router.name)}
            for router in cycle.routers
        ],
        "replicas": [asdict(pair) for _, pair in sorted(resilience.resync.pairs.items())],
        "services": _services(cycle),
        "troubles": dict(troubles.open),
        "trouble_counts": dict(troubles.counts),
        "store": {
            "path": str(recorder.store.path),
            "written": recorder.store.written,
            "waiting": recorder.store.waiting,
            "discarded": recorder.store.discarded,
            "delivery": _delivery(recorder),
            "audit_waiting": recorder.audit.waiting,
            "audit_discarded": recorder.audit.discarded,
        },
        "models": dict(models),
    }


def _delivery(recorder: Recorder) -> dict[str, Any] | None:
    """What is on its way to the server; None with the embedded store."""
    state, spool = recorder.store.delivery_state(), recorder.store.spool
    if state is None or spool is None:
        return None
    return asdict(state) | {"spool_bytes": spool.size_bytes, "spool_full_pct": spool.full_pct}


def _node(switch: Switch, status: Mapping[str, Any]) -> dict[str, Any]:
    now = status.get(switch.name)
    return {
        "name": switch.name,
        "stage": switch.stage.value,
        "site": switch.site,
        "address": switch.address,
        "up": bool(now and now.up),
        "since_s": now.since_s if now else None,
        "reconciled": bool(now and now.reconciled),
        "entries": now.entries if now else 0,
        "last_error": now.last_error if now else None,
    }


def _router(
    cycle: Cycle, router: Switch, view: RouterView, status: Mapping[str, Any]
) -> dict[str, Any]:
    state = cycle.dry or cycle.state
    own = state.of(router.name)
    sample = cycle.samples.get(router.name) if view.live is not None else None
    outlook = cycle.outlooks.get(router.name)
    node = status.get(router.name)
    live = int(view.live) if view.live is not None else None
    return {
        "name": router.name,
        "up": bool(node and node.up),
        "live": live,
        "capacity": router.capacity,
        "available": router.capacity - live if live is not None else None,
        "threshold_available": router.threshold_available,
        "breach": in_breach(view),
        "demand": view.demand,
        "new_per_s": _known(sample.new_per_s) if sample else None,
        "refused_per_s": _known(sample.refused_per_s) if sample else None,
        "mean_duration_s": _known(sample.mean_duration_s) if sample else None,
        "shift_pct": own.shift_pct,
        "manual_pct": own.manual_pct,
        "frozen": own.frozen,
        "split": dict(own.split),
        "ordered": state.orders(router.name),
        "anomaly_severity": view.anomaly_severity,
        "forecast": _forecast(router.name, outlook),
    }


def _resilience(resilience: Resilience, name: str, now_s: float) -> dict[str, Any]:
    """Whether it lives, and who stands in for it."""
    move = resilience.failover.moves.get(name)
    health = resilience.health
    return {
        "health": health.status(name).value if health is not None else "unknown",
        "drained": name in resilience.stand_ins.drained,
        "stand_ins": list(resilience.desired.targets.get(name, ())),
        "move": asdict(move) if move is not None else None,
    }


def _shadows(state: RoutesState, resilience: Resilience, router: str) -> list[str]:
    """Those that take its traffic now; else those that would."""
    in_use = [name for name, _ in state.of(router).split]
    return in_use or list(resilience.desired.shadows.get(router, ()))


def _forecast(router: str, outlook: Outlook | None) -> dict[str, Any] | None:
    if outlook is None or outlook.forecast is None:
        return None
    forecast, threat = outlook.forecast, outlook.breach
    names = [f"p{round(100 * level):02d}" for level in forecast.quantiles]
    return {
        "router": router,
        "model": forecast.model,
        "made_s": forecast.made_at_s,
        "horizons": [
            {"horizon_s": horizon, "quantiles": dict(zip(names, row, strict=True))}
            for horizon, row in zip(forecast.horizons_s, forecast.values, strict=True)
        ],
        "breach_probability": threat.probability if threat else 0.0,
        "lead_s": threat.lead_s if threat else None,
        "alarm": outlook.alarm,
    }


def _services(cycle: Cycle) -> list[dict[str, Any]]:
    names = {switch.label: switch.name for switch in cycle.routers}
    edges = [edge.name for edge in cycle.fabric.stage(Stage.EDGE)]
    return [
        {
            "id": service.id,
            "name": service.name,
            "address": service.address,
            "protocol": service.protocol,
            "port": service.port,
            "shares": [
                {"edge": edge, "router": names[label], "pct": pct}
                for edge in edges
                for label, pct in sorted(cycle.writer.held(edge, service.id).items())
                if label in names
            ],
        }
        for service in cycle.fabric.services
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
