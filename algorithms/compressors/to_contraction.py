"""An unbiased code made a contraction by scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.wrappers import Around, Entries, entries
from netsim.errors import ConfigError, DecodeError, EncodeError, Fault
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class ToContraction(Around):
    """Q(x)/(1 + w) for Q in U(w).

    E||Q(x)/(1+w) - x||^2 <= w/(1+w) ||x||^2: in expectation a contraction with delta = 1/(1+w). A single draw may err
    by more, so `contraction` is none and `variance_bound` is w/(1+w).

    Payload: Q's; the reader divides. The papers' bits are Q's, too.

    Parameters
    ----------
    part
        Q, unbiased and with a known w.

    References
    ----------
    Safaryan, Shulgin, Richtarik, "Uncertainty principle for communication compression in distributed and federated
    learning and the search for an optimal compressor", Information and Inference 2022, lemma 1.

    Examples
    --------
    >>> import numpy as np
    >>> from algorithms.compressors.rand_k import RandK
    >>> codec = ToContraction(part=RandK(k=2))
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), codec.variance_bound(4)
    ([0.0, -3.0, 1.0, 0.0], 0.5)
    """

    examples: ClassVar[Examples] = (
        {"part": {"name": "rand_k", "k": 3}},
        {"part": {"name": "bernoulli", "p": 0.4, "lazy": True}},
    )
    sweep: ClassVar[Examples] = (
        {"part": "terngrad"},
        {"part": {"name": "qsgd", "levels": 4, "code": "best"}},
    )

    def __post_init__(self) -> None:
        if not self.part.is_unbiased or not _knows_variance(self.part):
            raise ConfigError([Fault(("part",), "an unbiased code with a known variance", self.part.name)])

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append Q(x)."""
        self._variance(x.size, EncodeError)
        return self.write_part(self.part, x, key, out, memory)

    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Read the parts off the bit stream, divided by 1 + w."""
        w = self._variance(dim, DecodeError)
        found = entries(self.part, src, dim, key)
        return Entries(found.indices, found.values / (1 + w))

    def variance_bound(self, dim: int) -> float:
        """Return w/(1+w)."""
        w = self._variance(dim)
        return w / (1 + w)

    def encode_flop(self, dim: int) -> float:
        """Return Q's."""
        return self.part.encode_flop(dim)

    def decode_flop(self, dim: int) -> float:
        """Return Q's and a division of each entry."""
        return self.part.decode_flop(dim) + dim

    def _variance(self, dim: int, error: type[Exception] = ValueError) -> float:
        try:
            w = self.part.variance_bound(dim)
        except ValueError as wrong:  # a layout of another length
            raise error(f"{self.name}: {wrong}") from None
        if w is None:
            raise error(f"{self.name}: a variance of {self.part.name} is needed for {dim} entries. Got none.")
        return w


def _knows_variance(codec: Codec) -> bool:
    try:
        return codec.variance_bound(1) is not None
    except ValueError:
        return True  # bound to a layout of another length; a vector of that length will tell
