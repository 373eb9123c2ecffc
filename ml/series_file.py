"""Recorded series from CSV and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml.series import Floats, Series

TIMES = ("time_s", "time", "timestamp", "datetime", "date", "period", "t")
TARGETS = ("target", "router", "name", "series", "id")
VALUES = ("value", "values", "count", "demand", "live")
MILLISECONDS = 1e11  # a larger time is in milliseconds: in seconds it were the year 5138
Columns = Mapping[str, Sequence[str] | npt.NDArray[np.generic]]


class SeriesFileError(ValueError):
    """A file that holds no series, with the reason and the remedy."""


def read(path: str | Path) -> list[Series]:
    """The series in a file, by target.

    Columns: a time (one of TIMES: Unix seconds or milliseconds, or ISO 8601; without
    a zone it is UTC). Then either long: a value (value, count, demand or live), a target if there are several
    (target, router, name, series or id), and channels under any other name; or wide: every other column is
    a target. Times may come in any order; of repeated ones the last counts. Empty cells are missing.
    Raises SeriesFileError.
    """
    file = Path(path)
    try:
        columns = _parquet(file) if file.suffix in (".parquet", ".pq") else _csv(file)
    except OSError as error:
        raise SeriesFileError(f"{path} cannot be read: {error.strerror or error}") from error
    time_name = _one_of(columns, TIMES)
    if time_name is None:
        raise SeriesFileError(
            f"{path} has no column of times; name one of its columns time_s "
            f"(it has: {', '.join(columns)})"
        )
    try:
        times_s = _times(columns[time_name])
        target_name, value_name = _one_of(columns, TARGETS), _one_of(columns, VALUES)
        others = [name for name in columns if name not in (time_name, target_name, value_name)]
        if value_name is None and target_name is not None:
            raise SeriesFileError("it has a column of targets but none named value")
        if value_name is None:
            found = [_series(name, times_s, _numbers(columns[name], name), {}) for name in others]
        else:
            values = _numbers(columns[value_name], value_name)
            channels = {name: _numbers(columns[name], name) for name in others}
            found = _long(file.stem, columns, target_name, times_s, values, channels)
    except SeriesFileError as error:
        raise SeriesFileError(f"{path}: {error}") from error
    found = [one for one in found if np.isfinite(one.values).any()]
    if not found:
        raise SeriesFileError(f"{path} holds no value; add rows")
    return found


def _long(
    stem: str,
    columns: Columns,
    target_name: str | None,
    times_s: Floats,
    values: Floats,
    channels: Mapping[str, Floats],
) -> list[Series]:
    if target_name is None:
        return [_series(stem, times_s, values, channels)]
    names, group = np.unique(np.asarray(columns[target_name], dtype=str), return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [
        _series(
            str(name),
            times_s[rows],
            values[rows],
            {key: one[rows] for key, one in channels.items()},
        )
        for name, rows in zip(names, parts, strict=True)
    ]


def _series(target: str, times_s: Floats, values: Floats, channels: Mapping[str, Floats]) -> Series:
    order = np.argsort(times_s, kind="stable")
    keep = order[np.diff(times_s[order], append=np.inf) > 0]
    return Series(
        target, times_s[keep], values[keep], {name: one[keep] for name, one in channels.items()}
    )


def _one_of(columns: Columns, names: Sequence[str]) -> str | None:
    lowered = {name.lower(): name for name in columns}
    return next((lowered[name] for name in names if name in lowered), None)


def _csv(file: Path) -> Columns:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        head = [name.strip() for name in next(rows, [])]
        if len(set(head)) != len(head) or not head:
            raise SeriesFileError(f"{file} needs a first line with different column names")
        body = [row for row in rows if row]
    odd = next((number for number, row in enumerate(body, 2) if len(row) != len(head)), None)
    if odd is not None:
        raise SeriesFileError(f"{file}, line {odd}: it has not as many columns as the first line")
    return (
        dict(zip(head, zip(*body, strict=True), strict=True)) if body else dict.fromkeys(head, ())
    )


def _parquet(file: Path) -> Columns:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SeriesFileError(
            f"{file}: Parquet needs pyarrow; install umbra[baselines], or give a CSV file"
        ) from error
    try:
        table = parquet.read_table(file)
    except ValueError as error:  # pyarrow's own errors are ValueErrors
        raise SeriesFileError(f"{file} is no Parquet file ({error})") from error
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _times(cells: Sequence[str] | npt.NDArray[np.generic]) -> Floats:
    array = np.asarray(cells)
    if array.dtype.kind == "M":
        return np.asarray(array.astype("datetime64[ns]").astype(np.int64) / 1e9)
    try:
        numbers = array.astype(np.float64)
    except (ValueError, TypeError):
        numbers = np.array([_moment(str(cell)) for cell in array], dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise SeriesFileError("a time is missing; delete that row")
    return numbers / 1000.0 if len(numbers) and numbers.max() > MILLISECONDS else numbers


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SeriesFileError(
            f"{text!r} is no time; write Unix seconds or 2026-01-31T12:00:00Z"
        ) from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _numbers(cells: Sequence[str] | npt.NDArray[np.generic], name: str) -> Floats:
    array = np.asarray(cells)
    try:
        if array.dtype.kind in "US":
            stripped = np.char.strip(array.astype(str))
            return np.where(stripped == "", "nan", stripped).astype(np.float64)
        return array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise SeriesFileError(
            f"column {name} holds something that is no number ({error})"
        ) from error
