"""Sparse SGD with majority voting: the workers vote for the coordinates that all of them then send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.index_changes import IndexChanges
from algorithms.coding.wrappers import require_memoryless
from algorithms.compressors.identity import Identity
from algorithms.roles.analog import Analog
from algorithms.roles.ballot import Ballot
from algorithms.roles.copies import Copying, CopyServer, CopyWorker
from algorithms.roles.federated import IDENTITY
from algorithms.roles.summed_votes import AddingUp, HearingSums, SendingAmplitudes
from algorithms.roles.voting import TieBreak
from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, NonNegativeInt, Ref
from netsim.interfaces import Agent, Array, Context, Encode, Indices, Send, Sum
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class SsgdMv(Copying):
    """D_n = (how far H local steps led) + e_n; votes make a mask of K, on which Q(D_n) is averaged; e_n <- D_n - Q.

    Four messages a round and worker: the vote up, the mask down, values up, their mean down. All workers keep x
    themselves and start from the same. Positions are block coded; values carry none.

    Parameters
    ----------
    fraction
        phi: K = max(floor(phi d), 1).
    mask
        ``votes``: the K coordinates with the most votes, each worker's vote being its K largest |D_n|. ``sampled``
        (RS): K drawn in proportion to votes. ``add_drop`` (AD): each worker keeps a set A_n of K and sends changes
        alone, the K_ad largest of its top K that are not in A_n and the K_ad smallest of A_n that are not in its top K.
    change_fraction
        K_ad = max(floor(change_fraction d), 1), for ``add_drop``.
    quantiser
        Q, of the K values; the paper's is ``{name: fractional, bits: 4}``.
    layer_wise
        Votes, masks and quantiser work tensor by tensor, each with its own K.
    tie_break
        Among equal counts the server draws anew in every round (``random``) or takes the lowest indices.
    init_vote
        In the first round of ``add_drop`` all K are added (``full``), or the set grows from nothing (``empty``).
    aggregate, model_bit
        ``mean`` over the workers, or ``sum``, and the bits of a value in it.
    warm_up_rounds
        Rounds at the start of one local step each in which all of D_n is sent, and all of the mean.
    local_steps, step_size, momentum, nesterov, weight_decay
        Of the local steps, as in `local_sgd`.
    collective
        ``all_reduce``: no server; peers add up their votes, and then their values on the mask, which is the same at all
        of them, each by reduce-scatter and all-gather round the ring 0 .. M-1. Ties and samples are drawn from a seed
        that all have. Values are floats of `model_bit`, rounded on every hop. ``over_the_air``: votes, one amplitude a
        coordinate, and values on the mask are sent as amplitudes to the server, which hears their sums. Neither takes a
        quantiser, or ``add_drop``, as numbers travel and no sets.
    analog
        Of ``over_the_air``, as in `over_the_air_sgd`. A value is what arrives of it, so e_n holds what a power limit
        takes away, and all of D_n where a gain is too small to send.

    References
    ----------
    Ozfatura, Ozfatura, Gunduz, "Distributed sparse SGD with majority voting", arXiv 2011.06495, 2020, algorithms 1 and
    2, equations 4 to 18. Deviations: the mean, as in equations 4 and 8, not the algorithms' sum; what AD adds and drops
    is ranked by |D_n| among the candidates alone; e_n holds the quantisation's error, too.
    """

    fraction: Fraction
    mask: Literal["votes", "sampled", "add_drop"] = "votes"
    change_fraction: Fraction | None = None
    quantiser: Annotated[Codec, Ref("compressor")] = IDENTITY
    layer_wise: bool = False
    tie_break: TieBreak = "random"
    init_vote: Literal["full", "empty"] = "full"
    aggregate: Literal["mean", "sum"] = "mean"
    warm_up_rounds: NonNegativeInt = 0
    collective: Literal["all_reduce", "over_the_air"] | None = None
    analog: Analog = field(default_factory=Analog)

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1},
        {"fraction": 0.4, "local_steps": 1, "mask": "sampled", "step_size": 0.1, "warm_up_rounds": 3},
        {"fraction": 0.5, "local_steps": 2, "mask": "add_drop", "change_fraction": 0.1, "step_size": 0.1,
         "quantiser": {"name": "fractional", "bits": 3}, "layer_wise": True},
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1, "collective": "all_reduce", "warm_up_rounds": 1},
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1, "collective": "over_the_air", "warm_up_rounds": 1},
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require_memoryless(quantiser=self.quantiser)
        if (self.change_fraction is None) == (self.mask == "add_drop"):
            allowed = "a share of the coordinates goes with mask: add_drop, and with it alone"
            raise ConfigError([Fault(("change_fraction",), allowed, f"{self.change_fraction}, mask: {self.mask}")])
        if self.collective and self.mask == "add_drop":
            raise ConfigError([Fault(("mask",), f"votes or sampled with collective: {self.collective}", self.mask)])
        if self.collective and not isinstance(self.quantiser, Identity):
            allowed = f"identity with collective: {self.collective}, which adds up floats on their way"
            raise ConfigError([Fault(("quantiser",), allowed, self.quantiser.name)])

    @property
    def between_peers(self) -> bool:
        """Whether it is one between peers."""
        return self.collective == "all_reduce"

    def timing_free(self, network: Any) -> bool:
        """Return whether no draw of the channel changes what is computed."""
        return self.collective != "over_the_air"

    def codec(self, ctx: Context) -> Codec:
        """Return Q."""
        return self.quantiser

    def server(self, ctx: Context) -> Agent:
        """Return a server that counts votes."""
        return HearingServer(ctx, self) if self.collective else SsgdMvServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that votes."""
        return AnalogWorker(ctx, self) if self.collective else SsgdMvWorker(ctx, self)

    def peer(self, ctx: Context) -> Agent:
        """Return a worker among peers."""
        return SsgdMvPeer(ctx, self)


class SsgdMvServer(CopyServer):
    """Counts votes by coordinate in `votes`, which ``add_drop`` keeps, and averages what is sent on the mask."""

    def __init__(self, ctx: Context, algorithm: SsgdMv) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.votes: Array = np.zeros(ctx.facts.dim)

    async def exchange(self, round: int) -> None:
        """Take one round's votes and values."""
        a = self.algorithm
        mask = None if round < a.warm_up_rounds else await self.elect(round)
        values, senders = await self.total(round, mask)
        mean = values / max(senders, 1) if a.aggregate == "mean" else values
        await self.add(round, self.ballot.values(mask, aggregate=True), mean)

    async def elect(self, round: int) -> Indices:
        """Count the votes and send the mask."""
        a, rng = self.algorithm, self.ctx.rng("mask")
        cast = await self.cast(round)
        self.votes = self.votes + cast if a.mask == "add_drop" else cast
        mask = self.ballot.elected(self.votes, a.mask, rng, a.tie_break)
        sent = await Encode(self.ballot.mask, mask, round)
        await Send(self.ctx.workers, sent.payload, round, "mask")
        return mask

    async def cast(self, round: int) -> Array:
        """Count the votes of a round."""
        return await Sum(self.ballot.vote(round), await self.gather("vote", round))

    async def total(self, round: int, mask: Indices | None) -> tuple[Array, int]:
        """Return the sum of the values on a mask, and of how many workers."""
        messages = await self.gather("values", round)
        return await Sum(self.ballot.values(mask), messages), len(messages)


class SsgdMvWorker(CopyWorker):
    """Keeps in `e` what was not sent so far, and in `own` the coordinates of its vote, A_n."""

    def __init__(self, ctx: Context, algorithm: SsgdMv) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.e, self.own = np.zeros_like(ctx.facts.start), np.zeros(0, np.int64)

    async def exchange(self, round: int) -> int:
        """Take one round's steps, vote, and send what the mask asks for; return the next round."""
        is_dense = round < self.algorithm.warm_up_rounds
        d = await self.walk((None,) if is_dense else self.local.batches(self.ctx)) - self.x + self.e
        mask = None if is_dense else await self.vote(round, d)
        own, aggregate = await self.average(round, mask, d)
        self.e, self.x = d - own, self.x + aggregate
        return round + 1

    async def average(self, round: int, mask: Indices | None, d: Array) -> tuple[Array, Array]:
        """Send the values on the mask; return them as they decode, and what all workers' come to."""
        sent = await Encode(self.ballot.values(mask), d, round)
        await Send(self.ctx.server, sent.payload, round, "values")
        return sent.value, await self.answer(self.ballot.values(mask, aggregate=True), "aggregate", round)

    async def vote(self, round: int, d: Array) -> Any:
        """Vote, and return the mask."""
        code, wanted = self.ballot.vote(round), self.ballot.layers.largest(d)
        vote: Any = wanted
        if isinstance(code, IndexChanges):
            vote = self.ballot.changed.changes(self.own, wanted, d)
            self.own = np.union1d(np.setdiff1d(self.own, vote.drops, assume_unique=True), vote.adds)
        else:
            self.own = wanted
        sent = await Encode(code, vote, round)
        await Send(self.ctx.server, sent.payload, round, "vote")
        return await self.answer(self.ballot.mask, "mask", round)


class SsgdMvPeer(AddingUp, SsgdMvWorker):
    """A worker that adds up votes and values with the others in place of a server."""


class HearingServer(HearingSums, SsgdMvServer):
    """Hears the sums of amplitudes."""


class AnalogWorker(SendingAmplitudes, SsgdMvWorker):
    """Sends votes and values as amplitudes."""
