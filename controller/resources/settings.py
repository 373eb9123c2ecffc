"""The configuration's section `resources` in the words of the planner and of what carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.act.resources import Place
from controller.config.resource_devices import PlaceConfig, UseForecastConfig
from controller.config.resources import MEGABIT, MIB, ResourcesConfig
from controller.model.resources import Amounts, Resource
from ml.settings import Settings

LOOKBACK_STEPS = Settings().lookback_steps  # that a forecaster looks back
# Dense at the top: the prices ask for a quantile of 1 - hold / breach.
QUANTILES = (0.05, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class Shadow:
    """One shadow of a device. name: of the size in the policy; switch: the router that is the shadow."""

    name: str
    switch: str
    place: Place


@dataclass(frozen=True, slots=True)
class Device:
    """A router with its shadows. capacity: what it has; 0: of that resource nothing is compared."""

    name: str
    capacity: Amounts
    place: Place
    shadows: tuple[Shadow, ...]


def devices(section: ResourcesConfig) -> tuple[Device, ...]:
    """All of them."""
    return tuple(
        Device(
            one.name,
            Amounts(
                one.capacity.cpu_cores or 0.0,
                (one.capacity.memory_mib or 0.0) * MIB,
                (one.capacity.network_mbps or 0.0) * MEGABIT,
            ),
            _place(one.place),
            tuple(Shadow(own.name, own.switch, _place(own.place)) for own in one.shadows),
        )
        for one in section.devices
    )


def places(all_devices: Sequence[Device]) -> dict[str, Place]:
    """Switch → where it is, of devices and shadows."""
    found: dict[str, Place] = {}
    for one in all_devices:
        found[one.name] = one.place
        found |= {own.switch: own.place for own in one.shadows}
    return found


def forecast_settings(section: UseForecastConfig, resource: Resource) -> Settings:
    """Of the forecaster of one resource: a metric of its own."""
    return Settings(
        metric=f"{resource.value}_use",
        horizons_s=section.horizons_s,
        quantiles=QUANTILES,
        step_s=section.step_s,
        min_history_s=section.min_history_s,
    )


def _place(place: PlaceConfig) -> Place:
    return Place(place.group, place.ports)
