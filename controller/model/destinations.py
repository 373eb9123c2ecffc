"""Destinations and where they are wanted: locations, demand, standby copies, redirects (seed 9407539).

A destination is a service address (DI). Its primary site always serves it. A standby copy is the same destination
on underused routers of another site; a redirect sends *new* connections of one source prefix there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Location:
    """Where clients are: their source prefixes, and the site that they hang on (None: beyond every site)."""

    name: str
    site: str | None
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """A service address (DI) as placement sees it. `service` is the service's id."""

    service: int
    name: str
    primary_site: str
    sites: tuple[str, ...] = ()  # where a standby copy may be; empty: everywhere


@dataclass(frozen=True, slots=True)
class DemandCell:
    """Forecast of one destination's demand from one location, in new connections per second.

    `levels` are probabilities, rising, each within (0, 1); `quantiles_cps` belong to them and do not fall.
    """

    service: int
    location: str
    levels: tuple[float, ...]
    quantiles_cps: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.levels or len(self.levels) != len(self.quantiles_cps):
            raise ValueError(
                f"demand of {self.service} from {self.location}: one quantile per level wanted"
            )
        rising = list(self.levels) == sorted(set(self.levels))
        if not rising or not (self.levels[0] > 0.0 and self.levels[-1] < 1.0):
            raise ValueError(
                f"demand of {self.service} from {self.location}: levels must rise within (0, 1)"
            )
        if self.quantiles_cps[0] < 0 or list(self.quantiles_cps) != sorted(self.quantiles_cps):
            raise ValueError(
                f"demand of {self.service} from {self.location}: "
                "quantiles must be 0 or above and not fall"
            )

    def at(self, level: float) -> float:
        """The quantile of that level in connections per second: linear between levels, the outermost beyond."""
        levels, values = self.levels, self.quantiles_cps
        if level <= levels[0]:
            return values[0]
        for place in range(1, len(levels)):
            if level <= levels[place]:
                share = (level - levels[place - 1]) / (levels[place] - levels[place - 1])
                return values[place - 1] + share * (values[place] - values[place - 1])
        return values[-1]


@dataclass(frozen=True, slots=True)
class SiteResources:
    """What a site has left for standby copies, besides what it serves as a primary.

    spare_cps: new connections per second that its routers can still take. room: standby copies that it can hold.
    copy_cost: what one copy costs, and traffic_cost_ms: what each connection served there costs beyond its
    latency; costs are counted in milliseconds of waiting: connections per second x ms, and ms.
    A site that is down has `up` False: it keeps no copy and gets none.
    """

    site: str
    routers: tuple[str, ...]
    spare_cps: float
    room: int
    copy_cost: float
    traffic_cost_ms: float = 0.0
    up: bool = True

    def __post_init__(self) -> None:
        numbers = (self.spare_cps, self.room, self.copy_cost, self.traffic_cost_ms)
        if not all(0 <= one < float("inf") for one in numbers):
            raise ValueError(
                f"site {self.site}: spare_cps, room and costs must be finite and not below 0"
            )


class StandbyState(StrEnum):
    """The life of a standby copy: preparing → ready → draining; a failed one serves nobody."""

    PREPARING = "preparing"
    READY = "ready"  # redirects may lead to it
    DRAINING = "draining"  # no new connections; it ends with its last one
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby copy (shadow DI): a destination on routers of a site that is not its primary.

    share_cps: new connections per second reserved for it of the site's spare ones.
    """

    service: int
    site: str
    routers: tuple[str, ...]
    share_cps: float
    since_s: float  # seconds since 1970
    state: StandbyState = StandbyState.PREPARING


@dataclass(frozen=True, slots=True)
class Redirect:
    """New connections to `service` from `source_prefix` go to `site`; who is in no redirect's prefix goes to the
    primary. The longest prefix wins.
    """

    service: int
    source_prefix: str
    site: str
