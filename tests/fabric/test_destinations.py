"""The whole of it on two sites: demand from afar gets a copy where it is, and the primary when the copy fails."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from topologies.load.analysis import Attempt, Traffic
from topologies.load.schedule import Planned
from topologies.sun import Mode
from topologies.sun_run import TwoSites
from topologies.two_sites import BACKENDS

WEB, SOUTH = 1, "south"
STEP_S = 1.0
NEW_PER_S = 8.0
LOAD_S = 30.0
PATIENT = 30.0  # seconds that the old connections last
BACKEND_AT = {site: name for name, site in BACKENDS.items()}
SETTLED_S = 0.3  # a client's clock and the controller's are read one after the other


def plan(service: dict[str, Any]) -> list[Planned]:
    """Ten connections that last, and then short ones at a steady rate."""
    where = service["id"], service["address"], service["port"]
    old = [Planned(number, 0.05 * number, PATIENT, *where) for number in range(10)]
    new = [
        Planned(100 + number, 1.0 + number / NEW_PER_S, 1.0, *where)
        for number in range(round(LOAD_S * NEW_PER_S))
    ]
    return [*old, *new]


def between(traffic: Traffic, start_s: float, end_s: float) -> list[Attempt]:
    """The south's connections that began then, at their time."""
    return [
        one
        for one in traffic.attempts
        if one.client == "c2"
        and start_s + SETTLED_S < one.start_s < end_s - SETTLED_S
        and one.late_ms < 1000 * SETTLED_S / 2
    ]


def backends(attempts: list[Attempt]) -> set[str]:
    return {name for one in attempts for name in one.backends}


async def story(kind: str, directory: Path) -> None:
    async with TwoSites(kind, directory, Mode.REACTIVE, step_s=STEP_S) as sites:
        services = {one["id"]: one for one in sites.config["services"]}
        load = sites.begin({"c1": [], "c2": plan(services[WEB])})
        await sites.until(lambda: sites.redirected(WEB, SOUTH), "the south has a copy")
        await sites.rest(5.0)
        failed_s = load.time_s
        sites.crash("r2")
        await sites.until(lambda: not sites.redirected(WEB, SOUTH), "the primary has them again")
        await sites.rest(4.0)
        end_s = load.time_s
        destinations = sites.controller.destinations
        assert destinations is not None
        acts = [step["act"] for step in destinations.state()["steps"]]
        await sites.until(load.done, "the last connection has ended")
        sites.load = None
        changes = [one for one in sites.changes(load.start_unix_s) if one.service == WEB]
        traffic = load.finish()
    assert {"open", "redirect", "fail-over"} <= set(acts)
    # A busy machine may have it redirect, return and redirect: each time it is as it was decided.
    ends_s = [*(one.decided_s for one in changes[1:]), end_s]
    seen = set()
    for change, end_s in zip(changes, ends_s, strict=True):
        until_s = failed_s if change.written_s < failed_s < end_s else end_s
        found = backends(between(traffic, change.written_s, until_s))
        assert found <= {BACKEND_AT[change.after]}
        seen |= found
    assert seen == {"b1", "b2"}
    old = [one for one in traffic.attempts if one.id < 100]
    assert [one.backends for one in old] == [("b1",)] * 10
    assert {one.outcome for one in old} == {"ok"}


def test_new_connections_go_to_the_near_copy_old_ones_stay_and_a_failed_copy_is_left(
    kind: str, tmp_path: Path
) -> None:
    assert os.geteuid() == 0, "this test makes network namespaces: run it as root"
    asyncio.run(story(kind, tmp_path))
