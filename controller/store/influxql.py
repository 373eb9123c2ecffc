"""Queries as InfluxQL, and its answers as frames. The same for InfluxDB 1.x, 2.x and 3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from controller.store import frames
from controller.store.interface import Column, Frame, Query
from controller.store.schema import FieldType, Measurement


def name(text: str) -> str:
    """An identifier."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def string(text: str) -> str:
    """A literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def select(query: Query, own: Measurement, fields: Sequence[str]) -> str:
    """The statement; what it gives back is read by `read`."""
    if query.aggregate is None:
        tags = [tag for tag in own.tags if tag not in query.group_by]
        columns = ", ".join(name(one) for one in (*fields, *tags))
    else:
        columns = ", ".join(f"{query.aggregate}({name(one)}) AS {name(one)}" for one in fields)
    text = f"SELECT {columns} FROM {name(own.name)}"
    where = [
        "(" + " OR ".join(f"{name(tag)} = {string(value)}" for value in values) + ")"
        for tag, values in query.where.items()
    ]
    if query.start_ns is not None:
        where.append(f"time >= {query.start_ns}")
    if query.end_ns is not None:
        where.append(f"time < {query.end_ns}")
    if where:
        text += " WHERE " + " AND ".join(where)
    group = [name(tag) for tag in query.group_by]
    if query.window_ns is not None:
        group.insert(0, f"time({query.window_ns}ns)")
    if group:
        text += " GROUP BY " + ", ".join(group)
    if query.window_ns is not None:
        text += " fill(none)"
    if query.aggregate is None:
        text += f" ORDER BY time {'DESC' if query.newest_first else 'ASC'}"
        if query.limit is not None:
            text += f" LIMIT {query.limit}"
        if query.offset:
            text += f" OFFSET {query.offset}"
    return text


class Reader:
    """Gathers the chunks of an answer to a query."""

    def __init__(self, query: Query, own: Measurement, fields: Sequence[str]) -> None:
        self._query = query
        self._own = own
        self._fields = fields
        self._tags = [tag for tag in own.tags if tag not in query.group_by]
        self._parts: dict[tuple[str, ...], list[Frame]] = {}

    def take(self, series: Iterable[dict[str, Any]]) -> None:
        """The series of one chunk."""
        for one in series:
            given = one.get("tags") or {}
            key = tuple(str(given.get(tag, "")) for tag in self._query.group_by)
            names, rows = one["columns"], one.get("values") or []
            if rows:
                part = self._frame(key, names, list(zip(*rows, strict=True)))
                self._parts.setdefault(key, []).append(part)

    def frames(self) -> list[Frame]:
        """All of them, by tags."""
        return [frames.chained(self._parts[key]) for key in sorted(self._parts)]

    def _frame(self, key: tuple[str, ...], names: Sequence[str], values: Sequence[Any]) -> Frame:
        by_name = dict(zip(names, values, strict=True))
        times = np.array(by_name["time"], dtype=np.int64)
        if self._query.aggregate is not None and self._query.window_ns is None:
            times = np.full(len(times), self._query.start_ns or 0, dtype=np.int64)
        absent: tuple[None, ...] = (None,) * len(times)
        columns: dict[str, Column] = {}
        if self._query.aggregate is None:
            for tag in self._tags:
                columns[tag] = frames.column(by_name.get(tag, absent), None)
        for one in self._fields:
            kind = self._own.field(one).type
            if self._query.aggregate is not None:
                kind = FieldType.FLOAT
            columns[one] = frames.column(by_name.get(one, absent), kind)
        return Frame(dict(zip(self._query.group_by, key, strict=True)), times, columns)
