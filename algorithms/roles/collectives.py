"""Collective operations of peers, message by message: what `await` gives every peer is bit for bit the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np

from algorithms.compressors.identity import Identity
from algorithms.roles.parts import FloatBit
from netsim.interfaces import Array, Code, Context, Decode, Encode, NodeId, Receive, Send

Collective: TypeAlias = Literal["ring", "tree", "all_gather"]


@dataclass
class Group:
    """The peers 0 .. M-1 of a collective operation, as one of them sees it.

    Parameters
    ----------
    ctx
        Of the peer. Messages go along the edges (i, i + 1 mod M) for ``ring`` and ``all_gather``, and between i and
        (i - 1) // 2 for ``tree``.
    float_bit
        Bits of a float in a message.
    code
        Makes the code of a part of so many entries, each the sum of so many peers' entries; None: floats.
    topic
        Tells apart the messages of several groups in one round.
    """

    ctx: Context
    float_bit: FloatBit = 32
    code: Callable[[int, int], Code] | None = None
    topic: str = ""

    @property
    def size(self) -> int:
        """M."""
        return len(self.ctx.workers)

    async def sum(self, x: Array, round: int, how: Collective) -> Array:
        """Add up the vectors of all peers, rounded to the messages' floats on every hop.

        ``ring``: M - 1 steps of reduce-scatter and M - 1 of all-gather, each of ceil(d / M) entries or one fewer, to
        the next peer: 2 (M - 1) d / M floats a peer, 2 (M - 1) messages one after the other. ``tree``: to the root and
        back, 2 ceil(log2(M + 1)) - 2 hops of d floats. ``all_gather``: whole vectors round the ring.
        """
        if self.size == 1:
            return x
        if how == "tree":
            return await self._tree(x, round)
        return await (self._ring(x, round) if how == "ring" else self._gathered_sum(x, round))

    async def all_gather(self, x: Array, round: int) -> list[Array]:
        """Return the vectors of all peers in increasing id, each as its messages decode."""
        found = {self.ctx.node: await self._pass_on(x, round, 0, 1)}
        for step in range(1, self.size):
            got = await self._take(x.size, round, step - 1, 1)
            owner = (self.ctx.node - step) % self.size
            found[owner] = got
            if step < self.size - 1:
                await self._pass_on(got, round, step, 1)
        return [found[node] for node in sorted(found)]

    async def _gathered_sum(self, x: Array, round: int) -> Array:
        parts = await self.all_gather(x, round)
        total = np.zeros_like(x)
        for part in parts:
            total += part
        return total

    async def _ring(self, x: Array, round: int) -> Array:
        m, me = self.size, self.ctx.node
        cuts = [i * x.size // m for i in range(m + 1)]
        parts = [x[a:b].copy() for a, b in pairwise(cuts)]
        for step in range(m - 1):
            out, into = (me - step) % m, (me - step - 1) % m
            await self._pass_on(parts[out], round, step, step + 1)
            parts[into] = parts[into] + await self._take(parts[into].size, round, step, step + 1)
        mine = (me + 1) % m
        for step in range(m - 1):
            out, into = (mine - step) % m, (mine - step - 1) % m
            value = await self._pass_on(parts[out], round, m - 1 + step, m)
            if step == 0:
                parts[out] = value  # the owner keeps what the others decode
            parts[into] = await self._take(parts[into].size, round, m - 1 + step, m)
        return np.concatenate(parts)

    async def _tree(self, x: Array, round: int) -> Array:
        me, code = self.ctx.node, self._code(x.size, self.size)
        below = [child for child in (2 * me + 1, 2 * me + 2) if child < self.size]
        total: Array = x
        if below:
            for message in (await Receive(len(below), f"{self.topic}up", round)).messages:
                total = total + await Decode(code, message, dim=x.size)
        if me:
            await self._tell((me - 1) // 2, total, round, "up", self.size)
            (message,) = (await Receive(1, f"{self.topic}down", round)).messages
            total = await Decode(code, message, dim=x.size)
        else:
            total = (await Encode(code, total, round)).value
        for child in below:
            await self._tell(child, total, round, "down", self.size)
        return total

    def _code(self, size: int, terms: int) -> Code:
        """Return the code of a part; an empty one travels as one float."""
        return Identity(self.float_bit) if self.code is None or not size else self.code(size, terms)

    async def _pass_on(self, x: Array, round: int, step: int, terms: int) -> Any:
        return await self._tell((self.ctx.node + 1) % self.size, x, round, f"step {step}", terms)

    async def _tell(self, to: NodeId, x: Array, round: int, kind: str, terms: int) -> Any:
        sent = await Encode(self._code(x.size, terms), x if x.size else np.zeros(1), round)
        await Send(to, sent.payload, round, self.topic + kind)
        return sent.value if x.size else x

    async def _take(self, size: int, round: int, step: int, terms: int) -> Any:
        (message,) = (await Receive(1, f"{self.topic}step {step}", round)).messages
        found = await Decode(self._code(size, terms), message, dim=max(size, 1))
        return found[:size]
