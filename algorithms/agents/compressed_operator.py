"""A fixed point of the mean of the nodes' operators, found by compressed moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from algorithms.coding.codec import Codec
from algorithms.roles.budget_code import Budgeted, Variant
from algorithms.roles.compressed import refuse_memory
from algorithms.roles.local import summed_gradients
from algorithms.roles.star import Server, Star, Worker, step_of
from algorithms.tuners.tune import tune
from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, PositiveInt, Ref
from netsim.interfaces import Agent, Array, Context, Cost, Gradient
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class CompressedOperator(Star):
    """x^{k+1} = x^k + (r/M) sum_m Q(T_m(x^k) - x^k), with nothing kept of what Q left out.

    T_m is what node m makes of a model: a gradient step, which is `dcgd`; H local steps, which is local SGD; or the
    proximal point argmin_y f_m(y) + ||y - x||^2 / (2 gamma).

    Parameters
    ----------
    operator
        ``gradient``, ``local`` or ``proximal``.
    local_steps
        H of ``local``, and the steps of size 1 / (L_m + 1/gamma) in which ``proximal`` is computed.
    compressor
        Q; one that works per tensor gets the problem's layout.
    cost, variant
        In place of `compressor`: Q is CAT's, with the T of the most progress per cost in every message.
    relaxation
        r.

    References
    ----------
    Chraibi, Khaled, Kovalev, Richtarik, Salim, Takac, "Distributed fixed point methods with compressed iterates",
    arXiv 1912.09925, 2019, whose Q is of iterates; here it is of moves.
    """

    operator: Literal["gradient", "local", "proximal"] = "gradient"
    local_steps: PositiveInt = 10
    compressor: Annotated[Codec, Ref("compressor")] | None = None
    cost: Annotated[Cost, Ref("cost")] | None = None
    variant: Variant = "sparsify"
    relaxation: Fraction = 1.0

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}},
        {"operator": "local", "local_steps": 2, "cost": "bit", "variant": "sign", "step_size": 0.1},
        {"operator": "proximal", "compressor": {"name": "qsgd", "levels": 8}, "relaxation": 0.5, "model_bit": 64},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.compressor is None) == (self.cost is None):
            got = "neither" if self.cost is None else "both"
            raise ConfigError([Fault(("compressor",), "either compressor or cost", got)])
        if self.compressor is not None:
            refuse_memory(self.compressor)

    def codec(self, ctx: Context) -> Codec:
        """Return Q, or what decodes CAT's messages."""
        return self.tuned.codec(ctx) if self.compressor is None else self.compressor.bind(ctx.facts.layout)

    @property
    def tuned(self) -> Budgeted:
        """CAT's code."""
        return Budgeted(variant=self.variant, step_size=1.0)

    def server(self, ctx: Context) -> Agent:
        """Return a server whose step is r, as the workers' steps are in what they send."""
        return Server(ctx, replace(self, step_size=self.relaxation))

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an operator."""
        return OperatorWorker(ctx, self)


class OperatorWorker(Worker):
    """Sends Q(x - T(x))."""

    def __init__(self, ctx: Context, algorithm: CompressedOperator) -> None:
        super().__init__(ctx, algorithm)
        self.keys, self.gamma = algorithm, step_of(algorithm, ctx)
        self.cost = None if algorithm.cost is None else ctx.cost(algorithm.cost, ctx.server)

    async def gradient(self, round: int, x: Array) -> Array:
        """Return x - T(x)."""
        gamma, keys = self.gamma(round), self.keys
        if keys.operator != "proximal":
            return gamma * await summed_gradients(x, keys.local_steps if keys.operator == "local" else 1, gamma)
        y, step = x, 1.0 / (self.ctx.facts.node_smoothness(self.ctx.node) + 1.0 / gamma)
        for _ in range(keys.local_steps):
            y = y - step * (await Gradient(at=y) + (y - x) / gamma)
        return x - y

    async def upload(self, round: int, g: Array) -> None:
        """Compress the move and send it."""
        if self.cost is None:
            await super().upload(round, g)
            return
        tuned = self.keys.tuned
        choice = tune(g, tuned.variant, tuned.size(g.size), self.cost)
        await self.send(round, tuned.at(choice.budget, choice.kept), g)
