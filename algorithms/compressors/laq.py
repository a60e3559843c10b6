"""Equal steps between the two ends of a vector's range, nearest first: the quantiser of LAQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.levels import rounded_up
from algorithms.coding.norms import peaks
from algorithms.coding.sparse import read_scale
from netsim.fields import Range
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component

_STAGE = 16_384  # entries whose temporaries stay in cache
_TABLED = 10  # bits up to which decoding looks numbers up


@component("compressor")
@dataclass(frozen=True)
class Laq(FloatCodec):
    """q_i = floor((v_i + R) / (2 tau R) + 1/2), R = ||v||_inf, tau = 1 / (2^b - 1); Q_i = 2 tau R q_i - R.

    v is the innovation g - r: what is sent is a difference, and both ends add it to the reference r, the last quantised
    gradient, which the algorithm holds. `write` subtracts r where it gets it as `memory`; `read` gives the difference.

    Q is one of 2^b numbers from -R to R, and ||v - Q||_inf <= tau R, with R rounded up to a float of the wire. Where
    R = 0, Q = 0 and the reference stays. Neither unbiased nor a contraction: an entry of 0 becomes one of +-tau R.

    Payload: FPP + b d bits, R and the q_i, which is also the paper's figure.

    Parameters
    ----------
    bits
        b, bits of an entry, 1 to 24.

    References
    ----------
    Sun, Chen, Giannakis, Yang, "Communication-efficient distributed learning via lazily aggregated quantized
    gradients", NeurIPS 2019, equations 5 and 6.

    Examples
    --------
    >>> codec = Laq(bits=2)
    >>> payload = codec.encode(np.array([3.0, -0.5, 0.75]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 3).tolist(), payload.paper_bit
    ([3.0, -1.0, 1.0], 38.0)
    """

    bits: Annotated[int, Range(ge=1, le=24)] = 4

    write_checks: ClassVar[bool] = True  # the range is finite only where every entry is
    examples: ClassVar[Examples] = (
        {},
        {"bits": 1, "float_bit": 16},
        {"bits": 8, "float_bit": 64},
        {"bits": 3},
    )
    sweep: ClassVar[Examples] = ({"bits": 2}, {"bits": 6})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the range and the levels; `memory` is the reference to subtract, None where `x` is the innovation."""
        if memory is not None:
            with np.errstate(over="ignore"):
                x = x - np.asarray(memory)
        peak = peaks(x, x.size)[0]
        if not peak < np.inf:
            self.refuse_infinite(x)
        wire = rounded_up(self, np.array([float(peak)]), self.float_bit, what="range")
        radius, top = float(wire[0]), (1 << self.bits) - 1
        out.floats(wire, self.float_bit)
        for start in range(0, x.size, _STAGE):
            part = x[start : start + _STAGE].astype(np.float64)
            # x_i / R first: in units of R nothing overflows, and the ends are met exactly.
            levels = np.floor((part / (radius or np.inf) + 1.0) * (top / 2) + 0.5)
            out.uints(levels.astype(np.uint64), self.bits)
        return PaperBits(value_bit=self.float_bit + self.bits * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Return the innovation on the bit stream, float64, shape (dim,)."""
        radius, top = read_scale(src, self.float_bit), (1 << self.bits) - 1
        levels = src.uints(dim, self.bits)
        if self.bits <= _TABLED:
            table = (2.0 * np.arange(top + 1) - top) / top * radius
            x: Array = table[levels.view(np.int64)]
            return x
        x = np.empty(dim)
        for start in range(0, dim, _STAGE):
            part = levels[start : start + _STAGE].astype(np.float64)
            x[start : start + _STAGE] = (2.0 * part - top) / top * radius
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self.float_bit + self.bits * dim + 7) // 8

    def encode_flop(self, dim: int) -> float:
        """Return a comparison for R and five operations for the level an entry."""
        return 6.0 * dim

    def decode_flop(self, dim: int) -> float:
        """Return four operations an entry."""
        return 4.0 * dim
