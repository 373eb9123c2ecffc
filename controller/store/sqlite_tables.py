"""The schema as SQLite tables: one per measurement, its key the series and the time."""

from __future__ import annotations

from collections.abc import Sequence

from controller.store.interface import Aggregate, Query
from controller.store.schema import FieldType, Measurement

VERSION = 2

META = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
KEPT = "CREATE TABLE IF NOT EXISTS kept (bucket TEXT PRIMARY KEY, seconds REAL NOT NULL)"

_TYPES = {
    FieldType.FLOAT: "REAL",
    FieldType.INTEGER: "INTEGER",
    FieldType.STRING: "TEXT",
    FieldType.BOOLEAN: "INTEGER",
}

_VALUES = {
    Aggregate.MEAN: 'sum("{}")',
    Aggregate.SUM: 'sum("{}")',
    Aggregate.COUNT: 'count("{}")',
    Aggregate.MIN: 'min("{}")',
    Aggregate.MAX: 'max("{}")',
}


def create(own: Measurement) -> str:
    """The table. The series comes first in the key: a router's week lies together on the disk."""
    tags = [f'"{tag}" TEXT NOT NULL' for tag in own.tags]
    fields = [f'"{field.name}" {_TYPES[field.type]}' for field in own.fields]
    key = ", ".join(f'"{name}"' for name in (*own.tags, "time_ns"))
    columns = ", ".join([*tags, "time_ns INTEGER NOT NULL", *fields])
    return f'CREATE TABLE IF NOT EXISTS "{own.name}" ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID'


def insert(own: Measurement) -> str:
    """One point; overwrites what is there."""
    marks = ",".join("?" * (len(own.tags) + 1 + len(own.fields)))
    return f'INSERT OR REPLACE INTO "{own.name}" VALUES ({marks})'


def series(own: Measurement) -> str:
    """Every series, by leaps through the key: DISTINCT would read the whole table."""
    names = [f'"{tag}"' for tag in own.tags]
    listed = ", ".join(names)
    if len(names) == 1:
        (name,) = names
        return (
            f'WITH RECURSIVE known(tag) AS (SELECT min({name}) FROM "{own.name}" UNION ALL '
            f'SELECT (SELECT min({name}) FROM "{own.name}" WHERE {name} > known.tag) FROM known '
            "WHERE known.tag IS NOT NULL) SELECT tag FROM known WHERE tag IS NOT NULL"
        )
    first = f'SELECT {listed} FROM "{own.name}" ORDER BY {listed} LIMIT 1'
    following = (
        f'SELECT {{}} FROM "{own.name}" AS next WHERE ({listed}) > '
        f"({', '.join(f'known.{name}' for name in names)}) ORDER BY {listed} LIMIT 1"
    )
    leaps = ", ".join(f"({following.format(name)})" for name in names)
    return (
        f"WITH RECURSIVE known({listed}) AS (SELECT * FROM ({first}) UNION ALL "
        f"SELECT {leaps} FROM known WHERE known.{names[0]} IS NOT NULL) "
        f"SELECT {listed} FROM known WHERE {names[0]} IS NOT NULL"
    )


def prune(own: Measurement) -> str:
    """Of one series, a batch of points before a time: (*tags, time_ns, rows)."""
    key = ", ".join(f'"{name}"' for name in (*own.tags, "time_ns"))
    where = "".join(f'"{tag}" = ? AND ' for tag in own.tags)
    return (
        f'DELETE FROM "{own.name}" WHERE ({key}) IN '
        f'(SELECT {key} FROM "{own.name}" WHERE {where}time_ns < ? LIMIT ?)'
    )


def select(
    query: Query, own: Measurement, fields: Sequence[str], tags: Sequence[str]
) -> tuple[str, list[object]]:
    """Of one series: time_ns and the fields; with an aggregate a window's start, then each field's value and count."""
    where = [f'"{name}" = ?' for name in own.tags]
    arguments: list[object] = list(tags)
    for bound, value in (("time_ns >= ?", query.start_ns), ("time_ns < ?", query.end_ns)):
        if value is not None:
            where.append(bound)
            arguments.append(value)
    if query.aggregate is not None:
        form = _VALUES[query.aggregate]
        listed = ", ".join(f'{form.format(name)}, count("{name}")' for name in fields)
        start = str(query.start_ns or 0)
        if query.window_ns is not None:
            start = f"time_ns / {query.window_ns} * {query.window_ns}"
        text = f'SELECT {start} AS start_ns, {listed} FROM "{own.name}" WHERE {" AND ".join(where)}'
        return f"{text} GROUP BY start_ns ORDER BY start_ns", arguments
    # As on InfluxDB: a row in which all that was asked for is absent is none.
    where.append("(" + " OR ".join(f'"{name}" IS NOT NULL' for name in fields) + ")")
    listed = ", ".join(f'"{name}"' for name in fields)
    text = f'SELECT time_ns, {listed} FROM "{own.name}" WHERE {" AND ".join(where)}'
    text += f" ORDER BY time_ns {'DESC' if query.newest_first else 'ASC'}"
    if query.limit is not None or query.offset:
        text += " LIMIT ? OFFSET ?"
        arguments += [-1 if query.limit is None else query.limit, query.offset]
    return text, arguments
