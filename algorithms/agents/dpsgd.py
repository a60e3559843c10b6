"""D-PSGD: a gradient step, then the mean with the neighbours, without compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.gossip import DenseGossip, DensePeer
from netsim.interfaces import Agent, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Dpsgd(DenseGossip):
    """x_i <- sum_j w_ij (x_j - eta_t g_j(x_j)): X <- W (X - eta G).

    Deviation: the paper's box mixes x_j first and then steps; it says that the two lines may be exchanged, and stepping
    first is what later papers compare with. `dgd` is the box as it stands.

    References
    ----------
    Lian, Zhang, Zhang, Hsieh, Zhang, Liu, "Can decentralized algorithms outperform centralized algorithms?",
    NeurIPS 2017, algorithm 1.
    """

    examples: ClassVar[Examples] = ({}, {"step_size": 0.1, "float_bit": 64})

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return DpsgdPeer(ctx, self)


class DpsgdPeer(DensePeer):
    """Steps, sends, mixes."""

    async def step(self, round: int) -> None:
        """Run one round."""
        g = await Gradient(at=self.x)  # lines 2 and 3
        x = await self.send(self.codec, self.x - self.eta(round) * g, round)  # line 5
        self.x = self.mix(x, await self.hear(self.codec, round), round)  # line 4
