"""Giving back: what is no longer wanted goes after a stated number of cycles, what did not come is not believed.

Two rules, both in cycles of `give_back_cycles` (N):
- Less is held only when each of the last N wishes was less: then the largest of these N.
- A forecast is due at its shortest horizon. Where use stayed below the lowest quantile that was predicted for the
  moment, N times in a row, the load has not come: the resource is sized by its use until the forecast is right again
  or `doubt_s` has passed, and the wishes before are forgotten, so that the resources go at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.model.resources import NOTHING, Amounts, Policy, ResourceForecast

Counts = tuple[int, int, int]
Times = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Promise:
    """The lowest predicted quantile (absolute amounts) for the moment `due_s`."""

    due_s: float
    low: Amounts


@dataclass(frozen=True, slots=True)
class Trust:
    """promises: those not due yet, by time. missed: how often in a row use stayed below, per resource.

    doubt_until_s: per resource; 0: it is believed. wishes: the last ones, oldest first. used: the last uses.
    """

    promises: tuple[Promise, ...] = ()
    missed: Counts = (0, 0, 0)
    doubt_until_s: Times = (0.0, 0.0, 0.0)
    wishes: tuple[Amounts, ...] = ()
    used: tuple[Amounts, ...] = ()

    def doubted(self, now_s: float) -> tuple[bool, bool, bool]:
        """Per resource: whether the forecast is not believed now."""
        cpu, memory, network = self.doubt_until_s
        return now_s < cpu, now_s < memory, now_s < network


def look(
    trust: Trust, forecast: ResourceForecast | None, use: Amounts, now_s: float, policy: Policy
) -> Trust:
    """Compare what was due by now with what is used, and remember what `forecast` promises."""
    due = [one for one in trust.promises if one.due_s <= now_s]
    waiting = tuple(one for one in trust.promises if one.due_s > now_s)
    missed, until = list(trust.missed), list(trust.doubt_until_s)
    wishes = trust.wishes
    if due:
        for place, (least, came) in enumerate(zip(due[-1].low, use, strict=True)):
            if came >= least:
                missed[place], until[place] = 0, 0.0
                continue
            missed[place] += 1
            if missed[place] >= policy.give_back_cycles and until[place] <= now_s:
                missed[place], until[place] = 0, now_s + policy.doubt_s
                wishes = tuple(_without(one, place) for one in wishes)
    if forecast is not None:
        low = forecast.quantiles[0][0].times(policy.base)
        promise = Promise(forecast.made_s + forecast.horizons_s[0], low)
        if not waiting or waiting[-1] != promise:  # a forecast holds for several cycles
            waiting = (*waiting, promise)
    kept = policy.give_back_cycles
    return Trust(
        waiting,
        (missed[0], missed[1], missed[2]),
        (until[0], until[1], until[2]),
        wishes,
        (*trust.used, use)[-kept:],
    )


def hold(trust: Trust, wish: Amounts, policy: Policy) -> tuple[Trust, Amounts]:
    """The amounts to hold for this wish: more at once, less only after `give_back_cycles` cycles."""
    wishes = (*trust.wishes, wish)[-policy.give_back_cycles :]
    most = NOTHING
    for one in wishes:
        most = most.at_least(one)
    return (
        Trust(trust.promises, trust.missed, trust.doubt_until_s, wishes, trust.used),
        most,
    )


def seen(trust: Trust) -> Amounts:
    """The largest use of the last cycles."""
    most = NOTHING
    for one in trust.used:
        most = most.at_least(one)
    return most


def _without(amounts: Amounts, place: int) -> Amounts:
    return Amounts(*(0.0 if at == place else one for at, one in enumerate(amounts)))
