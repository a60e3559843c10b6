"""Small parts that agents are made of: steps, momentum, memories, triggers, answers by sender."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import numpy as np

from netsim.fields import PositiveFloat, Ref
from netsim.interfaces import Array, Batch, Code, Context, Decode, Gradient, NodeId, Receive


class Step(Protocol):
    """A frozen step rule (kind ``step``)."""

    @property
    def per(self) -> Literal["round", "epoch"]:
        """What the rule counts."""

    def at(self, count: float) -> float:
        """Return the step after `count` rounds or epochs."""


StepSize: TypeAlias = Literal["auto"] | PositiveFloat | Annotated[Step, Ref("step")]
GivenStep: TypeAlias = PositiveFloat | Annotated[Step, Ref("step")]
FloatBit: TypeAlias = Literal[32, 64]


def step_rule(step_size: StepSize, ctx: Context, auto: Callable[[], float]) -> Callable[[int], float]:
    """Return the step of each round, or of each local step where an agent counts those.

    Parameters
    ----------
    step_size
        ``auto``, a number or a rule.
    ctx
        Says how many rounds are an epoch.
    auto
        The step that ``auto`` stands for.
    """
    if step_size == "auto":
        step = auto()
        return lambda _: step
    if isinstance(step_size, float):
        return lambda _: step_size
    rule = step_size
    if rule.per == "round":
        return rule.at
    rounds = ctx.facts.rounds_per_epoch
    return lambda round: rule.at(round / rounds)


@dataclass(slots=True)
class Momentum:
    """v <- beta v + g; the direction is v (heavy ball) or beta v + g (Nesterov). beta = 0 gives g itself.

    Parameters
    ----------
    beta
        0 <= beta < 1.
    nesterov
        Which of the two.
    """

    beta: float = 0.0
    nesterov: bool = False
    v: Array | None = None

    def direction(self, g: Array) -> Array:
        """Return the direction for this gradient, and keep v."""
        if not self.beta:
            return g
        self.v = g if self.v is None else self.beta * self.v + g
        return self.beta * self.v + g if self.nesterov else self.v


async def local_steps(
    x: Array,
    count: int,
    step: Callable[[int], float],
    first: int,
    momentum: Momentum,
    weight_decay: float = 0.0,
    batches: Sequence[Batch | None] = (),
    change: Callable[[Array, Array], Array] | None = None,
) -> Array:
    """Take local gradient steps from `x` on the node's minibatches and return where they end.

    Parameters
    ----------
    x
        Shape (dim,); stays as it is.
    count
        How many steps.
    step, first
        The step size by local step, and the number of the first of these.
    momentum
        Stays with the node from call to call.
    weight_decay
        Adds weight_decay * x to every gradient.
    batches
        The samples of each step; None, or no sequence: the node's next minibatch.
    change
        Makes of model and gradient the gradient to use.
    """
    for t in range(count):
        g = await Gradient(at=x, batch=batches[t] if batches else None)
        if change is not None:
            g = change(x, g)
        if weight_decay:
            g = g + weight_decay * x
        x = x - step(first + t) * momentum.direction(g)
    return x


@dataclass(slots=True)
class Trigger:
    """An event that a node sends on: its condition has held `times` times since the last event.

    Parameters
    ----------
    times
        1: at once.
    count
        How often the condition has held.
    """

    times: int = 1
    count: int = 0

    def fires(self, holds: bool) -> bool:
        """Count the condition of this round; where it is enough, begin again and return True."""
        self.count += holds
        if self.count < self.times:
            return False
        self.count = 0
        return True


@dataclass(slots=True)
class Average:
    """A running mean of vectors with weights.

    Parameters
    ----------
    mean
        The mean of what was added so far.
    weight
        The sum of the weights.
    """

    mean: Array = field(default_factory=lambda: np.zeros(0))
    weight: float = 0.0

    def add(self, x: Array, weight: float = 1.0) -> Array:
        """Add a vector and return the mean."""
        self.weight += weight
        self.mean = x.copy() if self.weight == weight else self.mean + (weight / self.weight) * (x - self.mean)
        return self.mean


async def collect(codec: Code, count: int, kind: str, round: int) -> dict[NodeId, Any]:
    """Wait for one message, or a notice of silence, of `count` nodes.

    Returns
    -------
    The decoded vector by sender in increasing id; None for a node that was silent.
    """
    inbox = await Receive(count, kind, round)
    found: dict[NodeId, Any] = dict.fromkeys(inbox.silent)
    for message in inbox.messages:
        found[message.src] = await Decode(codec, message)
    return {node: found[node] for node in sorted(found)}


def sampled(ctx: Context, fraction: float, purpose: str = "participation") -> tuple[NodeId, ...]:
    """Draw max(floor(fraction M), 1) of the M nodes below, uniformly and without repetition; in increasing id.

    Parameters
    ----------
    ctx
        Of the node that chooses.
    fraction
        C, above 0 and at most 1; 1 draws nothing.
    purpose
        Names the stream of the draws.
    """
    workers = ctx.workers
    if fraction == 1.0:
        return workers
    chosen = ctx.rng(purpose).choice(len(workers), share(fraction, len(workers)), replace=False)
    return tuple(workers[i] for i in sorted(chosen.tolist()))


def share(fraction: float, whole: int) -> int:
    """Return max(floor(fraction whole), 1), where a product that misses a whole number by rounding counts as it."""
    return max(math.floor(fraction * whole + 1e-9), 1)


def max_smoothness(ctx: Context) -> float:
    """Return max_m L_m."""
    return max(map(ctx.facts.node_smoothness, ctx.workers))


def squared(x: Array) -> float:
    """Return ||x||^2."""
    return float(np.sum(x * x))


def mean_of(vectors: Mapping[NodeId, Array]) -> Array:
    """Return the mean of the nodes' vectors, added up in increasing id."""
    mean: Array = np.mean([vectors[node] for node in sorted(vectors)], axis=0)
    return mean
