"""Redirects as rows: edges have them, with the slot set of each copy; nobody else has."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from controller.model import RedirectRow
from controller.model.destinations import Destination, Location, Standby, StandbyState
from controller.plan.fabric import fabric_plan, slot_set_id
from controller.plan.redirects.engine import plan_redirects
from controller.plan.redirects.numbers import PER_SERVICE
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.state import RedirectPlan, RedirectState, RedirectView
from controller.plan.redirects.tables import with_redirects
from harness.small import PATIENT, R1, R2, WEB, small_fabric

FABRIC = small_fabric()
BASE = fabric_plan(FABRIC, idle=PATIENT)
COPY = Standby(WEB, "east", ("r2",), 100.0, 0.0, StandbyState.READY)
NARROW = Location("narrow", "west", ("10.1.1.0/24",))
WIDE = Location("wide", "east", ("10.1.0.0/16",))


def redirects(copy: Standby = COPY) -> RedirectPlan:
    view = RedirectView(
        [Destination(WEB, "web", "west")], [NARROW, WIDE], [copy], {(WEB, "wide"): "east"}, {}
    )
    return plan_redirects(view, RedirectState(), 0.0, RedirectSettings())[0]


def test_edges_have_the_rows_and_the_slot_set_of_the_copy() -> None:
    plan = with_redirects(BASE, FABRIC, redirects(), [COPY])
    edge = plan.node("e1")
    [service] = [one for one in FABRIC.services if one.id == WEB]
    number = slot_set_id(service) + 1
    assert edge.redirects == (
        RedirectRow(WEB, "10.1.0.0/16", number),
        RedirectRow(WEB, "10.1.1.0/24", None),
    )
    [added] = edge.slot_sets[len(BASE.node("e1").slot_sets) :]
    assert (added.id, Counter(added.slots)) == (number, {R2: 100})
    assert slot_set_id(service) == WEB * PER_SERVICE
    assert replace(edge, redirects=(), slot_sets=edge.slot_sets[:-1]) == BASE.node("e1")


@pytest.mark.parametrize("node", ["s1", "r1", "r2"])
def test_no_other_switch_has_any(node: str) -> None:
    assert with_redirects(BASE, FABRIC, redirects(), [COPY]).node(node) == BASE.node(node)


def test_slots_that_are_in_force_stay_in_place() -> None:
    both = replace(COPY, routers=("r1", "r2"))
    plan = redirects(both)
    number = plan.slot_sets[WEB, "east"]
    in_force = tuple(R2 if n % 2 else R1 for n in range(100))
    shares = {("e1", WEB, "east"): {R1: 49.0, R2: 51.0}}
    edge = with_redirects(
        BASE, FABRIC, plan, [both], shares=shares, in_force={("e1", number): in_force}
    ).node("e1")
    assert sum(a != b for a, b in zip(edge.slot_sets[-1].slots, in_force, strict=True)) == 1


def test_a_router_that_is_none_is_refused() -> None:
    copy = replace(COPY, routers=("s1",))
    with pytest.raises(ValueError, match="name service routers of the fabric"):
        with_redirects(BASE, FABRIC, redirects(copy), [copy])
