"""What every graph store does: one suite, on SQLite and on a real Neo4j server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from controller.graph.files import export, read
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
    Value,
    difference,
)
from controller.graph.interface import Copy, GraphStore
from controller.graph.neo4j import Neo4jGraph
from controller.graph.sqlite import SqliteGraph
from harness.graphs import graphs, two_sites
from harness.neo4j import PASSWORD, Neo4j, need, running

NUMBERS = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "neo4j"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neo4j | None]:
    if request.param == "sqlite":
        yield None
        return
    need()
    with running(tmp_path_factory.mktemp("neo4j")) as neo4j:
        yield neo4j


def made(server: Neo4j | None, directory: Path, name: str) -> GraphStore:
    if server is None:
        return SqliteGraph(directory / f"{name}.db")
    return Neo4jGraph(server.uri, "neo4j", PASSWORD, name)


@pytest.fixture
def store(server: Neo4j | None, tmp_path: Path) -> Iterator[GraphStore]:
    with made(server, tmp_path, f"g{next(NUMBERS)}") as own:
        yield own


def test_a_new_graph_is_empty(store: GraphStore) -> None:
    assert store.graph() == Graph()
    assert (store.nodes(), store.links(), store.copies("web", "rome")) == ([], [], [])


def test_what_was_written_is_read_again_node_by_node_and_link_by_link(store: GraphStore) -> None:
    want = two_sites()
    store.replace(want)
    assert store.graph() == want
    for kind in NodeKind:
        assert store.nodes(kind) == [one for one in want.nodes.values() if one.key.kind is kind]
    for way in LinkKind:
        assert store.links(way) == [one for one in want.links.values() if one.key.kind is way]
    for key in want.nodes:
        assert store.links(source=key) == [o for o in want.links.values() if o.key.source == key]
        assert store.links(target=key) == [o for o in want.links.values() if o.key.target == key]
    web, north = NodeKey(NodeKind.DESTINATION, "web"), NodeKey(NodeKind.SITE, "north")
    assert len(store.links(LinkKind.PRIMARY, web, north)) == 1
    assert store.links(LinkKind.STANDBY, web, north) == []


def test_a_location_finds_the_copies_of_a_destination_the_nearest_first(store: GraphStore) -> None:
    store.replace(two_sites())
    assert store.copies("web", "rome") == [
        Copy("s3", "south", 2.0, 20.0, "ready"),
        Copy("m1", "middle", 9.5, 5.0, "preparing"),
    ]
    assert [one.resource for one in store.copies("web", "oslo")] == ["m1", "s3"]
    assert store.copies("mail", "rome") == []
    assert store.copies("web", "nowhere") == []


def test_a_change_is_written_whole_or_not_at_all(store: GraphStore) -> None:
    want = two_sites()
    store.replace(want)
    web = NodeKey(NodeKind.DESTINATION, "web")
    missing = NodeKey(NodeKind.RESOURCE, "absent")
    change = GraphChange(
        drop_nodes=(web,),
        put_nodes=(GraphNode(NodeKey(NodeKind.DESTINATION, "new")),),
        put_links=(
            GraphLink(LinkKey(LinkKind.STANDBY, NodeKey(NodeKind.DESTINATION, "mail"), missing)),
        ),
    )
    with pytest.raises(GraphError, match=r"mail -standby→ resource/absent.*add the node"):
        store.apply(change)
    assert store.graph() == want


def test_a_node_that_goes_takes_its_links_along(store: GraphStore) -> None:
    want = two_sites()
    store.replace(want)
    south = NodeKey(NodeKind.SITE, "south")
    store.apply(GraphChange(drop_nodes=(south, NodeKey(NodeKind.SITE, "never was"))))
    left = store.graph()
    assert south not in left.nodes
    assert set(left.links) == {k for k in want.links if south not in (k.source, k.target)}
    assert left.links


def test_properties_are_replaced_and_not_mixed(store: GraphStore) -> None:
    key = NodeKey(NodeKind.SITE, "north")
    store.apply(GraphChange(put_nodes=(GraphNode(key, {"room": 3, "note": "old"}),)))
    store.apply(GraphChange(put_nodes=(GraphNode(key, {"room": 4}),)))
    assert store.nodes() == [GraphNode(key, {"room": 4})]


def test_only_what_differs_is_written(store: GraphStore) -> None:
    want = two_sites()
    assert store.replace(want)
    assert not store.replace(want)
    web = NodeKey(NodeKind.DESTINATION, "web")
    nodes = {**want.nodes, web: GraphNode(web, {"service": 7})}
    assert store.replace(Graph(nodes, want.links)) == GraphChange(put_nodes=(nodes[web],))


def test_whole_numbers_stay_whole_and_truth_stays_truth(store: GraphStore) -> None:
    own: dict[str, Value] = {
        "whole": 3, "broken": 3.0, "yes": True, "no": False, "text": "3", "large": 2**63 - 1,
        "small": -(2**63), "fine": 1e-300, "third": 1 / 3,
    }  # fmt: skip
    key = NodeKey(NodeKind.SITE, 'Zürich\'s "north" \\ 北 /x')
    store.apply(GraphChange(put_nodes=(GraphNode(key, own),)))
    (found,) = store.nodes()
    assert found.key == key
    assert {k: (type(v), v) for k, v in found.properties.items()} == {
        k: (type(v), v) for k, v in own.items()
    }


def test_names_that_look_like_commands_are_names(store: GraphStore) -> None:
    names = ["'; DROP TABLE nodes; --", "x}) DETACH DELETE n //", "$graph", "%s", "` RETURN 1"]
    nodes = [GraphNode(NodeKey(NodeKind.LOCATION, one), {"note": one}) for one in names]
    store.apply(GraphChange(put_nodes=tuple(nodes)))
    assert {one.key.name: one.properties["note"] for one in store.nodes()} == {n: n for n in names}


def test_graphs_of_two_fabrics_do_not_touch(server: Neo4j | None, tmp_path: Path) -> None:
    one, other = (f"g{next(NUMBERS)}" for _ in range(2))
    with made(server, tmp_path, one) as first, made(server, tmp_path, other) as second:
        first.replace(two_sites())
        assert second.graph() == Graph()
        second.replace(two_sites())
        first.replace(Graph())
        assert second.graph() == two_sites()


def test_what_was_written_is_there_after_opening_again(
    server: Neo4j | None, tmp_path: Path
) -> None:
    name = f"g{next(NUMBERS)}"
    with made(server, tmp_path, name) as store:
        store.replace(two_sites())
    with made(server, tmp_path, name) as store:
        assert store.graph() == two_sites()


@pytest.mark.parametrize("ending", ["json", "graphml"])
def test_a_graph_goes_through_a_file_into_another_store(
    server: Neo4j | None, store: GraphStore, tmp_path: Path, ending: str
) -> None:
    store.replace(two_sites())
    file = tmp_path / f"graph.{ending}"
    export(store.graph(), file)
    with made(server, tmp_path, f"g{next(NUMBERS)}") as other:
        other.replace(read(file))
        assert other.graph() == store.graph()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graphs(), graphs())
def test_any_graph_can_follow_any_other(store: GraphStore, first: Graph, second: Graph) -> None:
    store.replace(first)
    assert not difference(store.graph(), first)
    store.replace(second)
    assert not difference(store.graph(), second)
    assert store.graph() == second
