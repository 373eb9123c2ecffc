"""What goes over the wire to a graph server, through the real driver: transactions, parameters, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controller.graph.graph import (
    Graph,
    GraphChange,
    GraphError,
    GraphLink,
    GraphNode,
    LinkKey,
    LinkKind,
    NodeKey,
    NodeKind,
)
from controller.graph.interface import Copy
from controller.graph.neo4j import BATCH, Neo4jGraph
from harness.bolt_peer import Peer, Refused, Rows, speaking
from harness.graphs import two_sites

PASSWORD = "correct horse"


def written(text: str, parameters: dict[str, Any]) -> Rows:
    """As a server that holds nothing and finds all that is to be linked."""
    if "rows" in parameters:
        return ["rows"], [[len(parameters["rows"])]]
    return [], []


@pytest.fixture
def peer() -> Iterator[Peer]:
    with speaking(Peer(written, PASSWORD)) as own:
        yield own


def opened(peer: Peer, password: str = PASSWORD) -> Neo4jGraph:
    return Neo4jGraph(f"bolt://127.0.0.1:{peer.port}", "neo4j", password, "fabric-1")


def test_a_change_is_one_transaction_and_what_it_holds_is_never_part_of_a_query(
    peer: Peer,
) -> None:
    with opened(peer) as store:
        peer.log.clear()
        odd = "x'}) DETACH DELETE n //"
        want = two_sites()
        node = GraphNode(
            NodeKey(NodeKind.LOCATION, odd), {"note": odd, "room": 3, "cost": 3.0, "up": True}
        )
        store.apply(
            GraphChange(
                put_nodes=(*want.nodes.values(), node), put_links=tuple(want.links.values())
            )
        )
    assert (len(peer.sent("BEGIN")), len(peer.sent("COMMIT"))) == (1, 1)
    runs = peer.sent("RUN")
    assert all(odd not in text and "rome" not in text for text, *_ in runs)
    assert all(parameters["graph"] == "fabric-1" for _, parameters, *_ in runs)
    rows = [row for _, parameters, *_ in runs for row in parameters["rows"]]
    assert len(rows) == len(want.nodes) + 1 + len(want.links)
    (own,) = (row["own"] for row in rows if row.get("name") == odd)
    assert {k: (type(v), v) for k, v in own.items()} == {
        k: (type(v), v) for k, v in node.properties.items()
    }


def test_a_link_without_its_end_takes_the_whole_transaction_back(peer: Peer) -> None:
    def one_less(text: str, parameters: dict[str, Any]) -> Rows:
        names, rows = written(text, parameters)
        return names, [[0]] if "row.target" in text and rows else rows

    with opened(peer) as store:
        peer.answer = one_less
        peer.log.clear()
        link = LinkKey(
            LinkKind.STANDBY, NodeKey(NodeKind.DESTINATION, "web"), NodeKey(NodeKind.RESOURCE, "s3")
        )
        with pytest.raises(GraphError, match=r"web -standby→ resource/s3.*add the node"):
            store.apply(GraphChange(put_links=(GraphLink(link),)))
    assert peer.sent("COMMIT") == []
    assert len(peer.sent("ROLLBACK")) + len(peer.sent("RESET")) >= 1


def test_large_changes_go_in_batches_of_one_transaction(peer: Peer) -> None:
    with opened(peer) as store:
        peer.log.clear()
        nodes = tuple(GraphNode(NodeKey(NodeKind.SITE, str(n))) for n in range(2 * BATCH + 1))
        store.apply(GraphChange(put_nodes=nodes))
    assert [len(parameters["rows"]) for _, parameters, *_ in peer.sent("RUN")] == [BATCH, BATCH, 1]
    assert len(peer.sent("COMMIT")) == 1


def test_what_the_server_tells_is_read_with_its_types(peer: Peer) -> None:
    def told(text: str, parameters: dict[str, Any]) -> Rows:
        if "standby" in text.lower() and "destination" in parameters:
            names = ["resource", "site", "latency_ms", "share_cps", "state"]
            return names, [["b", "far", 9, None, None], ["a", "near", 1.5, 20.0, "ready"]]
        if "(n:UmbraSite" in text:
            return ["name", "own"], [
                ["n", {"name": "n", "graph": "fabric-1", "room": 2, "up": True}]
            ]
        if "(n:UmbraDestination" in text:
            return ["name", "own"], [["web", {"name": "web", "graph": "fabric-1"}]]
        if ":PRIMARY]" in text:
            return ["source", "target", "own"], [["web", "n", {"cost": 2.0}]]
        return [], []

    with opened(peer) as store:
        peer.answer = told
        north, web = NodeKey(NodeKind.SITE, "n"), NodeKey(NodeKind.DESTINATION, "web")
        assert store.graph() == Graph.of(
            [GraphNode(north, {"room": 2, "up": True}), GraphNode(web)],
            [GraphLink(LinkKey(LinkKind.PRIMARY, web, north), {"cost": 2.0})],
        )
        assert store.copies("web", "rome") == [
            Copy("a", "near", 1.5, 20.0, "ready"),
            Copy("b", "far", 9.0, 0.0, ""),
        ]


def test_a_wrong_password_and_a_refusal_are_told_and_the_password_is_not(peer: Peer) -> None:
    with pytest.raises(GraphError, match="does not accept the user or the password") as caught:
        opened(peer, "wrong horse")
    assert "wrong horse" not in str(caught.value)

    def refusing(text: str, parameters: dict[str, Any]) -> Rows:
        raise Refused("Neo.ClientError.Statement.SyntaxError", "no such thing")

    with opened(peer) as store:
        peer.answer = refusing
        with pytest.raises(GraphError, match=r"refuses.*no such thing.*server's log"):
            store.nodes()
