"""Preemptive routing engine and dynamic adjustment (seed 9407539): from placement to redirects, and back.

Pure: the same view, state and time give the same plan. It is made every cycle, and at once when a copy fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.model.destinations import Redirect, Standby, StandbyState
from controller.plan.redirects.achieved import barred, judge, retried
from controller.plan.redirects.choose import chosen_sites, saved
from controller.plan.redirects.corrections import corrections
from controller.plan.redirects.decision import Routing
from controller.plan.redirects.health import copy_health, distrusted
from controller.plan.redirects.numbers import slot_set_numbers
from controller.plan.redirects.reasons import Known, step
from controller.plan.redirects.rows import redirects_of
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.sources import sources_of
from controller.plan.redirects.state import (
    Cell,
    Copy,
    RedirectPlan,
    RedirectState,
    RedirectView,
    Rows,
)


def plan_redirects(
    view: RedirectView, state: RedirectState, now_s: float, settings: RedirectSettings
) -> tuple[RedirectPlan, RedirectState]:
    """The redirects, and what to remember for the next plan. Raises ValueError for a view that contradicts itself."""
    primaries = {one.service: one.primary_site for one in view.destinations}
    standbys = _checked(view, primaries)
    failed = view.failed | {c for c, one in standbys.items() if one.state is StandbyState.FAILED}
    health = copy_health(state.health, failed, now_s, settings)
    names = {one.name for one in view.locations}
    known_paths = {p: v for p, v in state.verdicts.items() if p[0] in primaries and p[1] in names}
    verdicts = judge(retried(known_paths, now_s), view.achieved, now_s, settings)
    turn = state.turn + 1
    numbers = slot_set_numbers(_numbered(standbys, primaries, state, settings), state.numbers, turn)
    slot_sets = {copy: one.number for copy, one in numbers.items() if one.turn == turn}
    out = distrusted(health)
    usable = {
        copy: one
        for copy, one in standbys.items()
        if one.state is StandbyState.READY and copy in slot_sets and copy not in out
    }
    before = {cell: site for cell, site in state.sites.items() if cell[0] in primaries}
    chosen = chosen_sites(view, primaries, usable, barred(verdicts, now_s), before, settings)
    prefixes = tuple((one.name, one.prefixes) for one in view.locations)
    same = prefixes == state.prefixes
    sources = state.sources if same else None
    routing = Routing(sources or sources_of(view.locations), primaries, chosen, usable)
    rows = _rows(routing, state.rows if same else {})
    left_out = _without_room(view, rows, chosen, primaries, state, settings)
    if left_out:
        chosen = {cell: site for cell, site in chosen.items() if cell[0] not in left_out}
        rows = {service: one for service, one in rows.items() if service not in left_out}
        routing = replace(routing, predicted=chosen)
    known = Known(
        view,
        primaries,
        {one.service: one.name for one in view.destinations},
        standbys,
        state.health,
        health,
        verdicts,
        frozenset(left_out),
        settings,
    )
    steps = []
    for cell in sorted(before.keys() | chosen.keys()):
        primary = primaries[cell[0]]
        was, now = before.get(cell, primary), chosen.get(cell, primary)
        if was != now:
            steps.append(step(known, cell, was, now, now_s))
    redirects = tuple(one for service in sorted(rows) for one in rows[service].redirects)
    factors = corrections(state.corrections, view.forecast_before_cps, view.observed_cps, settings)
    after = RedirectState(
        turn,
        chosen,
        health,
        verdicts,
        {cell: one for cell, one in factors.items() if cell[0] in primaries and cell[1] in names},
        numbers,
        prefixes,
        routing.sources,
        rows,
    )
    plan = RedirectPlan(redirects, slot_sets, routing, tuple(steps), tuple(left_out))
    return plan, after


def _checked(view: RedirectView, primaries: Mapping[int, str]) -> dict[Copy, Standby]:
    """The copies that can serve. Raises ValueError for a view that contradicts itself."""
    if len(primaries) < len(view.destinations):
        raise ValueError("a service is told twice among the destinations; give each its own id")
    names = {one.name for one in view.locations}
    for service, location in view.served:
        if service not in primaries or location not in names:
            raise ValueError(
                f"{service} is served for {location}: name the destination and the location in the view"
            )
    copies: dict[Copy, Standby] = {}
    for one in view.standbys:
        if (one.service, one.site) in copies:
            raise ValueError(f"the copy of {one.service} at {one.site} is told twice")
        if one.routers and one.service in primaries and one.site != primaries[one.service]:
            copies[one.service, one.site] = one
    return copies


def _numbered(
    standbys: Mapping[Copy, Standby],
    primaries: Mapping[int, str],
    state: RedirectState,
    settings: RedirectSettings,
) -> list[Copy]:
    """The copies whose slot sets the switches hold: those that they hold already, then the largest."""
    known = {copy for copy, one in state.numbers.items() if one.turn == state.turn}
    alive = [
        copy
        for copy, one in standbys.items()
        if one.state in (StandbyState.PREPARING, StandbyState.READY) or copy in known
    ]
    alive.sort(key=lambda copy: (copy not in known, -standbys[copy].share_cps, copy))
    return alive[: settings.slot_sets]


def _rows(routing: Routing, before: Mapping[int, Rows]) -> dict[int, Rows]:
    """Redirects by service; those of a service for which nothing changed are not made again."""
    cells: dict[int, list[tuple[str, str]]] = {}
    for (service, location), site in sorted(routing.predicted.items()):
        cells.setdefault(service, []).append((location, site))
    after: dict[int, Rows] = {}
    same: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Redirect, ...]] = {}
    for service, own in cells.items():
        sites, primary = tuple(own), routing.primaries[service]
        known = before.get(service)
        if known is not None and known.sites == sites and known.primary == primary:
            after[service] = known
            continue
        if (primary, sites) not in same:
            same[primary, sites] = redirects_of(routing, service)
        redirects = tuple(replace(one, service=service) for one in same[primary, sites])
        after[service] = Rows(primary, sites, redirects)
    return after


def _without_room(
    view: RedirectView,
    rows: Mapping[int, Rows],
    chosen: Mapping[Cell, str],
    primaries: Mapping[int, str],
    state: RedirectState,
    settings: RedirectSettings,
) -> Sequence[int]:
    """Services whose rows do not fit: those that have rows keep them, then those come that gain most per row."""
    if sum(len(one.redirects) for one in rows.values()) <= settings.rows:
        return ()
    gain = dict.fromkeys(rows, 0.0)
    for cell, site in chosen.items():
        saved_ms = saved(view, primaries[cell[0]], cell[1], site) or 0.0
        gain[cell[0]] += saved_ms * view.forecast_cps.get(cell, 0.0)

    def rank(service: int) -> tuple[bool, float, int]:
        return (
            service not in state.rows,
            -gain[service] / max(1, len(rows[service].redirects)),
            service,
        )

    left, out = settings.rows, []
    for service in sorted(rows, key=rank):
        needed = len(rows[service].redirects)
        if needed <= left:
            left -= needed
        else:
            out.append(service)
    return sorted(out)
