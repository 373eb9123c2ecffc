"""Keeps the graph store in step with what the controller knows, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from controller.config.destinations import GraphSection
from controller.graph.graph import Graph, GraphError
from controller.graph.interface import GraphStore
from controller.graph.stores import open_graph
from controller.trouble import Troubles

TROUBLE = "graph"


class Graphing:
    """`write` never waits. While a write is under way, the newest graph waits for the next call."""

    def __init__(
        self,
        section: GraphSection,
        troubles: Troubles,
        connect: Callable[[GraphSection], GraphStore] = open_graph,
    ) -> None:
        self.graph = Graph()
        self._section = section
        self._troubles = troubles
        self._connect = connect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="umbra-graph")
        self._store: GraphStore | None = None
        self._writing: Future[None] | None = None
        self._written: Graph | None = None
        self._error: str | None = None

    def write(self, graph: Graph) -> None:
        """This is what the store shall hold."""
        self.graph = graph
        if self._writing is not None:
            if not self._writing.done():
                return
            if self._error is not None:
                self._troubles.begin(TROUBLE, self._error)
            else:
                self._troubles.end(TROUBLE)
        self._writing = self._thread.submit(self._write, graph)

    async def close(self) -> None:
        """Write what is newest, and let go of the store."""
        loop = asyncio.get_running_loop()
        if self._error is None:  # a server that is away keeps nobody waiting
            await loop.run_in_executor(self._thread, self._write, self.graph)
        await loop.run_in_executor(self._thread, self._leave)
        self._thread.shutdown()

    def _write(self, graph: Graph) -> None:
        if graph == self._written and self._error is None:
            return
        try:
            if self._store is None:
                self._store = self._connect(self._section)
            self._store.replace(graph)
            self._written, self._error = graph, None
        except Exception as error:  # whatever a driver raises: nobody asks for this call's result
            self._error = str(error) if isinstance(error, GraphError) else repr(error)
            self._leave()

    def _leave(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
