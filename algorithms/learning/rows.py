"""Rows x_i of a dense or CSR matrix, and the two products that gradients are made of: x_i'w and sum of c_i x_i.

Bits depend on the rows, w and c alone: one matrix-vector product per request when dense, sums in the order of
the stored entries when sparse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from algorithms.learning.quiet import quiet
from netsim.compiling import IS_ON
from netsim.interfaces import Floats, Indices

# The numpy path takes about 12 ns an entry, so that much is the price of importing numba.
_COMPILE_AFTER_ENTRIES = 10_000_000


class Span(NamedTuple):
    """Rows first .. stop - 1, or those at `batch` (counted from `first`) among them."""

    first: int
    stop: int
    batch: Indices | None = None

    @property
    def size(self) -> int:
        return self.stop - self.first if self.batch is None else self.batch.size


class Rows(ABC):
    """A matrix of shape (num_rows, dim) by its rows."""

    num_rows: int
    dim: int

    @abstractmethod
    def take(self, span: Span) -> Any:
        """Return the rows of a span, for `dots` and `combine`."""

    def joined(self, blocks: Sequence[Any]) -> Any | None:
        """Return the rows of all blocks, one after the other; None where products with them would have other bits."""
        return None

    @abstractmethod
    def dots(self, block: Any, w: Floats, out: Floats) -> None:
        """Write x_i'w of each row to `out`."""

    @abstractmethod
    def combine(self, block: Any, factors: Floats, w: Floats, l2: float) -> Floats:
        """Return l2 w + sum_i factors_i x_i, shape (dim,), in a new array."""

    @abstractmethod
    def entries(self, span: Span) -> float:
        """Return the stored entries; of a sparse batch the expected number, from the span's mean row."""

    def copied(self, span: Span) -> int:
        """Return the entries that `take` copies."""
        return 0

    @abstractmethod
    def gram(self, span: Span, weights: Floats) -> Floats:
        """Return the smaller one of A'A and AA' with A = diag(sqrt(weights)) X, dense."""

    @abstractmethod
    def buffers(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the arrays that make up the matrix, C-contiguous, for hashing."""


def make_rows(features: Any, signs: Floats) -> Rows:
    """Make rows signs_i x_i of a float64 array or of a scipy CSR array."""
    if isinstance(features, np.ndarray):
        return DenseRows(features * signs[:, None])
    return SparseRows(features, signs)


class DenseRows(Rows):
    """A C-contiguous float64 array."""

    def __init__(self, matrix: Floats) -> None:
        self.matrix = matrix
        self.num_rows, self.dim = matrix.shape

    def take(self, span: Span) -> Floats:
        """See `Rows.take`."""
        block = self.matrix[span.first : span.stop]
        return block if span.batch is None else block.take(span.batch, 0)

    def dots(self, block: Floats, w: Floats, out: Floats) -> None:
        """See `Rows.dots`."""
        np.dot(block, w, out=out)

    @quiet
    def combine(self, block: Floats, factors: Floats, w: Floats, l2: float) -> Floats:
        """See `Rows.combine`."""
        out: Floats = np.dot(factors, block)
        if l2:
            out += l2 * w
        return out

    def entries(self, span: Span) -> float:
        """See `Rows.entries`."""
        return float(span.size * self.dim)

    def copied(self, span: Span) -> int:
        """See `Rows.copied`."""
        return 0 if span.batch is None else span.size * self.dim

    def gram(self, span: Span, weights: Floats) -> Floats:
        """See `Rows.gram`."""
        scaled = self.take(span) * np.sqrt(weights)[:, None]
        out: Floats = scaled @ scaled.T if span.size < self.dim else scaled.T @ scaled
        return out

    def buffers(self) -> tuple[npt.NDArray[Any], ...]:
        """See `Rows.buffers`."""
        return (self.matrix,)


@quiet
def _times(l2: float, w: Floats) -> Floats:
    return l2 * w


class SparseRows(Rows):
    """CSR: int64 row starts, uint32 columns, float64 values.

    Small work runs in numpy; what has run there for as long as importing the compiled kernels takes goes on
    in these, to the same bits.
    """

    def __init__(self, features: Any, signs: Floats) -> None:
        self.num_rows, self.dim = features.shape
        self.starts = np.ascontiguousarray(features.indptr, np.int64)
        self.columns = np.ascontiguousarray(features.indices, np.int32).view(np.uint32)
        self.values = features.data * np.repeat(signs, np.diff(self.starts))
        self._all = np.arange(self.num_rows)
        self._kernels: ModuleType | None = None
        self._entries_left = _COMPILE_AFTER_ENTRIES

    def take(self, span: Span) -> Indices:
        """See `Rows.take`."""
        return self._all[span.first : span.stop] if span.batch is None else span.batch + span.first

    def joined(self, blocks: Sequence[Indices]) -> Indices:
        """See `Rows.joined`."""
        return np.concatenate(blocks)

    def dots(self, block: Indices, w: Floats, out: Floats) -> None:
        """See `Rows.dots`."""
        nb = self._kernels or self._compiled(block)
        if nb is not None:
            nb.dots(self.starts, self.columns, self.values, block, w, out)
            return
        picked, row_of = self._picked(block)
        out[:] = np.bincount(row_of, self.values[picked] * w[self.columns[picked]], block.size)

    def combine(self, block: Indices, factors: Floats, w: Floats, l2: float) -> Floats:
        """See `Rows.combine`."""
        out = _times(l2, w) if l2 else np.zeros(self.dim)
        nb = self._kernels or self._compiled(block)
        if nb is not None:
            nb.add(self.starts, self.columns, self.values, block, factors, out)
        else:
            self._add(block, factors, out)
        return out

    @quiet
    def _add(self, block: Indices, factors: Floats, out: Floats) -> None:
        picked, row_of = self._picked(block)
        np.add.at(out, self.columns[picked], factors[row_of] * self.values[picked])

    def entries(self, span: Span) -> float:
        """See `Rows.entries`."""
        stored = float(self.starts[span.stop] - self.starts[span.first])
        return stored if span.batch is None else stored * span.size / (span.stop - span.first)

    def gram(self, span: Span, weights: Floats) -> Floats:
        """See `Rows.gram`."""
        import scipy.sparse as sp

        starts = self.starts[span.first : span.stop + 1]
        inside = slice(int(starts[0]), int(starts[-1]))
        roots = np.repeat(np.sqrt(weights), np.diff(starts))
        scaled = sp.csr_array(
            (self.values[inside] * roots, self.columns[inside].view(np.int32), starts - starts[0]),
            shape=(span.size, self.dim),
        )
        out: Floats = (scaled @ scaled.T if span.size < self.dim else scaled.T @ scaled).toarray()
        return out

    def buffers(self) -> tuple[npt.NDArray[Any], ...]:
        """See `Rows.buffers`."""
        return self.starts, self.columns, self.values

    def _picked(self, block: Indices) -> tuple[Indices, Indices]:
        """Return positions of the rows' entries, one row after the other, and which row of the block each is in."""
        lengths = self.starts[block + 1] - self.starts[block]
        row_of = np.repeat(np.arange(block.size), lengths)
        skipped = self.starts[block] - (np.cumsum(lengths) - lengths)
        return np.arange(row_of.size) + skipped[row_of], row_of

    def _compiled(self, block: Indices) -> ModuleType | None:
        # A call's overhead counts as some entries.
        self._entries_left -= 1000 + block.size * self.values.size // self.num_rows
        if IS_ON and self._entries_left < 0:
            from algorithms.learning import csr_kernel

            self._kernels = csr_kernel
        return self._kernels
