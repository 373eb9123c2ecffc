"""Why new connections of a location go elsewhere from now on: one sentence, and the numbers that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.model.destinations import Standby, StandbyState
from controller.plan.redirects.achieved import Path, Verdict
from controller.plan.redirects.choose import saved
from controller.plan.redirects.health import Copy, CopyHealth, hold_s
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.state import Cell, RedirectAct, RedirectStep, RedirectView


@dataclass(frozen=True, slots=True)
class Known:
    """What the sentences are made from. health_before: before this plan; left_out: services whose rows did not fit."""

    view: RedirectView
    primaries: Mapping[int, str]
    names: Mapping[int, str]
    standbys: Mapping[Copy, Standby]
    health_before: Mapping[Copy, CopyHealth]
    health: Mapping[Copy, CopyHealth]
    verdicts: Mapping[Path, Verdict]
    left_out: frozenset[int]
    settings: RedirectSettings


def step(known: Known, cell: Cell, before: str, after: str, now_s: float) -> RedirectStep:
    """The change of one location from one site to another."""
    service, location = cell
    act, why = _why(known, cell, before, after, now_s)
    verb = "return to" if after == known.primaries[service] else "go to"
    reason = (
        f"new connections from {location} to {known.names[service]} {verb} {after} "
        f"instead of {before}: {why}"
    )
    verdict = known.verdicts.get((service, location, before))
    inputs: dict[str, float | str | None] = {
        "wanted": known.view.served.get(cell),
        "saved_ms": saved(known.view, known.primaries[service], location, after),
        "forecast_cps": known.view.forecast_cps.get(cell),
        "gain": None if verdict is None else verdict.gain,
    }
    return RedirectStep(now_s, act, service, location, before, after, reason, inputs)


def _why(
    known: Known, cell: Cell, before: str, after: str, now_s: float
) -> tuple[RedirectAct, str]:
    service, location = cell
    primary, wanted = known.primaries[service], known.view.served.get(cell)
    old = known.health.get((service, before))
    if before != primary and old is not None and not old.trusted:
        other = (
            "nearest copy with room" if after != primary else "no other copy is nearer with room"
        )
        return RedirectAct.FAIL_OVER, f"the copy at {before} does not serve; {other}"
    back = known.health.get((service, after))
    was = known.health_before.get((service, after))
    if after == wanted and back is not None and was is not None and not was.trusted:
        well_s = hold_s(back.failures, known.settings)
        return RedirectAct.FAIL_BACK, f"the copy there has been well for {well_s:g} s"
    if after == primary:
        return RedirectAct.RETURN, _return(known, (service, location, before), wanted, now_s)
    nearer_ms = saved(known.view, primary, location, after)
    near = "" if nearer_ms is None else f", {nearer_ms:.1f} ms nearer than {primary}"
    cps = known.view.forecast_cps.get(cell)
    expected = "" if cps is None else f"; {cps:.1f} connections/s are expected"
    if before == primary:
        why = (
            "a copy is ready there" if after == wanted else f"the copy at {wanted} is not ready yet"
        )
        return RedirectAct.REDIRECT, f"{why}{near}{expected}"
    return RedirectAct.MOVE, f"placement serves them from there{near}{expected}"


def _return(known: Known, path: Path, wanted: str | None, now_s: float) -> str:
    service, _, site = path
    verdict = known.verdicts.get(path)
    if verdict is not None and verdict.barred(now_s) and verdict.until_s is not None:
        again = f"; tried again in {verdict.until_s - now_s:.0f} s at the earliest"
        if verdict.overload:
            return f"the copy refuses connections{again}"
        return f"it gained {verdict.gain or 0.0:.0f} ms/s{again}"
    if service in known.left_out:
        return "the rows of this service do not fit into the table"
    standby = known.standbys.get((service, site))
    if standby is None:
        return f"there is no copy at {site} any more"
    if wanted is None:
        return "placement expects nothing worth a copy from there"
    if standby.state is not StandbyState.READY:
        return f"the copy at {site} is {standby.state}"
    return f"the copy at {wanted} is not to be used now"
