"""The frozen values that travel between nodes, and the names of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
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
    """

    data: bytes
    paper_bit: float
    index_bit: float = 0.0
    value_bit: float = 0.0


class Message(NamedTuple):
    """One message as its receiver sees it: who, which round, what kind, which bytes."""

    src: NodeId
    round: int
    kind: str
    data: bytes


class Inbox(NamedTuple):
    """The answer to `Receive`.

    Parameters
    ----------
    messages
        Those asked for, in (round, src) order.
    late
        Messages of older rounds that were waiting (``take="exact"`` with a round).
    silent
        Nodes that said they stay silent in the round asked for; they count as heard.
    timed_out
        True where the deadline passed first; `messages` then holds what had come.
    """

    messages: tuple[Message, ...]
    late: tuple[Message, ...] = ()
    silent: frozenset[NodeId] = frozenset()
    timed_out: bool = False


class Token(NamedTuple):
    """An instant that an agent can name but not read; the recorder turns it into seconds."""

    id: int


class Key(NamedTuple):
    """The two 64-bit words that a codec draws with: Philox key and upper half of the counter.

    The lower half is the coordinate index, so that a draw depends on nothing but the key and its place.
    """

    key: int
    counter: int
