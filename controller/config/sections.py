"""The sections of the configuration file: types, ranges and defaults. Unknown keys are refused.

What holds between sections (a link's switch must exist, labels are unique, …) is in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from controller import model
from controller.config.addressing import Addresses
from controller.config.comparisons import AbConfig
from controller.config.destinations import Destinations
from controller.config.fields import (
    MOST_ENTRIES,
    Flag,
    Float,
    IdleS,
    Int,
    Ipv4,
    Label,
    Mac,
    Name,
    PortName,
    PowerOfTwo,
    Section,
    Server,
    Subnet,
    SwitchNames,
    Text,
    Time,
    UdpOrTcpPort,
    ascending,
    zone,
)
from controller.config.influx import InfluxServer
from controller.config.resources import ResourcesConfig


class Cycle(Section):
    """The control loop. Percentages are of a router's share of new connections."""

    period_s: Annotated[Float, Field(ge=0.1, le=60)] = 1.0
    predictive: Flag = True  # false: thresholds only
    ramp_pct: Annotated[Int, Field(ge=1, le=50)] = 10  # the most a shift grows in one cycle
    max_shift_pct: Annotated[Int, Field(ge=1, le=50)] = 50
    restore_pct: Annotated[Int, Field(ge=1, le=50)] = 1  # the most it shrinks in one cycle
    min_probability: Annotated[Float, Field(gt=0, le=1)] = 0.5
    surge: Flag = True
    surge_poll_ms: Annotated[Float, Field(ge=50, le=1000)] = 200.0  # between looks for a surge
    direction_changes_per_10_cycles: Annotated[Int, Field(ge=1, le=10)] = 1
    dry_run: Flag = False


class Event(Section):
    """Something that is known to change the load. `factor` multiplies the new connections, of a subdivision the
    new instances.
    """

    name: Text
    start: Time  # ISO 8601 with a zone, or Unix seconds; kept as Unix seconds
    end: Time
    services: tuple[Name, ...] = ()
    routers: SwitchNames = ()
    subdivisions: SwitchNames = ()
    factor: Annotated[Float, Field(gt=0)] = 1.0


class Models(Section):
    """Where trained models are kept, when they are trained, and how one takes over from another.

    `path` is relative to the configuration file.
    """

    path: Text = "umbra-models"
    keep: Annotated[Int, Field(ge=1, le=1000)] = 10  # versions besides those in use
    retrain_growth: Annotated[Float, Field(gt=0)] = 0.5  # retrain when history grew by this share
    retrain_after_s: Annotated[Float, Field(ge=60)] = 86_400.0  # … when a training is this old
    retrain_on_drift: Flag = True  # … when inputs or errors drift
    drift_look_s: Annotated[Float, Field(ge=10)] = 900.0  # between looks at the inputs
    alpha: Annotated[Float, Field(gt=0, lt=0.5)] = 0.05  # chance of promoting one that is no better
    alpha_back: Annotated[Float, Field(gt=0, lt=0.5)] = 0.2  # of a rollback without need
    trial_s: Annotated[Float, Field(ge=60)] = 172_800.0  # that a challenger has to prove itself
    watch_s: Annotated[Float, Field(ge=0)] = 86_400.0  # that the champion before is kept ready


class Forecast(Section):
    """What is forecast and when the models learn. `calendars` are relative to the configuration file."""

    horizons_s: Annotated[
        tuple[Annotated[Float, Field(gt=0, le=3600)], ...],
        Field(min_length=1),
        AfterValidator(ascending),
    ] = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
    min_history_s: Annotated[Float, Field(ge=60)] = 600.0
    # Budget of the trained alarm rule, of each router; until one is trained min_probability counts.
    false_alarms_per_day: Annotated[Float, Field(gt=0, le=86_400)] = 24.0
    models: Models = Models()
    seed: Annotated[Int, Field(ge=0)] = 0
    events: tuple[Event, ...] = ()
    calendars: tuple[Text, ...] = ()  # .ics and .yaml files with further events
    calendar_zone: Annotated[Text, AfterValidator(zone)] = "UTC"  # of times that name none


class Idle(Section):
    """When the data plane forgets a connection."""

    tcp_s: IdleS = 900.0
    udp_s: IdleS = 60.0
    opening_s: IdleS = 10.0
    linger_s: IdleS = 5.0
    scan_period_s: Annotated[Float, Field(ge=1, le=3600)] = 30.0


class Digests(Section):
    """Which new connections the switches report."""

    sample_one_in: Annotated[PowerOfTwo, Field(le=65536)] = 1


class Influxdb(InfluxServer):
    """The InfluxDB server that telemetry goes to; a second database is called {database}_long.

    What the server has not taken yet waits in `spool`, a folder of at most spool_mb.
    """

    spool: Text = "umbra-spool"
    spool_mb: Annotated[Int, Field(ge=1, le=1_000_000)] = 1024
    prove_s: Annotated[Float, Field(ge=0.5, le=3600)] = 5.0  # between looks that it can be read
    writer: Name = "umbra"  # each controller that writes into one database has its own


class Store(Section):
    """The telemetry store. `path` is relative to the configuration file: with `influxdb` it holds only what
    the controller must remember.
    """

    path: Text = "umbra.db"
    retention_s: Annotated[Float, Field(ge=60)] = 604800.0
    long_retention_s: Annotated[Float, Field(ge=3600)] = 7_776_000.0  # of means over a minute
    # Of measurements whose retention differs from that of their bucket.
    retention_of_s: dict[Text, Annotated[Float, Field(ge=60)]] = Field(default_factory=dict)
    buffer_rows: Annotated[Int, Field(ge=100)] = 100_000  # kept in memory while the disk is full
    most_arrivals: Annotated[Int, Field(ge=2, le=100_000)] = 1000  # series: destination × location
    influxdb: Influxdb | None = None


class Audit(Section):
    """The audit log, chained JSON lines. `path` and `anchor_file` are relative to the configuration file."""

    path: Text = "umbra-audit.jsonl"
    sync: Literal["line", "interval", "kernel"] = "interval"  # when lines are forced to the disk
    sync_period_s: Annotated[Float, Field(ge=0.05, le=3600)] = 1.0
    rotate_bytes: Annotated[Int, Field(ge=65_536)] = 67_108_864
    keep_files: Annotated[Int, Field(ge=1)] | None = None  # put aside; absent: all
    anchor_file: Text | None = None  # gets the newest hash once a minute; best on another machine


class Api(Section):
    """The REST API. Beyond loopback it needs a token."""

    host: Text = "127.0.0.1"
    port: Annotated[Int, Field(ge=0, le=65535)] = 8741
    token_file: Text | None = None


class P4(Section):
    """The compiled data plane; by default the one that comes with umbra."""

    json_path: Annotated[Text | None, Field(alias="json")] = None
    p4info: Text | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)


class Tls(Section):
    """PEM files for the connection to a switch, relative to the configuration file."""

    ca_file: Text
    cert_file: Text | None = None
    key_file: Text | None = None


class Switch(Section):
    """One P4 switch; see model.Switch."""

    name: Name
    stage: Literal["edge", "spine", "router"]
    device_id: Annotated[Int, Field(ge=1, le=2**64 - 1)]
    address: Server
    label: Label
    mac: Mac
    site: Name = "main"
    failure_domain: Name | None = None  # what fails together; its site when absent
    subnet: Subnet | None = None
    capacity: Annotated[Int, Field(ge=0, le=2 * MOST_ENTRIES)] = 0
    threshold_available: Annotated[Int, Field(ge=0)] = 0
    table_size: Annotated[PowerOfTwo, Field(ge=16, le=MOST_ENTRIES)] = 4096
    tls: Tls | None = None
    p4: P4 | None = None  # a program of its own, such as a variant that is compared


class Link(Section):
    """A cable between two switches."""

    a: PortName
    b: PortName
    delay_ms: Annotated[Float, Field(ge=0, le=10_000)] = 0.0


class Client(Section):
    """A host that opens connections."""

    name: Name
    port: PortName
    ip: Ipv4
    mac: Mac


class Backend(Section):
    """A host that serves."""

    name: Name
    port: PortName
    ip: Ipv4
    mac: Mac
    label: Label


class Service(Section):
    """A service address and who serves it; `routers` are its primaries, with equal shares."""

    id: Annotated[Int, Field(ge=1, le=255)]
    name: Name
    address: Ipv4
    protocol: Literal["tcp", "udp"] = "tcp"
    port: UdpOrTcpPort
    routers: Annotated[SwitchNames, Field(min_length=1, max_length=model.plan.SLOTS)]
    backends: Annotated[tuple[Name, ...], Field(min_length=1, max_length=model.plan.SLOTS)]


class Shadows(Section):
    """How many shadows each router has, how they are chosen, and which where they are not to be.

    `near_ms`: round trip within which a router of another failure domain is near enough. `margin`:
    how many times better another must be, for `patience_s`, to replace a shadow.
    """

    per_router: Annotated[Int, Field(ge=1, le=3)] = 2
    near_ms: Annotated[Float, Field(ge=0, le=10_000)] = 10.0
    margin: Annotated[Float, Field(ge=1.1, le=10)] = 1.5
    patience_s: Annotated[Float, Field(ge=1, le=86400)] = 30.0
    probe_period_ms: Annotated[Float, Field(ge=50, le=60_000)] = 500.0  # of each router, in turn
    overrides: dict[Name, Annotated[SwitchNames, Field(min_length=1, max_length=3)]] = Field(
        default_factory=dict
    )


class LoadTest(Section):
    """Synthetic load: what a shadow can carry is measured before and while it takes traffic."""

    enabled: Flag = True
    time_share_pct: Annotated[Float, Field(ge=1, le=50)] = 20.0  # of the time, at most
    step_ms: Annotated[Float, Field(ge=20, le=100)] = 100.0
    margin: Annotated[Float, Field(ge=1, le=10)] = 1.5  # over what planned shifts may bring
    most_loss_pct: Annotated[Float, Field(gt=0, le=50)] = 1.0
    latency_ms: Annotated[Float, Field(gt=0, le=10_000)] = 20.0  # beyond the idle round trip
    in_use_every_s: Annotated[Float, Field(ge=5, le=86400)] = 60.0
    idle_every_s: Annotated[Float, Field(ge=5, le=86400)] = 600.0
    valid_s: Annotated[Float, Field(ge=5, le=86400)] = 900.0  # an older result bounds nothing
    busy_pct: Annotated[Float, Field(gt=0, le=100)] = 80.0  # fuller shadows are left alone


class Failover(Section):
    """When a router counts as dead, and how it comes back. With `enabled: false` nothing is probed
    and only a lost connection says that a switch is gone; draining works all the same.
    """

    enabled: Flag = True
    probe_period_ms: Annotated[Float, Field(ge=5, le=10_000)] = 25.0  # of each router
    probes_per_s: Annotated[Int, Field(ge=1, le=100_000)] = 400  # of all; more routers, rarer each
    dead_after_ms: Annotated[Float, Field(ge=20, le=60_000)] = 100.0  # without any answer
    confirm_ms: Annotated[Float, Field(ge=10, le=10_000)] = 40.0  # quick probes to a suspect
    return_after_s: Annotated[Float, Field(ge=0, le=3600)] = 2.0  # answering before it is trusted
    repair_period_s: Annotated[Float, Field(ge=1, le=3600)] = 5.0  # a pair's replicas, at most


class Config(Section):
    """The whole file."""

    umbra: Annotated[Int, Field(ge=1, le=1)]
    cycle: Cycle = Cycle()
    forecast: Forecast = Forecast()
    idle: Idle = Idle()
    digests: Digests = Digests()
    store: Store = Store()
    audit: Audit = Audit()
    api: Api = Api()
    p4: P4 = P4()
    switches: Annotated[tuple[Switch, ...], Field(min_length=1)]
    links: tuple[Link, ...]
    clients: tuple[Client, ...]
    backends: tuple[Backend, ...]
    services: tuple[Service, ...]
    shadows: Shadows = Shadows()
    load_test: LoadTest = LoadTest()
    failover: Failover = Failover()
    addresses: Addresses | None = None
    destinations: Destinations | None = None
    resources: ResourcesConfig | None = None
    ab: AbConfig = AbConfig()

    def fabric(self) -> model.Fabric:
        """The fabric in the words of `controller.model`."""
        return model.Fabric(
            switches=tuple(_switch(switch) for switch in self.switches),
            links=tuple(
                model.Link(port(link.a), port(link.b), link.delay_ms) for link in self.links
            ),
            clients=tuple(model.Client(c.name, port(c.port), c.ip, c.mac) for c in self.clients),
            backends=tuple(
                model.Backend(b.name, port(b.port), b.ip, b.mac, b.label) for b in self.backends
            ),
            services=tuple(
                model.Service(s.id, s.name, s.address, s.protocol, s.port, s.routers, s.backends)
                for s in self.services
            ),
        )


def port(text: str) -> model.Port:
    """'e1:9' → Port('e1', 9)."""
    switch, number = text.split(":")
    return model.Port(switch, int(number))


def _switch(switch: Switch) -> model.Switch:
    tls = None
    if switch.tls:
        tls = model.Tls(switch.tls.ca_file, switch.tls.cert_file, switch.tls.key_file)
    return model.Switch(
        name=switch.name,
        stage=model.Stage(switch.stage),
        device_id=switch.device_id,
        address=switch.address,
        label=switch.label,
        mac=switch.mac,
        site=switch.site,
        failure_domain=switch.failure_domain,
        subnet=switch.subnet,
        capacity=switch.capacity,
        threshold_available=switch.threshold_available,
        table_size=switch.table_size,
        tls=tls,
    )
