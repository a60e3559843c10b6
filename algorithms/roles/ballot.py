"""The messages of a vote: which coordinates each holds and how it is coded, as both ends know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.index_changes import IndexChanges
from algorithms.coding.index_set import IndexSet
from algorithms.coding.masked_values import MaskedValues
from algorithms.coding.wrappers import require_memoryless
from algorithms.compressors.identity import Identity
from algorithms.compressors.piecewise import Piecewise
from algorithms.roles.copies import Copying
from algorithms.roles.federated import IDENTITY
from algorithms.roles.voting import TieBreak, layers
from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, NonNegativeInt, Ref
from netsim.interfaces import Array, Batch, Code, Context, Indices


@dataclass(frozen=True, kw_only=True)
class Voting(Copying):
    """Keys of a vote for the coordinates that all workers then send.

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
        The first vote of ``add_drop`` adds all K (``full``), or the set grows from nothing (``empty``).
    warm_up_rounds
        Rounds at the start of one local step each in which all of D_n is sent, and all of the mean.
    aggregate
        ``mean`` over the workers, or ``sum``.
    """

    fraction: Fraction
    mask: Literal["votes", "sampled", "add_drop"] = "votes"
    change_fraction: Fraction | None = None
    quantiser: Annotated[Codec, Ref("compressor")] = IDENTITY
    layer_wise: bool = False
    tie_break: TieBreak = "random"
    init_vote: Literal["full", "empty"] = "full"
    warm_up_rounds: NonNegativeInt = 0
    aggregate: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_memoryless(quantiser=self.quantiser)
        if (self.change_fraction is None) == (self.mask == "add_drop"):
            allowed = "a share of the coordinates goes with mask: add_drop, and with it alone"
            raise ConfigError([Fault(("change_fraction",), allowed, f"{self.change_fraction}, mask: {self.mask}")])

    def is_dense(self, round: int) -> bool:
        """Return whether a round has no vote."""
        return round < self.warm_up_rounds

    def steps(self, ctx: Context, round: int) -> Sequence[Batch | None]:
        """Return the minibatches of a round's local steps."""
        return (None,) if self.is_dense(round) else self.batches(ctx)

    def aggregated(self, total: Array, nodes: int) -> Array:
        """Return what the server makes of the sum over so many nodes."""
        return total / nodes if self.aggregate == "mean" else total


class Ballot:
    """What a vote is about.

    Parameters
    ----------
    keys, ctx
        The algorithm's keys and a node's context.

    Attributes
    ----------
    layers, changed : the K coordinates to keep, and the K_ad that may change, of each layer.
    mask : the code of a mask.
    """

    def __init__(self, keys: Voting, ctx: Context) -> None:
        self.keys, self.dim = keys, ctx.facts.dim
        layout = ctx.facts.layout if keys.layer_wise else None
        self.layers = layers(self.dim, layout, keys.fraction)
        self.changed = layers(self.dim, layout, keys.change_fraction or 1.0)
        self.moves, self.starts_full = keys.mask == "add_drop", keys.init_vote == "full"
        grows = self.moves and not self.starts_full
        self.mask = IndexSet(self.dim, None if grows else self.layers.total, "block_paper")

    def vote(self, round: int) -> IndexSet | IndexChanges:
        """Return the code of a vote: K coordinates, or what changed of them."""
        is_first = round == self.keys.warm_up_rounds
        if self.moves and not (is_first and self.starts_full):
            return IndexChanges(self.dim, "block_paper")
        return IndexSet(self.dim, self.layers.total, "block_paper")

    def cast(self, own: Indices, d: Array, round: int) -> tuple[Any, Indices]:
        """Return a worker's vote, and its set A_n after it: `own` changed, or K coordinates where none were there."""
        wanted = self.layers.largest(d)
        if isinstance(self.vote(round), IndexSet):
            return wanted, wanted
        changed = self.layers if self.starts_full and not own.size else self.changed
        vote = changed.changes(own, wanted, d)
        return vote, np.union1d(np.setdiff1d(own, vote.drops, assume_unique=True), vote.adds)

    def elected(self, votes: Array, rng: np.random.Generator) -> Indices:
        """Return the mask that votes make: drawn in proportion to them (``sampled``), or those with the most."""
        if self.keys.mask == "sampled":
            return self.layers.sampled(votes, rng)
        return self.layers.most_voted(votes, rng, self.keys.tie_break)

    def values(self, mask: Indices | None, aggregate: bool = False) -> Code:
        """Return the code of the values on a mask, None for all coordinates, or of their aggregate."""
        codec: Codec = Identity(self.keys.model_bit) if aggregate or mask is None else self.keys.quantiser
        if mask is None:
            return codec
        if self.keys.layer_wise:
            codec = Piecewise(part=codec, layout=self.layers.sizes(mask))
        return MaskedValues(codec, mask, self.dim)
