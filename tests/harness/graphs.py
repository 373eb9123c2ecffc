"""Graphs for tests: one that is told by heart, and any."""

from __future__ import annotations

from hypothesis import strategies as st

from controller.graph.build import graph_of
from controller.graph.graph import (
    ENDS,
    Graph,
    GraphLink,
    GraphNode,
    LinkKey,
    LinkKind,
    NodeKey,
    NodeKind,
    Properties,
)
from controller.model.destinations import (
    DemandCell,
    Destination,
    Location,
    SiteResources,
    Standby,
    StandbyState,
)


def two_sites() -> Graph:
    """web is at home in the north, with copies in the south (ready) and the middle; mail has none."""
    return graph_of(
        (
            Location("oslo", "north", ("10.2.0.0/16",)),
            Location("rome", "south", ("10.1.0.0/16", "2001:db8:1::/48")),
        ),
        (Destination(1, "web", "north"), Destination(2, "mail", "north")),
        (
            SiteResources("north", ("n1", "n2"), 500.0, 0, 10.0),
            SiteResources("middle", ("m1",), 50.0, 1, 20.0),
            SiteResources("south", ("s3",), 100.0, 2, 15.5, 0.25, up=False),
        ),
        {
            ("oslo", "north"): 1.0, ("oslo", "south"): 40.0, ("oslo", "middle"): 12.0,
            ("rome", "north"): 40.0, ("rome", "south"): 2.0, ("rome", "middle"): 9.5,
        },
        (
            Standby(1, "south", ("s3",), 20.0, 1000.0, StandbyState.READY),
            Standby(1, "middle", ("m1",), 5.0, 2000.0),
        ),
        (DemandCell(1, "rome", (0.5, 0.9), (15.0, 22.0)),),
    )  # fmt: skip


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=8
)
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _NAMES,
)
_PROPERTIES = st.dictionaries(st.sampled_from(["room", "cost", "note", "x1"]), _VALUES, max_size=3)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any small graph: few names, so that two of them have nodes and links in common."""
    names = st.sampled_from([*draw(st.lists(_NAMES, min_size=1, max_size=3)), "a", "b"])
    keys = st.builds(NodeKey, st.sampled_from(list(NodeKind)), names)
    nodes: dict[NodeKey, Properties] = draw(st.dictionaries(keys, _PROPERTIES, max_size=8))
    possible = [
        LinkKey(kind, source, target)
        for kind in LinkKind
        for source in sorted(nodes)
        for target in sorted(nodes)
        if (source.kind, target.kind) in ENDS[kind]
    ]
    chosen = draw(st.lists(st.sampled_from(possible), max_size=8)) if possible else []
    return Graph.of(
        [GraphNode(key, own) for key, own in nodes.items()],
        [GraphLink(key, draw(_PROPERTIES)) for key in chosen],
    )
