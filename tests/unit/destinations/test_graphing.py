"""The graph is kept in step with what the controller knows, whatever its store does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from controller.config.destinations import GraphSection
from controller.destinations.graphing import Graphing
from controller.graph.graph import Graph, GraphNode, NodeKey, NodeKind
from controller.graph.interface import GraphStore
from controller.graph.sqlite import SqliteGraph
from controller.trouble import Troubles


def test_a_graph_server_whose_driver_breaks_is_told_and_written_to_again() -> None:
    opened: list[SqliteGraph] = []

    def connect(section: GraphSection) -> GraphStore:
        if not opened:
            opened.append(SqliteGraph(Path(":memory:")))
            raise OSError("no way there")
        return opened[0]

    async def story() -> None:
        troubles = Troubles()
        graphing = Graphing(GraphSection(), troubles, connect)
        seen = []
        for name in ("a", "b", "c"):
            graphing.write(Graph.of([GraphNode(NodeKey(NodeKind.SITE, name))], []))
            await asyncio.to_thread(graphing._thread.submit(lambda: None).result)
            seen.append(dict(troubles.open))
        await graphing.close()
        assert seen[0] == seen[2] == {}
        assert "no way there" in seen[1]["graph"]

    asyncio.run(story())


class Watched(dict[NodeKey, GraphNode]):
    """Nodes that note in which thread they are compared."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, names: list[str], threads: list[threading.Thread]) -> None:
        nodes = [GraphNode(NodeKey(NodeKind.SITE, name)) for name in names]
        super().__init__({one.key: one for one in nodes})
        self._threads = threads

    def __eq__(self, other: object) -> bool:
        self._threads.append(threading.current_thread())
        return super().__eq__(other)


def test_graphs_are_compared_beside_the_loop(
    tmp_path: Path,
) -> None:
    threads: list[threading.Thread] = []
    section = GraphSection(path=str(tmp_path / "graph.db"))

    async def story() -> None:
        graphing = Graphing(section, Troubles())
        for names in (["a"], ["a"], ["a", "b"]):
            graphing.write(Graph(Watched(names, threads)))
            await asyncio.to_thread(graphing._thread.submit(lambda: None).result)
        await graphing.close()

    asyncio.run(story())
    assert threads
    assert threading.main_thread() not in threads
    with SqliteGraph(Path(section.path)) as store:
        assert [one.key.name for one in store.nodes()] == ["a", "b"]
