"""SGD on one machine that has all samples: the reference without a network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.roles.parts import Momentum, StepSize, step_rule
from netsim.fields import Range
from netsim.interfaces import Agent, Context, Gradient, Report
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True, kw_only=True)
class SingleMachine:
    """x^{k+1} = x^k - gamma_k v(mean_m g_m(x^k)), all gradients one after the other at the server; nothing is sent.

    The server takes every node's minibatch, so that its iterates are those of `gd` with floats that round nothing. Each
    gradient takes as long as at its node.

    Parameters
    ----------
    step_size
        ``auto`` is 1/L of F; a number; or a step rule.
    momentum, nesterov
        b of v <- b v + g, 0 for none; the direction is v, or with `nesterov` b v + g.
    """

    step_size: StepSize = "auto"
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.0
    nesterov: bool = False

    is_alone: ClassVar[bool] = True
    tolerates: ClassVar[frozenset[str]] = frozenset({"late", "loss"})
    examples: ClassVar[Examples] = ({}, {"step_size": 0.1, "momentum": 0.9, "nesterov": True})

    def timing_free(self, network: Any) -> bool:
        """Return that results depend on no delay."""
        return True

    def server(self, ctx: Context) -> Agent:
        """Return the machine."""
        return Machine(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a node that does nothing."""
        return Idle()


class Machine:
    """Computes and steps."""

    def __init__(self, ctx: Context, algorithm: SingleMachine) -> None:
        self.ctx, self.x = ctx, ctx.facts.start
        self.gamma = step_rule(algorithm.step_size, ctx, lambda: 1.0 / ctx.facts.smoothness)
        self.momentum = Momentum(algorithm.momentum, algorithm.nesterov)

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            total = np.zeros_like(self.x)
            for worker in self.ctx.workers:
                total += await Gradient(self.x, of=worker)
            self.x = self.x - self.gamma(round) * self.momentum.direction(total / len(self.ctx.workers))
            await Report(round + 1, self.x)


class Idle:
    """A node whose samples the machine has."""

    async def run(self) -> None:
        """Do nothing."""
