"""CHOCO-Gossip: the mean of the nodes' vectors by compressed messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.gossip import CompressedGossip, PublicCopyPeer
from algorithms.roles.parts import local_steps
from netsim.fields import NonNegativeInt
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class ChocoGossip(CompressedGossip):
    """q_i = C(x_i - xh_i); xh_j <- xh_j + q_j; x_i <- x_i + gamma sum_j w_ij (xh_j - xh_i).

    What is averaged are the models after some local steps from the common start: averaging once. With the ``choco``
    gamma the sum over i of ||x_i - mean||^2 + ||x_i - xh_i||^2 shrinks at least as (1 - delta^2 omega / 82)^t.

    Parameters
    ----------
    local_steps
        Gradient steps of each node before the first round.
    step_size
        Of these: ``auto`` is 1 / max_m L_m; a number; or a step rule.

    References
    ----------
    Koloskova, Stich, Jaggi, "Decentralized stochastic optimization and gossip algorithms with compressed
    communication", ICML 2019, algorithm 1 and theorem 2.
    """

    local_steps: NonNegativeInt = 1

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}, "gamma": "choco"},
        {"compressor": {"name": "sign_rand_k", "k": 4}, "gamma": 0.3, "local_steps": 3, "step_size": 0.1},
    )

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return ChocoGossipPeer(ctx, self)


class ChocoGossipPeer(PublicCopyPeer):
    """Sends and mixes."""

    def __init__(self, ctx: Context, algorithm: ChocoGossip) -> None:
        super().__init__(ctx, algorithm)
        self.count = algorithm.local_steps

    async def step(self, round: int) -> None:
        """Run one round."""
        if round == 0:
            self.x = await local_steps(self.x, self.count, self.eta, 0, self.momentum)
        await self.publish(self.x, round)  # lines 2 to 4
        await self.listen(round)  # lines 4 and 5
        self.x = self.x + self.pull()  # line 6
