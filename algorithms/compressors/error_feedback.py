"""What a code left out is added to the next vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from algorithms.coding import memory as memory_module
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.memory import Step
from algorithms.coding.wrappers import Around, Entries, entries
from netsim.errors import EncodeError
from netsim.interfaces import Array, Key, Payload
from netsim.registry import Examples, component


class Memory(NamedTuple):
    """What the sender keeps.

    Parameters
    ----------
    error
        e, all that was not sent so far, float64, shape (d,).
    part
        The memory of the code inside.
    """

    error: Array
    part: Any = None


@component("compressor")
@dataclass(frozen=True)
class ErrorFeedback(Around):
    """v = Q(e + x), e <- e + x - v: what Q loses, its rounding on the wire included, is sent later.

    After any number of vectors the sum of the v and e equals the sum of the x. The error e is the sender's and comes in
    and goes out by `step`; nothing is hidden in the codec. For Q a contraction with delta and ||x|| <= G,
    ||e||^2 <= 4 (1 - delta) G^2 / delta^2.

    Payload: Q's of e + x; the papers' bits are Q's. `encode` is a step from e = 0.

    Who encodes must keep e: the algorithms `dcgd` and `ef_sgd` do. Other codecs would lose it, so none can hold this
    one; error feedback of a rotated or per-tensor code is ``{name: error_feedback, part: {name: hadamard, ...}}``.

    Parameters
    ----------
    part
        Q. A code with a memory of its own, such as `low_rank`, keeps it beside e.

    References
    ----------
    Seide, Fu, Droppo, Li, Yu, "1-bit stochastic gradient descent and its application to data-parallel distributed
    training of speech DNNs", Interspeech 2014. Karimireddy, Rebjock, Stich, Jaggi, "Error feedback fixes SignSGD and
    other gradient compression schemes", ICML 2019, algorithm 2, lines 4 to 6.

    Examples
    --------
    >>> from algorithms.compressors.top_k import TopK
    >>> codec, memory = ErrorFeedback(part=TopK(k=1)), None
    >>> for _ in range(3):
    ...     payload, decoded, memory = codec.step(memory, np.array([1.0, 0.75]), Key(0, 0))
    ...     print(decoded.tolist(), memory.error.tolist())
    [1.0, 0.0] [0.0, 0.75]
    [0.0, 1.5] [1.0, 0.0]
    [2.0, 0.0] [0.0, 0.75]
    """

    is_outermost: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"part": {"name": "top_k", "k": 3}},
        {"part": {"name": "sign_rand_k", "fraction": 0.3, "shared_seed": True}},
    )

    @property
    def draws(self) -> bool:  # type: ignore[override]  # depends on a key
        """Where Q does."""
        return self.part.draws

    def step(self, memory: Memory | None, x: Array, key: Key) -> Step:
        """Encode e + x.

        Parameters
        ----------
        memory
            What the step before returned; None before the first one.

        Returns
        -------
        The payload, what it decodes to, and the next memory.

        Raises
        ------
        EncodeError
            As `encode`; `memory` stays as it is.
        """
        payload, after = self.advance(memory, x, key)
        return Step(payload, self.decode(payload.data, np.size(x), key), after)

    def advance(self, memory: Memory | None, x: Array, key: Key) -> tuple[Payload, Memory]:
        """Encode e + x as `step` does; the next e differs from e + x where Q sent something, in O(T) if Q is sparse."""
        vector = self.vector(x)
        self.check(vector)
        total = _plus(vector, memory)
        try:
            payload, inner = memory_module.encode(self.part, None if memory is None else memory.part, total, key)
        except EncodeError as error:
            raise EncodeError(f"{self.name}: {error}") from None
        rest = vector.astype(np.float64) if memory is None else total
        src = BitReader(payload.data)
        sent = entries(self.part, src, vector.size, key)
        src.finish()
        rest[... if sent.indices is None else sent.indices] -= sent.values
        return payload, Memory(rest, inner)

    def unsent(self, memory: Memory | None, x: Array) -> Memory:
        """Return the memory after a message that was lost: the error is all of e + x."""
        return Memory(_plus(x, memory), None if memory is None else memory.part)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Memory | None = None) -> PaperBits:
        """Append Q(e + x); the next e is known once it is decoded, as `step` does."""
        inner = None if memory is None else memory.part
        return self.write_part(self.part, _plus(x, memory), key, out, inner)

    def read_parts(self, src: BitReader, dim: int, key: Key | None = None) -> Entries:
        """Read the parts off the bit stream."""
        return entries(self.part, src, dim, key)

    def contraction(self, dim: int) -> float | None:
        """Return Q's, for the vector e + x."""
        return self.part.contraction(dim)

    def encode_flop(self, dim: int) -> float:
        """Return Q's both ways, an addition and a subtraction."""
        return self.part.encode_flop(dim) + self.part.decode_flop(dim) + 2 * dim

    def decode_flop(self, dim: int) -> float:
        """Return Q's."""
        return self.part.decode_flop(dim)


def _plus(x: Array, memory: Memory | None) -> Array:
    if memory is None:
        return x
    if memory.error.shape != x.shape:
        raise EncodeError(f"error_feedback: an error of {x.size} entries is needed. Got {memory.error.size}.")
    with np.errstate(over="ignore"):  # the part refuses it
        return np.add(memory.error, x, dtype=np.float64)
