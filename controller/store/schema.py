"""What the telemetry store keeps: measurements with tags, fields, units and bounds on their series.

A series is a measurement with one set of tag values. A point is one series at one time; writing it
again overwrites it. Times are nanoseconds since 1970; see `controller.store.stamps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """As InfluxDB names them."""

    FLOAT = "float"
    INTEGER = "integer"  # 64 bits, signed
    STRING = "string"
    BOOLEAN = "boolean"


NUMERIC = frozenset({FieldType.FLOAT, FieldType.INTEGER})


class Bucket(StrEnum):
    """How long a measurement is kept; a database (1.x, 3) or bucket (2.x) of its own on a server."""

    RAW = "raw"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a point; it may be absent."""

    name: str
    type: FieldType
    unit: str
    about: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """tags: in the order of a point's tags. most_series: the bound, in words that docs/store.md repeats.

    about: one line.
    """

    name: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    most_series: str
    about: str
    bucket: Bucket = Bucket.RAW

    @property
    def field_names(self) -> tuple[str, ...]:
        """In the order of a point's values."""
        return tuple(field.name for field in self.fields)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the fields that can be averaged."""
        return tuple(field.name for field in self.fields if field.type in NUMERIC)

    def field(self, name: str) -> Field:
        """By name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def _float(name: str, unit: str, about: str) -> Field:
    return Field(name, FieldType.FLOAT, unit, about)


def _integer(name: str, unit: str, about: str) -> Field:
    return Field(name, FieldType.INTEGER, unit, about)


def _string(name: str, about: str) -> Field:
    return Field(name, FieldType.STRING, "", about)


_SAMPLE = (
    _float("live", "connections", "alive on the router"),
    _float("new_per_s", "1/s", "connections opened"),
    _float("closed_per_s", "1/s", "connections closed or expired"),
    _float("refused_per_s", "1/s", "connections refused"),
    _float("mean_duration_s", "s", "of a connection, by Little's law"),
    _float("bytes_per_s", "B/s", "of service packets"),
    _float("demand", "connections", "what would be alive without any shift or refusal"),
    _float("demand_new_per_s", "1/s", "connections offered, refused ones included"),
    _float("shift_pct", "%", "of its new connections that shadows take"),
)
_QUANTILES = ("p05", "p25", "p50", "p75", "p95")

_ALL = (
    Measurement(
        "samples", ("router",), _SAMPLE, "routers", "one router in one cycle"
    ),
    Measurement(
        "services",
        ("node", "service"),
        tuple(
            _integer(name, unit, "total since the switch started")
            for name, unit in (
                ("opened", "connections"), ("closed", "connections"), ("expired", "connections"),
                ("refused", "connections"), ("unbound", "packets"), ("packets", "packets"),
                ("bytes", "B"),
            )
        ),
        "switches x services",
        "a switch's counters of a service",
    ),
    Measurement(
        "connections",
        ("node",),
        (
            _string("client", "IPv4 address"),
            _string("address", "service address"),
            _integer("protocol", "", "6 TCP, 17 UDP"),
            _integer("client_port", "", "TCP or UDP port"),
            _integer("service_port", "", "TCP or UDP port"),
            _integer("service", "", "id of the service"),
            _integer("binding", "", "label that was chosen"),
        ),
        "switches",
        "a new connection that a switch reported; the client is a field, never a tag",
    ),
    Measurement(
        "arrivals",
        ("destination", "location"),
        (_integer("connections", "connections", "reported since the point before"),),
        "store.most_arrivals (top-k by weight; the rest is counted at location \"other\")",
        "new connections by service and location; without the section destinations those reported, by service "
        "address and the client's /24",
    ),
    Measurement(
        "forecasts",
        ("router", "horizon_s"),
        (
            _string("model", "version that made it"),
            *(_float(name, "connections", "quantile of the count then") for name in _QUANTILES),
        ),
        "routers x horizons",
        "a forecast for one horizon",
    ),
    Measurement(
        "breaches",
        ("router",),
        (
            _float("probability", "", "that available connections fall below the threshold"),
            _float("lead_s", "s", "until then"),
        ),
        "routers",
        "a breach that is foreseen",
    ),
    Measurement(
        "decisions",
        ("router", "kind"),
        (
            _string("id", "unique"),
            _string("trigger", "what it was made for"),
            _float("shift_before_pct", "%", "shift until then"),
            _float("shift_after_pct", "%", "shift from then on"),
            _string("shadows", "names, JSON"),
            _string("reason", "one sentence"),
            _string("inputs", "what it was made from, JSON"),
            Field("dry_run", FieldType.BOOLEAN, "", "nothing was written"),
        ),
        "routers x kinds of decision",
        "a decision",
    ),
    Measurement(
        "outcomes",
        ("result",),
        (
            _string("id", "of the decision"),
            _string("written", "names of switches, JSON"),
            _string("failed", "(switch, error) pairs, JSON"),
            _float("decide_to_written_ms", "ms", "until the last switch had it"),
        ),
        "3 (written, failed, none)",
        "what came of a decision",
    ),
    Measurement(
        "devices",
        ("device",),
        (
            _float("cpu_cores", "cores", "CPU used"),
            _float("memory_bytes", "B", "working set"),
            _float("network_bps", "bit/s", "sent over all ports"),
            _float("received_bps", "bit/s", "received over all ports"),
            _float("limited", "", "share of the CPU limit's periods in which it held the device back"),
        ),
        "devices",
        "what a device used since the point before",
    ),
    Measurement(
        "device_requests",
        ("device", "service", "size", "source", "destination"),
        (_float("per_s", "1/s", "new requests"),),
        "resources.most_classes (top-k by weight; the rest of a device is counted as \"other\")",
        "what a device was used for: requests by service, size, source /24 and destination",
    ),
    Measurement(
        "samples_1m",
        ("router",),
        (*_SAMPLE, _float("demand_max", "connections", "greatest demand in the minute")),
        "routers",
        "means of `samples` over a minute, at its start",
        Bucket.LONG,
    ),
    Measurement(
        "canary",
        ("writer",),
        (_integer("sequence", "", "rises by one with each checkpoint"),),
        "controllers",
        "written and read back: proves that what was acknowledged can be read",
    ),
)  # fmt: skip

SCHEMA: Mapping[str, Measurement] = {one.name: one for one in _ALL}
