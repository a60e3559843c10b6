"""Index sets on the wire: T ascending indices of lg d bits each; T itself is known to the reader."""

from __future__ import annotations

import numpy as np

from algorithms.compressors._bits import BitReader, BitWriter
from algorithms.compressors._sizes import lg
from netsim.errors import DecodeError
from netsim.interfaces import Indices


def write_count(out: BitWriter, count: int, dim: int) -> None:
    """A number of entries, 0 to dim, in lg(dim + 1) bits."""
    out.uint(count, lg(dim + 1))


def read_count(src: BitReader, dim: int) -> int:
    """The number that `write_count` wrote.

    Raises
    ------
    DecodeError
        If it exceeds `dim`, or too few bits are left.
    """
    count = src.uint(lg(dim + 1))
    if count > dim:
        raise DecodeError(f"payload: at most {dim} entries fit. Got a count of {count}.")
    return count


def write_indices(out: BitWriter, indices: Indices, dim: int) -> None:
    """Ascending indices below `dim`, lg(dim) bits each."""
    out.uints(indices, lg(dim))


def read_indices(src: BitReader, count: int, dim: int) -> Indices:
    """The indices that `write_indices` wrote, shape (count,), int64; `count` is at most `dim`.

    Raises
    ------
    DecodeError
        If they do not ascend, reach `dim`, or too few bits are left.
    """
    indices = src.uints(count, lg(dim)).astype(np.int64)
    if count and indices[-1] >= dim:
        raise DecodeError(f"payload: indices lie below {dim}. Got {indices[-1]}.")
    if not (indices[1:] > indices[:-1]).all():
        i = int(np.argmin(indices[1:] > indices[:-1]))
        raise DecodeError(f"payload: indices must ascend. Got {indices[i]} before {indices[i + 1]}.")
    return indices
