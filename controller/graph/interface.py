"""What every graph store does. One contract suite tests all of them (tests/conformance/graph)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from controller.graph.graph import (
    Graph,
    GraphChange,
    GraphLink,
    GraphNode,
    LinkKind,
    NodeKey,
    NodeKind,
    difference,
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A standby copy, seen from a location. state: of `controller.model.destinations.StandbyState`."""

    resource: str
    site: str
    latency_ms: float
    share_cps: float
    state: str


class GraphStore(ABC):
    """Every method raises GraphError. A store belongs to one thread."""

    @abstractmethod
    def apply(self, change: GraphChange) -> None:
        """Write all of it, or nothing. What is to go and is not there is no error.

        GraphError if an end of a link is missing.
        """

    @abstractmethod
    def nodes(self, kind: NodeKind | None = None) -> list[GraphNode]:
        """Of a kind, or all; by key."""

    @abstractmethod
    def links(
        self,
        kind: LinkKind | None = None,
        source: NodeKey | None = None,
        target: NodeKey | None = None,
    ) -> list[GraphLink]:
        """Those that are as asked in every respect; by key."""

    @abstractmethod
    def graph(self) -> Graph:
        """Everything, as of one moment."""

    @abstractmethod
    def copies(self, destination: str, location: str) -> list[Copy]:
        """findShadowDIResource: where a location finds standby copies of a destination, the nearest first.

        Only at sites to which the location has a link.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or the server."""

    def replace(self, want: Graph) -> GraphChange:
        """Make the store hold exactly this graph, by writing what differs; tells what that was."""
        change = difference(self.graph(), want)
        if change:
            self.apply(change)
        return change

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def nearest(found: Sequence[Copy]) -> list[Copy]:
    """In the order of `copies`: by latency, then by name."""
    return sorted(found, key=lambda one: (one.latency_ms, one.site, one.resource))
