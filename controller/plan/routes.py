"""The route planner: observations and forecasts → shifts, their reasons, and shares.

Pure and deterministic: the same state and inputs give the same plan, bit for bit. One plan is made
in this order: every router's own wish (`routes_rules`), within hysteresis; then what is there is
kept where it fits, the most severe router first; then what is wanted in addition is placed
(`routes_room`).

Predictions are about the demand (`observe/demand`), which shifting does not change: a constant
overload therefore leads to a constant shift, and only less demand brings connections back.

Hysteresis: between two changes of direction of a router's shift lie at least ten cycles (with the
default of one). Its first shift counts as one. A surge raises a shift whenever it comes (seed 9807645:
"immediately"); what it raised then waits its ten cycles before any of it comes back, so this cannot
become an oscillation. What is lost with a failed or endangered shadow
goes to the others at once, or back to its router, whatever the hysteresis says: no new
connection may be sent where it is likely to fail. Only when no router at all answers (the controller
itself is cut off, or has just started) does everything stay as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.model import Decision, Kind
from controller.plan import routes_reasons
from controller.plan.routes_room import Rooms, Split, grow, level, shrink
from controller.plan.routes_rules import Wish, near_breach, wish
from controller.plan.routes_shares import shares
from controller.plan.routes_state import (
    RouterState,
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesPlan,
    RoutesState,
)

HYSTERESIS_CYCLES = 10


@dataclass(slots=True)
class _Work:
    """One router while its plan is made."""

    view: RouterView
    state: RouterState
    wish: Wish
    fixed: bool  # frozen, or set by hand
    split: Split
    lost: int = 0  # percent taken from shadows that may have nothing
    squeezed: int = 0  # percent that no longer fits
    rests: bool = False  # this plan is not about it

    @property
    def placed(self) -> int:
        return sum(self.split.values())


def plan_routes(
    state: RoutesState,
    inputs: RoutesInputs,
    now_s: float,
    settings: RouteSettings,
    only: frozenset[str] | None = None,
) -> RoutesPlan:
    """The next state, the decisions that lead there, and the shares that follow.

    `now_s` (Unix time) only stamps the decisions; cycles are counted by the state. only: the routers
    to plan for, between two cycles: the others keep what they have, and no cycle is counted.
    """
    cycle = state.cycle + (1 if only is None else 0)
    labels = {view.name: view.label for view in inputs.routers}
    if not any(view.healthy for view in inputs.routers):
        same = replace(state, cycle=cycle)
        kept = shares(inputs.services, inputs.edges, labels, same, inputs.away)
        return RoutesPlan(state=same, decisions=(), shares=kept, severities={})
    views = {view.name: view for view in inputs.routers}
    hosts = {shadow for own in state.routers.values() for shadow, _ in own.split}
    works = [_begin(view, state, cycle, settings, view.name in hosts) for view in inputs.routers]
    for work in works:
        work.rests = only is not None and work.view.name not in only
    barred = {work.view.name for work in works if _is_busy(work, hosts, settings)}
    rooms = Rooms(views, barred)
    by_severity = sorted(works, key=lambda work: (-work.wish.severity, work.view.name))
    for work in by_severity:
        candidates = inputs.candidates.get(work.view.name, ())
        if work.fixed or work.rests:
            _fix(work, rooms, views, candidates, settings.shadows)
        else:
            _keep(work, rooms)
    for work in by_severity:
        if not work.fixed and not work.rests:
            candidates = inputs.candidates.get(work.view.name, ())
            _place(work, rooms, candidates, cycle, settings)
    routers: dict[str, RouterState] = dict(state.routers)
    decisions: list[Decision] = []
    for work in works:
        if work.rests:
            continue
        after, decision = _conclude(work, cycle, now_s, state.frozen, settings)
        if decision is not None:
            decisions.append(decision)
        if after != RouterState() or work.view.name in routers:
            routers[work.view.name] = after
    result = replace(state, cycle=cycle, routers=routers)
    return RoutesPlan(
        state=result,
        decisions=tuple(decisions),
        shares=shares(inputs.services, inputs.edges, labels, result, inputs.away),
        severities={w.view.name: w.wish.severity for w in works if w.wish.severity > 0},
    )


def _begin(
    view: RouterView, state: RoutesState, cycle: int, settings: RouteSettings, hosting: bool
) -> _Work:
    own = state.of(view.name)
    wanted = wish(view, own, settings, hosting)
    if own.manual_pct is not None:
        wanted = Wish(own.manual_pct, own.manual_pct, "manual", wanted.severity)
        return _Work(view, own, wanted, True, dict(own.split))
    if own.frozen or state.frozen:
        return _Work(view, own, wanted, True, dict(own.split))
    change = wanted.shift_pct - own.shift_pct
    at_once = wanted.trigger == "anomaly" and change > 0
    if change and not at_once and _must_wait(own, 1 if change > 0 else -1, cycle, settings):
        wanted = replace(wanted, shift_pct=own.shift_pct, held="hysteresis")
    return _Work(view, own, wanted, False, dict(own.split))


def _is_busy(work: _Work, hosts: set[str], settings: RouteSettings) -> bool:
    """It has troubles of its own: nothing may be shifted to it."""
    if work.state.shift_pct > 0 or work.wish.shift_pct > 0:
        return True
    return near_breach(work.view, settings, work.view.name in hosts)


def _fix(
    work: _Work,
    rooms: Rooms,
    views: Mapping[str, RouterView],
    candidates: tuple[str, ...],
    shadows: int,
) -> None:
    """What a person decided, or this plan is not about: as it is, or as set by hand."""
    if work.state.manual_pct is not None and not work.rests:
        work.split = _by_hand(work, views, candidates, shadows)
    for shadow, pct in work.split.items():
        if shadow in views:
            rooms.book(work.view, shadow, pct)


def _keep(work: _Work, rooms: Rooms) -> None:
    """What stays where it is."""
    staying = shrink(work.split, min(work.state.shift_pct, work.wish.shift_pct))
    kept: Split = {}
    for shadow, pct in staying.items():
        fits = rooms.keep(work.view, shadow, pct)
        if fits:
            kept[shadow] = fits
        if not rooms.usable(shadow):
            work.lost += pct
        else:
            work.squeezed += pct - fits
    work.split = kept


def _place(
    work: _Work,
    rooms: Rooms,
    candidates: tuple[str, ...],
    cycle: int,
    settings: RouteSettings,
) -> None:
    """What is to be added."""
    state, wanted = work.state, work.wish.shift_pct
    missing = wanted - work.placed
    work.split = grow(rooms, work.view, work.split, missing, candidates, settings.shadows)
    if work.split and work.view.live is not None:
        work.split = level(
            rooms, work.view, work.split, settings.ramp_pct, candidates, settings.shadows
        )
    if (
        work.squeezed
        and not work.lost
        and work.placed < min(state.shift_pct, wanted)
        and _must_wait(state, -1, cycle, settings)
    ):
        # Too tight, but a turn now would be an oscillation: stay as it was until it may turn.
        work.split = dict(state.split)
        work.wish = replace(work.wish, held="hysteresis")


def _must_wait(state: RouterState, direction: int, cycle: int, settings: RouteSettings) -> bool:
    if state.direction == direction:
        return False
    recent = [turn for turn in state.turns if cycle - turn < HYSTERESIS_CYCLES]
    return len(recent) >= settings.direction_changes


def _by_hand(
    work: _Work, views: Mapping[str, RouterView], candidates: tuple[str, ...], shadows: int
) -> Split:
    """A person's weight, equally over the first healthy shadows, whatever their room."""
    healthy = [name for name in candidates if name in views and views[name].healthy]
    chosen = healthy[:shadows]
    pct = work.state.manual_pct or 0
    if not chosen or not pct:
        return {}
    each, rest = divmod(pct, len(chosen))
    split = {name: each + (1 if index < rest else 0) for index, name in enumerate(chosen)}
    return {name: part for name, part in split.items() if part}


def _conclude(
    work: _Work, cycle: int, now_s: float, all_frozen: bool, settings: RouteSettings
) -> tuple[RouterState, Decision | None]:
    before, after = work.state.shift_pct, work.placed
    split = tuple(work.split.items())
    moved = after - before
    held = _held(work, before, after, all_frozen)
    state = replace(work.state, split=split, held=held)
    manual = work.state.manual_pct is not None
    if moved and not manual:
        direction = 1 if moved > 0 else -1
        if direction != state.direction:
            recent = [turn for turn in state.turns if cycle - turn < HYSTERESIS_CYCLES]
            state = replace(state, direction=direction, turns=(*recent, cycle))
    changed = {*split} != {*work.state.split}
    if moved or changed:
        kind = Kind.RESTORE if moved < 0 else Kind.SHIFT
        kind = Kind.MANUAL if manual else kind
    elif held and held != work.state.held:
        kind = Kind.HOLD
    else:
        return state, None
    decision = Decision(
        id=f"{int(now_s * 1000)}-{work.view.name}",
        time_s=now_s,
        kind=kind,
        router=work.view.name,
        shift_before_pct=before,
        shift_after_pct=after,
        shadows=tuple(work.split),
        trigger=_trigger(work, moved),
        reason=routes_reasons.reason(
            work.view, work.state, work.wish, kind, split, work.lost, work.squeezed, held
        ),
        inputs=routes_reasons.inputs(work.view, work.wish, settings),
        dry_run=settings.dry_run,
    )
    return state, decision


def _held(work: _Work, before: int, after: int, all_frozen: bool) -> str:
    """Why less was done than wanted, as a code; empty when nothing was held back."""
    manual = work.state.manual_pct
    if manual is not None:
        return "no_shadow" if after < manual else ""
    if all_frozen or work.state.frozen:
        return "frozen" if work.wish.shift_pct != before else ""
    if work.wish.held:
        return work.wish.held
    if work.wish.shift_pct > after:
        return "no_room"
    return ""


def _trigger(work: _Work, moved: int) -> str:
    if work.state.manual_pct is not None:
        return "manual"
    if moved < 0 and (work.lost or work.squeezed):
        return "room"
    if moved == 0 and work.lost:
        return "shadow"
    return work.wish.trigger or "restore"
