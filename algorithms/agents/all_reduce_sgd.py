"""Distributed SGD without a server: the mean gradient by a collective operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.collectives import Collective, Group
from algorithms.roles.gossip import Gossip, SteppingPeer
from algorithms.roles.parts import FloatBit
from netsim.interfaces import Agent, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class AllReduceSgd(Gossip):
    """x <- x - (eta_t / M) sum_m g_m(x), the sum being a collective operation; all nodes hold the same x, bit for bit.

    Messages go from peer to peer whatever the graph says: around the ring 0 .. M-1, or along a binary tree.
    On wires of latency l and rate r a ring takes 2 (M - 1) (l + B / r) with B the bits of a message of d / M floats.

    Parameters
    ----------
    step_size
        ``auto`` is 1/L of F; a number; or a step rule.
    collective
        ``ring``: reduce-scatter and all-gather, 2 (M - 1) d / M floats a node. ``tree``: to the root of a binary tree
        and back. ``all_gather``: every vector to everybody, (M - 1) d floats a node.
    float_bit
        Bits of a float in a message; sums are rounded to it on every hop.

    References
    ----------
    Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 2009. Thakur,
    Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 2005.
    """

    collective: Collective = "ring"
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {},
        {"collective": "tree", "step_size": 0.1},
        {"collective": "all_gather", "float_bit": 64},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return 1/L."""
        return 1.0 / ctx.facts.smoothness

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return AllReduceSgdPeer(ctx, self)


class AllReduceSgdPeer(SteppingPeer):
    """Takes its gradient, and the mean of all."""

    def __init__(self, ctx: Context, algorithm: AllReduceSgd) -> None:
        super().__init__(ctx, algorithm)
        self.group, self.how = Group(ctx, algorithm.float_bit), algorithm.collective

    async def step(self, round: int) -> None:
        """Step along the mean of all gradients."""
        g = await Gradient(at=self.x)
        total = await self.group.sum(g, round, self.how)
        self.x = self.x - (self.eta(round) / self.group.size) * total
