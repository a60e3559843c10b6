"""Signs up, and the majority's signs down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from algorithms.compressors.sign import Sign
from algorithms.roles.parts import GivenStep, Momentum
from algorithms.roles.replicas import ReplicaServer, Replicated, ReplicaWorker
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Tolerant
from netsim.fields import Range
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True, kw_only=True)
class Signsgd(Replicated, Tolerant):
    """x^{k+1} = x^k - gamma_k sign(sum_m sign(v_m)), v_m <- b v_m + g_m: d bits up from every worker and d bits down.

    A tie counts as +1, as sign(0) does. Every entry moves by gamma_k in every round, so that x ends in a box of that
    size unless the step falls. With b > 0 it is Signum.

    Parameters
    ----------
    step_size
        A number, or a step rule; the theory of 1/L is not about signs.
    momentum
        b.

    References
    ----------
    Bernstein, Wang, Azizzadenesheli, Anandkumar, "signSGD: compressed optimisation for non-convex problems", ICML 2018,
    algorithms 1 to 3.
    """

    step_size: GivenStep = field()  # in place of the default of other algorithms
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.0

    examples: ClassVar[Examples] = (
        {"step_size": 0.01},
        {"step_size": {"name": "inverse_round", "a": 1}, "momentum": 0.9},
    )

    def codec(self, ctx: Context) -> Sign:
        """Return one bit an entry."""
        return Sign()

    def server(self, ctx: Context) -> Agent:
        """Return a server that counts votes."""
        return Majority(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that votes."""
        return Voter(ctx, self)


class Majority(ReplicaServer):
    """Sends the signs of the votes' sum."""

    async def direction(self, updates: Updates) -> Array:
        """Return the votes' sum."""
        return await updates.sum()


class Voter(ReplicaWorker):
    """Sends the signs of its momentum."""

    def __init__(self, ctx: Context, algorithm: Signsgd) -> None:
        super().__init__(ctx, algorithm)
        self.momentum = Momentum(algorithm.momentum)

    async def upload(self, round: int, g: Array) -> None:
        """Vote."""
        await super().upload(round, self.momentum.direction(g))
