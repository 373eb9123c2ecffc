"""A compressed day on the testbed of two sites: built, lived through, and what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.observe.access import AccessStep
from topologies.load.run import LEAD_S, LoadRun
from topologies.load.schedule import Planned
from topologies.running import Running
from topologies.sun import Change, Mode, Sun, judged, sun
from topologies.sun_load import Day, connections, history
from topologies.two_sites import BACKENDS, HOMES, LOCATIONS, REGIONS, two_sites

INTERVAL_S = 1.0  # between the requests on a connection
PAST_STEPS = 1600  # of recorded days, at least: with fewer no forecaster is accepted
SETUP_S = (
    18.0  # from the begin until a dawn: longer than learning and building take on a quiet machine
)
MOST_LATE_DAYS = 3  # on a busy machine
PATIENCE_S = 15.0  # for the last connections


class TwoSites(Running):
    """The testbed with its controller; keeps the changes that were decided."""

    def __init__(
        self,
        kind: str,
        directory: Path,
        mode: Mode,
        *,
        step_s: float,
        edges: int = 1,
        say: Callable[[str], None] = lambda _message: None,
    ) -> None:
        super().__init__(
            two_sites(directory, mode, step_s=step_s, edges=edges), kind, directory, say=say
        )
        self.step_s = step_s
        self.load: LoadRun | None = None
        self.writes: list[Mapping[str, Any]] = []
        if self.controller.destinations is not None:
            self.controller.destinations.on_written.append(self.writes.append)

    def poll(self) -> None:
        """Take in what the load's programs report. WorldError when a switch has died by itself."""
        if self.load is not None:
            self.load.poll(0.0)

    async def learn(self, past: Iterable[AccessStep]) -> None:
        """Have the forecaster learn from what is over by now; `recall` adds what came meanwhile."""
        assert self.controller.destinations is not None
        now_s = time.time()
        self.say("learning from recorded days")
        self.say(await self.controller.destinations.learn(o for o in past if o.end_s <= now_s))

    def recall(self, past: Iterable[AccessStep]) -> None:
        """What is recorded until now."""
        assert self.controller.destinations is not None
        now_s = time.time()
        self.controller.destinations.load(one for one in past if one.end_s <= now_s)

    def begin(self, plans: Mapping[str, Sequence[Planned]], directory: str = "load") -> LoadRun:
        """Start connections, by client host; whoever calls ends them, and sets `load` to None. After an error they end
        with the network.
        """
        self.load = LoadRun(
            self.network, self.config, plans, self.directory / directory, interval_s=INTERVAL_S
        )
        self.load.start()
        return self.load

    def changes(self, start_unix_s: float) -> tuple[Change, ...]:
        """What was decided and written since then, oldest first; times from then on."""
        return tuple(
            Change(
                *(write["time_s"] - start_unix_s, write["ended_s"] - start_unix_s),
                *(step["service_id"], step["location"], step["before"], step["after"]),
                step["reason"],
            )
            for write in self.writes
            for step in write["steps"]
            if step["location"] is not None
        )

    def redirected(self, service: int, location: str) -> bool:
        """Do all edges send new connections from there elsewhere than to the service's home?"""
        for write in reversed(self.writes):
            for step in reversed(write["steps"]):
                if (step["service_id"], step["location"]) == (service, location):
                    return bool(step["after"] != HOMES[service])
        return False


async def live(
    kind: str,
    directory: Path,
    seed: int,
    day: Day,
    mode: Mode,
    *,
    step_s: float,
    say: Callable[[str], None] = lambda _message: None,
) -> Sun:
    """Build the two sites, learn from earlier days where that is the mode, and live through the day.

    What was learned says at which times a day begins; what is left of the day before is lived through as well, and not
    judged. The other modes need no such eve.
    """
    sites = TwoSites(kind, directory, mode, step_s=step_s, say=say)
    dawn_s = math.ceil((time.time() + SETUP_S) / step_s) * step_s
    ahead_s = MOST_LATE_DAYS * day.period_s
    days = math.ceil(PAST_STEPS * step_s / day.period_s)
    past = history(
        *(day, days + MOST_LATE_DAYS, tuple(HOMES), LOCATIONS, step_s),
        *(dawn_s + ahead_s, seed),
    )
    if mode is Mode.PREDICTIVE:
        await sites.learn(past)
    async with sites:
        eve_s = 0.0
        if mode is Mode.PREDICTIVE:
            sites.recall(past)
            eve_s = (dawn_s - time.time() - LEAD_S) % day.period_s
        plans, number = connections(day, sites.config["services"], tuple(REGIONS), seed, eve_s)
        load = sites.begin(plans)
        say("the day begins")
        longest_s = LEAD_S + eve_s + day.end_s + PATIENCE_S
        await sites.until(load.done, "the day is over", longest_s)
        sites.load = None
        changes = sites.changes(load.start_unix_s + eve_s)
        traffic = load.finish()
    return sun(
        *(mode, day, judged(traffic, number, eve_s), changes),
        regions=REGIONS,
        sites=BACKENDS,
        homes=HOMES,
    )
