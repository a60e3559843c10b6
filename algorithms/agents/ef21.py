"""Error feedback by compressed differences: both ends keep an estimate of every gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.roles.compressed import Compressed
from algorithms.roles.participation import Sampled, SamplingServer
from algorithms.roles.parts import share
from algorithms.roles.shared_state import StateServer, StateWorker
from algorithms.roles.tolerant import Mindful
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Ef21(Sampled, Compressed, Mindful):
    """h_m <- h_m + C(grad f_m(x^k) - h_m), x^{k+1} = x^k - gamma mean h_m, from h_m = 0.

    For C a contraction with delta, e^k = mean ||h_m - grad f_m(x^k)||^2 after round k obeys
    e^{k+1} <= (1 - theta) e^k + b L'^2 ||x^{k+1} - x^k||^2, theta = 1 - sqrt(1 - delta), b = (1 - delta) / theta,
    L'^2 = mean L_m^2, so that full batches converge without a floor. With the identity it is gradient descent.

    With `participation` p < 1 the server asks max(1, floor(p M)) workers, drawn anew in every round, and only these get
    the model and compute; h_m of the others stays. As a worker that is not asked is one whose C gives 0, theory holds
    with p delta in place of delta, in expectation.

    Parameters
    ----------
    compressor
        C; one that works per tensor gets the problem's layout. Of an unbiased one of large w take `to_contraction`.
    step_size
        gamma; ``auto`` is 1 / (L + L' sqrt(b / theta)). A number, or a step rule.

    References
    ----------
    Richtarik, Sokolov, Fatkhullin, "EF21: a new, simpler, theoretically better, and practically faster error
    feedback", NeurIPS 2021, algorithm 2 with h_m^0 = C(grad f_m(x^0)). Fatkhullin, Sokolov, Gorbunov, Li, Richtarik,
    "EF21 with bells and whistles", arXiv 2110.03294, 2021, partial participation.
    """

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}},
        {"compressor": "scaled_sign", "step_size": 0.1, "participation": 0.7},
        {"compressor": "identity", "model_bit": 64},
    )

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / (L + L' sqrt(b / theta))."""
        facts, workers = ctx.facts, ctx.workers
        delta = self.codec(ctx).contraction(facts.dim)
        if delta is None:
            allowed = "a contraction, such as top_k or to_contraction, or step_size as a number"
            raise ConfigError([Fault(("compressor",), allowed, self.compressor.name)])
        root = math.sqrt(1.0 - delta * share(self.participation, len(workers)) / len(workers))
        smoothness = math.sqrt(float(np.mean([facts.node_smoothness(m) ** 2 for m in workers])))
        return 1.0 / (facts.smoothness + smoothness * root / (1.0 - root))

    def server(self, ctx: Context) -> Agent:
        """Return a server that keeps the mean of the h_m."""
        return Ef21Server(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that keeps h_m."""
        return StateWorker(ctx, self)


class Ef21Server(SamplingServer, StateServer):
    """Keeps the mean of the h_m, and asks some workers in each round."""
