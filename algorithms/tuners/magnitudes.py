"""The magnitudes |x_i| of a vector: norms, and parts of it by size, without a sort."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from algorithms.coding.select import Candidates, collect
from netsim.errors import EncodeError
from netsim.interfaces import Array, Floats, Indices

Values = npt.NDArray[Any]  # float32 or float64, as the vector's

COMPILED_FROM = 1 << 14  # below, numpy is quick enough and numba is never imported
SAMPLE = 1 << 12


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """|x_i| of one vector.

    Parameters
    ----------
    x
        float32 or float64, contiguous, finite, its squares without overflow or loss.
    l2_squared
        sum x_i^2, float64.
    """

    x: Array
    l2_squared: float

    @property
    def size(self) -> int:
        """Entries of the vector, zeros included."""
        return self.x.size

    @property
    def is_large(self) -> bool:
        """True where compiled passes are worth their import, and a sample makes sense."""
        return self.size >= COMPILED_FROM

    def top(self) -> float:
        """Return max |x_i|."""
        return float(max(self.x.max(), -self.x.min()))

    def energy_from(self, threshold: float) -> float:
        """Return the sum of all x_i^2 with |x_i| >= threshold, a number of x's dtype."""
        return _energy_from(self.x, threshold)

    def mass_below(self, threshold: float) -> float:
        """Return the sum of all |x_i| < threshold, a number of x's dtype."""
        bound = self.x.dtype.type(threshold)
        if not self.is_large:
            magnitudes = np.abs(self.x)
            return float(np.add.reduce(magnitudes[magnitudes < bound], dtype=np.float64))
        from algorithms.tuners import magnitudes_kernel

        return float(magnitudes_kernel.mass_below(self.x, bound))

    def above(self, low: float) -> Values:
        """Return all nonzero |x_i| >= low, which is rounded down to x's dtype, in index order; a new array."""
        return self.found_above(low)[1]

    def found_above(self, low: float) -> tuple[Indices, Values]:
        """Return the places of all nonzero |x_i| >= low, ascending, and these; new arrays."""
        least = self._rounded_down(low)
        if not self.is_large:
            magnitudes = np.abs(self.x)
            places = np.flatnonzero(magnitudes >= least)
            return places, magnitudes[places]
        hits = int(np.count_nonzero(self._sample >= least))
        guess = int((hits + 4 * hits**0.5 + 16) * self.size / SAMPLE) + 128
        kind: Any = np.uint32 if self.x.itemsize == 4 else np.uint64
        keys, threshold = self.x.view(kind), int(least.view(kind))
        found = collect(keys, threshold, min(guess, self.size)) or collect(keys, threshold, self.size)
        places, magnitudes = cast(Candidates, found)
        return places, magnitudes.view(self.x.dtype)

    def largest(self, count: int) -> tuple[Values, bool]:
        """Return at least the `count` largest nonzero |x_i| in index order, and whether these are all there are.

        Among equals at the end, all are in or none.
        """
        if self.is_large and 4 * count < self.size:
            expected = count * SAMPLE / self.size
            threshold = self.sample_rank(expected + 4 * expected**0.5 + 4)
            if threshold > 0:
                values = self.above(threshold)
                if values.size >= count:
                    return values, False
        return self.above(0.0), True

    def sample_rank(self, rank: float) -> float:
        """Return the rank-th largest (from 1) of the sample; infinite before its start, 0 behind its end."""
        if rank < 1:
            return math.inf
        return float(self.sample[int(rank) - 1]) if rank <= self.sample.size else 0.0

    @cached_property
    def sample(self) -> Floats:
        """A fixed, jittered sample of `SAMPLE` magnitudes of a large vector, decreasing."""
        return np.sort(self._sample)[::-1].astype(np.float64)

    @cached_property
    def _sample(self) -> Values:
        return np.abs(self.x[_sample_places(self.size)])

    def _rounded_down(self, threshold: float) -> Any:
        kind = self.x.dtype.type
        with np.errstate(over="ignore", under="ignore"):
            bound = kind(threshold)
        if float(bound) > threshold:
            bound = np.nextafter(bound, kind(0))
        return max(bound, np.nextafter(kind(0), kind(1)))


@lru_cache(maxsize=8)
def _sample_places(size: int) -> Indices:
    """Return one place in each of `SAMPLE` equal strides, moved by a hash so that periodic data cannot hide."""
    stride = np.uint64(size // SAMPLE)
    steps = np.arange(SAMPLE, dtype=np.uint64)
    jitter = ((steps * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) * stride >> np.uint64(32)
    return (steps * stride + jitter).astype(np.int64)


def measure(x: npt.ArrayLike) -> Magnitudes:
    """Return the magnitudes of `x`, shape (d,), scaled by a power of two where their squares would overflow or vanish.

    Raises
    ------
    EncodeError
        If an entry is NaN or infinite.
    """
    values = np.ascontiguousarray(x)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    l2_squared = _energy_from(values, 0.0)
    if not 1e-200 < l2_squared < 1e200:
        largest = float(np.max(np.abs(values), initial=0.0))
        if not math.isfinite(largest):
            raise EncodeError("a vector to be tuned must be finite. Got NaN or infinity in it")
        if largest > 0.0:
            with np.errstate(under="ignore"):
                values = np.ldexp(values, -int(np.frexp(largest)[1]))
            l2_squared = _energy_from(values, 0.0)
    return Magnitudes(values, l2_squared)


def _energy_from(x: Array, threshold: float) -> float:
    bound = x.dtype.type(threshold)
    if x.size < COMPILED_FROM:
        values = x.astype(np.float64)
        values = values[np.abs(x) >= bound] if threshold else values
        with np.errstate(over="ignore", under="ignore"):
            return float(np.add.reduce(values * values))
    from algorithms.tuners import magnitudes_kernel

    return float(magnitudes_kernel.energy_from(x, bound) if threshold else magnitudes_kernel.energy(x))
