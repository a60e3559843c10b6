"""Compressed differences of gradients between rounds, and full gradients now and then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.compressors.identity import Identity
from algorithms.roles.compressed import Unbiased
from algorithms.roles.parts import FloatBit
from algorithms.roles.star import Server, Updates, Worker
from netsim.fields import Fraction
from netsim.interfaces import ALL, Agent, Array, Context, Gradient
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class Marina(Unbiased):
    """g^k = mean grad f_m(x^k) with probability p, else g^{k-1} + mean Q(grad f_m(x^k) - grad f_m(x^{k-1})).

    Then x^{k+1} = x^k - gamma g^k. The server draws a coin in every round and tells it with the model; in round 0 it
    asks for full gradients. With minibatches a difference is taken on one minibatch and full gradients on all samples:
    VR-MARINA. The error of g^k shrinks with the steps. With the identity it is gradient descent.

    Parameters
    ----------
    compressor
        Q, unbiased; one that works per tensor gets the problem's layout.
    full_probability
        p; ``auto`` is 1 / (1 + w), which makes both kinds of rounds cost about the same bits.
    step_size
        gamma; ``auto`` is 1 / (L' (1 + sqrt((1 - p) w / (p M)))), L'^2 = mean L_m^2, for full batches. A number, or a
        step rule.
    float_bit, model_bit
        Bits of a float in a full gradient and in the broadcast.

    References
    ----------
    Gorbunov, Burlachenko, Li, Richtarik, "MARINA: faster non-convex distributed learning with compression", ICML 2021,
    algorithms 1 and 2. Deviations: the server sends x^{k+1} in place of g^k, and the coin as a float of 32 bits.
    """

    full_probability: Literal["auto"] | Fraction = "auto"
    float_bit: FloatBit = 32

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"compressor": {"name": "rand_k", "k": 4}},
        {"compressor": {"name": "qsgd", "levels": 2}, "full_probability": 0.1, "step_size": 0.05},
    )

    def probability(self, ctx: Context) -> float:
        """Return p."""
        return 1.0 / (1.0 + self.variance(ctx)) if self.full_probability == "auto" else self.full_probability

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / (L' (1 + sqrt((1 - p) w / (p M))))."""
        workers, p = ctx.workers, self.probability(ctx)
        smoothness = math.sqrt(float(np.mean([ctx.facts.node_smoothness(m) ** 2 for m in workers])))
        return 1.0 / (smoothness * (1.0 + math.sqrt((1.0 - p) * self.variance(ctx) / (p * len(workers)))))

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
        self.g = np.zeros_like(self.x)
        self.probability = algorithm.probability(ctx)
        self.codecs = {0.0: self.codec, 1.0: Identity(algorithm.float_bit)}

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Draw the coin and send it with the model."""
        self.notes = (float(round == 0 or self.ctx.rng("coin").random() < self.probability),)
        self.codec = self.codecs[self.notes[0]]
        await super().broadcast(round, kind)

    async def step(self, round: int, updates: Updates) -> None:
        """Renew the estimate and step along it."""
        mean = await updates.mean()
        self.g = mean if self.notes[0] else self.g + mean
        self.x = self.x - self.gamma(round) * self.g


class MarinaWorker(Worker):
    """Sends its gradient, or the compressed change since the model before."""

    def __init__(self, ctx: Context, algorithm: Marina) -> None:
        super().__init__(ctx, algorithm)
        self.full = Identity(algorithm.float_bit)
        self.x = ctx.facts.start
        self.g = np.zeros_like(self.x)

    async def gradient(self, round: int, x: Array) -> Array:
        """Return what is to be sent."""
        is_full, batch, last, known = bool(self.notes[0]), self.ctx.next_batch(), self.x, self.g
        self.x, self.g = x, await Gradient(x, ALL if is_full else batch)
        if is_full:
            return self.g
        return self.g - (known if batch.rows is None else await Gradient(last, batch))

    async def upload(self, round: int, g: Array) -> None:
        """Send it by the code of this round."""
        await self.send(round, self.full if self.notes[0] else self.codec, g)
