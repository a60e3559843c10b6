"""Decentralized SGD with momentum in the local steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.roles.gossip import Beta, DenseGossip, SteppingPeer
from algorithms.roles.parts import Momentum
from netsim.interfaces import Agent, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class DsgdMomentum(DenseGossip):
    """v_i <- beta v_i + g_i(x_i); x_i <- sum_j w_ij (x_j - eta_t v_j); with `mix_momentum` v_i <- sum_j w_ij v_j, too.

    Parameters
    ----------
    step_size
        ``auto`` is (1 - beta) / max_m L_m, as the effective step is eta / (1 - beta); a number; or a step rule.
    momentum
        beta, 0 <= beta < 1.
    nesterov
        Step along beta v + g instead of v.
    mix_momentum
        Send v beside x and average both: twice the bits.

    References
    ----------
    Yu, Jin, Yang, "On the linear speedup analysis of communication efficient momentum SGD for distributed non-convex
    optimization", ICML 2019, algorithm 3 (``mix_momentum``). Assran, Loizou, Ballas, Rabbat, "Stochastic gradient push
    for distributed deep learning", ICML 2019, appendix (local momentum).
    """

    momentum: Beta = 0.9
    nesterov: bool = False
    mix_momentum: bool = False

    examples: ClassVar[Examples] = (
        {},
        {"step_size": 0.02, "nesterov": True, "float_bit": 64},
        {"step_size": 0.02, "momentum": 0.5, "mix_momentum": True},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return (1 - beta) / max_m L_m."""
        return (1.0 - self.momentum) * super().auto_step(ctx)

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return DsgdMomentumPeer(ctx, self)


class DsgdMomentumPeer(SteppingPeer):
    """Steps with momentum, sends, mixes.

    Attributes
    ----------
    momentum : holds v.
    """

    def __init__(self, ctx: Context, algorithm: DsgdMomentum) -> None:
        super().__init__(ctx, algorithm)
        self.mixes_v = algorithm.mix_momentum
        self.codec = algorithm.several(*(None,) * (1 + self.mixes_v))
        self.momentum = Momentum(algorithm.momentum, algorithm.nesterov)

    async def step(self, round: int) -> None:
        """Run one round."""
        x = self.x - self.eta(round) * self.momentum.direction(await Gradient(at=self.x))
        v = self.momentum.v if self.momentum.v is not None else np.zeros_like(x)
        sent = await self.send(self.codec, (x, v) if self.mixes_v else (x,), round)
        heard = await self.hear(self.codec, round)
        self.x = self.mix(sent[0], {j: part[0] for j, part in heard.items()}, round)
        if self.mixes_v:
            self.momentum.v = self.mix(sent[1], {j: part[1] for j, part in heard.items()}, round)
