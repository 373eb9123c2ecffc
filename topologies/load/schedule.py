"""Who connects when: a pure function of seed and curves, so that two runs get exactly the same
connections.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from topologies.load.curves import Curve


@dataclass(frozen=True, slots=True)
class Planned:
    """One connection to be made: `start_s` and `duration_s` in seconds, `start_s` since the start
    of the load.
    """

    id: int
    start_s: float
    duration_s: float
    service: int
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What one service gets: arrivals by a curve, durations uniform within `spread` (a fraction)
    around the mean.
    """

    service: int
    address: str
    port: int
    curve: Curve
    mean_duration_s: float
    spread: float = 0.25


def arrivals(seed: int, curve: Curve, seconds: float) -> Iterator[float]:
    """Arrival times of a Poisson process with the curve's rate, by thinning (Lewis and Shedler
    1979).
    """
    chance = random.Random(seed)
    peak = curve.peak_per_s
    if peak <= 0:
        return
    now = chance.expovariate(peak)
    while now < seconds:
        if chance.random() * peak < curve.rate_per_s(now):
            yield now
        now += chance.expovariate(peak)


def schedule(seed: int, demands: Sequence[Demand], seconds: float) -> tuple[Planned, ...]:
    """All connections of a run of `seconds`, in order of their start. Each service has a random
    stream of its own.
    """
    planned: list[tuple[float, float, Demand]] = []
    for demand in demands:
        durations = random.Random(f"{seed}/{demand.service}/durations")
        stream = random.Random(f"{seed}/{demand.service}/arrivals").getrandbits(64)
        for start_s in arrivals(stream, demand.curve, seconds):
            factor = 1.0 + demand.spread * (2.0 * durations.random() - 1.0)
            planned.append((start_s, demand.mean_duration_s * factor, demand))
    planned.sort(key=lambda entry: (entry[0], entry[2].service))
    return tuple(
        Planned(
            number,
            round(start_s, 6),
            round(duration_s, 6),
            demand.service,
            demand.address,
            demand.port,
        )
        for number, (start_s, duration_s, demand) in enumerate(planned)
    )


def deal(connections: Sequence[Planned], clients: Sequence[str]) -> dict[str, tuple[Planned, ...]]:
    """The connections dealt out to the client hosts in turn."""
    return {name: tuple(connections[index :: len(clients)]) for index, name in enumerate(clients)}


def save(path: Path, connections: Iterable[Planned]) -> None:
    """Write a schedule, one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for connection in connections:
            file.write(json.dumps(asdict(connection)) + "\n")


def load(path: Path) -> tuple[Planned, ...]:
    """Read what `save` wrote."""
    with path.open(encoding="utf-8") as file:
        return tuple(Planned(**json.loads(line)) for line in file)
