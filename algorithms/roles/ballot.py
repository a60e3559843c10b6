"""The messages of a vote: which coordinates each holds and how it is coded, as both ends know it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.index_changes import IndexChanges
from algorithms.coding.index_set import IndexSet
from algorithms.coding.masked_values import MaskedValues
from algorithms.compressors.identity import Identity
from algorithms.compressors.piecewise import Piecewise
from algorithms.roles.parts import FloatBit
from algorithms.roles.voting import TieBreak, layers
from netsim.interfaces import Array, Code, Context, Indices


class Keys(Protocol):
    """Keys of an algorithm that votes."""

    @property
    def fraction(self) -> float: ...
    @property
    def change_fraction(self) -> float | None: ...
    @property
    def quantiser(self) -> Codec: ...
    @property
    def layer_wise(self) -> bool: ...
    @property
    def init_vote(self) -> str: ...
    @property
    def warm_up_rounds(self) -> int: ...
    @property
    def model_bit(self) -> FloatBit: ...


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

    def __init__(self, keys: Keys, ctx: Context) -> None:
        self.keys, self.dim = keys, ctx.facts.dim
        layout = ctx.facts.layout if keys.layer_wise else None
        self.layers = layers(self.dim, layout, keys.fraction)
        self.changed = layers(self.dim, layout, keys.change_fraction or 1.0)
        self.moves = keys.change_fraction is not None
        grows = self.moves and keys.init_vote == "empty"
        self.mask = IndexSet(self.dim, None if grows else self.layers.total, "block_paper")

    def vote(self, round: int) -> IndexSet | IndexChanges:
        """Return the code of a vote: K coordinates, or what changed of them."""
        is_first = round == self.keys.warm_up_rounds
        if self.moves and not (is_first and self.keys.init_vote == "full"):
            return IndexChanges(self.dim, "block_paper")
        return IndexSet(self.dim, self.layers.total, "block_paper")

    def elected(self, votes: Array, mask: str, rng: np.random.Generator, tie_break: TieBreak) -> Indices:
        """Return the mask that votes make: drawn in proportion to them (``sampled``), or those with the most."""
        if mask == "sampled":
            return self.layers.sampled(votes, rng)
        return self.layers.most_voted(votes, rng, tie_break)

    def values(self, mask: Indices | None, aggregate: bool = False) -> Code:
        """Return the code of the values on a mask, None for all coordinates, or of their aggregate."""
        codec: Codec = Identity(self.keys.model_bit) if aggregate or mask is None else self.keys.quantiser
        if mask is None:
            return codec
        if self.keys.layer_wise:
            codec = Piecewise(part=codec, layout=self.layers.sizes(mask))
        return MaskedValues(codec, mask, self.dim)
