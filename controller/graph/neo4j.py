"""The graph on a Neo4j server, through its driver (Bolt)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit

import neo4j
from neo4j.exceptions import AuthError, DriverError, Neo4jError, ServiceUnavailable

from controller.graph.graph import (
    ENDS,
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
from controller.graph.interface import Copy, GraphStore, nearest

BATCH = 1000  # rows of one statement
TIMEOUT_S = 10.0
_GRAPH = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LABEL = {kind: f"Umbra{kind.value.capitalize()}" for kind in NodeKind}
_TYPE = {kind: kind.value.upper() for kind in LinkKind}
_KIND = {label: kind for kind, label in _LABEL.items()}
_COPIES = """
MATCH (d:UmbraDestination {graph: $graph, name: $destination})-[copy:STANDBY]->(r:UmbraResource)
      -[:AT]->(s:UmbraSite)<-[way:LINK]-(l:UmbraLocation {graph: $graph, name: $location})
RETURN r.name AS resource, s.name AS site, way.latency_ms AS latency_ms,
       copy.share_cps AS share_cps, copy.state AS state
"""


class Neo4jGraph(GraphStore):
    """Nodes carry a label per kind (UmbraSite, …) and the property `graph`, so that other data, and other fabrics'
    graphs, live beside it untouched. A uniqueness constraint per label makes what two writers add the same node.
    """

    def __init__(
        self,
        uri: str,
        user: str,
        password: str,
        graph: str = "umbra",
        database: str | None = None,
    ) -> None:
        """uri: bolt:// or neo4j:// on this machine, bolt+s:// or neo4j+s:// (certified TLS) to others.

        database: None is the server's default one. Connects at once.
        """
        _checked(uri)
        if not _GRAPH.fullmatch(graph):
            raise GraphError(f"{graph!r} cannot name a graph: use small letters, digits and -")
        self.uri, self._graph, self._database = uri, graph, database
        try:
            self._driver = neo4j.GraphDatabase.driver(
                uri,
                auth=(user, password),
                connection_timeout=TIMEOUT_S,
                connection_acquisition_timeout=2 * TIMEOUT_S,
                max_transaction_retry_time=TIMEOUT_S,
                notifications_disabled_classifications=[
                    "UNRECOGNIZED"
                ],  # kinds of which there is none yet
            )
        except (DriverError, ValueError) as error:
            raise GraphError(
                f"{uri} cannot be used ({_line(error)}): write bolt://127.0.0.1:7687"
            ) from None
        try:
            with self._session() as session:
                for label in _LABEL.values():
                    text = (
                        f"CREATE CONSTRAINT {label}_unique IF NOT EXISTS FOR (n:{label}) "
                        "REQUIRE (n.graph, n.name) IS UNIQUE"
                    )
                    session.run(_query(text)).consume()
        except GraphError:
            self._driver.close()
            raise

    def apply(self, change: GraphChange) -> None:
        def write(transaction: neo4j.ManagedTransaction) -> None:
            for text, rows, missing in _statements(change):
                for start in range(0, len(rows), BATCH):
                    some = rows[start : start + BATCH]
                    done = transaction.run(text, rows=some, graph=self._graph).single(strict=True)
                    if missing and done["rows"] != len(some):
                        self._incomplete(transaction, change)

        with self._session() as session:
            session.execute_write(write)

    def nodes(self, kind: NodeKind | None = None) -> list[GraphNode]:
        with self._session() as session:
            return session.execute_read(self._nodes, kind)

    def links(
        self,
        kind: LinkKind | None = None,
        source: NodeKey | None = None,
        target: NodeKey | None = None,
    ) -> list[GraphLink]:
        with self._session() as session:
            return session.execute_read(self._links, kind, source, target)

    def graph(self) -> Graph:
        # The server reads what is committed, not one moment: two statements may see two. A link that lost its
        # end between them is left out, as it is gone by then.
        def read(transaction: neo4j.ManagedTransaction) -> Graph:
            links = self._links(transaction, None, None, None)
            nodes = {one.key: one for one in self._nodes(transaction, None)}
            whole = [one for one in links if one.key.source in nodes and one.key.target in nodes]
            return Graph.of(nodes.values(), whole)

        with self._session() as session:
            return session.execute_read(read)

    def copies(self, destination: str, location: str) -> list[Copy]:
        def read(transaction: neo4j.ManagedTransaction) -> list[Copy]:
            found = transaction.run(
                _COPIES, graph=self._graph, destination=destination, location=location
            )
            return [
                Copy(
                    row["resource"],
                    row["site"],
                    float(row["latency_ms"] or 0.0),
                    float(row["share_cps"] or 0.0),
                    str(row["state"] or ""),
                )
                for row in found
            ]

        with self._session() as session:
            return nearest(session.execute_read(read))

    def close(self) -> None:
        self._driver.close()

    def _nodes(
        self, transaction: neo4j.ManagedTransaction, kind: NodeKind | None
    ) -> list[GraphNode]:
        made = []
        for own in NodeKind if kind is None else (kind,):
            text = f"MATCH (n:{_LABEL[own]} {{graph: $graph}}) RETURN n.name AS name, properties(n) AS own"
            for row in transaction.run(_query(text), graph=self._graph):
                made.append(GraphNode(NodeKey(own, row["name"]), _bare(row["own"])))
        return sorted(made, key=lambda one: one.key)

    def _links(
        self,
        transaction: neo4j.ManagedTransaction,
        kind: LinkKind | None,
        source: NodeKey | None,
        target: NodeKey | None,
    ) -> list[GraphLink]:
        made = []
        for own in LinkKind if kind is None else (kind,):
            for left, right in sorted(ENDS[own]):
                if (source and source.kind != left) or (target and target.kind != right):
                    continue
                text = _reading(own, left, right, source is not None, target is not None)
                found = transaction.run(
                    _query(text),
                    graph=self._graph,
                    source=source.name if source else None,
                    target=target.name if target else None,
                )
                for row in found:
                    ends = NodeKey(left, row["source"]), NodeKey(right, row["target"])
                    made.append(GraphLink(LinkKey(own, *ends), dict(row["own"])))
        return sorted(made, key=lambda one: one.key)

    def _incomplete(self, transaction: neo4j.ManagedTransaction, change: GraphChange) -> None:
        there = {one.key for one in self._nodes(transaction, None)}
        for one in change.put_links:
            if one.key.source not in there or one.key.target not in there:
                raise GraphError(f"{one.key}: one of its ends is not there; add the node as well")
        raise GraphError(
            f"{self.uri} wrote fewer links than asked for: another writer took nodes away; again"
        )

    @contextmanager
    def _session(self) -> Iterator[neo4j.Session]:
        try:
            with self._driver.session(database=self._database) as session:
                yield session
        except AuthError:
            raise GraphError(
                f"{self.uri} does not accept the user or the password: check both"
            ) from None
        except ServiceUnavailable as error:
            raise GraphError(
                f"{self.uri} does not answer ({_line(error)}): start the graph server, check address and port"
            ) from None
        except (Neo4jError, DriverError) as error:
            raise GraphError(f"{self.uri} refuses ({_line(error)}): see the server's log") from None


def _statements(
    change: GraphChange,
) -> Iterable[tuple[LiteralString, list[dict[str, Any]], bool]]:
    """In order: text, rows, and whether each row must have found its ends."""
    for (kind, left, right), keys in _by_ends(change.drop_links).items():
        text = (
            f"UNWIND $rows AS row MATCH (a:{_LABEL[left]} {{graph: $graph, name: row.source}})"
            f"-[r:{_TYPE[kind]}]->(b:{_LABEL[right]} {{graph: $graph, name: row.target}}) "
            "DELETE r RETURN count(*) AS rows"
        )
        yield (
            _query(text),
            [{"source": k.source.name, "target": k.target.name} for k in keys],
            False,
        )
    for own in NodeKind:
        gone = [{"name": key.name} for key in change.drop_nodes if key.kind is own]
        text = (
            f"UNWIND $rows AS row MATCH (n:{_LABEL[own]} {{graph: $graph, name: row.name}}) "
            "DETACH DELETE n RETURN count(*) AS rows"
        )
        yield _query(text), gone, False
    for own in NodeKind:
        put = [
            {"name": one.key.name, "own": dict(one.properties)}
            for one in change.put_nodes
            if one.key.kind is own
        ]
        text = (
            f"UNWIND $rows AS row MERGE (n:{_LABEL[own]} {{graph: $graph, name: row.name}}) "
            "SET n = row.own SET n.graph = $graph, n.name = row.name RETURN count(*) AS rows"
        )
        yield _query(text), put, False
    links = {one.key: one for one in change.put_links}
    for (kind, left, right), keys in _by_ends(links).items():
        text = (
            f"UNWIND $rows AS row {_sought('a', left, 'row.source')}{_sought('b', right, 'row.target')}"
            f"MERGE (a)-[r:{_TYPE[kind]}]->(b) SET r = row.own RETURN count(*) AS rows"
        )
        rows = [
            {
                "source": key.source.name,
                "target": key.target.name,
                "own": dict(links[key].properties),
            }
            for key in keys
        ]
        yield _query(text), rows, True


def _sought(name: str, kind: NodeKind, value: str) -> str:
    """By the index: in a database that is still empty the server would plan to look at every node, for each row."""
    label = _LABEL[kind]
    return (
        f"MATCH ({name}:{label} {{graph: $graph, name: {value}}}) "
        f"USING INDEX {name}:{label}(graph, name) "
    )


def _by_ends(keys: Iterable[LinkKey]) -> dict[tuple[LinkKind, NodeKind, NodeKind], list[LinkKey]]:
    found: dict[tuple[LinkKind, NodeKind, NodeKind], list[LinkKey]] = {}
    for key in keys:
        found.setdefault((key.kind, key.source.kind, key.target.kind), []).append(key)
    return found


def _reading(kind: LinkKind, left: NodeKind, right: NodeKind, source: bool, target: bool) -> str:
    first = "{graph: $graph, name: $source}" if source else "{graph: $graph}"
    second = "{graph: $graph, name: $target}" if target else "{graph: $graph}"
    return (
        f"MATCH (a:{_LABEL[left]} {first})-[r:{_TYPE[kind]}]->(b:{_LABEL[right]} {second}) "
        "RETURN a.name AS source, b.name AS target, properties(r) AS own"
    )


def _bare(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in ("graph", "name")}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _query(text: str) -> LiteralString:
    # Labels and types come from our own tables; whatever comes from outside is a parameter.
    return text


def _checked(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise GraphError(f"{uri} is no address ({error}): write bolt://127.0.0.1:7687") from None
    if parts.username is not None or parts.password is not None:
        raise GraphError("the graph server's address holds a user or a password: give them apart")
    if parts.scheme in ("bolt", "neo4j"):
        try:
            near = ipaddress.ip_address(host).is_loopback
        except ValueError:
            near = host == "localhost"
        if not near:
            raise GraphError(
                f"{uri} would send the password unencrypted to another machine: use {parts.scheme}+s://"
            )
    elif parts.scheme not in ("bolt+s", "neo4j+s") or not host:
        raise GraphError(f"{uri} is no graph server's address: write bolt://127.0.0.1:7687")
