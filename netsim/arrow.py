"""Between numpy and arrow by their buffers alone.

``pyarrow.array`` and ``to_numpy`` import pandas, which costs a tiny run half of its time.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BATCH_ROWS = 65536


def column(values: npt.NDArray[Any]) -> pa.Array:
    """Return an arrow column of a one-dimensional array of integers, floating-point numbers or booleans.

    Examples
    --------
    >>> column(np.array([1, 2])).type, column(np.array([True, False])).tolist()
    (DataType(int64), [True, False])
    """
    values = np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return pa.Array.from_buffers(
            pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))]
        )
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def text_column(texts: Sequence[str]) -> pa.Array:
    """Return an arrow column of texts.

    Examples
    --------
    >>> text_column(["CAT", "", "é"]).tolist()
    ['CAT', '', 'é']
    """
    encoded = [text.encode() for text in texts]
    ends = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=ends[1:])
    return pa.Array.from_buffers(pa.string(), len(encoded), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))])


def table(columns: Mapping[str, npt.NDArray[Any] | Sequence[str]]) -> pa.Table:
    """Return an arrow table of numpy arrays and sequences of texts, in that order.

    Examples
    --------
    >>> table({"label": ["GD"], "round": np.array([3])}).to_pylist()
    [{'label': 'GD', 'round': 3}]
    """
    arrays = [column(v) if isinstance(v, np.ndarray) else text_column(v) for v in columns.values()]
    return pa.Table.from_arrays(arrays, names=list(columns))


def writer(file: IO[bytes], schema: pa.Schema) -> pa.RecordBatchFileWriter:
    """Return what writes tables into an arrow file, compressed; `BATCH_ROWS` rows at a time keep memory bounded."""
    import pyarrow as pa

    return pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))


def numbers(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a read-only array of an arrow column of integers or floating-point numbers; nulls become NaN.

    Examples
    --------
    >>> numbers(column(np.array([1.5, 2.0])))
    array([1.5, 2. ])
    """
    if isinstance(values, pa.ChunkedArray):
        return np.concatenate([numbers(chunk) for chunk in values.chunks] or [np.zeros(0)])
    if values.null_count:
        nan = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(np.array([np.nan]))])
        values = values.cast(pa.float64()).fill_null(nan[0])
    kind = np.dtype(values.type.to_pandas_dtype())
    return np.frombuffer(values.buffers()[1], kind, len(values), values.offset * kind.itemsize)


def to_bytes(table: pa.Table) -> bytes:
    """Return an arrow file of a table."""
    buffer = io.BytesIO()
    with writer(buffer, table.schema) as file:
        file.write_table(table, max_chunksize=BATCH_ROWS)
    return buffer.getvalue()
