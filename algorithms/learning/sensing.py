"""What a sensor does with its features: boundaries, or a code book behind a small network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from algorithms.learning.quantizers import Boundaries, Labels, cells
from netsim.interfaces import Floats


class Quantizer(Protocol):
    """Turns samples of one sensor's features into whole numbers."""

    def numbers(self, x: Floats) -> Labels:
        """Return one number a sample, shape (N,)."""

    def pack(self) -> Floats:
        """Return all that the sensor needs to know, as one vector of floats."""


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The cells of each feature between its boundaries, in mixed radix with the first feature most significant.

    Parameters
    ----------
    boundaries
        Of each feature, sorted.
    """

    boundaries: Boundaries

    def numbers(self, x: Floats) -> Labels:
        """See `Quantizer`."""
        found = np.zeros(len(x), np.int64)
        for column, b in zip(x.T, self.boundaries, strict=True):
            found = found * (len(b) + 1) + cells(column, b)
        return found

    def split(self, numbers: Labels) -> Labels:
        """Return the cell of each feature, shape (N, features)."""
        out = np.zeros((len(numbers), len(self.boundaries)), np.int64)
        for j in reversed(range(len(self.boundaries))):
            numbers, out[:, j] = np.divmod(numbers, len(self.boundaries[j]) + 1)
        return out

    def pack(self) -> Floats:
        """Return how many boundaries each feature has, and those."""
        return np.concatenate([np.r_[float(len(b)), b] for b in self.boundaries])

    @classmethod
    def unpack(cls, flat: Floats) -> Self:
        """Take apart what `pack` made."""
        out, at = Boundaries(), 0
        while at < len(flat):
            n = int(flat[at])
            out.append(np.asarray(flat[at + 1 : at + 1 + n], np.float64))
            at += 1 + n
        return cls(out)


@dataclass(frozen=True, eq=False)
class CodeBook:
    """The nearest of 2^R vectors to what a layer of tanh units makes of standardised features.

    Parameters
    ----------
    mean, scale
        Of each feature.
    inner, inner_bias, outer, outer_bias
        z = tanh(((x - mean) / scale) inner + inner_bias) outer + outer_bias.
    codes
        Shape (2^R, p).
    """

    mean: Floats
    scale: Floats
    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats
    codes: Floats

    def encode(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the hidden units and z of each sample."""
        hidden = np.tanh(((x - self.mean) / self.scale) @ self.inner + self.inner_bias)
        return hidden, hidden @ self.outer + self.outer_bias

    def nearest(self, z: Floats) -> Labels:
        """Return the number of the nearest code vector; the lowest of several."""
        found: Labels = ((z**2).sum(1)[:, None] - 2 * z @ self.codes.T + (self.codes**2).sum(1)).argmin(axis=1)
        return found

    def numbers(self, x: Floats) -> Labels:
        """See `Quantizer`."""
        return self.nearest(self.encode(x)[1])

    @property
    def parts(self) -> tuple[Floats, ...]:
        """All arrays, in the order in which they travel."""
        return self.mean, self.scale, self.inner, self.inner_bias, self.outer, self.outer_bias, self.codes

    def pack(self) -> Floats:
        """Return the numbers of units and of code dimensions, and all arrays one behind the other."""
        return np.concatenate([[self.inner.shape[1], self.codes.shape[1]], *(part.ravel() for part in self.parts)])

    @classmethod
    def unpack(cls, flat: Floats, features: int) -> Self:
        """Take apart what `pack` made."""
        units, p = int(flat[0]), int(flat[1])
        shapes = [(features,), (features,), (features, units), (units,), (units, p), (p,)]
        sizes = [int(np.prod(shape)) for shape in shapes]
        rest = np.asarray(flat[2:], np.float64)
        cut = np.split(rest, np.cumsum(sizes))
        return cls(*(part.reshape(shape) for part, shape in zip(cut, [*shapes, (-1, p)], strict=True)))


def product(numbers: Sequence[Labels]) -> Labels:
    """Return one row a sample of all sensors' numbers."""
    return np.ascontiguousarray(np.stack(numbers, axis=1))
