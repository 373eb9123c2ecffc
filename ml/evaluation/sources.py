"""Reads the published files as they are: gzipped CSV with the standard library, Parquet with pyarrow."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.series import Floats

Columns = dict[str, npt.NDArray[Any]]


class DataMissing(RuntimeError):
    """A data file is absent or unreadable. The message names the file and where it can be got."""


def csv_columns(path: Path, source: str) -> dict[str, list[str]]:
    """The columns of a CSV file with a header, as text; gzipped when its name ends in .gz.

    When `path` is absent, the same name with or without .gz is tried. Raises DataMissing.
    """
    found = _existing(path, source)
    try:
        with (
            gzip.open(found, "rt", encoding="utf-8", newline="")
            if found.suffix == ".gz"
            else open(found, encoding="utf-8", newline="")
        ) as file:
            rows = list(csv.reader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataMissing(
            f"{found} cannot be read ({error}); get it again from {source}"
        ) from error
    if len(rows) < 2:
        raise DataMissing(f"{found} has no rows; get it again from {source}")
    header, width = rows[0], len(rows[0])
    short = next((number for number, row in enumerate(rows[1:], 2) if len(row) != width), None)
    if short is not None:
        raise DataMissing(
            f"{found}, line {short}: {len(rows[short - 1])} fields instead of {width};"
            f" get it again from {source}"
        )
    return {name: [row[at] for row in rows[1:]] for at, name in enumerate(header)}


def parquet_columns(path: Path, names: list[str], source: str) -> Columns:
    """The named columns of a Parquet file as numpy arrays. Raises DataMissing."""
    found = _existing(path, source)
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataMissing(
            f"{found} is a Parquet file: reading it needs pyarrow (pip install 'umbra[baselines]')"
        ) from error
    try:
        table = parquet.read_table(found, columns=names)
    except (OSError, KeyError, ArrowException) as error:
        raise DataMissing(
            f"{found} cannot be read ({error}); get it again from {source}"
        ) from error
    absent = [name for name in names if name not in table.column_names]
    if absent:
        raise DataMissing(f"{found} has no column {absent[0]!r}; get it again from {source}")
    return {name: table[name].to_numpy() for name in names}


def column(columns: dict[str, list[str]], name: str, path: Path) -> Floats:
    """One column as numbers, NaN where it is empty. Raises DataMissing, naming file, column and line."""
    if name not in columns:
        raise DataMissing(f"{path} has no column {name!r}; it has {', '.join(columns)}")
    texts = columns[name]
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        line = next(n for n, text in enumerate(texts, 2) if not _number(text))
        raise DataMissing(
            f"{path}, line {line}, column {name!r}: not a number: {texts[line - 2]!r}"
        ) from None


def unix_s(texts: list[str], path: Path) -> Floats:
    """ "YYYY-MM-DD HH:MM:SS[.fff]" (UTC) as Unix seconds. Raises DataMissing."""
    try:
        stamps = np.array(texts, dtype="datetime64[us]")
    except ValueError as error:
        raise DataMissing(f"{path}: a time cannot be read: {error}") from error
    return stamps.astype(np.int64) / 1e6


def _number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _existing(path: Path, source: str) -> Path:
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    for candidate in (path, other):
        if candidate.is_file():
            return candidate
    raise DataMissing(f"{path} is missing; it is published as {source}")
