"""Nodes and links with properties: what a graph store holds, as values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float | bool
Properties = Mapping[str, Value]

_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Control characters and lone surrogates: XML cannot hold the ones, UTF-8 not the others.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
RESERVED = frozenset({"name", "graph", "kind"})  # adapters and files use these themselves
MOST_TEXT = 4096
INT64 = 2**63


class NodeKind(StrEnum):
    """What a node stands for."""

    DESTINATION = "destination"
    RESOURCE = "resource"  # a router that can hold a copy
    LOCATION = "location"
    SITE = "site"


class LinkKind(StrEnum):
    """What a link says of its ends."""

    AT = "at"  # a resource, a location: the site that it hangs on
    PRIMARY = "primary"  # a destination's home
    STANDBY = "standby"  # a destination's copy on a resource
    WANTED = "wanted"  # a location's demand for a destination
    LINK = "link"  # a way, with latency_ms and cost


ENDS: Mapping[LinkKind, frozenset[tuple[NodeKind, NodeKind]]] = {
    LinkKind.AT: frozenset(
        {(NodeKind.RESOURCE, NodeKind.SITE), (NodeKind.LOCATION, NodeKind.SITE)}
    ),
    LinkKind.PRIMARY: frozenset({(NodeKind.DESTINATION, NodeKind.SITE)}),
    LinkKind.STANDBY: frozenset({(NodeKind.DESTINATION, NodeKind.RESOURCE)}),
    LinkKind.WANTED: frozenset({(NodeKind.LOCATION, NodeKind.DESTINATION)}),
    LinkKind.LINK: frozenset(
        {
            (NodeKind.LOCATION, NodeKind.SITE),
            (NodeKind.SITE, NodeKind.SITE),
            (NodeKind.RESOURCE, NodeKind.RESOURCE),
        }
    ),
}


class GraphError(Exception):
    """The graph cannot be read or written as asked. The text says why, and the remedy."""


@dataclass(frozen=True, slots=True, order=True)
class NodeKey:
    """A node's identity."""

    kind: NodeKind
    name: str

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 255 or _UNFIT.search(self.name):
            raise GraphError(
                f"{self.kind} {self.name[:40]!r}: a name has 1 to 255 characters, none of them a control character"
            )

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> NodeKey:
        """Of "KIND/NAME". Raises GraphError."""
        kind, _, name = text.partition("/")
        if kind not in list(NodeKind):
            raise GraphError(
                f"{text[:60]!r} is no node: write KIND/NAME, KIND one of {[*NodeKind]}"
            )
        return cls(NodeKind(kind), name)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node. Numbers are finite, whole ones within 64 bits."""

    key: NodeKey
    properties: Properties = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(str(self.key), self.properties)


@dataclass(frozen=True, slots=True, order=True)
class LinkKey:
    """A link's identity: there is one of a kind from one node to another."""

    kind: LinkKind
    source: NodeKey
    target: NodeKey

    def __post_init__(self) -> None:
        if (self.source.kind, self.target.kind) not in ENDS[self.kind]:
            allowed = ", ".join(sorted(f"{left} → {right}" for left, right in ENDS[self.kind]))
            raise GraphError(f"{self}: a link of this kind goes {allowed}")

    def __str__(self) -> str:
        return f"{self.source} -{self.kind}→ {self.target}"


@dataclass(frozen=True, slots=True)
class GraphLink:
    """A directed link."""

    key: LinkKey
    properties: Properties = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(str(self.key), self.properties)


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes and links at one time, by key. Raises GraphError where an end of a link is missing."""

    nodes: Mapping[NodeKey, GraphNode] = field(default_factory=dict)
    links: Mapping[LinkKey, GraphLink] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.links:
            for end in (key.source, key.target):
                if end not in self.nodes:
                    raise GraphError(f"{key}: there is no {end}; add the node as well")

    @classmethod
    def of(cls, nodes: Iterable[GraphNode], links: Iterable[GraphLink]) -> Graph:
        """From nodes and links in any order; sorted. The last of those with the same key stays."""
        by_node = {one.key: one for one in nodes}
        by_link = {one.key: one for one in links}
        return cls(
            {key: by_node[key] for key in sorted(by_node)},
            {key: by_link[key] for key in sorted(by_link)},
        )


@dataclass(frozen=True, slots=True)
class GraphChange:
    """Written as one: links go, nodes go with their links, nodes come or are replaced, links come or are replaced."""

    drop_links: tuple[LinkKey, ...] = ()
    drop_nodes: tuple[NodeKey, ...] = ()
    put_nodes: tuple[GraphNode, ...] = ()
    put_links: tuple[GraphLink, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.drop_links or self.drop_nodes or self.put_nodes or self.put_links)


def difference(have: Graph, want: Graph) -> GraphChange:
    """What turns the one into the other, and nothing else."""
    gone = have.nodes.keys() - want.nodes.keys()
    return GraphChange(
        tuple(
            key
            for key in have.links
            if key not in want.links and key.source not in gone and key.target not in gone
        ),
        tuple(key for key in have.nodes if key in gone),
        tuple(one for key, one in want.nodes.items() if not _same(have.nodes.get(key), one)),
        tuple(one for key, one in want.links.items() if not _same(have.links.get(key), one)),
    )


def _same(left: GraphNode | GraphLink | None, right: GraphNode | GraphLink) -> bool:
    # 1, 1.0 and True are equal in Python, and different values in a graph.
    return left is not None and _typed(left.properties) == _typed(right.properties)


def _typed(properties: Properties) -> dict[str, tuple[str, Value]]:
    return {name: (type(value).__name__, value) for name, value in properties.items()}


def _check(whose: str, properties: Properties) -> None:
    for name, value in properties.items():
        if name in RESERVED or not _PROPERTY.fullmatch(name):
            raise GraphError(
                f"{whose}: {name[:70]!r} cannot name a property; use small letters, digits and _, "
                f"and not {', '.join(sorted(RESERVED))}"
            )
        if isinstance(value, str):
            fit = 0 < len(value) <= MOST_TEXT and not _UNFIT.search(value)
        elif isinstance(value, float):
            fit = math.isfinite(value)
        else:
            fit = isinstance(value, int) and -INT64 <= value < INT64
        if not fit:
            raise GraphError(
                f"{whose}: {name} must be text of 1 to {MOST_TEXT} characters without control characters, "
                "a finite number, whole ones within 64 bits, or true or false"
            )
