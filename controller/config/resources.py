"""The `resources` section: scaling policies of devices' shadows (docs/resource-shadowing.md), and their checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from controller.config.errors import Path, Problem
from controller.config.fields import Flag, Float, Int, Name, Section, Text, Time, zone
from controller.config.resource_devices import (
    DeviceConfig,
    PastConfig,
    RecordConfig,
    UseForecastConfig,
)
from controller.model.resources import (
    NO_LIMIT,
    NOTHING,
    Amounts,
    Cover,
    Mode,
    Policy,
    PolicyException,
    Prices,
    Schedule,
    ShadowSize,
)
from controller.plan.resources.queue import QueueSettings

MIB, MEGABIT = float(1 << 20), 1e6
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AMOUNTS = ("cpu_cores", "memory_mib", "network_mbps")


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("write a time of day from 00:00 to 23:59, such as 08:30")
    return text


Clock = Annotated[str, Field(strict=True), AfterValidator(_clock)]
Zone = Annotated[str, Field(strict=True), AfterValidator(zone)]
Amount = Annotated[Float, Field(ge=0)]
Percent = Annotated[Float, Field(ge=0, le=100)]
ModeName = Literal["forecast-only", "active"]


class AmountsConfig(Section):
    """Amounts of resources. One that is left out takes the meaning that the key using it gives it."""

    cpu_cores: Amount | None = None
    memory_mib: Amount | None = None
    network_mbps: Amount | None = None

    def amounts(self, default: Amounts) -> Amounts:
        """In cores, bytes and bits per second."""
        return Amounts(
            default.cpu_cores if self.cpu_cores is None else self.cpu_cores,
            default.memory_bytes if self.memory_mib is None else self.memory_mib * MIB,
            default.network_bps if self.network_mbps is None else self.network_mbps * MEGABIT,
        )


class BaseConfig(Section):
    """What a utilisation of 1.0 means; all three are needed."""

    cpu_cores: Annotated[Float, Field(gt=0)]
    memory_mib: Annotated[Float, Field(gt=0)]
    network_mbps: Annotated[Float, Field(gt=0)]

    def amounts(self) -> Amounts:
        """In cores, bytes and bits per second."""
        return Amounts(self.cpu_cores, self.memory_mib * MIB, self.network_mbps * MEGABIT)


class PriceConfig(Section):
    """Per hour: of one core, one GiB, one Gbit/s."""

    cpu_core_h: Amount
    memory_gib_h: Amount
    network_gbps_h: Amount

    def amounts(self) -> Amounts:
        """Per core, byte and bit per second, and hour."""
        return Amounts(self.cpu_core_h, self.memory_gib_h / 2**30, self.network_gbps_h / 1e9)


class PricesConfig(Section):
    """hold: of what is held. breach: of demand that is not met. change: of each change of an allocation."""

    hold: PriceConfig
    breach: PriceConfig
    change: Amount = 0.0


class ShadowConfig(Section):
    """One shadow of each device. most: left out, any amount. idle: left out, nothing."""

    name: Name
    most: AmountsConfig = AmountsConfig()
    idle: AmountsConfig = AmountsConfig()


class ScheduleConfig(Section):
    """A window of the week. `from` up to `to`, over midnight where `to` is not later."""

    name: Name
    days: tuple[Day, ...] = DAYS
    begin: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    least: AmountsConfig | None = None
    most: AmountsConfig | None = None
    mode: ModeName | None = None


class ExceptionConfig(Section):
    """A period, from `start` up to `end`, that goes before every schedule."""

    name: Text
    start: Time
    end: Time
    least: AmountsConfig | None = None
    most: AmountsConfig | None = None
    mode: ModeName | None = None
    frozen: Flag = False


class PolicyConfig(Section):
    """A scaling policy; the meaning of each key is that of `controller.model.resources.Policy`."""

    name: Name
    base: BaseConfig
    devices: tuple[Text, ...] = ("*",)
    mode: ModeName = "forecast-only"
    cover: Literal["demand", "excess"] = "demand"
    least: AmountsConfig = AmountsConfig()
    most: AmountsConfig = AmountsConfig()
    step: AmountsConfig = AmountsConfig()
    raise_most: AmountsConfig = AmountsConfig()
    headroom_pct: Percent = 10.0
    shadows: tuple[ShadowConfig, ...] = (ShadowConfig(name="shadow"),)
    prices: PricesConfig | None = None
    budget_per_h: Amount | None = None
    give_back_cycles: Annotated[Int, Field(ge=1, le=1000)] = 3
    doubt_s: Amount = 300.0
    full_pct: Annotated[Float, Field(gt=0, le=100)] = 80.0
    back_pct: Percent = 60.0
    near_pct: Percent = 10.0
    move_level: Annotated[Float, Field(gt=0, lt=1)] = 0.75
    share_most_pct: Annotated[Int, Field(ge=0, le=100)] = 50
    zone: Zone = "UTC"
    schedules: tuple[ScheduleConfig, ...] = ()
    exceptions: tuple[ExceptionConfig, ...] = ()

    def policy(self) -> Policy:
        """As the planner takes it."""
        prices = self.prices
        return Policy(
            name=self.name,
            base=self.base.amounts(),
            devices=self.devices,
            mode=Mode(self.mode),
            cover=Cover(self.cover),
            least=self.least.amounts(NOTHING),
            most=self.most.amounts(NO_LIMIT),
            step=self.step.amounts(NOTHING),
            raise_most=self.raise_most.amounts(NO_LIMIT),
            headroom_pct=self.headroom_pct,
            shadows=tuple(
                ShadowSize(one.name, one.most.amounts(NO_LIMIT), one.idle.amounts(NOTHING))
                for one in self.shadows
            ),
            prices=Prices()
            if prices is None
            else Prices(prices.hold.amounts(), prices.breach.amounts(), prices.change),
            budget_per_h=float("inf") if self.budget_per_h is None else self.budget_per_h,
            give_back_cycles=self.give_back_cycles,
            doubt_s=self.doubt_s,
            full_pct=self.full_pct,
            back_pct=self.back_pct,
            near_pct=self.near_pct,
            move_level=self.move_level,
            share_most_pct=self.share_most_pct,
            zone=self.zone,
            schedules=tuple(_schedule(one) for one in self.schedules),
            exceptions=tuple(
                PolicyException(
                    one.name,
                    one.start,
                    one.end,
                    _bound(one.least, NOTHING),
                    _bound(one.most, NO_LIMIT),
                    None if one.mode is None else Mode(one.mode),
                    one.frozen,
                )
                for one in self.exceptions
            ),
        )


class PrewarmConfig(Section):
    """The pre-warming queue."""

    at_once: Annotated[Int, Field(ge=1, le=1000)] = 4
    patience_s: Annotated[Float, Field(gt=0)] = 60.0
    retry_s: Annotated[Float, Field(gt=0)] = 5.0
    longest_retry_s: Annotated[Float, Field(gt=0)] = 300.0

    def settings(self) -> QueueSettings:
        """As the planner takes it."""
        return QueueSettings(self.at_once, self.patience_s, self.retry_s, self.longest_retry_s)


class ResourcesConfig(Section):
    """period_s: between two cycles. Policies in the order in which they are tried; prewarm: the queue of all of them.
    past: read at a start. record: absent: cycles are not recorded. most_classes: series of what requests were, of all
    devices together.
    """

    period_s: Annotated[Float, Field(ge=0.1, le=3600)] = 5.0
    devices: tuple[DeviceConfig, ...] = ()
    forecast: UseForecastConfig = UseForecastConfig()
    past: PastConfig | None = None
    record: RecordConfig | None = None
    most_classes: Annotated[Int, Field(ge=1, le=100_000)] = 1000
    policies: tuple[PolicyConfig, ...] = ()
    prewarm: PrewarmConfig = PrewarmConfig()

    def planned(self) -> tuple[Policy, ...]:
        """As the planner takes them."""
        return tuple(one.policy() for one in self.policies)


def check(resources: ResourcesConfig, devices: Sequence[str]) -> list[Problem]:
    """What contradicts itself. devices: the names of those that exist. Paths begin at `resources`."""
    found: list[Problem] = []
    names: dict[str, int] = {}
    for index, one in enumerate(resources.policies):
        place: Path = ("resources", "policies", index)
        if one.name in names:
            what = f"{one.name} is the name of resources.policies[{names[one.name]}] already"
            found.append(Problem((*place, "name"), what, "give it its own"))
        names.setdefault(one.name, index)
        found += _policy(one, place, devices)
    return found


def _policy(one: PolicyConfig, place: Path, devices: Sequence[str]) -> Iterator[Problem]:
    for position, pattern in enumerate(one.devices):
        if not any(fnmatchcase(device, pattern) for device in devices):
            what = f"no device is called {pattern}"
            yield Problem((*place, "devices", position), what, f"there are {', '.join(devices)}")
    if one.back_pct >= one.full_pct:
        what = f"traffic would come back at {one.back_pct:g} % and leave at {one.full_pct:g} %"
        yield Problem((*place, "back_pct"), what, "make it less than full_pct")
    yield from _bounds(one.least, one.most, place)
    if not one.shadows:
        what = "a policy without a shadow has nothing to give resources to"
        yield Problem((*place, "shadows"), what, "name at least one, or leave the key out")
    seen: set[str] = set()
    for index, shadow in enumerate(one.shadows):
        inner: Path = (*place, "shadows", index)
        if shadow.name in seen:
            what = f"{shadow.name} is the name of another shadow of this policy"
            yield Problem((*inner, "name"), what, "give it its own")
        seen.add(shadow.name)
        yield from _bounds(shadow.idle, shadow.most, inner, "idle")
    if one.prices is not None:
        for key in ("cpu_core_h", "memory_gib_h", "network_gbps_h"):
            hold, breach = getattr(one.prices.hold, key), getattr(one.prices.breach, key)
            if hold > 0 and breach <= hold:
                what = f"a breach at {breach:g} costs no more than holding at {hold:g}: nothing is ever held"
                remedy = "make it dearer than prices.hold"
                yield Problem((*place, "prices", "breach", key), what, remedy)
    for index, schedule in enumerate(one.schedules):
        inner = (*place, "schedules", index)
        yield from _said(schedule, inner)
    for index, period in enumerate(one.exceptions):
        inner = (*place, "exceptions", index)
        if period.end <= period.start:
            yield Problem((*inner, "end"), "it ends before it starts", "make end later than start")
        if not period.frozen:
            yield from _said(period, inner)


def _said(one: ScheduleConfig | ExceptionConfig, place: Path) -> Iterator[Problem]:
    if one.least is None and one.most is None and one.mode is None:
        yield Problem(place, f"{one.name} changes nothing", "set least, most or mode in it")
    if one.least is not None and one.most is not None:
        yield from _bounds(one.least, one.most, place)


def _bounds(
    least: AmountsConfig, most: AmountsConfig, place: Path, low: str = "least"
) -> Iterator[Problem]:
    for key in _AMOUNTS:
        below, above = getattr(least, key), getattr(most, key)
        if below is not None and above is not None and below > above:
            what = f"{below:g} is more than most.{key} ({above:g})"
            yield Problem((*place, low, key), what, "lower it, or raise most")


def _bound(given: AmountsConfig | None, default: Amounts) -> Amounts | None:
    return None if given is None else given.amounts(default)


def _schedule(one: ScheduleConfig) -> Schedule:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Schedule(
        one.name,
        minutes(one.begin),
        minutes(one.end),
        tuple(DAYS.index(day) for day in one.days),
        _bound(one.least, NOTHING),
        _bound(one.most, NO_LIMIT),
        None if one.mode is None else Mode(one.mode),
    )
