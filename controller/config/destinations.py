"""The section `destinations`: where clients are, where copies of services may be, and how that is planned.

Without the section nothing of it runs. What holds between keys is in `destinations_checks`.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from controller.config.addressing import Prefix
from controller.config.fields import Flag, Float, Int, Name, Section, SwitchNames, Text, ascending


def _bolt(text: str) -> str:
    if not re.fullmatch(
        r"(bolt|neo4j)(\+s)?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?", text
    ):
        raise ValueError("write bolt://host:port or neo4j+s://host:port, without name or password")
    return text


Milliseconds = Annotated[Float, Field(ge=0, le=60_000)]
Cost = Annotated[Float, Field(ge=0, le=1e12)]
Seconds = Annotated[Float, Field(ge=0, le=31_536_000)]
Bolt = Annotated[str, Field(strict=True), AfterValidator(_bolt)]
GraphName = Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class Neo4j(Section):
    """A graph server. User and password are not written here: see `controller.graph.stores`."""

    url: Bolt
    graph: GraphName = "umbra"  # several fabrics may share a database
    database: Name | None = None  # the server's default one


class GraphSection(Section):
    """Where the graph is kept: `path`, relative to the configuration file, or a server instead."""

    path: Text = "umbra-graph.db"
    neo4j: Neo4j | None = None


class SiteSection(Section):
    """What a site has for copies. `spare_cps`: new connections per second besides what it serves as a primary; absent:
    from what its routers have free. Costs are counted in connections per second x ms, and in ms per connection.
    """

    name: Name
    spare_cps: Annotated[Float, Field(ge=0, le=1e9)] | None = None
    room: Annotated[Int, Field(ge=0, le=100_000)] = 1000  # copies
    copy_cost: Cost = 100.0
    traffic_cost_ms: Milliseconds = 0.0


class Latency(Section):
    """Round trip between two sites, for as long as none was measured; absent: after the links' delays."""

    a: Name
    b: Name
    round_trip_ms: Milliseconds


class LocationSection(Section):
    """Where clients are: prefixes, areas of the geographic database, or both; and the site that they hang on.

    `latency_ms`: site → round trip, instead of `access_ms` and what is between the sites.
    """

    name: Name
    site: Name | None = None
    prefixes: tuple[Prefix, ...] = ()
    cities: tuple[Text, ...] = ()  # "IT/Rome"
    countries: tuple[Text, ...] = ()  # "IT"
    continents: tuple[Text, ...] = ()  # "EU"
    access_ms: Milliseconds = 0.0  # between the clients and their site's edges
    latency_ms: dict[Name, Milliseconds] = Field(default_factory=dict)


class CopySection(Section):
    """A site where a copy may be. `routers`: that serve it; all of the site's when absent."""

    site: Name
    routers: SwitchNames | None = None


class ServiceSection(Section):
    """One service as a destination. `copies`: where they may be; absent: wherever it has a backend, and routers are."""

    service: Name
    standby: Flag = True  # false: it has no copies
    primary_site: Name | None = None  # that of its routers when absent
    similar: tuple[Name, ...] = ()  # services whose demand it is expected to have while it is new
    copies: tuple[CopySection, ...] | None = None


class Access(Section):
    """The history of demand: of `cells` (destination, location) pairs, the most wanted among `counters`."""

    step_s: Annotated[Float, Field(ge=0.2, le=3600)] = 60.0
    keep_s: Annotated[Float, Field(ge=10)] = 172_800.0
    cells: Annotated[Int, Field(ge=1, le=100_000)] = 1024
    counters: Annotated[Int, Field(ge=1, le=10_000_000)] = 8192


class DemandForecast(Section):
    """What is foreseen: demand in `ahead_s`. `warm_samples`: with so many a destination is not new any more."""

    ahead_s: Annotated[Float, Field(ge=0, le=86_400)] = 900.0
    horizons_s: Annotated[
        tuple[Annotated[Float, Field(gt=0, le=86_400)], ...],
        Field(min_length=1),
        AfterValidator(ascending),
    ] = (300.0, 900.0, 1800.0, 3600.0)
    min_history_s: Annotated[Float, Field(ge=10)] = 172_800.0
    warm_samples: Annotated[Int, Field(ge=1, le=100_000)] = 30


class Placement(Section):
    """The rules of `controller.plan.destinations.settings`. `budget`: of all copies together; absent: none."""

    copies: Annotated[Int, Field(ge=0, le=15)] = 4  # of one destination
    budget: Cost | None = None
    open_cost: Cost = 200.0
    withdraw_cost: Cost = 50.0
    move_ms: Milliseconds = 1.0
    keep_s: Seconds = 300.0
    margin: Annotated[Float, Field(ge=0, lt=1)] = 0.05
    least_cps: Annotated[Float, Field(ge=0)] = 0.0


class Redirects(Section):
    """The rules of `controller.plan.redirects.settings`."""

    rows: Annotated[Int, Field(ge=0, le=8192)] = 8192
    slot_sets: Annotated[Int, Field(ge=0, le=200)] = 200
    least_saved_ms: Milliseconds = 1.0
    least_connections: Annotated[Int, Field(ge=1)] = 20
    least_gain: Annotated[Float, Field(ge=0)] = 0.0
    losing_cycles: Annotated[Int, Field(ge=1, le=1000)] = 3
    winning_cycles: Annotated[Int, Field(ge=1, le=1000)] = 10
    retry_s: Seconds = 300.0
    retry_max_s: Seconds = 7200.0
    refused_share: Annotated[Float, Field(ge=0, le=1)] = 0.01
    correction_max: Annotated[Float, Field(ge=1, le=100)] = 4.0
    hold_s: Seconds = 30.0
    hold_max_s: Seconds = 600.0
    forget_s: Seconds = 3600.0


class Destinations(Section):
    """Destinations where the demand will be. `geo_database` is relative to the configuration file."""

    period_s: Annotated[Float, Field(ge=0.2, le=60)] = 2.0
    predictive: Flag = True  # false: what was asked for of late counts, not what is foreseen
    geo_database: Text | None = None
    graph: GraphSection = GraphSection()
    sites: tuple[SiteSection, ...] = ()
    latencies: tuple[Latency, ...] = ()
    locations: Annotated[tuple[LocationSection, ...], Field(min_length=1)]
    services: tuple[ServiceSection, ...] = ()
    access: Access = Access()
    forecast: DemandForecast = DemandForecast()
    placement: Placement = Placement()
    redirects: Redirects = Redirects()
