"""What the API says about destinations, their copies, redirects and the graph."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from controller.serve.schemas import Request


class CopyRequest(Request):
    """What somebody who watches over a copy's backends has found."""

    service: str
    site: str
    failed: bool = Field(description="true: it fails; false: it is well again")


class DestinationState(BaseModel):
    """A service that can have copies."""

    service: str
    service_id: int
    primary_site: str
    sites: list[str] = Field(description="where copies may be")
    borrowed_from: int | None = Field(
        description="it is new: from so many others its demand is borrowed"
    )


class LocationState(BaseModel):
    """Where clients are."""

    name: str
    site: str | None
    prefixes: int
    latency_ms: dict[str, float] = Field(description="site → round trip")


class SiteState(BaseModel):
    """What a site has for copies."""

    site: str
    routers: list[str]
    spare_cps: float
    room: int
    copy_cost: float
    traffic_cost_ms: float
    up: bool


class DemandState(BaseModel):
    """Demand of one destination from one location, new connections per second; the largest first."""

    service: str
    location: str
    expected_cps: float = Field(description="median of the forecast, corrected")
    reserve_cps: float = Field(description="90 % quantile of it")
    observed_cps: float | None = Field(description="in the latest step")
    correction: float = Field(description="factor by which the forecast was corrected")


class CopyState(BaseModel):
    """A standby copy."""

    service: str
    site: str
    state: str = Field(description="preparing, ready, draining or failed")
    share_cps: float
    routers: list[str]
    since_s: float
    marked_failed: bool


class ServedState(BaseModel):
    """New connections of a location that go to a copy; those of all others go to the primary."""

    service: str
    location: str
    site: str


class AchievedState(BaseModel):
    """What a redirect did in the latest step."""

    service: str
    location: str
    site: str
    connections: int
    window_s: float
    latency_ms: float | None = Field(description="measured round trip to the copy")
    primary_ms: float | None = Field(description="measured round trip to the primary")
    refused: int
    gain: float | None = Field(description="connections per second x ms saved")


class StepState(BaseModel):
    """Something that was decided, and why."""

    time_s: float
    act: str
    service: str
    service_id: int
    location: str | None
    before: str | None
    after: str | None
    site: str | None
    reason: str
    inputs: dict[str, Any]
    dry_run: bool


class WriteState(BaseModel):
    """One write to all edges: from the decision until the last edge had it."""

    time_s: float
    ended_s: float
    updates_ms: float
    failed: list[str]
    steps: list[StepState]


class RedirectsState(BaseModel):
    """The table `redirects`, the same on every edge."""

    rows: int
    left_out: list[str] = Field(description="services whose rows did not fit")
    writes: list[WriteState] = Field(description="the newest first")


class DestinationsState(BaseModel):
    """Everything about destinations at one moment."""

    turns: int
    turn_ms: float
    dry_run: bool
    destinations: list[DestinationState]
    locations: list[LocationState]
    sites: list[SiteState]
    demand: list[DemandState]
    copies: list[CopyState]
    served: list[ServedState]
    achieved: list[AchievedState]
    redirects: RedirectsState
    steps: list[StepState] = Field(description="the newest first")


class NodeForm(BaseModel):
    """A node of the graph."""

    node: str = Field(description="KIND/NAME")
    properties: dict[str, Any]


class LinkForm(BaseModel):
    """A link of the graph."""

    link: str = Field(description="at, primary, standby, wanted or link")
    source: str
    target: str
    properties: dict[str, Any]


class GraphForm(BaseModel):
    """The graph, in the form of its JSON files (`umbra graph import` reads it)."""

    umbra_graph: int
    nodes: list[NodeForm]
    links: list[LinkForm]
