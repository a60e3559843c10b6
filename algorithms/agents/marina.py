"""Compressed differences of gradients between rounds, and full gradients now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from algorithms.compressors.identity import Identity
from algorithms.roles.broadcast import is_sure
from algorithms.roles.compressed import Unbiased
from algorithms.roles.parts import FloatBit
from algorithms.roles.star import Server, Updates, Worker
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction
from netsim.interfaces import ALL, Agent, Array, Context, Gradient, Sum
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Marina(Unbiased, Mindful):
    """g^k = mean grad f_m(x^k) with probability p, else g^{k-1} + mean Q(grad f_m(x^k) - grad f_m(x^{k-1})).

    Then x^{k+1} = x^k - gamma g^k. The server draws a coin in every round and tells it with the model; in round 0 it
    asks for full gradients. With minibatches (VR-MARINA) a difference is taken on one of them, full gradients on all
    samples. With the identity it is gradient descent.

    Parameters
    ----------
    full_probability
        p; ``auto`` is 1 / (1 + w), which makes both kinds of rounds cost about the same bits.
    step_size
        gamma; ``auto`` is 1 / (L' (1 + sqrt((1 - p) w / (p M)))), L'^2 = mean L_m^2. A number, or a step rule.
    float_bit
        Of a full gradient.

    References
    ----------
    Gorbunov, Burlachenko, Li, Richtarik, "MARINA: faster non-convex distributed learning with compression", ICML 2021,
    algorithms 1 and 2. Deviations: the server sends x^{k+1} in place of g^k, and the coin as a float of 32 bits. Where
    messages may be lost, full gradients travel less the sum of a worker's uploads, and changes since the last of these.
    """

    full_probability: Literal["auto"] | Fraction = "auto"
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "rand_k", "k": 4}},
        {"compressor": {"name": "qsgd", "levels": 2}, "full_probability": 0.1, "step_size": 0.05},
    )

    def probability(self, ctx: Context) -> float:
        """Return p."""
        return 1.0 / (1.0 + self.variance(ctx)) if self.full_probability == "auto" else self.full_probability

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / (L' (1 + sqrt((1 - p) w / (p M))))."""
        p, squares = self.probability(ctx), [ctx.facts.node_smoothness(m) ** 2 for m in ctx.workers]
        factor = 1.0 + math.sqrt((1.0 - p) * self.variance(ctx) / (p * len(squares)))
        return 1.0 / (math.sqrt(float(np.mean(squares))) * factor)

    def model_notes(self) -> int:
        """Return the coin with the model."""
        return 1

    def server(self, ctx: Context) -> Agent:
        """Return a server that draws the coin."""
        return MarinaServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that knows its last gradient."""
        return MarinaWorker(ctx, self)


class MarinaServer(Server):
    """Keeps the estimate g."""

    def __init__(self, ctx: Context, algorithm: Marina) -> None:
        super().__init__(ctx, algorithm)
        self.g, self.coins, self.is_sure = np.zeros_like(self.x), list[float](), is_sure(ctx, algorithm)
        self.codecs, self.p = {0.0: self.codec, 1.0: Identity(algorithm.float_bit)}, algorithm.probability(ctx)

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Draw the coin and send it with the model."""
        self.coins.append(float(round == 0 or self.ctx.rng("coin").random() < self.p))
        self.notes = (self.coins[-1],)
        await super().broadcast(round, kind)

    async def step(self, round: int, updates: Updates) -> None:
        """Renew the estimate and step along it."""
        sums = [await Sum(self.codecs[c], [m for m in updates.sent if self.coins[m.round] == c]) for c in (0.0, 1.0)]
        mean = (sums[0] + sums[1]) / len(self.ctx.workers)
        self.g = mean if self.notes[0] and self.is_sure else self.g + mean
        self.x = self.x - self.gamma(round) * self.g


class MarinaWorker(Worker):
    """Sends its gradient, or the compressed change since the model before."""

    def __init__(self, ctx: Context, algorithm: Marina) -> None:
        super().__init__(ctx, algorithm)
        self.full, self.h = Identity(algorithm.float_bit), np.zeros_like(ctx.facts.start)
        self.last: tuple[Array, Array] | None = None

    async def gradient(self, round: int, x: Array) -> Array:
        """Return what is to be sent."""
        batch = self.ctx.next_batch()
        self.now = x, g = x, await Gradient(x, ALL if self.notes[0] else batch)
        if self.notes[0] or self.last is None:
            return g - self.h if self.waits_for_word else g
        return g - (self.last[1] if batch.rows is None else await Gradient(self.last[0], batch))

    async def upload(self, round: int, g: Array) -> None:
        """Send it by the code of this round."""
        sent = await self.send(round, self.full if self.notes[0] else self.codec, g)
        self.last = self.now if sent.arrived else self.last
        self.h = self.h + sent.value if self.waits_for_word else self.h
