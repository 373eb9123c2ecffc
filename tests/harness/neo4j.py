"""A real graph server for tests."""

from __future__ import annotations

import pytest

from topologies.servers.graph_server import PASSWORD, REMEDY, Neo4j, running, version

__all__ = ["PASSWORD", "Neo4j", "need", "running"]


def need() -> None:
    """Skips, naming the remedy, where the server has not been fetched: it is too large for the project's set-up."""
    if version() is None:
        pytest.skip(f"no Neo4j here; {REMEDY}")
