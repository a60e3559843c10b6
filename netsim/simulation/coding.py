"""Encoding and decoding on behalf of agents: keys, decoded values, and what the work of codecs costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from netsim.interfaces import Array, Code, Decode, Encode, Encoded, Key, Message, NodeId, SparseCode, Sum

_NO_DRAWS = Key(0, 0)
_KEPT_BYTES = 128 << 20
_KEEPS_MEMORY = dict[type, bool]()  # kinds of codecs seen so far, and whether they have a memory
_PARTS = 1 << 24  # rounds are 24 bits in the header


class _Kept(NamedTuple):
    codec: Code
    data: bytes
    dim: int
    key: Key | None
    value: Any
    size: int


class Coder:
    """Encodes and decodes for all agents of one run, with the key of a message's draws by its round and sender."""

    def __init__(self, dim: int, dtype: np.dtype[Any], shared_key: Callable[[int, NodeId], Key]) -> None:
        self._dim, self._dtype, self._shared_key = dim, dtype, shared_key
        self._last_sum: tuple[Sum, Array] | None = None
        self._kept: dict[tuple[int, bool], _Kept] = {}
        self._kept_bytes = 0

    def answer(self, node: NodeId, command: Encode | Decode | Sum) -> object:
        """Return what a node's command asks for, or the error in which it ends, for the agent to raise."""
        try:
            kind = type(command)
            if kind is Encode:
                return self.encode(node, command)  # type: ignore[arg-type]
            return self.decode(command) if kind is Decode else self.sum(command)  # type: ignore[arg-type]
        except Exception as error:
            return error

    def encode(self, node: NodeId, command: Encode) -> Encoded:
        """Encode a vector; its decoded value is computed when it is first asked for."""
        codec = command.codec
        key = self._key(command.round, node, command.part) if codec.draws else _NO_DRAWS
        kind = type(codec)
        if kind not in _KEEPS_MEMORY:
            _KEEPS_MEMORY[kind] = hasattr(codec, "step")
        if _KEEPS_MEMORY[kind]:
            memorising: Any = codec
            if hasattr(codec, "advance"):
                payload, memory = memorising.advance(command.memory, command.x, key)
                return Encoded(payload, lambda: self._value(codec, payload.data, command.x.size, key), memory)
            payload, value, memory = memorising.step(command.memory, command.x, key)
            return Encoded(payload, self._frozen(value), memory)
        payload = codec.encode_keyed(command.x, key)
        dim = command.x.size if isinstance(command.x, np.ndarray) else self._dim
        return Encoded(payload, lambda: self._value(codec, payload.data, dim, key))

    def decode(self, command: Decode) -> Any:
        """Decode one message."""
        codec, message = command.codec, command.message
        key = self._key(message.round, message.src, command.part) if codec.shares_randomness else None
        return self._value(codec, message.data, self._dim if command.dim is None else command.dim, key)

    def sum(self, command: Sum) -> Array:
        """Add up decoded messages; receivers of one relay add up the same ones, one after the other."""
        if self._last_sum is not None and _are_equal(self._last_sum[0], command):
            return self._last_sum[1]
        codec, total = command.codec, np.zeros(self._dim, self._dtype)
        sparse = codec if isinstance(codec, SparseCode) else None
        for i, message in enumerate(command.messages):
            weight, key = 1.0 if command.weights is None else command.weights[i], self._shared(codec, message)
            if sparse is not None:
                indices, values = self._entries(sparse, message.data, key)
                total[... if indices is None else indices] += weight * values
            else:
                codec.add_to(message.data, total, weight, key)
        total.flags.writeable = False
        self._last_sum = command, total
        return total

    def flop(self, command: Encode | Decode | Sum) -> float:
        """Return the operations that a command costs its node."""
        if isinstance(command, Encode):
            x = command.x
            return command.codec.encode_flop(x.size if isinstance(x, np.ndarray) else self._dim)
        work = command.codec.decode_flop_of
        if isinstance(command, Decode):
            return work(command.message.data, self._dim if command.dim is None else command.dim)
        return sum(work(message.data, self._dim) for message in command.messages)

    def _shared(self, codec: Code, message: Message) -> Key | None:
        return self._key(message.round, message.src, 0) if codec.shares_randomness else None

    def _key(self, round: int, sender: NodeId, part: int) -> Key:
        return self._shared_key(round + part * _PARTS, sender)

    def _value(self, codec: Code, data: bytes, dim: int, key: Key | None) -> Any:
        found = self._find(codec, data, dim, key, is_sparse=False)
        if found is not None:
            return found
        # An isinstance of the protocol `DecodesAs` takes longer than a short decoding.
        decode_as = getattr(codec, "decode_as", None)
        value = codec.decode(data, dim, key) if decode_as is None else decode_as(data, dim, self._dtype)
        return self._keep(codec, data, dim, key, self._frozen(value))

    def _entries(self, codec: SparseCode, data: bytes, key: Key | None) -> Any:
        found = self._find(codec, data, self._dim, key, is_sparse=True)
        return (
            self._keep(codec, data, self._dim, key, codec.entries(data, self._dim, key), True)
            if found is None
            else found
        )

    def _find(self, codec: Code, data: bytes, dim: int, key: Key | None, is_sparse: bool) -> Any:
        """Return the earlier decoded value of these bytes; receivers of one broadcast share it, in any order."""
        kept = self._kept.get((id(data), is_sparse))
        return kept.value if kept is not None and (kept.dim, kept.key, kept.codec) == (dim, key, codec) else None

    def _keep(self, codec: Code, data: bytes, dim: int, key: Key | None, value: Any, is_sparse: bool = False) -> Any:
        """Keep a decoded value, and its bytes, whose address is its name; the oldest ones go."""
        parts = value if isinstance(value, tuple) else (value,)
        size = len(data) + sum(part.nbytes for part in parts if isinstance(part, np.ndarray))
        while self._kept and self._kept_bytes + size > _KEPT_BYTES:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept))).size
        replaced = self._kept.pop((id(data), is_sparse), None)
        self._kept_bytes += size - (replaced.size if replaced is not None else 0)
        self._kept[id(data), is_sparse] = _Kept(codec, data, dim, key, value, size)
        return value

    def _frozen(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._frozen, value))
        if value is None or isinstance(value, bytes):
            return value
        if value.dtype.kind == "f":
            value = value.astype(self._dtype, copy=False)
        value.flags.writeable = False
        return value


def _are_equal(a: Sum, b: Sum) -> bool:
    """Return whether two sums are of the same bytes objects of the same messages."""
    if len(a.messages) != len(b.messages) or a.weights != b.weights or a.codec != b.codec:
        return False
    pairs = zip(a.messages, b.messages, strict=True)
    return all(m.data is n.data and m[:3] == n[:3] for m, n in pairs)
