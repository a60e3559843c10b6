"""Stochastic gradient push: push-sum averaging on directed graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.coding.several import Several
from algorithms.compressors.identity import Identity
from algorithms.roles.gossip import DenseGossip, SteppingPeer
from netsim.interfaces import Agent, Array, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class PushSum(DenseGossip):
    """x_i <- sum_j p_ij (x_j - eta_t g_j(z_j)); w_i <- sum_j p_ij w_j; z_i = x_i / w_i.

    p_ij = 1 / (1 + how many hear j). The columns of P sum to 1, so the sum of the x_j, or that of the w_j, is kept,
    although no node knows how many hear another one. What is reported is z. A message carries p x and p w.

    Parameters
    ----------
    float_bit
        Bits of a float of p x; p w has 64.

    References
    ----------
    Assran, Loizou, Ballas, Rabbat, "Stochastic gradient push for distributed deep learning", ICML 2019, algorithm 1.
    Nedic, Olshevsky, "Stochastic gradient-push for strongly convex functions on time-varying directed graphs",
    IEEE TAC 2016.
    """

    graphs: ClassVar[frozenset[str]] = frozenset({"changing", "directed", "unbalanced"})
    examples: ClassVar[Examples] = ({}, {"step_size": 0.1, "float_bit": 64})

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return PushSumPeer(ctx, self)


class PushSumPeer(SteppingPeer):
    """Steps at z, pushes shares of x and w.

    Attributes
    ----------
    x : z, the model.
    push, weight : the paper's x, shape (dim,), and w, shape (1,).
    """

    def __init__(self, ctx: Context, algorithm: PushSum) -> None:
        super().__init__(ctx, algorithm)
        self.codec = Several((Identity(64), Identity(algorithm.float_bit)), (1, None))
        self.push: Array = self.x.copy()
        self.weight: Array = np.ones(1)

    async def step(self, round: int) -> None:
        """Run one round."""
        g = await Gradient(at=self.x)  # lines 2 and 3
        push = self.push - self.eta(round) * g  # line 4
        share = 1.0 / (1 + len(self.ctx.hearers(round)))
        weight, push = await self.send(self.codec, (share * self.weight, share * push), round)  # line 5
        for other_weight, other in (await self.hear(self.codec, round)).values():  # lines 6 and 7
            weight, push = weight + other_weight, push + other
        self.weight, self.push = weight, push
        self.x = push / weight  # line 8
