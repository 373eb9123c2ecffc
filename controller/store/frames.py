"""Rows ↔ frames: columns of the right type, and several series merged into one group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from controller.store.interface import Aggregate, Column, Frame
from controller.store.schema import FieldType, Measurement

NS = 1_000_000_000


def column(values: Sequence[Any], kind: FieldType | None) -> Column:
    """Numbers with decimals as float64 (NaN where absent); all else as objects (None where absent)."""
    if kind is FieldType.FLOAT:
        return np.array(values, dtype=np.float64)
    made = np.empty(len(values), dtype=object)
    if kind is FieldType.BOOLEAN:
        made[:] = [None if one is None else bool(one) for one in values]
    elif kind is FieldType.INTEGER:
        made[:] = [None if one is None else int(one) for one in values]
    else:
        made[:] = values
    return made


def raw(
    own: Measurement, fields: Sequence[str], tags: dict[str, str], group_by: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> Frame:  # fmt: skip
    """Rows (time_ns, *fields) of one series as a frame in which tags that are not grouped by are columns."""
    by_column = list(zip(*rows, strict=True)) if rows else [()] * (1 + len(fields))
    columns: dict[str, Column] = {}
    for name in own.tags:
        if name not in group_by:
            same = np.empty(len(rows), dtype=object)
            same[:] = tags[name]
            columns[name] = same
    for name, values in zip(fields, by_column[1:], strict=True):
        columns[name] = column(values, own.field(name).type)
    times = np.array(by_column[0], dtype=np.int64)
    return Frame({name: tags[name] for name in group_by}, times, columns)


def chained(parts: Sequence[Frame]) -> Frame:
    """Frames of the same columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns
    }
    return Frame(parts[0].tags, np.concatenate([one.times_ns for one in parts]), columns)


def merged(parts: Sequence[Frame], *, newest_first: bool, limit: int | None) -> Frame:
    """Raw frames of one group as one, by time."""
    if len(parts) == 1:
        return parts[0]
    all_of_them = chained(parts)
    times = all_of_them.times_ns
    order = np.argsort(-times if newest_first else times, kind="stable")[:limit]
    columns = {name: one[order] for name, one in all_of_them.columns.items()}
    return Frame(parts[0].tags, times[order], columns)


def windows(
    aggregate: Aggregate, fields: Sequence[str], tags: dict[str, str],
    rows: Sequence[Sequence[Any]],
) -> Frame:  # fmt: skip
    """Rows (start_ns, value and count of each field) of the series of one group as a frame.

    A value is a sum, a minimum or a maximum, as the aggregate needs.
    """
    if not rows:
        return Frame(tags, np.empty(0, dtype=np.int64), {})
    starts = np.array([row[0] for row in rows], dtype=np.int64)
    table = np.array([row[1:] for row in rows], dtype=np.float64)
    times, place = np.unique(starts, return_inverse=True)
    some = np.zeros(len(times), dtype=bool)
    columns: dict[str, Column] = {}
    for index, name in enumerate(fields):
        values, counts = table[:, 2 * index], table[:, 2 * index + 1]
        count = np.zeros(len(times))
        np.add.at(count, place, counts)
        some |= count > 0
        columns[name] = _combined(aggregate, values, counts, place, count)
    kept = np.flatnonzero(some)
    return Frame(tags, times[kept], {name: one[kept] for name, one in columns.items()})


def _combined(
    aggregate: Aggregate, values: Column, counts: Column, place: Column, count: Column
) -> Column:
    """One field's value in each window; NaN where it has none."""
    if aggregate is Aggregate.COUNT:
        return count
    if aggregate in (Aggregate.MIN, Aggregate.MAX):
        found = np.full(len(count), np.nan)
        (np.fmin if aggregate is Aggregate.MIN else np.fmax).at(found, place, values)
        return found
    total = np.zeros(len(count))
    np.add.at(total, place, np.where(counts > 0, values, 0.0))
    total[count == 0] = np.nan
    return total / np.maximum(count, 1.0) if aggregate is Aggregate.MEAN else total
