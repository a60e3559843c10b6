"""Tables as plain columns: reading them, choosing and grouping rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netsim.text import from_cell

Columns = Mapping[str, npt.NDArray[Any]]
"""Column name to values of one length: float64, or objects that are strings."""

TEXTS = (
    "label", "algorithm", "point", "status", "target", "regime", "interface", "state", "unit", "quantity", "claim",
    "against", "verdict", "why", "sense",
)  # fmt: skip
_BLANK = frozenset(["", "nan", "none", "na", "-", "–"])


def size(columns: Columns) -> int:
    """Return the number of rows."""
    return len(next(iter(columns.values()))) if columns else 0


def numbers(columns: Columns, name: str) -> npt.NDArray[np.float64]:
    """Return a numeric column; NaN throughout where it is absent or text."""
    values = columns.get(name)
    absent = values is None or values.dtype == object
    return np.full(size(columns), np.nan) if absent else np.asarray(values, np.float64)


def unique(columns: Columns, name: str) -> list[str]:
    """Return the different values of a column as texts, in the order in which they come."""
    return [str(v) for v in dict.fromkeys(columns[name].tolist())] if name in columns else []


def groups(columns: Columns, *names: str) -> dict[tuple[Any, ...], Columns]:
    """Return the rows by equal values of `names`, in their order; an absent column counts as ''."""
    rows = size(columns)
    if not rows:
        return {}
    codes = np.zeros(rows, np.int64)
    keys: list[tuple[Any, ...]] = [()]
    for name in names:
        values = columns[name].tolist() if name in columns else [""] * rows
        numbered = {value: i for i, value in enumerate(dict.fromkeys(values))}
        codes = codes * len(numbered) + np.fromiter((numbered[v] for v in values), np.int64, rows)
        keys = [(*key, value) for key in keys for value in numbered]
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    return {
        keys[code]: {name: values[part] for name, values in columns.items()}
        for code, part in zip(present.tolist(), np.split(order, starts[1:]), strict=True)
    }


def concatenate(tables: Sequence[Columns]) -> Columns:
    """Return the rows of all tables; NaN or '' where a table lacks a column."""
    tables = [table for table in tables if size(table)]
    out: dict[str, npt.NDArray[Any]] = {}
    for name in dict.fromkeys(name for table in tables for name in table):
        is_text = any(name in t and t[name].dtype == object for t in tables)
        blank, kind = ("", object) if is_text else (math.nan, float)
        out[name] = np.concatenate(
            [t[name].astype(kind) if name in t else np.full(size(t), blank, kind) for t in tables]
        )
    return out


def read_parquet(path: Path) -> Columns:
    """Read a Parquet file.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from netsim import arrow

    columns: dict[str, npt.NDArray[Any]] = {}
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if name not in TEXTS and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            columns[name] = np.asarray(arrow.numbers(column), np.float64)
        elif name not in TEXTS and pa.types.is_boolean(kind):
            columns[name] = np.array(column.to_pylist(), np.float64)
        else:
            columns[name] = np.array(["" if v is None else str(v) for v in column.to_pylist()], object)
    return columns


def read_csv(path: Path) -> Columns:
    """Read a CSV file with a header; a column is numeric where every cell is a number or blank.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    columns: dict[str, npt.NDArray[Any]] = {}
    for i, name in enumerate(header):
        texts = [from_cell(line[i]) if i < len(line) else "" for line in lines if line]
        values = [to_number(text) for text in texts]
        are_numbers = all(t.strip().lower() in _BLANK or not math.isnan(v) for t, v in zip(texts, values, strict=True))
        columns[name] = np.array(values, float) if are_numbers and name not in TEXTS else np.array(texts, object)
    return columns


def to_number(text: str) -> float:
    """Return the number that `text` says, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan
