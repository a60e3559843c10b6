"""Majority votes whose votes and values are added up on their way, so that no server counts them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from algorithms.coding.counts import Counts
from algorithms.compressors.identity import Identity
from algorithms.roles.analog import Analog, Antenna
from algorithms.roles.ballot import Ballot, Voting
from algorithms.roles.collectives import Group
from algorithms.roles.copies import CopyServer, CopyWorker
from algorithms.roles.tolerant import Mindful
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Agent, Array, Context, Indices, NodeId, Report, Silent, Sum


@dataclass(frozen=True, kw_only=True)
class Summed(Voting, Mindful):
    """Keys of a majority vote that peers hold among themselves, or a server hears as sums.

    Parameters
    ----------
    collective
        ``all_reduce``: no server; peers add up their votes, and then their values on the mask, which is the same at all
        of them, each by reduce-scatter and all-gather round the ring 0 .. M-1. Ties and samples are drawn from a seed
        that all have. Values are floats of `model_bit`, rounded on every hop. ``over_the_air``: votes, one amplitude a
        coordinate, and values on the mask are sent as amplitudes to the server, which hears their sums. Neither takes a
        quantiser, or ``add_drop``, as numbers travel and no sets; and neither goes on without a node.
    analog
        Of ``over_the_air``, as in `over_the_air_sgd`. A value is what arrives of it, so e_n holds what a power limit
        takes away, and all of D_n where a gain is too small to send.
    """

    collective: Literal["all_reduce", "over_the_air"] | None = None
    analog: Analog = field(default_factory=Analog)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.collective:
            return
        if self.mask == "add_drop":
            raise ConfigError([Fault(("mask",), f"votes or sampled with collective: {self.collective}", self.mask)])
        if not isinstance(self.quantiser, Identity):
            allowed = f"identity with collective: {self.collective}, which adds up floats on their way"
            raise ConfigError([Fault(("quantiser",), allowed, self.quantiser.name)])
        for key in ("quorum", "deadline_s"):
            if getattr(self, key) is not None:
                allowed = f"none with collective: {self.collective}, where a sum has all nodes in it"
                raise ConfigError([Fault((key,), allowed, f"{getattr(self, key):g}")])

    @property
    def tolerates(self) -> frozenset[str]:  # type: ignore[override]  # depends on a key
        """Late and lost messages where a server counts."""
        return frozenset() if self.collective else super().tolerates

    @property
    def between_peers(self) -> bool:
        """Whether it is one between peers."""
        return self.collective == "all_reduce"

    def timing_free(self, network: Any) -> bool:
        """Return whether results depend on no delay and on no draw of the channel."""
        return self.collective != "over_the_air" and super().timing_free(network)

    def peer(self, ctx: Context) -> Agent:
        """Return a node that votes among peers."""
        return AddingUp(ctx, self)


class AddingUp(CopyWorker):
    """Adds up votes and values with the other peers, each by reduce-scatter and all-gather round the ring.

    Attributes
    ----------
    e : what was not sent so far, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Summed) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.votes = Group(ctx, code=Counts, topic="vote ")
        self.values = Group(ctx, algorithm.model_bit, topic="value ")
        self.e = np.zeros_like(ctx.facts.start)

    async def exchange(self, round: int) -> int:
        """Take one round's steps, vote, and average on the mask; return the next round."""
        if round == 0:
            await Report(0, self.x)
        d = await self.walk(self.algorithm.steps(self.ctx, round)) - self.x + self.e
        kept = slice(None) if round < self.algorithm.warm_up_rounds else await self.vote(round, d)
        total = np.zeros_like(d)
        total[kept] = await self.values.sum(d[kept], round, "ring")
        d[kept] = 0.0
        self.e, self.x = d, self.x + self.algorithm.aggregated(total, self.values.size)
        await Report(round + 1, self.x)
        return round + 1

    async def vote(self, round: int, d: Array) -> Any:
        """Count all votes and return the mask."""
        own = np.zeros(d.size)
        own[self.ballot.layers.largest(d)] = 1.0
        votes = await self.votes.sum(own, round, "ring")
        return self.ballot.elected(votes, self.ctx.shared_rng("mask"))


class HearingSums(CopyServer):
    """Hears the sums of amplitudes, with their noise."""

    algorithm: Any
    ballot: Ballot
    votes: Array

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def count(self, round: int) -> tuple[NodeId, ...]:
        """Keep the counts with their noise, of which one that it takes to 0 or below comes last; all take part."""
        heard = self.antenna.heard((await self.sum("vote", round, None))[0], round)
        self.votes = np.maximum(heard, np.finfo(heard.dtype).tiny)
        return self.ctx.workers

    async def total(
        self, round: int, mask: Indices | None, asked: Sequence[NodeId]
    ) -> tuple[Array, Collection[NodeId]]:
        """Return the aggregate of the values, with noise on the mask; zeros where all were silent."""
        total, senders = await self.sum("values", round, mask)
        kept, heard = slice(None) if mask is None else mask, np.zeros_like(total)
        if senders:
            heard[kept] = self.antenna.heard(total[kept], round, part=1)
        return self.algorithm.aggregated(heard, max(senders, 1)), asked

    async def sum(self, kind: str, round: int, mask: Indices | None) -> tuple[Array, int]:
        """Return the sum of amplitudes as it arrives, and of how many senders."""
        messages = (await self.gather(kind, round, self.ctx.workers)).messages
        weights = self.antenna.weights([message.src for message in messages], round)
        return await Sum(self.ballot.values(mask), messages, weights), len(messages)


class SendingAmplitudes(CopyWorker):
    """Sends votes and values of e as amplitudes."""

    ballot: Ballot
    e: Array

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.antenna = Antenna(ctx, algorithm.analog)

    async def vote(self, round: int) -> None:
        """Send 1 for every coordinate that is voted for."""
        own = np.zeros_like(self.e)
        own[self.ballot.layers.largest(self.e)] = 1.0
        await self.put(own, None, round, "vote")

    async def tell(self, round: int, mask: Indices | None) -> Array:
        """Send the values on the mask; return what arrives of them."""
        return await self.put(self.e, mask, round, "values")

    async def put(self, v: Array, mask: Indices | None, round: int, kind: str) -> Array:
        """Send amplitudes of v on a mask, or say that none come; return what arrives of them."""
        kept = slice(None) if mask is None else mask
        amplitudes, s = self.antenna.amplitudes(v[kept], round), np.zeros_like(v)
        if amplitudes is None:
            await Silent(self.ctx.server, round, kind)
            return s
        s[kept] = amplitudes
        return self.antenna.arriving((await self.send(round, self.ballot.values(mask), s, kind=kind)).value, round)
