"""Compressed differences of gradients, with a memory that learns the gradients at the minimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from algorithms.roles.compressed import Learning
from algorithms.roles.parts import max_smoothness
from algorithms.roles.shared_state import StateServer, StateWorker
from algorithms.roles.tolerant import Mindful
from netsim.fields import Range
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Diana(Learning, Mindful):
    """c_m = Q(g_m - h_m), h_m <- h_m + a c_m; v <- b v + h + mean c_m, h <- h + a mean c_m, x^{k+1} = x^k - gamma v.

    h is the mean of the h_m, which start from 0. As h_m learns the gradient of f_m at the minimiser, what is compressed
    vanishes there: with full batches and a strongly convex F it converges linearly to the exact minimiser, where `dcgd`
    stalls. With the identity it is gradient descent for every a.

    Parameters
    ----------
    momentum
        b.
    step_size
        gamma; ``auto`` is 1 / ((1 + 6 w / M) max_m L_m). A number, or a step rule.

    References
    ----------
    Mishchenko, Gorbunov, Takac, Richtarik, "Distributed learning with compressed gradient differences",
    arXiv 1901.09269, 2019, algorithm 1. Deviation: no proximal step.
    """

    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.0

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "qsgd", "levels": 2}},
        {"compressor": {"name": "rand_k", "k": 4}, "momentum": 0.5, "step_size": 0.05},
        {"compressor": "identity", "memory_rate": 0.3, "model_bit": 64},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / ((1 + 6 w / M) max_m L_m)."""
        return 1.0 / ((1.0 + 6.0 * self.variance(ctx) / len(ctx.workers)) * max_smoothness(ctx))

    def server(self, ctx: Context) -> Agent:
        """Return a server that keeps h."""
        return StateServer(ctx, self, self.rate(ctx), self.momentum)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that keeps h_m."""
        return StateWorker(ctx, self, self.rate(ctx))
