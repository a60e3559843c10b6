"""Workers that take gradient steps of their own between two messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from algorithms.roles.parts import Momentum, local_steps, max_smoothness
from algorithms.roles.star import Server, Star, Worker, step_of
from netsim.fields import NonNegativeFloat, PositiveInt, Range
from netsim.interfaces import Agent, Array, Batch, Context, Gradient


@dataclass(frozen=True, kw_only=True)
class Local(Star):
    """Keys of algorithms whose workers take local steps and send how far these led, x - x_H.

    Parameters
    ----------
    step_size
        Of the local steps. ``auto`` is 1 / max_m L_m; a number; or a step rule, which counts a worker's own steps.
    weight_decay
        Adds weight_decay * x to every gradient.
    """

    weight_decay: NonNegativeFloat = 0.0

    def batches(self, ctx: Context) -> Sequence[Batch | None]:
        """Return the samples of every step of one round; None for the node's next minibatch."""
        raise NotImplementedError

    def new_momentum(self) -> Momentum:
        """Return a worker's momentum at the start."""
        return Momentum()

    def auto_step(self, ctx: Context) -> float:
        """Return 1 / max_m L_m."""
        return 1.0 / max_smoothness(ctx)

    def server(self, ctx: Context) -> Agent:
        """Return a server that subtracts the mean, as the steps are in what the workers send."""
        return Server(ctx, self.at_server())

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that takes local steps."""
        return LocalWorker(ctx, self)

    def at_server(self) -> Local:
        """Return the same keys for a server, whose step is 1."""
        return replace(self, step_size=1.0)


@dataclass(frozen=True, kw_only=True)
class FixedSteps(Local):
    """The same number of steps in every round, with momentum that stays with the worker.

    Parameters
    ----------
    local_steps
        H, a worker's steps between two messages.
    momentum, nesterov
        beta of v <- beta v + g, 0 for none; the direction is v, or with `nesterov` beta v + g. Never sent, averaged or
        reset.
    """

    local_steps: PositiveInt
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.0
    nesterov: bool = False

    def batches(self, ctx: Context) -> Sequence[Batch | None]:
        """Return H minibatches."""
        return (None,) * self.local_steps

    def new_momentum(self) -> Momentum:
        """Return a worker's momentum at the start."""
        return Momentum(self.momentum, self.nesterov)


async def summed_gradients(x: Array, steps: int, gamma: float) -> Array:
    """Return the sum of the gradients of so many local steps of one size from `x`; of one step, the gradient there."""
    total = g = await Gradient(at=x)
    for _ in range(steps - 1):
        x = x - gamma * g
        g = await Gradient(at=x)
        total = total + g
    return total


class LocalWorker(Worker):
    """Walks from every model it gets, and uploads x - x_H.

    Attributes
    ----------
    x : the model that it walks from, shape (dim,).
    steps : local steps so far.
    """

    def __init__(self, ctx: Context, algorithm: Local) -> None:
        super().__init__(ctx, algorithm)
        self.local, self.gamma = algorithm, step_of(algorithm, ctx)
        self.momentum = algorithm.new_momentum()
        self.x, self.steps = ctx.facts.start, 0

    async def run(self) -> None:
        """Run the rounds."""
        while True:
            round, self.x = await self.next_model()
            await self.upload(round, self.x - await self.walk(self.local.batches(self.ctx)))

    async def walk(self, batches: Sequence[Batch | None]) -> Array:
        """Take one step on each batch, from x on, and return where they end."""
        first, self.steps = self.steps, self.steps + len(batches)
        decay = self.local.weight_decay
        return await local_steps(self.x, len(batches), self.gamma, first, self.momentum, decay, batches, self.changed)

    def changed(self, x: Array, g: Array) -> Array:
        """Return the gradient to use at a local model, here the node's own."""
        return g
