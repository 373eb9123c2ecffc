"""How many addresses are held warm (seed 9923865, steps 3 to 6 and 8). Pure and deterministic.

A range must last for one window: until what the next plan asks for is warm (a cycle and the time to warm up).
What counts is how many grants come in that time, not how many instances there are. Expected are the larger of
what is foreseen and what is watched (two rates, a fast and a slow one), so that an unforeseen burst is answered from
its second window on. Needed is the number that windows with such an expectation exceed with a probability of
1 - confidence (`counts`).

The confidence is steered by what came of it: each cold grant raises it, each warm one lowers it a
little, so that in the long run the configured share of grants is warm. It cannot leave its bounds.

Growing is immediate. Released is only what was not needed in any plan for `release_after_s`, and only beyond a slack:
so an address that is released is never taken again for the same demand.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from controller.plan.addresses.counts import Counts, class_of, learned, upper
from controller.plan.addresses.reasons import grown, short, shrunk
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import RangePlan, RangeState, RangeStep, RangeView

Key = tuple[str, int]  # subdivision, family
Window = tuple[float, int, int]  # when it was planned, its class of expectation, the grants since
LATE = 1.5  # a window so many times its length says nothing about a window
MOST_STEERED = 1.0  # of ln(1 - confidence), in one plan


def plan_ranges(
    views: Sequence[RangeView],
    states: Mapping[Key, RangeState],
    now_s: float,
    settings: RangeSettings,
) -> tuple[tuple[RangePlan, ...], dict[Key, RangeState]]:
    """The plans of all ranges in the views' order, and the states to go on with.

    The state of a range that is not seen is kept.
    """
    plans, after = [], dict(states)
    for view in views:
        key = (view.subdivision, view.family)
        plan, after[key] = plan_range(view, states.get(key, RangeState()), now_s, settings)
        plans.append(plan)
    return tuple(plans), after


def plan_range(
    view: RangeView, state: RangeState, now_s: float, settings: RangeSettings
) -> tuple[RangePlan, RangeState]:
    """One plan. A time that is not after the last plan's changes nothing that was learned."""
    rates_per_s, recent, counts, log_risk = _watched(view, state, now_s, settings)
    watched = max(rates_per_s) if rates_per_s else 0.0
    foreseen = view.expected_per_s or 0.0
    expected = max(watched, foreseen) * settings.window_s
    risk = math.exp(log_risk)
    wanted = upper(counts, expected, risk)
    needed = min(max(wanted, settings.at_least), settings.at_most)
    if view.quota is not None:
        needed = min(needed, max(0, view.quota - view.granted))
    recent, peak, peak_before, half_s = _remembered(
        state, recent, class_of(expected), needed, now_s, settings
    )
    state = RangeState(
        now_s, rates_per_s, recent, counts, log_risk, max(peak, needed), peak_before, half_s
    )
    lacking = max(0, needed - view.held)
    hold = min(lacking, max(0, view.room))
    # Only two halves are remembered, so the peak is one of at least release_after_s and at most twice that.
    kept = max(state.peak, state.peak_before)
    kept += max(settings.slack, int(kept * settings.slack_share))
    release = 0
    # What the next grants take anyway is not released: it would only be taken again.
    soon = int(expected / settings.window_s * settings.release_after_s)
    if view.held > min(kept + soon, settings.at_most):
        release = view.held - min(max(state.peak, state.peak_before) + soon, settings.at_most)
    steps: list[RangeStep] = []
    if hold:
        steps.append(grown(view, state, now_s, hold, needed, expected))
    if lacking > hold:
        steps.append(short(view, state, now_s, lacking - hold, needed, expected))
    if release:
        steps.append(shrunk(view, state, now_s, release, needed, settings.release_after_s))
    told = RangePlan(view.subdivision, view.family, needed, hold, release, 1.0 - risk, tuple(steps))
    return told, state


def _watched(
    view: RangeView, state: RangeState, now_s: float, settings: RangeSettings
) -> tuple[tuple[float, ...], tuple[Window, ...], Counts, float]:
    """The rates, the windows under way, the counts and ln(1 - confidence) that the latest grants give."""
    log_risk = state.log_risk
    if math.isnan(log_risk):
        log_risk = math.log(1.0 - settings.confidence)
    counts, recent = state.counts, state.recent
    passed_s = math.inf if state.time_s is None else now_s - state.time_s
    if not 0 < passed_s < math.inf:
        return state.rates_per_s, recent, counts, log_risk
    grants, window_s = view.grants, settings.window_s
    rate = grants / passed_s
    before = state.rates_per_s or (0.0,) * len(settings.watch_s)
    shares = _shares(passed_s, settings.watch_s)
    rates = tuple([old + share * (rate - old) for old, share in zip(before, shares, strict=True)])
    if grants:
        recent = tuple([(at_s, place, came + grants) for at_s, place, came in recent])
    while recent and now_s - recent[0][0] >= window_s - settings.cycle_s / 2.0:
        at_s, place, came = recent[0]
        recent = recent[1:]
        if now_s - at_s <= LATE * window_s:
            counts = learned(counts, place, came, settings.memory)
    if grants:
        steered = settings.gain * ((1.0 - settings.warm_share) * grants - view.cold)
        log_risk += max(-MOST_STEERED, min(MOST_STEERED, steered))
        log_risk = max(log_risk, math.log(1.0 - settings.most_confidence))
        log_risk = min(log_risk, math.log(1.0 - settings.least_confidence))
    return rates, recent, counts, log_risk


@functools.lru_cache(maxsize=64)
def _shares(passed_s: float, watch_s: tuple[float, ...]) -> tuple[float, ...]:
    """By how much each watched rate moves towards the newest: all ranges of a plan share them."""
    return tuple(1.0 - math.exp(-passed_s / memory_s) for memory_s in watch_s)


def _remembered(
    state: RangeState,
    recent: tuple[Window, ...],
    place: int,
    needed: int,
    now_s: float,
    settings: RangeSettings,
) -> tuple[tuple[Window, ...], int, int, float]:
    """The windows under way with this plan's, whose expectation is compared with what comes; the peaks of both
    halves and the beginning of the newer one.
    """
    peak, before, half_s = state.peak, state.peak_before, state.half_s
    if state.time_s is not None and now_s <= state.time_s:
        # The clock was set back, or the plan is made again: windows that straddle it tell nothing. The
        # peaks begin anew, so that nothing is released before the whole time has passed again.
        most = max(peak, before)
        return ((now_s, place, 0),), most, most, now_s
    if now_s - half_s >= settings.release_after_s:
        peak, before, half_s = 0, peak, now_s
    return (*recent, (now_s, place, 0)), peak, before, half_s
