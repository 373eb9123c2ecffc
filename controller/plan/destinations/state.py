"""What the placement of standby copies looks at, what it plans, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from controller.model.destinations import (
    DemandCell,
    Destination,
    Location,
    SiteResources,
    Standby,
)
from controller.plan.destinations.problem import Floats, Ints, integers
from controller.plan.destinations.settings import PlacementSettings


@dataclass(frozen=True, slots=True)
class Demand:
    """n cells: indices into the view's destinations and locations, [n] each, and new connections per second:
    expected, which copies must pay for, and reserve, which their sites must have room for.
    """

    destination: Ints
    location: Ints
    expected: Floats
    reserve: Floats


@dataclass(frozen=True, slots=True)
class PlacementView:
    """What is seen. latency_ms: [locations, sites], round trip. standbys: the copies that exist and have not failed.

    served: (service, location) → the site whose copy serves it; who is missing is served by the primary.
    """

    destinations: Sequence[Destination]
    locations: Sequence[Location]
    sites: Sequence[SiteResources]
    latency_ms: Floats
    demand: Demand
    standbys: Sequence[Standby] = ()
    served: Mapping[tuple[int, str], str] = field(default_factory=dict)


class PlacementAct(StrEnum):
    """What happens to a standby copy."""

    OPEN = "open"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class PlacementStep:
    """One change, with its reason for a person and the numbers that it was made from."""

    time_s: float
    act: PlacementAct
    service: int
    site: str
    reason: str
    inputs: Mapping[str, float | str | None]


@dataclass(frozen=True, slots=True)
class PlacementPlan:
    """standbys: all copies that shall be, sorted by service and site; served: (service, location) → site, for those
    whom a copy shall serve. worth: the objective, connections per second x ms. fresh: it was made afresh.
    """

    standbys: tuple[Standby, ...]
    served: Mapping[tuple[int, str], str]
    steps: tuple[PlacementStep, ...]
    worth: float
    fresh: bool


@dataclass(frozen=True, slots=True)
class PlacementState:
    """Remembered from cycle to cycle: the price of a connection per second, by site."""

    per_cps: Mapping[str, float] = field(default_factory=dict)


def demand_of(
    cells: Iterable[DemandCell],
    destinations: Sequence[Destination],
    locations: Sequence[Location],
    settings: PlacementSettings,
) -> Demand:
    """The demand in columns, at the settings' quantiles. Raises ValueError for an unknown destination or location."""
    services = {one.service: place for place, one in enumerate(destinations)}
    names = {one.name: place for place, one in enumerate(locations)}
    rows: list[tuple[int, int]] = []
    amounts: list[tuple[float, float]] = []
    for cell in cells:
        if cell.service not in services or cell.location not in names:
            raise ValueError(
                f"demand of {cell.service} from {cell.location}: "
                "name the destination and the location in the view"
            )
        rows.append((services[cell.service], names[cell.location]))
        amounts.append((cell.at(settings.expected_level), cell.at(settings.reserve_level)))
    places = integers(np.array(rows, np.int64).reshape(-1, 2))
    numbers = np.array(amounts, np.float64).reshape(-1, 2)
    return Demand(places[:, 0], places[:, 1], numbers[:, 0], numbers[:, 1])
