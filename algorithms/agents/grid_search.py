"""A fixed budget found by trying several over the same network, with all that it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding.sizes import CodeSize
from algorithms.compressors.identity import Identity
from algorithms.roles.budget_code import Variant, VariantServer, budget_code
from algorithms.roles.star import FloatBit, StepSize, codec_work
from netsim.fields import PositiveInt, Ref
from netsim.interfaces import Agent, Array, Context, Cost, CostModel, Gradient, Payload, Receive, Report, Send, Value
from netsim.registry import component

BUDGET_BYTES = 4


@component("algorithm")
@dataclass(frozen=True)
class GridSearch:
    """Tries every budget of a grid for some rounds from x^0, then goes on with the best one.

    A trial's merit is its fall of F divided by the modelled cost of all workers' uploads. The workers tell their losses
    in real messages of 8 bytes before the first and after each trial, the budget travels with the model (4 bytes), and
    the run goes on from where the best trial ended, so that its rounds are not lost. All of it counts: bits, packets,
    seconds and joules.

    Parameters
    ----------
    variant
        ``sparsify`` (S), ``sign`` (S+Q) or ``stochastic`` (SS).
    cost
        What the merit divides by.
    budgets
        The grid; empty: 1, 4, 16, ... below the dimension.
    trial_rounds
        Rounds of each trial.
    step_size
        ``auto`` is 1/L, for SS omega/L; a number; or a step rule.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.
    """

    variant: Variant
    cost: Annotated[Cost, Ref("cost")]
    budgets: tuple[PositiveInt, ...] = ()
    trial_rounds: PositiveInt = 5
    step_size: StepSize = "auto"
    float_bit: FloatBit = 32
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"variant": "sparsify", "cost": {"name": "bit"}},
        {"variant": "sign", "cost": {"name": "count"}, "budgets": [1, 2], "trial_rounds": 2},
    )

    def server(self, ctx: Context) -> Agent:
        return GridSearchServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        return GridSearchWorker(ctx, self)


class GridSearchServer(VariantServer):
    """Runs the trials, then the rest with the best budget.

    Attributes
    ----------
    budget : the T in use.
    merits : of the trials that ended, by budget.
    """

    def __init__(self, ctx: Context, algorithm: GridSearch) -> None:
        code = budget_code(algorithm.variant, algorithm.float_bit, algorithm.step_size)
        self.budget = 0
        super().__init__(ctx, code, algorithm.step_size, Identity(algorithm.model_bit))
        grid = algorithm.budgets or tuple(4**i for i in range(32) if 4**i < ctx.facts.dim) or (1,)
        self.grid = sorted({min(t, ctx.facts.dim) for t in grid})
        self.trial_rounds = algorithm.trial_rounds
        costs = [algorithm.cost.open(ctx.link(ctx.server, worker)) for worker in ctx.workers]
        size = code.size(ctx.facts.dim)
        self.cost_of = {t: sum(budget_cost(t, size, cost) for cost in costs) for t in self.grid}
        self.merits: dict[int, float] = {}
        self.round = 0

    async def run(self) -> None:
        await Report(0, self.x)
        start, ends = self.x, dict[int, Array]()
        before = await self.loss()
        for budget in self.grid:
            self.budget, self.x = budget, start
            for _ in range(self.trial_rounds):
                await self.step_once()
            ends[budget] = self.x
            self.merits[budget] = (before - await self.loss()) / (self.trial_rounds * self.cost_of[budget])
        self.budget = max(self.grid, key=lambda t: (self.merits[t], -t))
        self.x = ends[self.budget]
        while True:
            await self.step_once()

    async def step_once(self) -> None:
        """One round with the budget in use."""
        dim, workers = self.ctx.facts.dim, len(self.ctx.workers)
        await codec_work(self.ctx, self.model.encode_flop, dim)
        await Send(self.ctx.workers, self.publish(), self.round, "model")
        updates = self.open((await Receive(workers, "update", self.round)).messages)
        await codec_work(self.ctx, self.decode_flop, updates)
        self.x = self.x - self.step_size(self.round, updates) * self.mean(updates)
        super().publish()
        self.round += 1
        await Report(self.round, self.x, {"budget": float(self.budget)})

    async def loss(self) -> float:
        """F at the model, by asking every worker."""
        await codec_work(self.ctx, self.model.encode_flop, self.ctx.facts.dim)
        await Send(self.ctx.workers, super().publish(), self.round, "ask")
        answers = (await Receive(len(self.ctx.workers), "loss", self.round)).messages
        return float(np.mean([np.frombuffer(m.data, np.float64)[0] for m in answers]))

    def publish(self) -> Payload:
        payload = super().publish()
        data = payload.data + np.uint32(self.budget).tobytes()
        return Payload(data, payload.paper_bit + 8 * BUDGET_BYTES, payload.index_bit, payload.value_bit)


class GridSearchWorker:
    """Compresses with the budget it is told, and tells its loss when asked."""

    def __init__(self, ctx: Context, algorithm: GridSearch) -> None:
        self.ctx = ctx
        self.code = budget_code(algorithm.variant, algorithm.float_bit, algorithm.step_size)
        self.model = Identity(algorithm.model_bit)

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            (message,) = (await Receive()).messages
            await codec_work(self.ctx, self.model.decode_flop, dim)
            if message.kind == "ask":
                loss = await Value(at=self.model.decode(message.data, dim))
                data = np.float64(loss).tobytes()
                await Send(self.ctx.server, Payload(data, 64.0), message.round, "loss")
                continue
            g = await Gradient(at=self.model.decode(message.data[:-BUDGET_BYTES], dim))
            told = int(np.frombuffer(message.data[-BUDGET_BYTES:], np.uint32)[0])
            upload, budget, gain = self.code.encode(g, float(told), self.ctx.rng())
            del g, gain  # the next worker's gradient takes their memory, which is in cache
            await codec_work(self.ctx, self.code.encode_flop, dim, budget)
            await Send(self.ctx.server, upload, message.round)


def budget_cost(budget: int, size: CodeSize, cost: CostModel) -> float:
    """The cost of one upload of `budget` entries."""
    t = np.array([float(budget)])
    of_basis = {"count": t, "paper": size.paper_bit(t), "message": size.message_bit(t)}
    return float(cost(of_basis[cost.basis])[0])
