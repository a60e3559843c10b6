"""The sign of every entry and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.signs import read_signs, write_signs
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class Sign(Codec):
    """Q(x) = sign(x), each entry 1 or -1, with sign(0) = 1.

    Payload: d bits, which is also the paper's figure: 1 where an entry is below 0.

    Neither unbiased nor a contraction, as the scale of x is lost, and alone among codecs it does not send 0 to 0. For
    methods that use signs only, such as signSGD with majority vote; `scaled_sign` keeps the mean magnitude.

    References
    ----------
    Bernstein, Wang, Azizzadenesheli, Anandkumar, "signSGD: compressed optimisation for non-convex problems", ICML 2018,
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> payload = Sign().encode(np.array([0.5, -3.0, 0.0]), np.random.default_rng(1))
    >>> len(payload.data), payload.paper_bit, Sign().decode(payload.data, 3).tolist()
    (1, 3.0, [1.0, -1.0, 1.0])
    """

    maps_zero_to_zero: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    examples: ClassVar[Examples] = ({},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append one bit an entry."""
        write_signs(out, x)
        return PaperBits(value_bit=x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        return read_signs(src, dim, 1.0)

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (dim + 7) // 8
