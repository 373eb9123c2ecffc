"""File names of the section `destinations`: relative ones are meant from the configuration file's directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

GRAPH = "umbra-graph.db"


def resolve(section: Any, base: Path) -> None:
    """Make them absolute, in place. What has another shape than it should is left to the checks."""
    if not isinstance(section, dict):
        return
    graph = section.setdefault("graph", {})
    if isinstance(graph, dict):
        graph.setdefault("path", GRAPH)
    for holder, key in ((section, "geo_database"), (graph, "path")):
        if isinstance(holder, dict) and isinstance(holder.get(key), str) and holder[key]:
            holder[key] = str(base / Path(holder[key]).expanduser())
