"""The graph is kept in step with what the controller knows, whatever its store does."""

from __future__ import annotations

import asyncio
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
