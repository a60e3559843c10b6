"""What nodes of a majority vote do where votes and values are added up on their way, and no server counts them."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.coding.counts import Counts
from algorithms.roles.analog import Antenna
from algorithms.roles.ballot import Ballot
from algorithms.roles.collectives import Group
from algorithms.roles.copies import CopyServer, CopyWorker
from netsim.interfaces import Array, Code, Context, Encode, Indices, Report, Send, Silent, Sum


class AddingUp(CopyWorker):
    """Adds up votes and values with the other peers, each by reduce-scatter and all-gather round the ring."""

    ballot: Ballot
    algorithm: Any

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.votes = Group(ctx, code=Counts, topic="vote ")
        self.values = Group(ctx, algorithm.model_bit, topic="value ")

    async def exchange(self, round: int) -> int:
        """Take one round's steps, vote, and average on the mask; return the next round."""
        if round == 0:
            await Report(0, self.x)
        await super().exchange(round)
        await Report(round + 1, self.x)
        return round + 1

    async def vote(self, round: int, d: Array) -> Any:
        """Count all votes and return the mask."""
        a, own = self.algorithm, np.zeros(d.size)
        own[self.ballot.layers.largest(d)] = 1.0
        votes = await self.votes.sum(own, round, "ring")
        return self.ballot.elected(votes, a.mask, self.ctx.shared_rng("mask"), a.tie_break)

    async def average(self, round: int, mask: Indices | None, d: Array) -> tuple[Array, Array]:
        """Add up the values on the mask; return the own ones and what all come to."""
        kept: Any = slice(None) if mask is None else mask
        own, total = np.zeros_like(d), np.zeros_like(d)
        own[kept] = d[kept]
        total[kept] = await self.values.sum(d[kept], round, "ring")
        return own, total / self.values.size if self.algorithm.aggregate == "mean" else total


class HearingSums(CopyServer):
    """Hears the sums of amplitudes, with their noise."""

    ballot: Ballot

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def cast(self, round: int) -> Array:
        """Return the counts with their noise; one that it takes to 0 or below comes last."""
        messages = await self.gather("vote", round)
        weights = self.antenna.weights([message.src for message in messages], round)
        heard = self.antenna.heard(await Sum(self.ballot.values(None), messages, weights), round)
        return np.maximum(heard, np.finfo(heard.dtype).tiny)

    async def total(self, round: int, mask: Indices | None) -> tuple[Array, int]:
        """Return the sum of the values, with noise on the mask; zeros where all were silent."""
        messages = await self.gather("values", round)
        weights = self.antenna.weights([message.src for message in messages], round)
        total = await Sum(self.ballot.values(mask), messages, weights)
        kept, heard = slice(None) if mask is None else mask, np.zeros_like(total)
        if messages:
            heard[kept] = self.antenna.heard(total[kept], round, part=1)
        return heard, len(messages)


class SendingAmplitudes(CopyWorker):
    """Sends votes and values as amplitudes."""

    ballot: Ballot

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def vote(self, round: int, d: Array) -> Any:
        """Send 1 for every coordinate that is voted for, and return the mask."""
        own = np.zeros_like(d)
        own[self.ballot.layers.largest(d)] = 1.0
        await self.put(own, None, self.ballot.values(None), round, "vote")
        return await self.answer(self.ballot.mask, "mask", round)

    async def average(self, round: int, mask: Indices | None, d: Array) -> tuple[Array, Array]:
        """Send the values on the mask; return what arrives of them, and what all come to."""
        own = await self.put(d, mask, self.ballot.values(mask), round, "values")
        return own, await self.answer(self.ballot.values(mask, aggregate=True), "aggregate", round)

    async def put(self, v: Array, mask: Indices | None, code: Code, round: int, kind: str) -> Array:
        """Send amplitudes of v on a mask, or say that none come; return what arrives of them."""
        kept: Any = slice(None) if mask is None else mask
        amplitudes, s = self.antenna.amplitudes(v[kept], round), np.zeros_like(v)
        if amplitudes is None:
            await Silent(self.ctx.server, round, kind)
            return s
        s[kept] = amplitudes
        sent = await Encode(code, s, round)
        await Send(self.ctx.server, sent.payload, round, kind)
        return self.antenna.arriving(sent.value, round)
