"""Gradient tracking (DIGing): each node follows the mean gradient, so that a constant step reaches the minimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.roles.gossip import DenseGossip, SteppingPeer
from algorithms.roles.parts import max_smoothness
from netsim.interfaces import Agent, Array, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class GradientTracking(DenseGossip):
    """x_i <- sum_j w_ij x_j - eta_t y_i; y_i <- sum_j w_ij y_j + g_i(x_i) - g_i(old x_i), at first y_i = g_i(x_i).

    The mean of the y_i is always the mean of the newest gradients. A message carries x and y.

    Parameters
    ----------
    step_size
        ``auto`` is (1 + lambda_n(W))^2 / (4 max_m L_m), half of what is stable where all nodes have one Hessian: its
        modes x, y have determinant lambda^2 - eta h and trace 2 lambda - eta h. A number; or a step rule.

    References
    ----------
    Nedic, Olshevsky, Shi, "Achieving geometric convergence for distributed optimization over time-varying graphs",
    SIAM J. Optim. 2017, algorithm 1. Di Lorenzo, Scutari, "NEXT", IEEE TSIPN 2016 (the tracked gradient).
    """

    examples: ClassVar[Examples] = ({}, {"step_size": 0.05, "float_bit": 64})

    def auto_step(self, ctx: Context) -> float:
        """Return (1 + lambda_n(W))^2 / (4 max_m L_m)."""
        return (2.0 - min(ctx.spectrum.norm, 1.9)) ** 2 / (4.0 * max_smoothness(ctx))

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return GradientTrackingPeer(ctx, self)


class GradientTrackingPeer(SteppingPeer):
    """Sends x and y, mixes both.

    Attributes
    ----------
    y, g : the tracked mean gradient, and the own gradient at x.
    """

    def __init__(self, ctx: Context, algorithm: GradientTracking) -> None:
        super().__init__(ctx, algorithm)
        self.codec = algorithm.several(None, None)
        self.y: Array = np.zeros_like(self.x)
        self.g: Array = np.zeros_like(self.x)

    async def step(self, round: int) -> None:
        """Run one round."""
        if round == 0:
            self.y = self.g = await Gradient(at=self.x)
        x, y = await self.send(self.codec, (self.x, self.y), round)
        heard = await self.hear(self.codec, round)
        self.x = self.mix(x, {j: both[0] for j, both in heard.items()}, round) - self.eta(round) * self.y
        g = await Gradient(at=self.x)
        self.y = self.mix(y, {j: both[1] for j, both in heard.items()}, round) + g - self.g
        self.g = g
