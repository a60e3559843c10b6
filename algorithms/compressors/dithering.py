"""Standard dithering: signs and stochastically rounded levels of a vector's p-norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.levels import (
    LevelCodec,
    Levels,
    code_bit,
    dither_variance,
    finite_norms,
    read_drawn,
    read_scales,
    rounded_up,
    write_drawn,
)
from netsim.fields import Range
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component

NormOrder = Annotated[float, Range(ge=1)]


@component("compressor")
@dataclass(frozen=True)
class Dithering(LevelCodec):
    """Q_i = ||x||_p sign(x_i) z_i / s, z_i = floor(y_i) + Bernoulli(y_i - floor(y_i)), y_i = s |x_i| / ||x||_p.

    Unbiased, with the exact variance (||x||_p^2 / s^2) sum f_i (1 - f_i), f_i the fraction of y_i; for s = 1
    E||Q||^2 = ||x||_1 ||x||_p. With r = min(p, 2), w = min(d^(2/r) / (4 s^2), d^(1/r) / s) and, for s = 1,
    w = d^(1/r) - 1; with p = inf w = min((d-1) / (4 s^2), sqrt(d-1) / (2 s)) and, for s = 1, (sqrt(d) - 1) / 2. p = 2
    gives the payloads of `qsgd` with its fixed code, p = inf with s = 1 the vectors of `terngrad`, s = 1 is DIANA's
    p-quantisation. The norm is rounded up to its float type before y_i is formed; draws as in `_levels`, by coordinate.

    Payload: FPP + d (1 + lg(s+1)) bits: the norm, then sign and level of each coordinate. The papers count the same.

    Parameters
    ----------
    levels
        s, 1 to 65,535.
    p
        1 or more, or ``inf``. Powers other than 1, 2 and inf are slower: they are made of products and square roots, so
        that they are the same everywhere.

    References
    ----------
    Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning", MSML 2022,
    standard dithering. Mishchenko, Gorbunov, Takac, Richtarik, "Distributed learning with compressed gradient
    differences", arXiv 1901.09269, 2019, p-quantisation.

    Examples
    --------
    >>> import numpy as np
    >>> payload = Dithering(levels=4, p=1).encode(np.array([3.0, 0.0, -4.0]), np.random.default_rng(1))
    >>> Dithering(levels=4, p=1).decode(payload.data, 3).tolist(), payload.paper_bit
    ([3.5, 0.0, -3.5], 44.0)
    """

    levels: Levels
    p: NormOrder | Literal["inf"] = 2.0

    is_unbiased: ClassVar[bool] = True
    write_checks: ClassVar[bool] = True  # the norm shows every entry that is not finite
    examples: ClassVar[Examples] = (
        {"levels": 4},
        {"levels": 3, "p": 1},
        {"levels": 2, "p": "inf", "float_bit": 64},
        {"levels": 5, "p": 3.5},
    )
    sweep: ClassVar[Examples] = (
        {"levels": 1, "p": "inf"},
        {"levels": 7, "p": "inf"},
        {"levels": 127, "p": "inf"},
    )

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the norm, signs and levels."""
        scale = rounded_up(self, finite_norms(self, x, x.size, self._order), self.float_bit)
        out.floats(scale, self.float_bit)
        write_drawn(out, x, scale, x.size, self.levels, key)
        return PaperBits(value_bit=self.float_bit + x.size * code_bit(self.levels))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        return read_drawn(src, dim, read_scales(src, 1, self.float_bit), dim, self.levels)

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return math.ceil((self.float_bit + dim * code_bit(self.levels)) / 8)

    def variance_bound(self, dim: int) -> float:
        """Return w."""
        return dither_variance(dim, self.levels, self._order)

    @property
    def _order(self) -> float:
        return math.inf if self.p == "inf" else float(self.p)
