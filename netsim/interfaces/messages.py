"""The frozen values that travel between nodes, and the names of their parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
NodeId: TypeAlias = int
TransferId: TypeAlias = int

HEADER_BYTES = 8  # version 4, kind 6, flags 6, sender 24, round 24 bits


@dataclass(frozen=True, slots=True)
class Payload:
    """What a codec makes of a vector.

    Parameters
    ----------
    data
        The bytes that travel; their length is the only size there is.
    paper_bit
        The closed formula of the codec's paper, without length fields and padding.
    index_bit, value_bit
        The part of `paper_bit` that names coordinates and the part that carries their values.
    flags
        Six bits of the header, 0 to 63, that tell the receiver how to read the payload.
    """

    data: bytes
    paper_bit: float
    index_bit: float = 0.0
    value_bit: float = 0.0
    flags: int = 0

    def flagged(self, flags: int) -> Payload:
        """Return the same payload with other flags."""
        return replace(self, flags=flags) if flags else self


class Code(Protocol):
    """What a driver of agents asks of a codec; `algorithms.coding.codec.Codec` is the contract of a compressor."""

    @property
    def draws(self) -> bool:
        """Whether encoding draws random numbers."""

    @property
    def shares_randomness(self) -> bool:
        """Whether decoding needs the key that the sender drew with."""

    def encode_keyed(self, x: Any, key: Key) -> Payload:
        """Encode a vector with the draws of `key`."""

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Any:
        """Decode a payload to `dim` values."""

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale` times the decoded payload to `acc`."""

    def encode_flop(self, dim: int) -> float:
        """Return the operations that encoding `dim` values takes."""

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return the operations that decoding this payload takes."""


@runtime_checkable
class SparseCode(Code, Protocol):
    """A code that can hand out what a payload holds without its zeros, so that adding it up costs O(T)."""

    def entries(self, data: bytes, dim: int, key: Key | None = None) -> tuple[Indices | None, Array]:
        """Return the coordinates, each once, and their values; None: all coordinates."""


@runtime_checkable
class DecodesAs(Protocol):
    """A code that makes the decoded vector in the type that is wanted, without one of float64 in between."""

    def decode_as(self, data: bytes, dim: int, dtype: np.dtype[Any]) -> Array:
        """Return `decode(data, dim)` as that type, perhaps as a read-only view of `data`; needs no key."""


class Encoded:
    """What one vector became.

    Parameters
    ----------
    payload
        To be sent.
    value
        The vector that every receiver decodes the payload to; a function of no argument is called when it is first
        asked for.
    memory
        The sender's, for its next vector; None where the codec keeps none.

    Attributes
    ----------
    arrived : False where the sender knows that it was lost; then value and memory are those of a message of zeros.
    """

    __slots__ = ("_value", "memory", "payload")
    arrived: ClassVar[bool] = True

    def __init__(self, payload: Payload, value: Any, memory: Any = None) -> None:
        self.payload, self.memory, self._value = payload, memory, value

    @property
    def value(self) -> Any:
        """The decoded vector, read-only."""
        if callable(self._value):
            self._value = self._value()
        return self._value


class Lost(Encoded):
    """What one vector became where its message was lost, and the sender knows it: zeros, and the memory of that."""

    __slots__ = ()
    arrived: ClassVar[bool] = False


class Message(NamedTuple):
    """One message as its receiver sees it: who, which round, what kind, which bytes, and the header's flags."""

    src: NodeId
    round: int
    kind: str
    data: bytes
    flags: int = 0


class Inbox(NamedTuple):
    """The answer to `Receive`.

    Parameters
    ----------
    messages
        Those asked for, in (round, src) order.
    late
        Messages of older rounds that were waiting (``take="exact"`` with a round).
    silent
        Nodes that said they stay silent in the round and kind asked for; they count as heard.
    timed_out
        True where the deadline passed first; `messages` then holds what had come.
    """

    messages: tuple[Message, ...]
    late: tuple[Message, ...] = ()
    silent: frozenset[NodeId] = frozenset()
    timed_out: bool = False


class Batch(NamedTuple):
    """Samples of one node: their positions, or all of them where `rows` is None."""

    rows: Indices | None


ALL = Batch(None)


class Token(NamedTuple):
    """An instant that an agent can name but not read; the recorder turns it into seconds."""

    id: int


class Key(NamedTuple):
    """The two 64-bit words that a codec draws with: Philox key and upper half of the counter.

    The lower half is the coordinate index, so that a draw depends on nothing but the key and its place.
    """

    key: int
    counter: int
