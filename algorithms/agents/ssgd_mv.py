"""Sparse SGD with majority voting: the workers vote for the coordinates that all of them then send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.index_changes import IndexChanges
from algorithms.coding.wrappers import require_memoryless
from algorithms.roles.ballot import Ballot
from algorithms.roles.copies import Copying, CopyServer, CopyWorker
from algorithms.roles.federated import IDENTITY
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

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"fraction": 0.25, "local_steps": 2, "step_size": 0.1},
        {"fraction": 0.4, "local_steps": 1, "mask": "sampled", "step_size": 0.1, "warm_up_rounds": 3},
        {"fraction": 0.5, "local_steps": 2, "mask": "add_drop", "change_fraction": 0.1, "step_size": 0.1,
         "quantiser": {"name": "fractional", "bits": 3}, "layer_wise": True},
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require_memoryless(quantiser=self.quantiser)
        if (self.change_fraction is None) == (self.mask == "add_drop"):
            allowed = "a share of the coordinates goes with mask: add_drop, and with it alone"
            raise ConfigError([Fault(("change_fraction",), allowed, f"{self.change_fraction}, mask: {self.mask}")])

    def codec(self, ctx: Context) -> Codec:
        """Return Q."""
        return self.quantiser

    def server(self, ctx: Context) -> Agent:
        """Return a server that counts votes."""
        return SsgdMvServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that votes."""
        return SsgdMvWorker(ctx, self)


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
        values = await Sum(self.ballot.values(mask), await self.gather("values", round))
        mean = values / len(self.ctx.workers) if a.aggregate == "mean" else values
        await self.add(round, self.ballot.values(mask, aggregate=True), mean)

    async def elect(self, round: int) -> Indices:
        """Count the votes and send the mask."""
        a, rng = self.algorithm, self.ctx.rng("mask")
        cast = await Sum(self.ballot.vote(round), await self.gather("vote", round))
        self.votes = self.votes + cast if a.mask == "add_drop" else cast
        if a.mask == "sampled":
            mask = self.ballot.layers.sampled(self.votes, rng)
        else:
            mask = self.ballot.layers.most_voted(self.votes, rng, a.tie_break)
        sent = await Encode(self.ballot.mask, mask, round)
        await Send(self.ctx.workers, sent.payload, round, "mask")
        return mask


class SsgdMvWorker(CopyWorker):
    """Keeps in `e` what was not sent so far, and in `own` the coordinates of its vote, A_n."""

    def __init__(self, ctx: Context, algorithm: SsgdMv) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.ballot = algorithm, Ballot(algorithm, ctx)
        self.e, self.own = np.zeros_like(ctx.facts.start), np.zeros(0, np.int64)

    async def exchange(self, round: int) -> None:
        """Take one round's steps, vote, and send what the mask asks for."""
        is_dense = round < self.algorithm.warm_up_rounds
        d = await self.walk((None,) if is_dense else self.local.batches(self.ctx)) - self.x + self.e
        mask = None if is_dense else await self.vote(round, d)
        sent = await Encode(self.ballot.values(mask), d, round)
        await Send(self.ctx.server, sent.payload, round, "values")
        self.e = d - sent.value
        self.x = self.x + await self.answer(self.ballot.values(mask, aggregate=True), "aggregate", round)

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
