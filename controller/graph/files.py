"""The graph as a file: JSON (umbra's own form) and GraphML (read and written by yEd, Gephi, Cytoscape, networkx)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from controller.graph.graph import (
    Graph,
    GraphError,
    GraphLink,
    GraphNode,
    LinkKey,
    LinkKind,
    NodeKey,
)

VERSION = 1
MOST_BYTES = 512 * 2**20


def export(graph: Graph, path: Path) -> None:
    """Write the whole graph; the ending says how: .json or .graphml. Whole or not at all."""
    writer = {".json": to_json, ".graphml": to_graphml}.get(path.suffix.lower())
    if writer is None:
        raise GraphError(f"{path}: name the file .json or .graphml")
    put(writer(graph), path)


def put(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all. Raises GraphError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError as error:
        with suppress(OSError):  # its directory may be none
            fresh.unlink()
        raise GraphError(f"{path} cannot be written ({error.strerror or error})") from None


def read(path: Path) -> Graph:
    """The graph of a .json or .graphml file. Raises GraphError naming the file and what is wrong."""
    reader = {".json": from_json, ".graphml": from_graphml}.get(path.suffix.lower())
    if reader is None:
        raise GraphError(f"{path}: give a file named .json or .graphml")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise GraphError(f"{path} is larger than {MOST_BYTES // 2**20} MiB: divide it")
        content = path.read_bytes()
    except OSError as error:
        raise GraphError(f"{path} cannot be read ({error.strerror or error})") from None
    try:
        return reader(content)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def to_json(graph: Graph) -> bytes:
    """UTF-8; the same graph always gives the same bytes."""
    form = {
        "umbra_graph": VERSION,
        "nodes": [
            {"node": str(one.key), "properties": dict(one.properties)}
            for one in graph.nodes.values()
        ],
        "links": [
            {
                "link": one.key.kind.value,
                "source": str(one.key.source),
                "target": str(one.key.target),
                "properties": dict(one.properties),
            }
            for one in graph.links.values()
        ],
    }
    return (json.dumps(form, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def from_json(content: bytes) -> Graph:
    """What `to_json` wrote. Raises GraphError."""
    try:
        form = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise GraphError(f"no JSON ({error})") from None
    if not isinstance(form, dict) or form.get("umbra_graph") != VERSION:
        raise GraphError(f'no graph of umbra: "umbra_graph": {VERSION} is missing')
    try:
        nodes = [
            GraphNode(NodeKey.parse(_word(one["node"])), _properties(one)) for one in form["nodes"]
        ]
        links = [
            GraphLink(_key(one["link"], one["source"], one["target"]), _properties(one))
            for one in form["links"]
        ]
    except (KeyError, TypeError) as error:
        raise GraphError(f"incomplete ({error}): export it again") from None
    return Graph.of(nodes, links)


def to_graphml(graph: Graph) -> bytes:
    """A node's id is KIND/NAME, a link's kind its attribute `kind`; every property an attribute with its type."""
    networkx = _networkx()
    made = networkx.MultiDiGraph()
    for node in graph.nodes.values():
        own = {"kind": node.key.kind.value, "name": node.key.name, **node.properties}
        made.add_node(str(node.key), **own)
    for link in graph.links.values():
        own = {"kind": link.key.kind.value, **link.properties}
        made.add_edges_from([(str(link.key.source), str(link.key.target), str(link.key), own)])
    out = BytesIO()
    networkx.write_graphml_xml(made, out)
    return out.getvalue()


def from_graphml(content: bytes) -> Graph:
    """Of a GraphML file whose ids and kinds are as `to_graphml` writes them. Raises GraphError."""
    _without_document_type(content)
    networkx = _networkx()
    try:
        found = networkx.read_graphml(BytesIO(content), node_type=str, force_multigraph=True)
    except (ParseError, networkx.NetworkXException, ValueError, KeyError, TypeError) as error:
        raise GraphError(f"no GraphML ({error})") from None
    if not found.is_directed():
        raise GraphError("the links have no direction: export it as a directed graph")
    nodes = [GraphNode(NodeKey.parse(name), _without(own)) for name, own in found.nodes(data=True)]
    links = [
        GraphLink(_key(own.get("kind"), source, target), _without(own))
        for source, target, own in found.edges(data=True)
    ]
    return Graph.of(nodes, links)


def _without_document_type(content: bytes) -> None:
    """Asks the parser that will read it, whatever the encoding: entities are declared in a document type only."""

    def refuse(*_declared: object) -> None:
        raise GraphError(
            "holds a document type or entities, which GraphML does not need: take them out"
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise GraphError(f"no GraphML ({error})") from None


def _networkx() -> Any:
    try:
        import networkx
    except ImportError:
        raise GraphError(
            "GraphML needs networkx: pip install 'umbra[graph]', or use a file named .json"
        ) from None
    return networkx


def _key(kind: object, source: object, target: object) -> LinkKey:
    if kind not in list(LinkKind):
        raise GraphError(
            f"{source} → {target}: {kind!r} is no kind of link; use {', '.join(LinkKind)}"
        )
    ends = NodeKey.parse(_word(source)), NodeKey.parse(_word(target))
    return LinkKey(LinkKind(str(kind)), *ends)


def _word(given: object) -> str:
    if not isinstance(given, str):
        raise GraphError(f"{given!r} is no node: write KIND/NAME")
    return given


def _properties(one: Mapping[str, Any]) -> dict[str, Any]:
    own = one.get("properties", {})
    if not isinstance(own, dict):
        raise GraphError(f"{one}: properties must be a mapping")
    return own


def _without(own: Mapping[str, Any]) -> dict[str, Any]:
    # networkx adds the link's id.
    return {name: value for name, value in own.items() if name not in ("kind", "name", "id")}
