"""The graph as a value and as a file, and who may be told a graph server's password."""

from __future__ import annotations

import socket
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path

import networkx  # noqa: F401 -- loaded here: the first example would take too long
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.graph.files import export, from_graphml, from_json, read, to_graphml, to_json
from controller.graph.graph import (
    Graph,
    GraphError,
    GraphLink,
    GraphNode,
    LinkKey,
    LinkKind,
    NodeKey,
    NodeKind,
    Value,
    difference,
)
from controller.graph.neo4j import Neo4jGraph
from controller.graph.picture import MOST, svg
from controller.graph.sqlite import SqliteGraph
from harness.graphs import graphs, two_sites


@given(graphs())
def test_a_graph_is_the_same_after_a_file_of_either_form(graph: Graph) -> None:
    for written in (from_json(to_json(graph)), from_graphml(to_graphml(graph))):
        assert written == graph
        assert not difference(written, graph)  # types of values as well


@given(graphs(), graphs())
def test_nothing_is_written_twice_and_nothing_is_forgotten(have: Graph, want: Graph) -> None:
    change = difference(have, want)
    nodes = {key: one for key, one in have.nodes.items() if key not in change.drop_nodes}
    nodes.update({one.key: one for one in change.put_nodes})
    links = {
        key: one
        for key, one in have.links.items()
        if key not in change.drop_links and key.source in nodes and key.target in nodes
    }
    links.update({one.key: one for one in change.put_links})
    assert Graph.of(nodes.values(), links.values()) == want
    assert not difference(want, want)


@pytest.mark.parametrize("ending", ["json", "graphml"])
def test_files_that_are_no_graph_are_refused_by_name(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"odd.{ending}"
    for content in (b"", b"{", b"[]", b"<graphml>", b'{"umbra_graph": 1}', b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(GraphError, match=rf"odd\.{ending}"):
            read(file)
    with pytest.raises(GraphError, match="cannot be read"):
        read(tmp_path / f"absent.{ending}")
    with pytest.raises(GraphError, match=r"\.json or \.graphml"):
        export(Graph(), tmp_path / "graph.txt")
    with pytest.raises(GraphError, match="cannot be written"):
        export(Graph(), tmp_path / "absent" / f"graph.{ending}")


def test_a_graphml_file_cannot_smuggle_entities_in(tmp_path: Path) -> None:
    file = tmp_path / "bad.graphml"
    bomb = '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a SYSTEM "file:///etc/hostname">]><g>&a;</g>'
    for encoding in ("utf-8", "utf-16", "utf-16-be"):
        file.write_bytes(bomb.encode(encoding))
        with pytest.raises(GraphError, match="document type"):
            read(file)


def test_a_graphml_file_of_other_kinds_says_what_is_wrong() -> None:
    whole = to_graphml(two_sites()).decode()
    with pytest.raises(GraphError, match="no kind of link"):
        from_graphml(whole.replace(">standby<", ">friend<").encode())
    with pytest.raises(GraphError, match="a link of this kind goes"):
        from_graphml(whole.replace(">standby<", ">at<").encode())
    with pytest.raises(GraphError, match="no direction"):
        from_graphml(whole.replace('"directed"', '"undirected"').encode())
    with pytest.raises(GraphError, match="KIND/NAME"):
        from_graphml(whole.replace("site/", "place/").encode())


@pytest.mark.parametrize(
    "value", ["", "a\nb", "x" * 5000, float("nan"), float("inf"), 2**63, None, [1], b"x"]
)
def test_values_that_not_every_store_can_hold_are_refused(value: Value) -> None:
    with pytest.raises(GraphError, match="site/north: cost must be"):
        GraphNode(NodeKey(NodeKind.SITE, "north"), {"cost": value})


@pytest.mark.parametrize("name", ["name", "graph", "kind", "Cost", "1st", "a b", "", "a" * 70])
def test_names_of_properties_that_not_every_store_can_hold_are_refused(name: str) -> None:
    with pytest.raises(GraphError, match="cannot name a property"):
        GraphNode(NodeKey(NodeKind.SITE, "north"), {name: 1})


def test_links_between_what_does_not_belong_together_are_refused() -> None:
    web, north = NodeKey(NodeKind.DESTINATION, "web"), NodeKey(NodeKind.SITE, "north")
    with pytest.raises(GraphError, match="destination → resource"):
        LinkKey(LinkKind.STANDBY, web, north)
    with pytest.raises(GraphError, match="there is no site/north"):
        Graph.of([GraphNode(web)], [GraphLink(LinkKey(LinkKind.PRIMARY, web, north))])
    with pytest.raises(GraphError, match="1 to 255"):
        NodeKey(NodeKind.SITE, "a\x00b")


def test_the_picture_shows_every_node_by_name_and_is_the_same_each_time() -> None:
    graph = two_sites()
    picture = svg(graph)
    ET.fromstring(picture)
    for key in graph.nodes:
        assert f">{key.name}<".encode() in picture
    assert b"9.5 ms" in picture
    assert svg(graph) == picture


def test_a_picture_of_very_many_nodes_says_how_many_it_leaves_out() -> None:
    nodes = [GraphNode(NodeKey(NodeKind.LOCATION, f"$x^{n}$")) for n in range(MOST + 7)]
    picture = svg(Graph.of(nodes, []))
    assert b"locations (and 7 more)" in picture
    assert picture.count(b"$x^") == MOST


@given(
    st.sampled_from(["bolt", "neo4j"]),
    st.sampled_from(["10.0.0.1", "graph.example", "[2001:db8::1]"]),
)
def test_a_password_goes_to_other_machines_encrypted_only(scheme: str, host: str) -> None:
    with pytest.raises(GraphError, match=r"unencrypted.*\+s://"):
        Neo4jGraph(f"{scheme}://{host}:7687", "neo4j", "secret")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1", "bolt+ssc://a", "bolt://127.0.0.1:x", "bolt+s://", "x"]
)
def test_addresses_that_are_no_graph_server_are_refused(uri: str) -> None:
    with pytest.raises(GraphError, match=r"bolt://127\.0\.0\.1:7687"):
        Neo4jGraph(uri, "neo4j", "secret")


def test_a_graph_server_that_is_not_there_is_named_and_the_password_is_not() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(GraphError, match=r"does not answer.*start the graph server") as caught:
            Neo4jGraph(uri, "neo4j", "secret")
    assert uri in str(caught.value)
    assert "secret" not in str(caught.value)
    for asked in (
        f"{uri}/?policy=x",
        f"neo4j://127.0.0.1{uri[-6:]}/?policy=",
    ):  # the driver's words
        with pytest.raises(GraphError, match=r"cannot be used.*write bolt://") as caught:
            Neo4jGraph(asked, "neo4j", "secret")
        assert asked in str(caught.value)
        assert "secret" not in str(caught.value)
    with pytest.raises(GraphError, match="give them apart"):
        Neo4jGraph("bolt://neo4j:secret@127.0.0.1:7687", "neo4j", "secret")
    with pytest.raises(GraphError, match="cannot name a graph"):
        Neo4jGraph("bolt://127.0.0.1:7687", "neo4j", "secret", graph="a b")


def test_a_file_that_is_no_graph_or_of_another_version_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all, and long enough to be taken for one" * 40)
    with pytest.raises(GraphError, match=r"other\.db cannot be used"):
        SqliteGraph(other)
    later = tmp_path / "later.db"
    with sqlite3.connect(later) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(GraphError, match="version 9"):
        SqliteGraph(later)
    with pytest.raises(GraphError, match="cannot be used"):
        SqliteGraph(tmp_path / "absent" / "graph.db")


def test_a_graph_file_that_is_only_read_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "graph.db"
    with SqliteGraph(file) as store:
        store.replace(two_sites())
    before = file.read_bytes()
    with SqliteGraph(file) as store:
        assert store.graph() == two_sites()
    assert file.read_bytes() == before
