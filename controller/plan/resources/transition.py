"""When part of a primary's new traffic moves to its shadow, and when it comes back.

Real-time utilisation is compared with the predicted one. Where the prediction is close to it or above, it is
believed, and traffic moves before the primary is full; a primary that is full already is relieved whatever was
predicted. Primary and shadow are active and standby again when both have been low for `give_back_cycles` cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from controller.model.resources import Amounts, Policy

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Share:
    """share_pct: of the primary's new traffic that goes to its shadows, whole slots of 1 %. calm: cycles in a row in
    which it was not needed.
    """

    share_pct: int = 0
    calm: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """The decision of one cycle with its inputs: utilisations of the primary's capacity, worst resource, 1.0 = full.

    believed: the prediction is close to the real-time utilisation or above it, so that the larger one counts.
    """

    share: Share
    real: float
    predicted: float
    believed: bool
    reason: str


def decide(
    now: Share,
    demand: Amounts,
    predicted: Amounts,
    primary: Amounts,
    shadows: Amounts,
    policy: Policy,
) -> Transition:
    """demand: use of the primary and its shadows together, now. predicted: the same, within the window. primary: what
    the primary has. shadows: what its warm shadows have together; nothing: none is ready.

    A resource of which the primary has none (0) has no say.
    """
    real_by, predicted_by = demand.per(primary), predicted.per(primary)
    real, coming = max(real_by), max(predicted_by)
    # "close to or exceeding real-time utilisation"
    believed = coming >= real * (1.0 - policy.near_pct / 100.0)
    load_by = real_by.at_least(predicted_by) if believed else real_by
    load, full, back = max(load_by), policy.full_pct / 100.0, policy.back_pct / 100.0
    told = (real, coming, believed)
    ready = [one for one, mine in zip(shadows, primary, strict=True) if mine > 0]
    if (not ready or min(ready) <= 0) and (now.share_pct > 0 or load > full + _ROUNDING):
        return Transition(Share(), *told, f"{load:.0%} expected, and no shadow is warm")
    if load <= full + _ROUNDING:
        return _calm(now, load, back, policy, told)
    # So much must go that what stays is `full`; so much at most as fills the shadows to `full`.
    needed = max(1.0 - full / one if one > 0 else 0.0 for one in load_by)
    room = min(
        (
            full * have / (one * mine)
            for one, mine, have in zip(load_by, primary, shadows, strict=True)
            if one * mine > 0
        ),
        default=0.0,
    )
    share_pct = min(
        ceil(100.0 * needed - _ROUNDING), int(100.0 * room + _ROUNDING), policy.share_most_pct
    )
    # More at once; less only when it has been calm, or a shadow has shrunk.
    share_pct = max(
        share_pct, min(now.share_pct, int(100.0 * room + _ROUNDING), policy.share_most_pct)
    )
    why = "predicted" if believed and coming > real else "in use"
    reason = f"{load:.0%} {why}, above {full:.0%}: {share_pct} % of new traffic to the shadow"
    return Transition(Share(share_pct, 0), real, coming, believed, reason)


def _calm(
    now: Share, load: float, back: float, policy: Policy, told: tuple[float, float, bool]
) -> Transition:
    if now.share_pct == 0:
        return Transition(Share(), *told, "the primary carries it alone")
    if load >= back:
        reason = f"{load:.0%} is not below {back:.0%} yet: the share stays"
        return Transition(Share(now.share_pct, 0), *told, reason)
    calm = now.calm + 1
    if calm < policy.give_back_cycles:
        reason = f"below {back:.0%} for {calm} of {policy.give_back_cycles} cycles: the share stays"
        return Transition(Share(now.share_pct, calm), *told, reason)
    return Transition(Share(), *told, f"below {back:.0%}: the primary carries it alone again")
