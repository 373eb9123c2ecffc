"""Which policy holds for a device, and what it says now: schedules, then exceptions (the later word wins)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from controller.model.resources import Amounts, Mode, Policy, Schedule


@dataclass(frozen=True, slots=True)
class Standing:
    """What a policy says at one moment. by: the schedules and exceptions that had a say."""

    mode: Mode
    least: Amounts
    most: Amounts
    frozen: bool = False
    by: tuple[str, ...] = ()


def policy_of(device: str, policies: Sequence[Policy]) -> Policy | None:
    """The first policy with a pattern that matches the device; None: the device is not managed."""
    for policy in policies:
        if any(fnmatchcase(device, pattern) for pattern in policy.devices):
            return policy
    return None


def standing(policy: Policy, now_s: float) -> Standing:
    """What holds at `now_s` (Unix time). Where bounds cross, the upper one wins: it is what protects others."""
    found = Standing(policy.mode, policy.least, policy.most)
    if policy.schedules:
        local = datetime.fromtimestamp(now_s, ZoneInfo(policy.zone))
        for one in policy.schedules:
            if _within(one, local):
                found = _said(found, one.least, one.most, one.mode, one.name)
    for other in policy.exceptions:
        if other.start_s <= now_s < other.end_s:
            found = _said(found, other.least, other.most, other.mode, other.name)
            found = replace(found, frozen=found.frozen or other.frozen)
    return replace(found, least=found.least.at_most(found.most))


def _said(
    before: Standing, least: Amounts | None, most: Amounts | None, mode: Mode | None, name: str
) -> Standing:
    return Standing(
        mode or before.mode,
        before.least if least is None else least,
        before.most if most is None else most,
        before.frozen,
        (*before.by, name),
    )


def _within(schedule: Schedule, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    if schedule.start_min < schedule.end_min:
        return local.weekday() in schedule.days and schedule.start_min <= minute < schedule.end_min
    if minute >= schedule.start_min:
        return local.weekday() in schedule.days
    yesterday = (local - timedelta(days=1)).weekday()
    return minute < schedule.end_min and yesterday in schedule.days
