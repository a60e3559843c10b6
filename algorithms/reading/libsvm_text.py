"""LIBSVM's text format, whole blocks of lines at a time; a bad line is looked for only when a block is not clean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from algorithms.reading.arrays import MOST_LABEL
from algorithms.reading.files import has_tiny, numbers
from netsim.errors import DataError
from netsim.interfaces import Floats
from netsim.units import vanishes

_ALLOWED = "'label index:value index:value ...' with whole, rising indices from 1"
_LIMIT = 2**31 - 1
_NUMBER = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_COMMENT = re.compile(rb"#[^\n]*")
_SPACE = np.zeros(256, bool)
_SPACE[list(b" \t\n\r\f\v")] = True


class Block(NamedTuple):
    """Some lines as arrays: a label and a length per sample, an index (from 0) and a value per entry."""

    labels: Floats
    lengths: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: Floats


class _Unclean(Exception):
    """The block holds something that is not allowed."""


def parse_block(text: bytes, path: Path, first_line: int, num_features: int | None) -> Block:
    """Parse whole lines; empty lines and comments are skipped.

    Parameters
    ----------
    text
        Lines without the last newline.
    path, first_line
        For the error.
    num_features
        The largest index allowed; None: any.

    Raises
    ------
    DataError
        ``FILE:LINE: what is allowed. Got ...`` for the first bad line.
    """
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    try:
        return _parse(text, num_features or _LIMIT)
    except _Unclean:
        _blame(text, path, first_line, num_features)


def _parse(text: bytes, limit: int) -> Block:
    raw = np.frombuffer(text, np.uint8)
    space = _SPACE[raw]
    starts = np.flatnonzero(~space & np.append(True, space[:-1]))
    if starts.size == 0:
        return Block(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    line = np.searchsorted(np.flatnonzero(raw == ord("\n")), starts)
    is_label = np.concatenate([[True], line[1:] != line[:-1]])
    token = np.searchsorted(starts, np.flatnonzero(raw == ord(":")), side="right") - 1
    if not np.array_equal(np.bincount(token, minlength=starts.size), ~is_label):
        raise _Unclean
    try:
        found = numbers(text.replace(b":", b" "), " ")
    except ValueError:
        raise _Unclean from None
    # A label is one number and a pair two, or one where a side of its colon is empty.
    if found.size != 2 * starts.size - np.count_nonzero(is_label):
        raise _Unclean
    # A token's first number stands behind one number of each label and two of each pair before it.
    first = 2 * np.arange(starts.size) - (np.cumsum(is_label) - is_label)
    labels, indices, values = found[first[is_label]], found[first[~is_label]], found[first[~is_label] + 1]
    rises = np.concatenate([[True], np.diff(indices) > 0]) | is_label[np.flatnonzero(~is_label) - 1]
    fine = (
        np.isfinite(found).all() and (indices == np.floor(indices)).all() and (labels == np.floor(labels)).all()
        and rises.all() and indices.min(initial=1) >= 1 and indices.max(initial=1) <= limit
    )  # fmt: skip
    if not fine or np.abs(labels).max(initial=0.0) > MOST_LABEL:
        raise _Unclean
    if has_tiny(text) and any(_fault(one.split(), limit) for one in text.split(b"\n")):
        raise _Unclean
    lengths = np.diff(np.flatnonzero(np.append(is_label, True))) - 1
    return Block(labels, lengths, (indices - 1).astype(np.int32), values)


def _blame(text: bytes, path: Path, first_line: int, num_features: int | None) -> NoReturn:
    for number, line in enumerate(text.split(b"\n"), first_line):
        fault = _fault(line.split(), num_features)
        if fault:
            raise DataError(f"{path}:{number}: {fault}.")
    raise DataError(f"{path}:{first_line}: {_ALLOWED} is allowed. Got something else in this line or after it.")


def _fault(tokens: list[bytes], num_features: int | None) -> str:
    """Return the error in a line; '' where there is none."""
    if not tokens:
        return ""
    if not _NUMBER.fullmatch(tokens[0]) or not float(tokens[0]).is_integer():
        return f"{_ALLOWED} is allowed, the label a whole number. Got {_show(tokens[0])}"
    if vanishes(tokens[0].decode("ascii"), float(tokens[0])) or abs(float(tokens[0])) > MOST_LABEL:
        return f"a label is a whole number below 2^53. Got {_show(tokens[0])}"
    before = 0
    for column, token in enumerate(tokens[1:], 1):
        index, colon, value = token.partition(b":")
        if not (colon and index.isdigit() and _NUMBER.fullmatch(value)):
            return f"{_ALLOWED} is allowed. Got {_show(token)} as entry {column}"
        if not np.isfinite(float(value)):
            return f"finite numbers are allowed. Got {_show(token)}, value {float(value)} in column {int(index)}"
        if vanishes(value.decode("ascii"), float(value)):
            return f"numbers that 64 bits hold are allowed. Got {_show(token)}"
        if int(index) < 1 or int(index) <= before:
            return f"{_ALLOWED} is allowed. Got index {int(index)} after {before}"
        if int(index) > (num_features or _LIMIT):
            bound = f"num_features = {num_features}" if num_features else str(_LIMIT)
            return f"indices up to {bound} are allowed. Got {int(index)}"
        before = int(index)
    return ""


def _show(token: bytes) -> str:
    text = repr(token.decode("latin-1"))
    return text if len(text) <= 60 else text[:57] + "..."
