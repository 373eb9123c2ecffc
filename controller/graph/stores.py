"""The graph store that the configuration names. A server's user and password come from the environment only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from controller.config.destinations import GraphSection
from controller.graph.graph import GraphError
from controller.graph.interface import GraphStore
from controller.graph.sqlite import SqliteGraph

USER, PASSWORD = "UMBRA_NEO4J_USER", "UMBRA_NEO4J_PASSWORD"
DEFAULT_USER = "neo4j"


def open_graph(section: GraphSection, environment: Mapping[str, str] = os.environ) -> GraphStore:
    """Connected, or its file open. Raises GraphError, naming what is missing; never with the password in it."""
    server = section.neo4j
    if server is None:
        return SqliteGraph(Path(section.path))
    password = environment.get(PASSWORD)
    if not password:
        raise GraphError(
            f"no password for {server.url}: set {PASSWORD} (and {USER}, if it is not {DEFAULT_USER})"
        )
    try:
        from controller.graph.neo4j import Neo4jGraph
    except ImportError:
        raise GraphError(
            f"the graph is to be kept at {server.url}, and there is no driver: pip install 'umbra[graph]'"
        ) from None
    user = environment.get(USER) or DEFAULT_USER
    return Neo4jGraph(server.url, user, password, server.graph, server.database)
