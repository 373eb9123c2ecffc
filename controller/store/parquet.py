"""Measurements as Parquet files and back: one file for each, typed columns, times in nanoseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from controller.store.interface import Adapter, StoreError
from controller.store.point import Point
from controller.store.schema import FieldType, Measurement
from controller.store.transfer import Progress, Transferred, names, pages

TIME = "time"
ROWS = 50_000  # written at once
_TYPES = {
    FieldType.FLOAT: pa.float64(),
    FieldType.INTEGER: pa.int64(),
    FieldType.STRING: pa.string(),
    FieldType.BOOLEAN: pa.bool_(),
}


class ParquetError(StoreError):
    """A file cannot be written or does not fit; the message names it and the remedy."""


def columns(own: Measurement) -> pa.Schema:
    """The file's columns: time, tags, fields; units are kept with the columns."""
    fields = [pa.field(TIME, pa.timestamp("ns", tz="UTC"), nullable=False)]
    fields += [
        pa.field(tag, pa.dictionary(pa.int32(), pa.string()), nullable=False) for tag in own.tags
    ]
    fields += [
        pa.field(one.name, _TYPES[one.type], metadata={"unit": one.unit, "about": one.about})
        for one in own.fields
    ]
    return pa.schema(fields, metadata={"measurement": own.name})


def export(
    store: Adapter,
    directory: Path,
    measurements: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress = lambda _, __: None,
) -> Transferred:
    """{measurement}.parquet for each that has points. A file is there whole or not at all."""
    done = Transferred()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names(store, measurements):
            own = store.schema[name]
            layout, part = columns(own), directory / f".{name}.parquet.part"
            writer: Any = None
            try:
                for points, share in pages(store, name, start_ns, end_ns):
                    writer = writer or pq.ParquetWriter(part, layout, compression="zstd")
                    writer.write_table(_table(own, layout, points))
                    done.note(name, len(points), [])
                    progress(name, share)
            finally:
                if writer is not None:
                    writer.close()
            if writer is not None:
                part.replace(directory / f"{name}.parquet")
    except OSError as error:
        raise ParquetError(f"{directory} cannot be written ({error}); make room there") from error
    return done


def read_into(
    store: Adapter,
    directory: Path,
    measurements: Sequence[str] = (),
    *,
    progress: Progress = lambda _, __: None,
) -> Transferred:
    """Write what the files of a folder hold. May be repeated: what is there already is overwritten."""
    done = Transferred()
    files = {name: directory / f"{name}.parquet" for name in names(store, measurements)}
    there = {name: path for name, path in files.items() if path.is_file()}
    missing = [name for name in measurements if name not in there]
    if missing or not there:
        wanted = ", ".join(f"{name}.parquet" for name in missing) or "MEASUREMENT.parquet"
        raise ParquetError(f"{directory} has no {wanted}; name a folder that umbra exported to")
    for name, path in there.items():
        own = store.schema[name]
        try:
            with pq.ParquetFile(path) as file:
                _fit(path, own, file.schema_arrow)
                total, count = max(1, file.metadata.num_rows), 0
                for batch in file.iter_batches(ROWS):
                    points = _points(own, batch)
                    done.note(name, len(points), store.write(points))
                    count += len(points)
                    progress(name, count / total)
        except (OSError, pa.ArrowException) as error:
            raise ParquetError(f"{path} cannot be read ({error}); export it again") from error
    return done


def _table(own: Measurement, layout: pa.Schema, points: Sequence[Point]) -> pa.Table:
    data: dict[str, list[Any]] = {TIME: [point.time_ns for point in points]}
    tags = zip(*(point.tags for point in points), strict=True)
    values = zip(*(point.values for point in points), strict=True)
    data |= {name: list(column) for name, column in zip(own.tags, tags, strict=True)}
    data |= {name: list(column) for name, column in zip(own.field_names, values, strict=True)}
    arrays = [pa.array(data[field.name], field.type) for field in layout]
    return pa.Table.from_arrays(arrays, schema=layout)


def _fit(path: Path, own: Measurement, found: pa.Schema) -> None:
    """Fields may be absent (an older umbra wrote the file), none may be unknown."""
    known: Mapping[str, Any] = {field.name: field.type for field in columns(own)}
    for name in (TIME, *own.tags):
        if name not in found.names:
            raise ParquetError(f"{path} has no column {name}; export it with umbra store export")
    for field in found:
        if field.name not in known:
            raise ParquetError(
                f"{path} has a column {field.name} that {own.name} does not; drop it"
            )


def _points(own: Measurement, batch: pa.RecordBatch) -> list[Point]:
    layout = columns(own)
    size = batch.num_rows

    def column(name: str) -> list[Any]:
        if name not in batch.schema.names:
            return [None] * size
        kind = pa.string() if name in own.tags else layout.field(name).type
        return list(batch.column(name).cast(kind).to_pylist())

    times = batch.column(TIME).cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_pylist()
    tags = zip(*(column(name) for name in own.tags), strict=True)
    values = zip(*(column(name) for name in own.field_names), strict=True)
    return [
        Point(own.name, time_ns, own_tags, own_values)
        for time_ns, own_tags, own_values in zip(times, tags, values, strict=True)
    ]
