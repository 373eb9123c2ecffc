"""Demand that follows the sun: a compressed day of two regions, each awake while the other sleeps. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.observe.access import AccessStep
from topologies.load.curves import Curve, Ramp, Repeated
from topologies.load.schedule import Demand, Planned, arrivals, schedule

MEAN_DURATION_S = 2.0
SPREAD = 0.9  # connections last from 0.2 to 3.8 s: some live through every change


@dataclass(frozen=True, slots=True)
class Day:
    """Each region is awake for a quarter of the day, one after the other; for the rest of it both sleep.

    period_s: of a day; it divides a minute: the forecaster's clock knows phases of a minute, and learns from them.
    days: how many; of the last one only the part until both sleep. per second: new connections to each service.
    """

    period_s: float = 60.0
    days: int = 1
    awake_per_s: float = 10.0
    asleep_per_s: float = 0.2

    @property
    def end_s(self) -> float:
        """When both sleep on the last day, in seconds from its first day's begin."""
        return self.period_s * (self.days - 1 + EVENING)


# Parts of the day at which a region's demand begins to rise; it rises, stays and falls for these parts.
WAKES = (0.05, 0.35)
RISE, STAY, FALL = 0.04, 0.18, 0.03
EVENING = 0.65


def curve(day: Day, region: int) -> Curve:
    """New connections per second of one region (0 or 1) to one service, day after day."""
    parts = (part * day.period_s for part in (WAKES[region], RISE, STAY, FALL))
    return Repeated(Ramp(day.asleep_per_s, day.awake_per_s, *parts), day.period_s)


def history(
    day: Day,
    days: int,
    services: Sequence[int],
    locations: Sequence[str],
    step_s: float,
    end_s: float,
    seed: int,
) -> tuple[AccessStep, ...]:
    """What was recorded on the days before `end_s` (Unix seconds, a whole number of steps): other draws of the same
    demand. Oldest first.
    """
    steps = round(days * day.period_s / step_s)
    counts: list[dict[tuple[int, str], float]] = [{} for _ in range(steps)]
    for region, location in enumerate(locations):
        for service in services:
            stream = random.Random(f"{seed}/{service}/{location}/past").getrandbits(64)
            for time_s in arrivals(stream, curve(day, region), days * day.period_s):
                own = counts[min(steps - 1, int(time_s / step_s))]
                own[service, location] = own.get((service, location), 0.0) + 1.0
    return tuple(
        AccessStep(end_s - (steps - number) * step_s, own)
        for number, own in enumerate(counts, start=1)
    )


def connections(
    day: Day,
    services: Sequence[Mapping[str, Any]],
    clients: Sequence[str],
    seed: int,
    eve_s: float = 0.0,
) -> tuple[dict[str, tuple[Planned, ...]], int]:
    """Every connection, by the client host of each region, and how many of them are the days': these have the lowest
    ids, and are the same for the same seed. They begin after `eve_s` in which the day before ends, with other draws.
    """
    found: dict[str, tuple[Planned, ...]] = dict.fromkeys(clients, ())
    number = judged = 0
    before_s = math.ceil(eve_s / day.period_s) * day.period_s
    for length_s, own_seed, shift_s in (
        (day.end_s, 2 * seed, eve_s),
        (before_s, 2 * seed + 1_000_001, eve_s - before_s),
    ):
        for region, client in enumerate(clients):
            demands = [
                Demand(
                    *(one["id"], one["address"], one["port"], curve(day, region)),
                    *(MEAN_DURATION_S, SPREAD),
                )
                for one in services
            ]
            planned = [
                replace(one, id=number + place, start_s=one.start_s + shift_s)
                for place, one in enumerate(schedule(own_seed + region, demands, length_s))
            ]
            number += len(planned)
            kept = [one for one in planned if one.start_s >= 0.0]
            found[client] = tuple(sorted((*found[client], *kept), key=lambda one: one.start_s))
        judged = judged or number
    return found, judged
