"""Decisions about resources, and the shadow manager at one moment: plain values for the API and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.audit.canonical import plain
from controller.model.resources import Amounts, DeviceUse, Resource
from controller.plan.resources import DeviceDecision, ManagerPlan, ManagerState, WarmRequest
from controller.resources.settings import Device
from controller.resources.shadows import Key
from controller.resources.traffic import Parts


def number(now_s: float, device: str) -> str:
    """The id of a device's decision."""
    return f"{int(now_s * 1000)}-{device}-allocation"


def details(one: DeviceDecision, *, dry: bool) -> dict[str, Any]:
    """What was decided, why, and from which inputs."""
    moved = one.transition
    return {
        "device": one.device,
        "policy": one.policy,
        "mode": one.mode.value,
        "by": list(one.by),
        "amounts": plain(one.amounts),
        "placed": plain(one.placed),
        "unplaced": plain(one.unplaced),
        "share_pct": moved.share.share_pct,
        "share_reason": moved.reason,
        "reasons": list(one.reasons),
        "saving": one.saving,
        "dry_run": dry,
        "inputs": {
            "use": plain(one.use),
            "predicted_utilisation": plain(one.predicted),
            "requests": {asked.resource.value: asked.amount for asked in one.requests},
            "wanted": plain(one.wanted),
            "critical_ratio": {choice.resource.value: choice.level for choice in one.choices},
            "options": {
                choice.resource.value: {
                    option.name: {"amount": option.amount, "cost": option.cost}
                    for option in choice.options
                }
                for choice in one.choices
            },
            "doubted": [r.value for r, on in zip(Resource, one.doubted, strict=True) if on],
            "utilisation": moved.real,
            "predicted_worst": moved.predicted,
        },
    }


def decision(one: DeviceDecision, now_s: float, *, dry: bool) -> dict[str, Any]:
    """For the API: the newest of a device."""
    told = details(one, dry=dry)
    regret = one.regret.regret if one.regret is not None else None
    return {"id": number(now_s, one.device), "time_s": now_s, **told, "regret": regret}


def device_state(
    device: Device,
    decided: DeviceDecision | None,
    uses: Mapping[str, DeviceUse],
    queue: Mapping[Key, WarmRequest],
    given: Mapping[Key, Amounts],
    failed: Mapping[Key, str],
    parts: Parts,
    model: str | None,
) -> dict[str, Any]:
    """One device with its shadows (`serve/resource_schemas.DeviceState`)."""
    shares = dict(parts)
    shadows = []
    for own in device.shadows:
        key = (device.name, own.name)
        request = queue.get(key)
        trouble = failed.get(key) or (request.trouble if request is not None else "")
        shadows.append(
            {
                "name": own.name,
                "switch": own.switch,
                "state": request.state.value if request is not None else "idle",
                "amounts": _amounts(given.get(key)),
                "use": _amounts(uses[own.switch].amounts if own.switch in uses else None),
                "share_pct": shares.get(own.switch, 0.0),
                "trouble": trouble or None,
            }
        )
    use = uses.get(device.name)
    told = decided.transition if decided is not None else None
    return {
        "name": device.name,
        "policy": decided.policy if decided is not None else None,
        "mode": decided.mode.value if decided is not None else None,
        "capacity": _amounts(device.capacity),
        "use": _amounts(use.amounts if use is not None else None),
        "limited": use.limited if use is not None else None,
        "predicted": _amounts(_predicted(decided)),
        "model": model,
        "utilisation": told.real if told is not None else None,
        "predicted_utilisation": told.predicted if told is not None else None,
        "share_pct": sum(shares.values()),
        "reason": told.reason if told is not None else None,
        "reasons": list(decided.reasons) if decided is not None else [],
        "shadows": shadows,
    }


def queue_state(state: ManagerState) -> list[dict[str, Any]]:
    """The pre-warming queue, in the order in which its requests are needed."""
    waiting = sorted(state.queue, key=lambda one: (one.needed_s, -one.worth, one.key))
    return [
        {
            "device": one.device,
            "shadow": one.shadow,
            "state": one.state.value,
            "amounts": _amounts(one.amounts),
            "needed_s": one.needed_s,
            "worth": one.worth,
            "failures": one.failures,
            "trouble": one.trouble or None,
        }
        for one in waiting
    ]


def decided_of(plan: ManagerPlan | None) -> dict[str, DeviceDecision]:
    """Device → its newest decision."""
    return {one.device: one for one in plan.decisions} if plan is not None else {}


def _predicted(decided: DeviceDecision | None) -> Amounts | None:
    """Of the whole device, in amounts."""
    if decided is None:
        return None
    amounts = {one.resource: one.amount for one in decided.requests}
    return Amounts(*(amounts[resource] for resource in Resource))


def _amounts(amounts: Amounts | None) -> dict[str, float | None] | None:
    found: dict[str, float | None] | None = None if amounts is None else plain(amounts)
    return found
