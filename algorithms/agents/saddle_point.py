"""A decentralized saddle-point method: own models, pairwise constraints, compressed messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.roles.gossip import Peer
from algorithms.roles.parts import Average
from netsim.errors import SimulationError
from netsim.fields import PositiveFloat, Ref
from netsim.interfaces import Agent, Array, Context, Decode, Gradient, NodeId, Receive, Value
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class SaddlePoint:
    """Descend in x_i and ascend in lam_ij on sum_i f_i(x_i) + sum_ij [lam_ij g(x_i, x_j) - (delta eta / 2) lam_ij^2].

    Round t of node i, with public copies xh that compressed differences move::

        q_i = C(x_i - xh_i); send q_i; xh_j <- xh_j + q_j for all neighbours j and itself
        p_i = G_i + sum_j lam_ij grad_i g(xh_i, xh_j)
        lam_ij <- max(0, lam_ij + eta (g(xh_i, xh_j) - delta eta lam_ij))
        x_i <- the point of X nearest to x_i - eta p_i

    Both ends of an edge evaluate g at the public copies, which both hold, so their multipliers are equal bit for bit
    and are never sent. G_i is the gradient on a minibatch, or with ``feedback: bandit`` two values on one minibatch
    make it, (d / 2z) (F(x_i + z u) - F(x_i - z u)) u with u uniform on the sphere; x_i then stays in (1 - z/r) X, r
    being the radius of a ball inside X. What is reported is the mean of the x_i at which rounds began.

    Deviation: the paper's text was not at hand; this is its abstract's method (compressed messages, both kinds of
    feedback), made of the cited saddle-point method and of CHOCO-SGD's copies. Its order of the violation is
    T^(-1/4), that of the cost T^(-1/2).

    Parameters
    ----------
    compressor
        C, of the differences; a contraction.
    eta
        The step of x and lam; a / sqrt(T) for T rounds.
    feedback
        ``sample`` or ``bandit``.
    delta
        Of the regulariser; the violation that stays is about delta eta lam.
    query_radius
        z, below r.

    References
    ----------
    Singh, Cao, Diggavi, Basar, "Decentralized multi-task stochastic optimization with compressed communications",
    arXiv 2112.12373. Koppel, Sadler, Ribeiro, "Proximity without consensus in online multi-agent optimization", IEEE
    TSP 2017, algorithm 1. Agarwal, Dekel, Xiao, "Optimal algorithms for online convex optimization with multi-point
    bandit feedback", COLT 2010.
    """

    compressor: Annotated[Codec, Ref("compressor")]
    eta: PositiveFloat
    feedback: Literal["sample", "bandit"] = "sample"
    delta: PositiveFloat = 4.0
    query_radius: PositiveFloat = 0.01

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}, "eta": 0.02},
        {"compressor": {"name": "sign_top_k", "k": 3}, "eta": 0.02, "feedback": "bandit"},
    )

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent.

        Raises
        ------
        SimulationError
            If X holds no ball of the query radius.
        """
        return SaddlePointPeer(ctx, self)


class SaddlePointPeer(Peer):
    """One node.

    Attributes
    ----------
    hats, lam : public copies by node, own one included; multipliers by neighbour.
    mean : of the models so far, which is what is reported.
    """

    def __init__(self, ctx: Context, algorithm: SaddlePoint) -> None:
        super().__init__(ctx)
        self.eta_x, self.delta, self.z = algorithm.eta, algorithm.delta, algorithm.query_radius
        self.by_bandit = algorithm.feedback == "bandit"
        self.codec = algorithm.compressor.bind(ctx.facts.layout)
        self.pairwise = ctx.pairwise
        self.shrink = 1.0 - self.by_bandit * self.z / self.pairwise.inner_radius
        if self.shrink <= 0.0:
            text = f"query_radius: a number below {self.pairwise.inner_radius:g}, the radius of a ball in X, is needed"
            raise SimulationError(f"{text}. Got {self.z:g}")
        self.x = self.pairwise.project(self.x, self.shrink)
        near = ctx.neighbours(0)
        self.hats: dict[NodeId, Array] = {node: np.zeros_like(self.x) for node in sorted((ctx.node, *near))}
        self.lam: dict[NodeId, float] = dict.fromkeys(near, 0.0)
        self.mean = Average(self.x)

    def estimate(self) -> Array:
        """Return the mean of the models."""
        return self.mean.mean

    async def step(self, round: int) -> Mapping[str, float]:
        """Run one round."""
        self.mean.add(self.x)
        me = self.ctx.node
        heard = {me: await self.send(self.codec, self.x - self.hats[me], round)}
        for message in (await Receive(len(self.lam), "update", round)).messages:
            heard[message.src] = await Decode(self.codec, message)
        for node, q in heard.items():
            self.hats[node] = self.hats[node] + q
        p = await self.slope()
        for node in self.lam:
            g, own = self.constraint(node)
            p = p + self.lam[node] * own
            self.lam[node] = max(0.0, self.lam[node] + self.eta_x * (g - self.delta * self.eta_x * self.lam[node]))
        self.x = self.pairwise.project(self.x - self.eta_x * p, self.shrink)
        return {"multiplier": sum(self.lam.values()) / len(self.lam)} if self.lam else {}

    def constraint(self, other: NodeId) -> tuple[float, Array]:
        """Return g at the public copies, the smaller id first, and its gradient for the own one."""
        me = self.ctx.node
        a, b = self.hats[min(me, other)], self.hats[max(me, other)]
        return self.pairwise.constraint(a, b), self.pairwise.constraint_slopes(a, b)[me > other]

    async def slope(self) -> Array:
        """Return the gradient on the next minibatch, or its estimate from two values there."""
        if not self.by_bandit:
            return await Gradient(at=self.x)
        batch, u = self.ctx.next_batch(), self.ctx.rng("bandit").standard_normal(self.x.size)
        u = (u / np.sqrt(u @ u)).astype(self.x.dtype)
        plus, minus = [await Value(at=self.x + sign * self.z * u, batch=batch) for sign in (1, -1)]
        return (self.x.size / (2 * self.z) * (plus - minus)) * u
