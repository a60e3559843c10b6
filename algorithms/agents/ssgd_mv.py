"""Sparse SGD with majority voting: the workers vote for the coordinates that all of them then send."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.roles.ballot import Ballot
from algorithms.roles.copies import CopyServer, CopyWorker
from algorithms.roles.late_values import LateValues
from algorithms.roles.summed_votes import HearingSums, SendingAmplitudes, Summed
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Indices, NodeId, Send, Sum
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class SsgdMv(Summed):
    """D_n = (how far H local steps led) + e_n; votes make a mask of K, on which Q(D_n) is averaged; e_n <- D_n - Q.

    Four messages a round and worker: the vote up, the mask down, values up, their mean down. All workers keep x
    themselves and start from the same. Positions are block coded; values carry none.

    Parameters
    ----------
    model_bit
        Bits of a value in the aggregate.
    quorum, deadline_s
        The server goes on after so many votes, and then values, or so many seconds after its last message. The mask
        goes to those who voted in time, the aggregate to those whose values came in time, the whole model to all
        others. A late vote is dropped; changes of ``add_drop`` count when they come. Late values wait at the server
        until a mask has their coordinates.

    References
    ----------
    Ozfatura, Ozfatura, Gunduz, "Distributed sparse SGD with majority voting", arXiv 2011.06495, 2020, algorithms 1 and
    2, equations 4 to 18. Deviations: the mean, as in equations 4 and 8, not the algorithms' sum; what AD adds and drops
    is ranked by |D_n| among the candidates alone; e_n holds the quantisation's error, too.
    """

    examples: ClassVar[Examples] = (
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1},
        {"fraction": 0.4, "local_steps": 1, "mask": "sampled", "step_size": 0.1, "warm_up_rounds": 3},
        {"fraction": 0.5, "local_steps": 2, "mask": "add_drop", "change_fraction": 0.1, "step_size": 0.1,
         "quantiser": {"name": "fractional", "bits": 3}, "layer_wise": True},
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1, "collective": "all_reduce", "warm_up_rounds": 1},
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1, "collective": "over_the_air", "warm_up_rounds": 1},
    )  # fmt: skip

    def codec(self, ctx: Context) -> Codec:
        """Return Q."""
        return self.quantiser

    def server(self, ctx: Context) -> Agent:
        """Return a server that counts votes."""
        return HearingServer(ctx, self) if self.collective else SsgdMvServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that votes."""
        return AnalogWorker(ctx, self) if self.collective else SsgdMvWorker(ctx, self)


class SsgdMvServer(CopyServer):
    """Counts votes by coordinate in `votes`, which ``add_drop`` keeps, and averages what is sent on the mask."""

    def __init__(self, ctx: Context, algorithm: SsgdMv) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.votes: Array = np.zeros(ctx.facts.dim)
        self.late = LateValues(ctx.facts.dim, self.ballot.values)

    async def exchange(self, round: int) -> None:
        """Take one round's votes and values."""
        asked, mask = (self.ctx.workers, None) if self.algorithm.is_dense(round) else await self.elect(round)
        aggregate, heard = await self.total(round, mask, asked) if asked else (None, ())
        await self.add(round, self.ballot.values(mask, aggregate=True), aggregate, heard)

    async def elect(self, round: int) -> tuple[tuple[NodeId, ...], Indices | None]:
        """Count the votes and send the mask to those who voted; return both."""
        voters = await self.count(round)
        if not voters:
            return (), None
        mask = self.ballot.elected(self.votes, self.ctx.rng("mask"))
        sent = await Encode(self.ballot.mask, mask, round)
        await Send(voters, sent.payload, round, "mask")
        return voters, mask

    async def count(self, round: int) -> tuple[NodeId, ...]:
        """Count the votes of a round; return who takes part in it."""
        inbox = await self.gather("vote", round, self.ctx.workers)
        cast = await Sum(self.ballot.vote(round), inbox.messages)
        if self.ballot.moves:
            for late in inbox.late:
                cast = cast + await Sum(self.ballot.vote(late.round), [late])
            cast = self.votes + cast
        self.votes = cast
        return tuple(message.src for message in inbox.messages)

    async def total(
        self, round: int, mask: Indices | None, asked: Sequence[NodeId]
    ) -> tuple[Array | None, Collection[NodeId]]:
        """Return the aggregate of the values on a mask, None where nobody sent any, and who did."""
        inbox = await self.gather("values", round, asked)
        heard = [message.src for message in inbox.messages]
        await self.late.take(inbox.late)
        self.late.miss(asked, heard, mask)
        if not heard:
            return None, ()
        values = await Sum(self.ballot.values(mask), inbox.messages)
        return self.algorithm.aggregated(self.late.join(values, mask), len(self.ctx.workers)), heard


class SsgdMvWorker(CopyWorker):
    """Keeps in `e` what was not sent so far, and in `own` the coordinates of its vote, A_n."""

    def __init__(self, ctx: Context, algorithm: SsgdMv) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.e, self.own = np.zeros_like(ctx.facts.start), np.zeros(0, np.int64)

    async def exchange(self, round: int) -> int:
        """Take one round's steps, vote, and send what the mask asks for; return the next round."""
        self.e = await self.walk(self.algorithm.steps(self.ctx, round)) - self.x + self.e
        mask = None
        if not self.algorithm.is_dense(round):
            await self.vote(round)
            message = await self.follower.next("mask", round)
            if message.kind == "model":
                return await self.catch_up(message)
            mask = await Decode(self.ballot.mask, message, part=1)
        self.e = self.e - await self.tell(round, mask)
        return await self.follow(self.ballot.values(mask, aggregate=True), round)

    async def vote(self, round: int) -> None:
        """Vote by |e|."""
        vote, own = self.ballot.cast(self.own, self.e, round)
        if (await self.send(round, self.ballot.vote(round), vote, kind="vote")).arrived:
            self.own = own

    async def tell(self, round: int, mask: Indices | None) -> Array:
        """Send the values of e on the mask; return what arrives of them."""
        value: Array = (await self.send(round, self.ballot.values(mask), self.e, kind="values")).value
        return value


class HearingServer(HearingSums, SsgdMvServer):
    """Hears the sums of amplitudes."""


class AnalogWorker(SendingAmplitudes, SsgdMvWorker):
    """Sends votes and values as amplitudes."""
