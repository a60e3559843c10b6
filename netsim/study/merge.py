"""The tables of all runs, one after the other, into one Parquet file each; memory stays bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from netsim import files
from netsim.arrow import BATCH_ROWS, column, text_column
from netsim.study.plan import Run

FRONT = ("label", "algorithm", "replication", "point")


def merge(path: Path, parts: Sequence[tuple[Run, Path]], at_least: Sequence[str] = ()) -> None:
    """Write one Parquet file, as a whole or not at all, from the arrow files of runs, in their order.

    Each row gets ``label, algorithm, replication, point`` and every swept key in front. A column that some runs lack
    is NaN there (or null, where it is no floating-point column); a column that is whole in one run and fractional in
    another is fractional. Columns of `at_least` are there even where no run has them.

    Raises
    ------
    OSError
        If the file system does not take it.
    """
    front = pa.schema([(name, pa.int64() if name == "replication" else pa.string()) for name in FRONT])
    for key, value in (parts[0][0].swept if parts else {}).items():
        front = front.append(pa.field(key, _cells(value, 0).type))
    schemas = list({schema: None for _, file in parts for schema in [_schema(file)]})
    schema = pa.unify_schemas([front, *schemas], promote_options="permissive")
    for name in at_least:
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.float64()))
    waiting, size = list[pa.RecordBatch](), 0
    with files.aside(path) as part, part.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        # Row groups of many runs; they do not depend on the order in which runs finished.
        for batch in _batches(parts, schema):
            waiting.append(batch)
            size += batch.num_rows
            if size >= BATCH_ROWS:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting, size = [], 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema))


def _schema(file: Path) -> pa.Schema:
    with file.open("rb") as source, pa.ipc.open_file(source) as reader:
        return reader.schema.remove_metadata()


def _batches(parts: Sequence[tuple[Run, Path]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for run, file in parts:
        with file.open("rb") as source, pa.ipc.open_file(source) as reader:
            for index in range(reader.num_record_batches):
                yield _completed(run, reader.get_batch(index), schema)


def _completed(run: Run, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    rows = batch.num_rows
    front = {
        "label": text_column([run.label] * rows),
        "algorithm": text_column([run.entry.algorithm.name] * rows),
        "replication": column(np.full(rows, run.replication)),
        "point": text_column([run.point] * rows),
        **{key: _cells(value, rows) for key, value in run.swept.items()},
    }
    columns = []
    for field in schema:
        if field.name in front:
            columns.append(front[field.name])
        elif field.name in batch.schema.names:
            values = batch.column(field.name)
            # A cast imports pyarrow.compute, which takes longer than all the rest of a tiny merge.
            columns.append(values if values.type == field.type else values.cast(field.type))
        elif pa.types.is_floating(field.type):
            columns.append(column(np.full(rows, math.nan, field.type.to_pandas_dtype())))
        else:
            columns.append(pa.nulls(rows, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cells(value: int | float | str, rows: int) -> pa.Array:
    return text_column([value] * rows) if isinstance(value, str) else column(np.full(rows, value))
