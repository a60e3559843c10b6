"""DIANA with Nesterov's acceleration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.coding.several import pair
from algorithms.roles.broadcast import is_sure
from algorithms.roles.compressed import Learning, strong_convexity
from algorithms.roles.parts import max_smoothness
from algorithms.roles.shared_state import StateServer, StateWorker
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Gradient, Receive, Send
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Adiana(Learning, Mindful):
    """Accelerated compressed gradient descent for strongly convex F, with full batches.

    At x = t z + w/2 + (1/2 - t) y worker m sends Q(grad f_m(x) - h_m) and Q(grad f_m(w) - h_m), and adds a times the
    second to h_m. With h = mean h_m and g = h + mean of the first, y' = x - eta g, z <- b z + (1 - b) x - c g, and
    w <- y with probability p; t = min(1/4, sqrt(eta mu / p)), c = eta / (2 (t + eta mu)), b = 1 - c mu.

    Parameters
    ----------
    memory_rate, anchor_probability
        a and p; ``auto`` is 1 / (1 + w) and min(1, max(1, sqrt(M / (32 w)) - 1) / (2 (1 + w))).
    step_size
        eta; ``auto`` is min(1 / (2 L), M / (64 w (2 p (w + 1) + 1)^2 L)), L = max_m L_m. A number, or a step rule.

    References
    ----------
    Li, Kovalev, Qian, Richtarik, "Acceleration for compressed gradient descent in distributed and federated
    optimization", ICML 2020, algorithm 2. Deviations: no proximal step; w is sent where it is new or may be missing.
    """

    anchor_probability: Literal["auto"] | Fraction = "auto"

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "rand_k", "k": 4}},
        {"compressor": {"name": "qsgd", "levels": 2}, "anchor_probability": 0.3, "step_size": 0.05},
    )

    def codec(self, ctx: Context) -> Any:
        """Return the code of two compressed vectors."""
        return pair(super().codec(ctx))

    def probability(self, ctx: Context) -> float:
        """Return p."""
        w = self.variance(ctx)
        auto = min(1.0, max(1.0, math.sqrt(len(ctx.workers) / (32 * w)) - 1) / (2 * (1 + w))) if w else 1.0
        return auto if self.anchor_probability == "auto" else self.anchor_probability

    def auto_step(self, ctx: Context) -> float:
        """Return eta."""
        w, p = self.variance(ctx), self.probability(ctx)
        return 1.0 / (max(2.0, 64 * w * (2 * p * (w + 1) + 1) ** 2 / len(ctx.workers)) * max_smoothness(ctx))

    def server(self, ctx: Context) -> Agent:
        """Return a server with three sequences."""
        return AdianaServer(ctx, self, self.rate(ctx))

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that compresses two gradients."""
        return AdianaWorker(ctx, self, self.rate(ctx))


class AdianaServer(StateServer):
    """Keeps y, which is its model x, and z, w and h."""

    def __init__(self, ctx: Context, algorithm: Adiana, rate: float) -> None:
        super().__init__(ctx, algorithm, rate)
        self.p, self.mu, self.is_sure = algorithm.probability(ctx), strong_convexity(ctx), is_sure(ctx, algorithm)
        self.z, self.w, self.is_new = self.x, self.x, True

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Send the point x, and w where it is new or a worker may have missed it."""
        self.t = min(0.25, math.sqrt(self.gamma(round) * self.mu / self.p))
        self.at = self.rounded(self.t * self.z + 0.5 * self.w + (0.5 - self.t) * self.x)
        code, x, kind = (pair(self.model), (self.at, self.w), "anchor") if self.is_new else (self.model, self.at, kind)
        await Send(self.ctx.workers, (await Encode(code, x, round)).payload, round, kind)

    async def step(self, round: int, updates: Updates) -> None:
        """Move all sequences."""
        here, anchor = np.reshape(await updates.decoded(), (-1, 2, self.x.size)).sum(axis=0) / len(self.ctx.workers)
        eta, g = self.gamma(round), self.h + here
        c = eta / (2.0 * (self.t + eta * self.mu))
        renews = bool(self.ctx.rng("anchor").random() < self.p)
        self.w, self.is_new = self.x if renews else self.w, renews or not self.is_sure
        self.x = self.at - eta * g
        self.z = (1.0 - c * self.mu) * self.z + c * self.mu * self.at - c * g
        self.h = self.h + self.rate * anchor


class AdianaWorker(StateWorker):
    """Sends what its gradients at x and at w differ by from h_m."""

    w: Array | None = None

    async def next_model(self) -> tuple[int, Array]:
        """Wait for the next x; where a new w comes with it, take the gradient there."""
        (message,) = (await Receive(take="latest")).messages
        if message.kind == "model":
            return message.round, await Decode(self.model, message)
        x, w = await Decode(pair(self.model), message)
        if self.w is None or (w != self.w).any():
            self.w, self.anchor = w, await Gradient(w)
        return message.round, x

    async def upload(self, round: int, g: Array) -> None:
        """Send both differences and learn from the second."""
        sent = await self.send(round, self.codec, (g - self.h, self.anchor - self.h))
        self.h = self.h + self.rate * sent.value[1]
