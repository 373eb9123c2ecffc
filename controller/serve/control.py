"""What the API needs of the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from controller.graph.graph import Graph
from controller.model import Address, AddressState


class ModelRefused(Exception):
    """A version cannot be put into service: "what; remedy"."""


class Addressing(Protocol):
    """The address shadow manager as the API sees it. Everything raises the pool's errors (controller.pool.errors)."""

    async def take(
        self,
        subdivision: str,
        owner: str,
        *,
        profile: str = "",
        reserved: str | None = None,
        family: int | None = None,
        host: str | None = None,
    ) -> Any:
        """An address for a new instance (`address_schemas.Taken`)."""

    async def release(self, address: str, owner: str, sequence: int | None = None) -> bool:
        """End an instance and its grant; False when it is over already."""

    async def reserve(self, subdivision: str, address: str, owner: str | None = None) -> Address:
        """Keep an address for an owner; None: from everybody."""

    async def unreserve(self, subdivision: str, address: str) -> Address:
        """Give a reservation up."""

    async def addresses(
        self,
        subdivision: str | None = None,
        state: AddressState | None = None,
        owner: str | None = None,
        most: int = 1000,
        after: str | None = None,
    ) -> Sequence[Address]:
        """Addresses that were ever used, a page of them."""

    def host_of(self, address: str) -> str | None:
        """The host that has it, as far as that is known."""

    async def shards(self) -> Mapping[str, Any]:
        """Shards, ranges and demand (`address_schemas.ShardsState`)."""

    async def approve(self, compaction: str) -> Sequence[Mapping[str, Any]]:
        """Carry out a compaction; its moves."""


class Destinations(Protocol):
    """Destination shadowing as the API sees it."""

    def state(self) -> Mapping[str, Any]:
        """Demand, copies, redirects (`destination_schemas.DestinationsState`)."""

    def mark(self, service: str, site: str, failed: bool) -> None:
        """Say that a copy fails, or is well; UnknownCopy (controller.destinations.errors)."""

    def graph(self) -> Graph:
        """The graph as it is kept."""


class Resources(Protocol):
    """The shadow manager for devices as the API sees it."""

    def state(self) -> Mapping[str, Any]:
        """Devices, shadows and the queue (`resource_schemas.ResourcesState`)."""

    def decisions(self, limit: int, device: str | None = None) -> Sequence[Mapping[str, Any]]:
        """The newest decisions, newest first (`resource_schemas.ResourceDecision`); KeyError: what and remedy."""


class Compared(Protocol):
    """Comparisons as the API sees them. Orders raise ComparisonRefused (controller.ab.comparisons)."""

    def state(self) -> Mapping[str, Any]:
        """`resource_schemas.ComparisonsState`."""

    def start(
        self,
        primary: str,
        variant: str,
        *,
        shares_pct: tuple[float, ...] | None = None,
        better_on: str | None = None,
        longest_s: float | None = None,
    ) -> Mapping[str, Any]:
        """Begin; `resource_schemas.ComparisonState`."""

    async def stop(self, primary: str) -> Mapping[str, Any]:
        """End; `resource_schemas.ComparisonState`."""


class Control(Protocol):
    """The controller as the API sees it, called in the controller's own loop only."""

    dry_run: bool

    @property
    def addressing(self) -> Addressing | None:
        """None without the section `addresses` in the configuration."""

    @property
    def destinations(self) -> Destinations | None:
        """None without the section `destinations` in the configuration."""

    @property
    def resources(self) -> Resources | None:
        """None without devices in the section `resources` of the configuration."""

    @property
    def ab(self) -> Compared:
        """Comparisons of variants with primaries."""

    def state(self) -> Mapping[str, Any]:
        """A JSON-able snapshot in the shape of `schemas.State`."""

    def decisions(
        self,
        *,
        limit: int,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """The newest decisions at or after `since_s`, newest first (`schemas.DecisionState`)."""

    def shadows(self) -> Sequence[Mapping[str, Any]]:
        """Every router's shadows (`shadow_schemas.AssignmentState`)."""

    def why_shadows(self, router: str) -> Mapping[str, Any]:
        """Why they are (`shadow_schemas.WhyState`); KeyError when there is no such router."""

    def freeze(self, router: str | None = None) -> None:
        """Leave the shares of one router, or of all, as they are."""

    def unfreeze(self, router: str | None = None) -> None:
        """Undo freeze."""

    def drain(self, router: str) -> None:
        """Take a router out of service in order; ValueError, with the remedy, when that cannot be."""

    def undrain(self, router: str) -> None:
        """Put it back into service; ValueError as `drain`."""

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand; None gives it back to the planner."""

    async def models(self) -> Mapping[str, Any]:
        """The forecasting models (`model_schemas.ModelsState`)."""

    async def promote_model(self, version: str) -> None:
        """Put a version into service; ModelRefused when it cannot be."""

    async def roll_back_model(self) -> None:
        """Put the champion before into service; ModelRefused when there is none."""
