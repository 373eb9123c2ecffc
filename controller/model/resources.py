"""Resources of devices and of their shadows: what is used, predicted, allocated, and under which policy
(seed 10069757).

A device is a router (switch). Its shadow is an idle copy whose resources follow the prediction. An amount is always
absolute (cores, bytes, bits per second); a *utilisation* is a share of the policy's base amounts, 1.0 = all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite


class Resource(StrEnum):
    """What a device consumes."""

    CPU = "cpu"
    MEMORY = "memory"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Amounts:
    """One amount of each resource; also used for shares of a base, and for prices per unit and hour."""

    cpu_cores: float = 0.0
    memory_bytes: float = 0.0
    network_bps: float = 0.0

    def of(self, resource: Resource) -> float:
        """The amount of that resource, in its own unit."""
        if resource is Resource.CPU:
            return self.cpu_cores
        return self.memory_bytes if resource is Resource.MEMORY else self.network_bps

    def __iter__(self) -> Iterator[float]:
        """In the order of `Resource`."""
        return iter((self.cpu_cores, self.memory_bytes, self.network_bps))

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_cores + other.cpu_cores,
            self.memory_bytes + other.memory_bytes,
            self.network_bps + other.network_bps,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        """The difference, which may be below 0; `spare` stops at 0."""
        return Amounts(
            self.cpu_cores - other.cpu_cores,
            self.memory_bytes - other.memory_bytes,
            self.network_bps - other.network_bps,
        )

    def __mul__(self, factor: float) -> Amounts:
        return Amounts(
            self.cpu_cores * factor, self.memory_bytes * factor, self.network_bps * factor
        )

    def times(self, other: Amounts) -> Amounts:
        """Resource by resource: utilisation x base."""
        return Amounts(
            self.cpu_cores * other.cpu_cores,
            self.memory_bytes * other.memory_bytes,
            self.network_bps * other.network_bps,
        )

    def per(self, base: Amounts) -> Amounts:
        """Resource by resource: amounts as shares of a base; 0 where the base has none."""
        return Amounts(
            *(mine / one if one > 0 else 0.0 for mine, one in zip(self, base, strict=True))
        )

    def dot(self, other: Amounts) -> float:
        """The sum over the resources of mine x theirs: amounts x prices."""
        return (
            self.cpu_cores * other.cpu_cores
            + self.memory_bytes * other.memory_bytes
            + self.network_bps * other.network_bps
        )

    def spare(self, other: Amounts) -> Amounts:
        """What is left after `other`, never below 0."""
        return (self - other).at_least(Amounts())

    def at_least(self, other: Amounts) -> Amounts:
        """The larger of both, resource by resource."""
        return Amounts(
            max(self.cpu_cores, other.cpu_cores),
            max(self.memory_bytes, other.memory_bytes),
            max(self.network_bps, other.network_bps),
        )

    def at_most(self, other: Amounts) -> Amounts:
        """The smaller of both, resource by resource."""
        return Amounts(
            min(self.cpu_cores, other.cpu_cores),
            min(self.memory_bytes, other.memory_bytes),
            min(self.network_bps, other.network_bps),
        )

    def covers(self, other: Amounts) -> bool:
        """Whether no resource of `other` is larger."""
        return (
            self.cpu_cores >= other.cpu_cores
            and self.memory_bytes >= other.memory_bytes
            and self.network_bps >= other.network_bps
        )


NOTHING = Amounts()
NO_LIMIT = Amounts(float("inf"), float("inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class RequestClass:
    """What requests were: their service, a size class such as "<4KiB", source and destination (prefixes or names)."""

    service: str
    size: str = ""
    source: str = ""
    destination: str = ""


@dataclass(frozen=True, slots=True)
class DeviceTotals:
    """Counters of one device, read at `time_s` (Unix time). cpu_s: CPU seconds; memory_bytes: the working set now;
    sent and received: over all its ports. periods: of its CPU limit in which it had something to do; limited_periods:
    of these, in which the limit held it back.
    """

    device: str
    time_s: float
    cpu_s: float
    memory_bytes: int
    sent_bytes: int
    received_bytes: int
    periods: int = 0
    limited_periods: int = 0


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What one device used at `time_s` (Unix time), over the interval before it.

    amounts.network_bps: what it sent over all its ports. by_class: request class → requests per second that the use is
    tagged with. limited: share of the CPU limit's periods in which it held the device back, 0..1. received_bps: over
    all its ports.
    """

    device: str
    time_s: float
    amounts: Amounts
    by_class: Mapping[RequestClass, float] = field(default_factory=dict)
    limited: float = 0.0
    received_bps: float = 0.0


@dataclass(frozen=True, slots=True)
class ResourceForecast:
    """Predicted utilisation of one device, as shares of its base amounts.

    levels: probabilities, rising, within (0, 1). horizons_s: rising. quantiles: one row per horizon, one
    `Amounts` (of shares) per level; a row does not fall. Raises ValueError for what is none.
    """

    device: str
    made_s: float  # Unix time
    horizons_s: tuple[float, ...]
    levels: tuple[float, ...]
    quantiles: tuple[tuple[Amounts, ...], ...]

    def __post_init__(self) -> None:
        levels, horizons_s = self.levels, self.horizons_s
        who = f"forecast of {self.device}"
        if not levels or list(levels) != sorted(set(levels)) or levels[0] <= 0 or levels[-1] >= 1:
            raise ValueError(f"{who}: levels must rise within (0, 1)")
        if not horizons_s or list(horizons_s) != sorted(set(horizons_s)) or horizons_s[0] < 0:
            raise ValueError(f"{who}: horizons_s must rise, from 0 or above")
        if len(self.quantiles) != len(horizons_s):
            raise ValueError(f"{who}: one row of quantiles per horizon wanted")
        for row in self.quantiles:
            if len(row) != len(levels):
                raise ValueError(f"{who}: one quantile per level wanted")
            before = NOTHING
            for one in row:
                if not (one.covers(before) and all(map(isfinite, one))):
                    raise ValueError(f"{who}: quantiles must be finite, 0 or above, and not fall")
                before = one

    def peak(self) -> tuple[Amounts, ...]:
        """Per level the largest utilisation over all horizons: the prediction window's demand."""
        found = []
        for place in range(len(self.levels)):
            most = NOTHING
            for row in self.quantiles:
                most = most.at_least(row[place])
            found.append(most)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a shadow of a device shall have from now on, and why. `shadow` is its name; an allocation of the device
    itself names the device twice. cycle: of the planner that asked for it.
    """

    device: str
    shadow: str
    amounts: Amounts
    reason: str
    cycle: int = 0
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Prices:
    """hold: per unit and hour of what is held. breach: per unit and hour of demand that is not met. change: for each
    change of an allocation, however small. All in one currency, whichever.
    """

    hold: Amounts = Amounts(1.0, 1.0 / (8 << 30), 1e-9)
    breach: Amounts = Amounts(20.0, 20.0 / (8 << 30), 20e-9)
    change: float = 0.0


class Mode(StrEnum):
    """What a policy does with its decisions. A new policy starts with the first."""

    FORECAST_ONLY = "forecast-only"  # decided and recorded, never carried out
    ACTIVE = "active"


class Cover(StrEnum):
    """What the shadows of a device are sized for."""

    DEMAND = "demand"  # the whole predicted demand, as the specification's pseudo-code
    EXCESS = "excess"  # only what goes beyond what the primary can carry


@dataclass(frozen=True, slots=True)
class ShadowSize:
    """One of a device's shadows: what it may have at most, and while it is idle."""

    name: str
    most: Amounts = NO_LIMIT
    idle: Amounts = NOTHING


@dataclass(frozen=True, slots=True)
class Schedule:
    """A window of local time that repeats by week. days: 0 = Monday. From `start_min` up to `end_min`, minutes after
    midnight; a window with end_min <= start_min goes over midnight and belongs to the day on which it starts.
    """

    name: str
    start_min: int
    end_min: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    least: Amounts | None = None
    most: Amounts | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class PolicyException:
    """A period (Unix times, the end not included) in which something else holds; it goes before every schedule.

    frozen: what is allocated stays, save that use is always covered.
    """

    name: str
    start_s: float
    end_s: float
    least: Amounts | None = None
    most: Amounts | None = None
    mode: Mode | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A declarative scaling policy.

    devices: shell patterns; the first policy that matches a device holds. base: what utilisation 1.0 means. least,
    most: bounds of all shadows of a device together. step: amounts are multiples of it, rounded up (0: any
    amount). raise_most: the largest rise in one cycle. headroom_pct: kept above what is in use. budget_per_h: the most
    that all shadows of the policy may cost per hour, by `prices.hold`. give_back_cycles: so many
    cycles after the load was due and did not come, its resources are released. doubt_s: so long
    after that the forecast is not believed. full_pct: utilisation of the primary
    above which new traffic moves; back_pct: below which it comes back; near_pct: how far the prediction may be
    below the real-time utilisation and still be called close to it. move_level: quantile of the nearest prediction that
    counts for moving traffic; amounts take the one that the prices ask for.
    """

    name: str
    base: Amounts
    devices: tuple[str, ...] = ("*",)
    mode: Mode = Mode.FORECAST_ONLY
    cover: Cover = Cover.DEMAND
    least: Amounts = NOTHING
    most: Amounts = NO_LIMIT
    step: Amounts = NOTHING
    raise_most: Amounts = NO_LIMIT
    headroom_pct: float = 10.0
    shadows: tuple[ShadowSize, ...] = (ShadowSize("shadow"),)
    prices: Prices = Prices()
    budget_per_h: float = float("inf")
    give_back_cycles: int = 3
    doubt_s: float = 300.0
    full_pct: float = 80.0
    back_pct: float = 60.0
    near_pct: float = 10.0
    move_level: float = 0.75
    share_most_pct: int = 50
    zone: str = "UTC"
    schedules: tuple[Schedule, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
