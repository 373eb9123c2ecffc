"""The graph in a SQLite file: the embedded store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    Properties,
)
from controller.graph.interface import Copy, GraphStore, nearest

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS nodes (
    kind TEXT NOT NULL, name TEXT NOT NULL, properties TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    kind TEXT NOT NULL, source_kind TEXT NOT NULL, source TEXT NOT NULL, target_kind TEXT NOT NULL,
    target TEXT NOT NULL, properties TEXT NOT NULL,
    PRIMARY KEY (kind, source_kind, source, target_kind, target),
    FOREIGN KEY (source_kind, source) REFERENCES nodes (kind, name) ON DELETE CASCADE,
    FOREIGN KEY (target_kind, target) REFERENCES nodes (kind, name) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS links_by_source ON links (source_kind, source);
CREATE INDEX IF NOT EXISTS links_by_target ON links (target_kind, target);
"""
_LINK = "SELECT kind, source_kind, source, target_kind, target, properties FROM links"
_LINK_KEY = "kind = ? AND source_kind = ? AND source = ? AND target_kind = ? AND target = ?"
_COPIES = """
SELECT copy.target, at.target, way.properties, copy.properties
FROM links AS copy
JOIN links AS at ON at.kind = 'at' AND at.source_kind = 'resource' AND at.source = copy.target
JOIN links AS way ON way.kind = 'link' AND way.source_kind = 'location' AND way.source = ?
    AND way.target_kind = 'site' AND way.target = at.target
WHERE copy.kind = 'standby' AND copy.source_kind = 'destination' AND copy.source = ?
"""


class SqliteGraph(GraphStore):
    """The file is made if there is none. Others may read it meanwhile (WAL)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        try:
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise GraphError(
                    f"{path} is a graph of version {version}, this umbra knows {VERSION}: "
                    "use the umbra that made it, or another file"
                )
            if version != VERSION:  # told last: a file that was not finished is begun again
                self._db.executescript(_TABLES)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            self._db.close()
            raise self._failed(error) from None
        except GraphError:
            self._db.close()
            raise

    def apply(self, change: GraphChange) -> None:
        with self._transaction("BEGIN IMMEDIATE"):
            run = self._db.executemany
            run(f"DELETE FROM links WHERE {_LINK_KEY}", [_row(key) for key in change.drop_links])
            run(
                "DELETE FROM nodes WHERE kind = ? AND name = ?",
                [(key.kind.value, key.name) for key in change.drop_nodes],
            )
            run(
                "INSERT INTO nodes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET properties = excluded.properties",
                [
                    (one.key.kind.value, one.key.name, _text(one.properties))
                    for one in change.put_nodes
                ],
            )
            for one in change.put_links:
                try:
                    self._db.execute(
                        "INSERT INTO links VALUES (?, ?, ?, ?, ?, ?) "
                        "ON CONFLICT DO UPDATE SET properties = excluded.properties",
                        (*_row(one.key), _text(one.properties)),
                    )
                except sqlite3.IntegrityError:
                    raise GraphError(
                        f"{one.key}: one of its ends is not there; add the node as well"
                    ) from None

    def nodes(self, kind: NodeKind | None = None) -> list[GraphNode]:
        where, arguments = ("WHERE kind = ?", (kind.value,)) if kind else ("", ())
        text = f"SELECT kind, name, properties FROM nodes {where}"
        with self._reading():
            found = self._db.execute(text, arguments).fetchall()
        made = [GraphNode(NodeKey(NodeKind(own), name), json.loads(p)) for own, name, p in found]
        return sorted(made, key=lambda one: one.key)

    def links(
        self,
        kind: LinkKind | None = None,
        source: NodeKey | None = None,
        target: NodeKey | None = None,
    ) -> list[GraphLink]:
        where, arguments = ["1"], []
        if kind is not None:
            where.append("kind = ?")
            arguments.append(kind.value)
        for end, key in (("source", source), ("target", target)):
            if key is not None:
                where.append(f"{end}_kind = ? AND {end} = ?")
                arguments += [key.kind.value, key.name]
        with self._reading():
            found = self._db.execute(f"{_LINK} WHERE {' AND '.join(where)}", arguments).fetchall()
        return sorted((_link(*row) for row in found), key=lambda one: one.key)

    def graph(self) -> Graph:
        with self._transaction("BEGIN"):
            return Graph.of(self.nodes(), self.links())

    def copies(self, destination: str, location: str) -> list[Copy]:
        with self._reading():
            found = self._db.execute(_COPIES, (location, destination)).fetchall()
        copies = []
        for resource, site, way_text, copy_text in found:
            way, copy = json.loads(way_text), json.loads(copy_text)
            copies.append(
                Copy(
                    resource,
                    site,
                    float(way.get("latency_ms", 0.0)),
                    float(copy.get("share_cps", 0.0)),
                    str(copy.get("state", "")),
                )
            )
        return nearest(copies)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._reading():
            self._db.execute(begin)
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> GraphError:
        return GraphError(
            f"the graph {self.path} cannot be used ({error}): give a file that can be written, "
            "with room on its disk, and no other program that holds it locked"
        )


def _row(key: LinkKey) -> tuple[str, str, str, str, str]:
    source, target = key.source, key.target
    return key.kind.value, source.kind.value, source.name, target.kind.value, target.name


def _link(
    kind: str, source_kind: str, source: str, target_kind: str, target: str, properties: str
) -> GraphLink:
    key = LinkKey(
        LinkKind(kind),
        NodeKey(NodeKind(source_kind), source),
        NodeKey(NodeKind(target_kind), target),
    )
    return GraphLink(key, json.loads(properties))


def _text(properties: Properties) -> str:
    return json.dumps(dict(properties), sort_keys=True, ensure_ascii=False, allow_nan=False)
