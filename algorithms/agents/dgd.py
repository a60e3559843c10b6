"""Decentralized gradient descent: the mean with the neighbours and a gradient step from the old model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.gossip import DenseGossip, DensePeer
from algorithms.roles.parts import max_smoothness
from netsim.interfaces import Agent, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Dgd(DenseGossip):
    """x_i <- sum_j w_ij x_j - eta_t g_i(x_i): X <- W X - eta G.

    With a constant step and nodes that differ it ends at a distance from the minimiser that is of the order of eta over
    the spectral gap. The message travels while the gradient is computed.

    Parameters
    ----------
    step_size
        ``auto`` is (1 + lambda_n(W)) / (2 max_m L_m), half of what keeps it stable; a number; or a step rule.

    References
    ----------
    Nedic, Ozdaglar, "Distributed subgradient methods for multi-agent optimization", IEEE TAC 2009, eq. (3). Yuan,
    Ling, Yin, "On the convergence of decentralized gradient descent", SIAM J. Optim. 2016, theorem 1 (the step).
    """

    examples: ClassVar[Examples] = ({}, {"step_size": 0.1, "float_bit": 64})

    def auto_step(self, ctx: Context) -> float:
        """Return (1 + lambda_n(W)) / (2 max_m L_m)."""
        return (2.0 - min(ctx.spectrum.norm, 1.9)) / (2.0 * max_smoothness(ctx))

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return DgdPeer(ctx, self)


class DgdPeer(DensePeer):
    """Sends, takes the gradient, mixes, steps."""

    async def step(self, round: int) -> None:
        """Run one round."""
        x = await self.send(self.codec, self.x, round)
        g = await Gradient(at=self.x)
        self.x = self.mix(x, await self.hear(self.codec, round), round) - self.eta(round) * g
