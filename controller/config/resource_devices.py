"""Devices whose resources follow the forecast: where they and their shadows run, and how they are forecast."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from controller.config.fields import Flag, Float, Int, Name, Section, Text, ascending
from controller.config.influx import InfluxServer


class PlaceConfig(Section):
    """Where a switch runs, on this machine. group: its control group, below the mounts of the hierarchies, as
    umbra/r1. ports: its interfaces, in umbra's own network namespace.
    """

    group: Text
    ports: tuple[Text, ...] = ()


class CapacityConfig(Section):
    """What a primary has; umbra never changes it. Of a resource that is left out nothing is compared."""

    cpu_cores: Annotated[Float, Field(gt=0)] | None = None
    memory_mib: Annotated[Float, Field(gt=0)] | None = None
    network_mbps: Annotated[Float, Field(gt=0)] | None = None


class ShadowDeviceConfig(Section):
    """name: of a size in the policy. switch: a router of the fabric that is primary of no service."""

    name: Name
    switch: Name
    place: PlaceConfig


class DeviceConfig(Section):
    """A router with shadows of its own. name: the switch."""

    name: Name
    capacity: CapacityConfig
    place: PlaceConfig
    shadows: Annotated[tuple[ShadowDeviceConfig, ...], Field(min_length=1)]


class UseForecastConfig(Section):
    """step_s: grid of the series. enabled: false: shadows are sized by what is used (a reactive policy).

    history_s: kept in memory, and read back from the store at a start.
    """

    enabled: Flag = True
    horizons_s: Annotated[
        tuple[Annotated[Float, Field(gt=0, le=7200)], ...],
        Field(min_length=1),
        AfterValidator(ascending),
    ] = (300.0, 600.0, 900.0)
    step_s: Annotated[Float, Field(ge=0.1, le=600)] = 30.0
    min_history_s: Annotated[Float, Field(ge=60)] = 7200.0
    history_s: Annotated[Float, Field(ge=60, le=2_592_000)] = 172_800.0


class MetricConfig(Section):
    """Where others write one resource of devices; each key as of `controller.observe.device_history.Metric`."""

    measurement: Text
    field: Text
    tag: Text = "device"
    where: dict[Text, Text] = Field(default_factory=dict)
    factor: Annotated[Float, Field(gt=0)] = 1.0
    total: Flag = False


class PastConfig(Section):
    """What devices used before umbra watched them, as others (Telegraf, say) wrote it. Of a resource that is left out
    nothing is known.
    """

    influxdb: InfluxServer
    cpu: MetricConfig
    memory: MetricConfig | None = None
    network: MetricConfig | None = None


class RecordConfig(Section):
    """Every cycle's inputs, one file per day (UTC): they can be decided again. path: a directory."""

    path: Text = "umbra-resources"
    keep_days: Annotated[Int, Field(ge=1, le=3650)] = 7
