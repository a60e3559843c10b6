"""State that a sender keeps between vectors, handed in and out: no codec hides any."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from algorithms.coding.codec import Codec
from netsim.interfaces import Array, Key, Lost, Payload


class Step(NamedTuple):
    """What one vector became.

    Parameters
    ----------
    payload
        To be sent.
    decoded
        What every receiver decodes it to.
    memory
        For the sender's next vector.
    """

    payload: Payload
    decoded: Array
    memory: Any


@runtime_checkable
class Stateful(Protocol):
    """A codec whose `write` uses a memory."""

    def step(self, memory: Any, x: Array, key: Key) -> Step:
        """Encode `x`; `memory` is None before the first vector."""


@runtime_checkable
class Sparing(Protocol):
    """A stateful codec that need not decode for its memory."""

    def advance(self, memory: Any, x: Array, key: Key) -> tuple[Payload, Any]:
        """Return payload and memory as `Stateful.step` does, without the decoded vector."""


def step(codec: Codec, memory: Any, x: Array, key: Key) -> Step:
    """Encode one vector by any codec; the memory stays None where there is none."""
    if isinstance(codec, Stateful):
        return codec.step(memory, x, key)
    payload = codec.encode_keyed(x, key)
    return Step(payload, codec.decode(payload.data, x.size, key), None)


def encode(codec: Codec, memory: Any, x: Array, key: Key) -> tuple[Payload, Any]:
    """Return the payload and the next memory: as `step`, but nothing is decoded where no memory needs it."""
    if isinstance(codec, Sparing):
        return codec.advance(memory, x, key)
    if isinstance(codec, Stateful):
        payload, _, memory = codec.step(memory, x, key)
        return payload, memory
    return codec.encode_keyed(x, key), None


@runtime_checkable
class Accumulating(Protocol):
    """A codec whose memory holds what was not sent."""

    def unsent(self, memory: Any, x: Array) -> Any:
        """Return the memory after `x` where nothing of it was sent."""


def unsent(codec: Any, x: Any, memory: Any) -> Lost:
    """Return what `x` became where its message was lost: zeros, all of it in a memory that accumulates."""
    zeros = tuple(map(np.zeros_like, x)) if isinstance(x, tuple) else np.zeros_like(x)
    return Lost(Payload(b"", 0.0), zeros, codec.unsent(memory, x) if isinstance(codec, Accumulating) else memory)
