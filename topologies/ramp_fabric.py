"""A router whose CPU is limited, its shadow, and a load that grows beyond what the router can carry.

Real switches in control groups of their own, real TCP connections, and the controller with its section `resources` in
this process. The runs differ in that section alone: no shadow takes part, shadows follow use, or the forecast.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from controller.act.resources import Allocator, Place
from controller.config import parse
from controller.daemon import Controller
from controller.model.resources import NO_LIMIT, NOTHING
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.load.run import LoadRun
from topologies.logged import logged
from topologies.net import Network
from topologies.ramps import NONE, UMBRA, Moment, RampRun, RampShape

PRIMARY, SHADOW, THIRD = "r1", "r2", "r3"  # the third holds replicas of what the shadow carries
SERVICE = 1
INTERVAL_S = 0.1  # between requests on a connection
CYCLE_S = 2.0  # of reading counters, which costs a router processor time
PERIOD_S = 0.5  # of the shadow manager's cycles, and of looks at them
HORIZONS_S = (2.0, 4.0, 6.0)
# What a shadow that carries nothing needs: replica records, reading its counters, and threads that BMv2 never rests.
IDLE_CORES = {"embedded": 0.05, "bmv2": 0.15}
FULL_PCT, BACK_PCT, SHARE_MOST_PCT = 75.0, 60.0, 90
CAPACITY = 8_000  # connections that a router may have: none is refused for want of a place
READY_S = 60.0
POLL_S = 0.05
ENDED_S = 30.0  # for the last connections


class RampError(RuntimeError):
    """The fabric did not start, or a run did not come to its end."""


def fabric_config(directory: Path) -> dict[str, Any]:
    """One edge, one spine, the router, its shadow and a third one, two backends and two client hosts."""
    settings: dict[str, Any] = {
        # Nothing but the shadow manager moves traffic.
        "cycle": {"period_s": CYCLE_S, "predictive": False, "surge": False},
        "failover": {"enabled": False},
        "load_test": {"enabled": False},
        "digests": {"sample_one_in": 64},
        "store": {"path": str(directory / "umbra.db")},
        "audit": {"path": str(directory / "audit.jsonl")},
        "api": {"port": 0},
        "shadows": {"overrides": {PRIMARY: [SHADOW], SHADOW: [THIRD]}},
    }
    return configuration(
        ClosSpec(
            edges=1,
            spines=1,
            routers=3,
            backends=2,
            clients=2,
            capacity=CAPACITY,
            threshold=100,
            services=(ServiceSpec("web", routers=(PRIMARY,)),),
            settings=settings,
        )
    )


def resources_config(
    kind: str, way: str, capacity_cores: float, places: Mapping[str, Place]
) -> dict[str, Any]:
    """The section `resources` of a way to govern the shadow."""
    idle = {"cpu_cores": IDLE_CORES[kind], "memory_mib": 1024, "network_mbps": 1000}
    return {
        "period_s": PERIOD_S,
        "forecast": {"enabled": way == UMBRA, "horizons_s": list(HORIZONS_S), "step_s": PERIOD_S},
        "devices": [
            {
                "name": PRIMARY,
                "capacity": {"cpu_cores": capacity_cores},
                "place": _place(places[PRIMARY]),
                "shadows": [{"name": "shadow", "switch": SHADOW, "place": _place(places[SHADOW])}],
            }
        ],
        "policies": [
            {
                "name": "ramp",
                "devices": [PRIMARY],
                "mode": "forecast-only" if way == NONE else "active",
                "cover": "excess",
                "base": {"cpu_cores": capacity_cores, "memory_mib": 1024, "network_mbps": 1000},
                "shadows": [{"name": "shadow", "idle": idle}],
                "headroom_pct": 10,
                "full_pct": FULL_PCT,
                "back_pct": BACK_PCT,
                "share_most_pct": SHARE_MOST_PCT,
                "give_back_cycles": 4,
                "doubt_s": 5,
            }
        ],
    }


def _place(place: Place) -> dict[str, Any]:
    return {"group": place.group, "ports": list(place.ports)}


class RampFabric:
    """The running fabric and controller; make it with `ramp_fabric`."""

    def __init__(self, network: Network, controller: Controller, config: Mapping[str, Any]) -> None:
        self.network = network
        self.controller = controller
        self.config = config
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start the controller; returns when every switch is programmed."""
        self._running = asyncio.create_task(self.controller.run())
        await self.until(
            lambda: all(one.reconciled for one in self.controller.driver.status().values()),
            "every switch is programmed",
        )

    async def end(self) -> None:
        """End the controller."""
        if self._running is not None:
            await self.controller.stop()
            await self._running

    async def until(
        self, condition: Callable[[], bool], what: str, timeout_s: float = READY_S
    ) -> None:
        """Wait until it holds. RampError when it does not, or controller or a switch ends."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self._running is not None and self._running.done():
                self._running.result()
                raise RampError("the controller ended")
            dead = self.network.dead()
            if dead:
                raise RampError(dead[0])
            if time.monotonic() > deadline_s:
                raise RampError(f"waited {timeout_s:g} s in vain until {what}")
            await asyncio.sleep(POLL_S)

    def limit(self, cpu_cores: float) -> None:
        """Limit the primary's CPU from now on."""
        allocator = Allocator({PRIMARY: self.network.places()[PRIMARY]})
        allocator.set(PRIMARY, replace(NO_LIMIT, cpu_cores=cpu_cores), NOTHING)

    def moment(self, time_s: float) -> Moment | None:
        """What the shadow manager sees and decided last; None: nothing yet."""
        manager = self.controller.resources
        assert manager is not None
        for device in manager.state()["devices"]:
            if device["name"] == PRIMARY and device["use"] is not None:
                return _moment(device, time_s)
        return None


def _moment(device: Mapping[str, Any], time_s: float) -> Moment:
    shadow = device["shadows"][0]
    return Moment(
        time_s,
        device["use"]["cpu_cores"],
        (shadow["use"] or {}).get("cpu_cores", 0.0),
        (shadow["amounts"] or {}).get("cpu_cores", 0.0),
        (device["predicted"] or {}).get("cpu_cores", 0.0),
        round(device["share_pct"]),
        shadow["state"] == "ready",
    )


def _calm(moment: Moment | None) -> bool:
    return moment is not None and not moment.warm and moment.share_pct == 0


@asynccontextmanager
async def ramp_fabric(
    kind: str, directory: Path, way: str, capacity_cores: float
) -> AsyncIterator[RampFabric]:
    """Build it, with the primary's CPU limited; everything ends with the block."""
    config = fabric_config(directory)
    network = Network(config, kind, directory, limits={})
    config["resources"] = resources_config(kind, way, capacity_cores, network.places())
    with logged(directory / "umbra.log"), network:
        fabric = RampFabric(network, Controller(parse(yaml.safe_dump(config))), config)
        try:
            await fabric.begin()
            # Not before: a switch that starts with a tenth of a core takes ten times as long to compile its program.
            fabric.limit(capacity_cores)
            yield fabric
        finally:
            await fabric.end()


async def play(
    kind: str,
    directory: Path,
    way: str,
    shape: RampShape,
    seed: int,
    capacity_cores: float,
    say: Callable[[str], None] = lambda _message: None,
) -> RampRun:
    """Build the fabric, offer the load, and tell what became of every connection. Raises RampError."""
    directory.mkdir(parents=True, exist_ok=True)
    say("building the fabric")
    async with ramp_fabric(kind, directory, way, capacity_cores) as fabric:
        service = fabric.config["services"][SERVICE - 1]
        planned = shape.planned(seed, SERVICE, service["address"], service["port"])
        # What starting cost the router must not count.
        await fabric.until(lambda: _calm(fabric.moment(0.0)), f"{PRIMARY} is calm")
        load = LoadRun(
            fabric.network, fabric.config, planned, directory / "load", interval_s=INTERVAL_S
        )
        await asyncio.to_thread(load.start)
        moments: list[Moment] = []
        next_s = 0.0
        freed = False

        def over() -> bool:
            nonlocal next_s, freed
            load.poll(0.0)
            if load.time_s >= shape.seconds and not freed:
                freed = True
                fabric.limit(math.inf)  # what still waits shall end soon
            if next_s <= load.time_s < shape.seconds:
                next_s = load.time_s + PERIOD_S
                moment = fabric.moment(load.time_s)
                if moment is not None:
                    moments.append(moment)
                    say(
                        f"{load.time_s:.0f} of {shape.seconds:.0f} s, primary {moment.primary_cores:.2f} cores, "
                        f"{moment.share_pct} % of new traffic to the shadow"
                    )
            return load.done()

        await fabric.until(over, "the last connection has ended", shape.seconds + ENDED_S)
        begun_s = load.start_unix_s
        reasons = tuple(
            (one["time_s"] - begun_s, one["reason"])
            for one in reversed(fabric.controller.decisions(limit=1000))
            if one["trigger"] == "resources"
        )
        traffic = await asyncio.to_thread(load.finish)
    return RampRun(way, shape, capacity_cores, traffic.attempts, tuple(moments), reasons)
