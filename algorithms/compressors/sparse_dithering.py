"""Whole multiples of a small step, most of them 0 or 1: unary levels behind five signs to the octet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.bits import BitReader, BitWriter, Words
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.draws import uniforms
from algorithms.coding.levels import rounded_up
from algorithms.coding.norms import norms
from algorithms.coding.prefix import read_unary, write_unary
from algorithms.coding.sparse import read_scale
from algorithms.coding.trits import Trits, read_trits, trits_bit, write_trits
from netsim.compiling import IS_ON
from netsim.errors import DecodeError, EncodeError
from netsim.fields import Range
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component

COMPILED_FROM = 8192  # entries; below, numpy is quick enough and numba is never imported

_STAGE = 40_960  # entries that are coded together: a multiple of 5 trits and of 16 lanes
_LANES = 16
_SLACK = 1 + 1e-9  # of bounds that rounding may touch


@component("compressor")
@dataclass(frozen=True)
class SparseDithering(FloatCodec):
    """Q_i = c k_i sign(x_i), k_i a whole number next to y_i = |x_i| / (2 h ||x||), h = sqrt(nu / d).

    Deterministic: k_i = floor(y_i + 1/2) and c = sum k_i |x_i| / sum k_i^2, the multiple of the pattern nearest to x.
    Every |x_i| is off its grid point by h ||x|| at most, so ||x - Q||^2 <= nu ||x||^2, and never above ||x||^2: for
    nu < 1 a contraction with delta = 1 - nu.

    Randomised: k_i = floor(y_i), plus 1 with probability y_i - floor(y_i), and c = 2 h ||x||. Unbiased,
    E||x - Q||^2 = c^2 sum f_i (1 - f_i) <= nu ||x||^2 with f_i the fractions: w = nu. Here c is rounded up to a float
    of the wire before the draws, so that there is no bias and the bound on K holds.

    Payload: FPP + 8 ceil(d/5) + K bits: c, the trits (0 where k_i = 0, else 1 for plus and 2 for minus), and the
    k_i > 0 in unary, K = sum k_i. With n of them, K <= (sqrt(n d / nu) + n) / 2 and n <= d / nu (deterministic), or
    K <= sqrt(n d / nu) / 2 + n (randomised). That is also what `paper_bit` says, as this code is not the paper's.

    Deviation: the paper's name and purpose; step, scale and code are our own.

    Parameters
    ----------
    nu
        Error parameter, 1e-6 or more; below, floats cost less.
    randomised
        Draw the levels: unbiased. Otherwise the nearest ones.

    References
    ----------
    Albasyoni, Safaryan, Condat, Richtarik, "Optimal gradient compression for distributed and federated learning",
    arXiv 2010.03246, 2020, sparse dithering.

    Examples
    --------
    >>> codec = SparseDithering(nu=0.5)
    >>> payload = codec.encode(np.array([2.0, -9.0, 0.5, 4.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), payload.paper_bit
    ([0.0, -6.5, 0.0, 6.5], 42.0)
    """

    nu: Annotated[float, Range(ge=1e-6)] = 0.5
    randomised: bool = False

    write_checks: ClassVar[bool] = True  # the norm is finite only where every entry is
    examples: ClassVar[Examples] = (
        {},
        {"nu": 1.0, "randomised": True},
        {"nu": 0.01, "float_bit": 64},
        {"nu": 0.05, "randomised": True, "float_bit": 16},
        {"nu": 4.0},
    )
    sweep: ClassVar[Examples] = (
        {"nu": 0.1},
        {"nu": 0.02},
        {"nu": 0.3, "randomised": True},
        {"nu": 4.0, "randomised": True},
    )

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]
        """Whether the levels are drawn."""
        return self.randomised

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append scale, trits and levels."""
        y, norm, exponent = self._within_reach(x)
        step = 2 * math.sqrt(self.nu / x.size) * norm
        trits, levels, lanes = BitWriter(), BitWriter(), np.zeros((2, _LANES))
        scale: Array = np.zeros(1)
        if self.randomised and step > 0:
            # Both ends use the step that travels.
            scale = rounded_up(self, np.array([_times_power(step, exponent)]), self.float_bit, what="scale")
            step = _times_power(float(scale[0]), -exponent)
        for start in range(0, x.size, _STAGE):
            found, signs = self._levels(y[start : start + _STAGE], step or math.inf, key, start, lanes)
            write_trits(trits, signs)
            write_unary(levels, found)
        if not self.randomised and levels.bit_length > 0:
            c = _times_power(_total(lanes[0]) / _total(lanes[1]), exponent)
            scale = self.rounded(np.array([c]), self.float_bit, what="scale")
        if not float(scale[0]) * self._most_level(x.size) < math.inf:
            raise EncodeError(f"{self.name}: entries must lie within float64 on the grid. Got a step of {scale[0]}.")
        out.floats(scale, self.float_bit)
        for section in (trits, levels):
            out.packed(np.frombuffer(section.getvalue(), np.uint8), section.bit_length)
        return PaperBits(value_bit=self.float_bit + trits.bit_length + levels.bit_length)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        scale = read_scale(src, self.float_bit)
        trits = read_trits(src, dim)
        levels = read_unary(src, int(np.count_nonzero(trits)), self._most_level(dim))
        if not scale * self._most_level(dim) < math.inf:
            raise DecodeError(f"payload: a scale must lie within float64 on the grid. Got {scale}.")
        x = np.zeros(dim)
        if IS_ON and dim >= COMPILED_FROM:
            kernels.dithering.place(trits, np.append(levels, np.uint64(0)), scale, x)
        else:
            places = np.flatnonzero(trits)
            x[places] = np.where(trits[places] == 2, -1.0, 1.0) * (scale * levels.astype(np.float64))
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        if self.randomised:
            most = (math.sqrt(1 / self.nu) / 2 + 1) * dim
        else:
            n = min(float(dim), dim / self.nu)
            most = (math.sqrt(n * dim / self.nu) + n) / 2
        return (self.float_bit + trits_bit(dim) + math.floor(most * _SLACK) + 1 + 7) // 8

    def variance_bound(self, dim: int) -> float | None:
        """Return w = nu where the levels are drawn."""
        return self.nu if self.randomised else None

    def contraction(self, dim: int) -> float | None:
        """Return delta = 1 - nu where the levels are the nearest and nu < 1."""
        return None if self.randomised or self.nu >= 1 else 1 - self.nu

    def encode_flop(self, dim: int) -> float:
        """Return norm 2, level 3 and scale 4 operations an entry; drawn levels 4, no scale, without the draws."""
        return (6.0 if self.randomised else 9.0) * dim

    def _within_reach(self, x: Array) -> tuple[Array, float, int]:
        """Return x / 2^e, its norm, and e: 0 but where ||x||^2 or a step would leave what float64 resolves."""
        norm = float(norms(x, x.size)[0])
        if norm == 0 or 2.0**-900 < norm < 2.0**900:
            return x, norm, 0
        self.refuse_infinite(x)
        exponent = math.frexp(float(np.abs(x).max()))[1]
        near = np.ldexp(x.astype(np.float64), -exponent)
        return near, float(norms(near, near.size)[0]), exponent

    def _levels(self, x: Array, step: float, key: Key, first: int, lanes: Floats) -> tuple[Words, Trits]:
        """Return k_i > 0 and all trits of a stage that starts at coordinate `first`; add to the scale's sums."""
        draws = uniforms(key, np.arange(first, first + x.size)) if self.randomised else None
        if IS_ON and first + x.size >= COMPILED_FROM:
            levels, trits = np.empty(x.size, np.uint64), np.empty(x.size, np.uint8)
            if draws is not None:
                count = kernels.dithering.drawn(x, step, draws, levels, trits)
            else:
                count = kernels.dithering.nearest(x, step, levels, trits, lanes)
            return levels[:count], trits
        magnitudes: Floats = np.abs(x).astype(np.float64, copy=False)
        y = magnitudes / step
        if draws is not None:
            low = np.floor(y)
            k = low + (draws < y - low)
        else:
            k = np.floor(y + 0.5)
            _add_lanes(k * magnitudes, lanes[0])
            _add_lanes(k * k, lanes[1])
        return k[k > 0].astype(np.uint64), (k > 0).astype(np.uint8) << (x < 0).astype(np.uint8)

    def _most_level(self, dim: int) -> int:
        """Return the highest possible level: y_i <= sqrt(d / nu) / 2."""
        return math.floor(math.sqrt(dim / self.nu) / 2 * _SLACK) + 1


def _times_power(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def _add_lanes(values: Floats, lanes: Floats) -> None:
    whole = values.size - values.size % _LANES
    rows = np.concatenate([lanes[None, :], values[:whole].reshape(-1, _LANES)])
    # `accumulate` adds one row after the other by definition; `reduce` may pair them.
    lanes[:] = np.add.accumulate(rows, axis=0)[-1]
    lanes[: values.size - whole] += values[whole:]


def _total(lanes: Floats) -> float:
    total = 0.0
    for lane in lanes.tolist():
        total += lane
    return total
