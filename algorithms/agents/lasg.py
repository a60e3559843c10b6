"""Lazily aggregated stochastic gradients: changes are measured on one minibatch at two models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from algorithms.roles.lazy import AskingServer, Lazy, LazyWorker
from algorithms.roles.parts import squared
from algorithms.roles.shared_state import StateServer, StateWorker
from netsim.fields import PositiveInt
from netsim.interfaces import Agent, Array, Context, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Lasg(Lazy):
    """x^{k+1} = x^k - (gamma/M) sum_m h_m, h_m the stochastic gradient that worker m sent last.

    LAG compares gradients on different minibatches, whose noise alone exceeds its limit. Here a worker takes two on one
    minibatch B^k, and uploads where its squared change is above (xi/gamma^2) sum_{j=1}^{D} ||x^{k+1-j} - x^{k-j}||^2:

    - ``wk2``: g(x^k; B^k) - g(x_m; B^k), x_m the model of its last upload.
    - ``wk1``: d^k - d_m with d^k = g(x^k; B^k) - g(s; B^k) and d_m its value at the last upload. The snapshot s is
      x^k in every `max_age`-th round, in which all upload.
    - ``ps``: the server asks worker m where L_m^2 ||x^k - x_m||^2 is above the limit; nobody computes two gradients.

    With full batches ``wk2`` is LAG's rule of the worker. With xi = 0 it is distributed SGD.

    Parameters
    ----------
    rule
        ``wk1``, ``wk2`` or ``ps``.
    xi
        ``auto`` is 1/D, which in the paper is c = 1/gamma^2.
    max_age
        Rounds after its last upload at which a worker uploads in any case, and between snapshots.

    References
    ----------
    Chen, Sun, Yin, "LASG: lazily aggregated stochastic gradients for communication-efficient distributed learning",
    arXiv 2002.11360, 2020, algorithm 1, rules WK1, WK2 and PS1. Deviations: all upload in round 0; h_m is the sum of
    what the uploads decoded to.
    """

    rule: Literal["wk1", "wk2", "ps"] = "wk2"
    max_age: PositiveInt | None = 50

    examples: ClassVar[Examples] = (
        {"step_size": 0.1},
        {"rule": "wk1", "max_age": 6, "step_size": 0.1},
        {"rule": "ps", "xi": 1.0, "window": 3, "float_bit": 64, "model_bit": 64},
    )

    def server(self, ctx: Context) -> Agent:
        """Return a server that adds up changes, and asks where it decides."""
        return AskingServer(ctx, self) if self.rule == "ps" else StateServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker of that rule."""
        if self.rule == "ps":
            return StateWorker(ctx, self)
        return Wk1Worker(ctx, self) if self.rule == "wk1" else Wk2Worker(ctx, self)


class Wk2Worker(LazyWorker):
    """Compares the gradients at this model and at that of its last upload, its anchor."""

    def __init__(self, ctx: Context, algorithm: Lasg) -> None:
        super().__init__(ctx, algorithm)
        self.x = self.anchor = ctx.facts.start
        self.difference = np.zeros_like(self.x)

    async def gradient(self, round: int, x: Array) -> Array:
        """Return the gradient, and keep its difference from the one at the anchor."""
        self.limit.see(x)
        self.x, batch = x, self.ctx.next_batch()
        g = await Gradient(x, batch)
        self.difference = g - await Gradient(self.anchor, batch)
        return g

    def change(self, g: Array) -> float:
        """Return the squared difference."""
        return squared(self.difference)

    def note_upload(self) -> None:
        """Make this model the anchor."""
        self.anchor = self.x


class Wk1Worker(Wk2Worker):
    """Compares the difference from a snapshot, its anchor, with that of its last upload."""

    def __init__(self, ctx: Context, algorithm: Lasg) -> None:
        super().__init__(ctx, algorithm)
        self.told: Array = self.difference

    async def gradient(self, round: int, x: Array) -> Array:
        """Take a snapshot where one is due, and return the gradient."""
        if round % (self.max_age or round + 1) == 0:
            self.anchor, self.last = x, None
        return await super().gradient(round, x)

    def change(self, g: Array) -> float:
        """Return the squared change of the difference."""
        return squared(self.difference - self.told)

    def note_upload(self) -> None:
        """Keep the difference."""
        self.told = self.difference
