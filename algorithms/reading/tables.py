"""Tables of named columns as features and labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from algorithms.reading.arrays import to_labels
from netsim.errors import ConfigError, DataError, Fault, nearest_name
from netsim.interfaces import Data, Floats
from netsim.units import vanishes

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPOILT = re.compile(r"[-+]?\d*(?:[ ._']?\d{3})*[,_]\d+(?:[eE][-+]?\d+)?")
LineOf = Callable[[int], int]
_LONGEST = 60  # letters of a cell that are looked at for a reason
_UNIT = re.compile(rf"{_PLAIN.pattern}\s*([^\W\d_]{{1,9}}(?:/[^\W\d_]{{1,9}})?|%)")


def to_data(
    frame: pd.DataFrame, name: str, target: str | None, node: str | None, ignore: Collection[str], line_of: LineOf
) -> Data:
    """Return columns of numbers as they are, columns of texts one-hot, the target as labels.

    Parameters
    ----------
    frame
        The table.
    name
        Of the file, for errors.
    target
        The column to predict: texts are classes in the order of their names. None: the last column.
    node
        The column that names whom a sample comes from; None: there is none.
    ignore
        Columns to leave out.
    line_of
        The number of a row that errors say.

    Raises
    ------
    DataError
        If a value is missing or not finite, with its line and column, or nothing is left to learn from.
    ConfigError
        If a column does not exist.
    """
    columns = [str(column) for column in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    if not columns or len(set(columns)) != len(columns):
        raise DataError(f"{name}: columns of different names are needed. Got {', '.join(columns) or 'none'}.")
    if frame.shape[0] == 0:
        raise DataError(f"{name}: at least one row of values is needed. Got none.")
    label = target if target is not None else columns[-1]
    for key, column in (("target", label), ("node_column", node), *(("ignore", one) for one in ignore)):
        if column is not None and column not in columns:
            allowed = f"a column of {name}; there are {', '.join(columns[:20])}"
            raise ConfigError([Fault(("dataset", key), allowed, repr(column), nearest_name(column, columns))])
    for column in (one for one in columns if one not in ignore):
        frame[column] = _as_numbers(frame[column], name, column, line_of)
        _check_complete(frame[column], name, column, line_of)
        if column != node and not _is_number(frame[column]):
            _check_texts([str(value) for value in frame[column]], f"{name}:", column, line_of)
    used = [column for column in columns if column not in {label, node, *ignore}]
    parts = [_numbers(frame[column]) for column in used]
    if not parts:
        raise DataError(f"{name}: a column beside the target {label!r} is needed. Got none.")
    features = np.ascontiguousarray(np.concatenate(parts, axis=1))
    labels, class_names = _labels(frame[label], f"{name}: column {label!r}")
    groups = None if node is None else _codes(frame[node])[0]
    return Data(features, labels, name, groups=groups, class_names=class_names)


def is_number(text: str) -> bool:
    """Return whether a cell is a number in plain digits."""
    return _PLAIN.fullmatch(text.strip()) is not None


def check_tiny(texts: pd.DataFrame, name: str, line_of: LineOf) -> None:
    """Refuse numbers that are too small for a float, of a table of texts, with line and column."""
    for title in texts.columns:
        for row, text in enumerate(texts[title]):
            if is_number(text) and vanishes(text, float(text)):
                place = f"{name}:{line_of(row)}: column {str(title).strip()!r}"
                raise DataError(f"{place}: a number that 64 bits hold is needed. Got {text.strip()[:_LONGEST]!r}.")


def _as_numbers(column: pd.Series[Any], name: str, title: str, line_of: LineOf) -> pd.Series[Any]:
    """Return a column whose cells are all numbers as one of numbers: decimals, and digits beyond 64 bits."""
    if column.dtype.kind in "biuf" or _is_number(column):
        return column
    for row, value in enumerate(column):
        if not isinstance(value, str | bool | Decimal | float | int | None):
            kind = f"{type(value).__name__} {str(value)[:40]!r}"
            raise DataError(f"{name}:{line_of(row)}: column {title!r}: numbers or texts are needed. Got {kind}.")
    texts = [str(value) for value in column]
    if not all(map(is_number, texts)):
        return column
    return column.astype(object).map(float)


def _check_complete(column: pd.Series[Any], name: str, title: str, line_of: LineOf) -> None:
    bad = column.isna().to_numpy()
    if column.dtype.kind == "f" and not bad.any():
        bad = ~np.isfinite(column.to_numpy())
    if bad.any():
        row = int(np.argmax(bad))
        value = column.iloc[row]
        got = "nothing" if column.isna().iloc[row] else str(value)
        raise DataError(f"{name}:{line_of(row)}: column {title!r}: a value is needed. Got {got}.")


def _check_texts(texts: list[str], place: str, title: str, line_of: LineOf) -> None:
    """Check that a column of texts is no column of numbers that some cell, or a sign in all of them, spoils."""
    numbers = [_PLAIN.fullmatch(text.strip()) is not None for text in texts]
    if any(numbers) and not all(numbers):
        row = numbers.index(False)
        allowed = "numbers in all cells, or texts in all"
        raise DataError(f"{place}{line_of(row)}: column {title!r}: {allowed}. Got {texts[row][:40]!r}.")
    if all(_SPOILT.fullmatch(text.strip()[:_LONGEST]) for text in texts):
        allowed = "numbers have a decimal point and no sign between digits"
        raise DataError(f"{place}{line_of(0)}: column {title!r}: {allowed}. Got {texts[0][:40]!r}.")
    units = {match[1] if (match := _UNIT.fullmatch(text.strip()[:_LONGEST])) else "" for text in texts}
    if len(units) == 1 and "" not in units and len(set(texts)) > 2:
        allowed = "numbers without their unit, which the column's name may say"
        raise DataError(f"{place}{line_of(0)}: column {title!r}: {allowed}. Got {texts[0][:40]!r}.")


def _is_number(column: pd.Series[Any]) -> bool:
    import pandas.api.types as kinds

    return kinds.is_numeric_dtype(column) and not kinds.is_complex_dtype(column)


def _numbers(column: pd.Series[Any]) -> Floats:
    """Return a column of numbers, shape (n, 1), or one column for each category."""
    if _is_number(column):
        return column.to_numpy(dtype=np.float64)[:, None]
    codes, names = _codes(column)
    one_hot: Floats = (codes[:, None] == np.arange(len(names))).astype(np.float64)
    return one_hot


def _labels(column: pd.Series[Any], what: str) -> tuple[Floats, tuple[str, ...]]:
    if _is_number(column):
        return to_labels(column.to_numpy(), what), ()
    codes, names = _codes(column)
    return codes.astype(np.float64), names


def _codes(column: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the position of each value's name among all, in order: numbers by size, texts by the alphabet."""
    values = column.to_numpy() if _is_number(column) else np.array([str(value) for value in column], object)
    known, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), tuple(str(value) for value in known)
