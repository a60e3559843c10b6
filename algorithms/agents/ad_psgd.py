"""AD-PSGD: each node averages with one random neighbour at a time, and nobody waits for the slowest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.gossip import DenseGossip, DensePeer
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Gradient, Message, Receive, Send
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class AdPsgd(DenseGossip):
    """Take g_i(x_i); with a random neighbour j at once x_i, x_j <- (x_i + x_j) / 2; x_i <- x_i - eta g_i.

    The question travels while the gradient is computed. A round is a node's own; the row of a round is written when the
    last node has finished it, and has the mean number of models that came in between as ``staleness``.

    Deviation: a node answers between its gradients, not during them. Both ends move by half of the difference between
    the two models that were exchanged, so that the mean of all models is kept whatever came between, and nodes that ask
    each other do not wait for each other: any graph will do, where the paper's needs two sides.

    References
    ----------
    Lian, Zhang, Zhang, Liu, "Asynchronous decentralized parallel stochastic gradient descent", ICML 2018, algorithm 1.
    """

    tolerates: ClassVar[frozenset[str]] = frozenset({"late"})
    graphs: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[Examples] = ({}, {"step_size": 0.1, "float_bit": 64})

    def peer(self, ctx: Context) -> Agent:
        """Return one peer's agent."""
        return AdPsgdPeer(ctx, self)


class AdPsgdPeer(DensePeer):
    """Asks one neighbour, answers all who ask.

    Attributes
    ----------
    asked, met : what it sent with its last question, and averagings so far.
    """

    def __init__(self, ctx: Context, algorithm: AdPsgd) -> None:
        super().__init__(ctx, algorithm)
        self.near = tuple(ctx.neighbours(0))
        self.asked, self.met = self.x, 0

    async def step(self, round: int) -> Mapping[str, float]:
        """Run one round."""
        seen = self.met
        if self.near:
            to = self.near[int(self.ctx.rng("partner").integers(len(self.near)))]
            self.asked = await self.tell(to, round, "ask")
        g = await Gradient(at=self.x)
        waiting = bool(self.near)
        while waiting:
            for message in (await Receive(take="all")).messages:
                waiting &= message.kind == "ask"
                await self.average(message)
        self.x = self.x - self.eta(round) * g
        return {"staleness": self.met - seen - 1.0 if self.near else 0.0}

    async def average(self, message: Message) -> None:
        """Move to the middle of the two models exchanged; answer a question."""
        other, own = await Decode(self.codec, message), self.asked
        if message.kind == "ask":
            own = await self.tell(message.src, message.round, "answer")
        self.x = self.x + (other - own) / 2
        self.met += 1

    async def tell(self, to: int, round: int, kind: str) -> Array:
        """Send the model and return what it decodes to."""
        sent = await Encode(self.codec, self.x, round)
        await Send(to, sent.payload, round, kind)
        value: Array = sent.value
        return value
