"""A fixed budget found by trying several over the same network, with all that it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from algorithms.compressors.identity import Identity
from algorithms.roles.budget_code import Budgeted, BudgetServer, BudgetWorker, budget_cost
from netsim.fields import PositiveInt, Ref
from netsim.interfaces import ALL, Agent, Array, Context, Cost, Decode, Encode, Gradient, Receive, Report, Send, Value
from netsim.registry import Examples, component

LOSS = Identity(64)


@component("algorithm")
@dataclass(frozen=True)
class GridSearch(Budgeted):
    """Tries every budget of a grid for some rounds from x^0, then goes on with the best one.

    A trial's merit is its fall of F divided by the modelled cost of all workers' uploads. The workers tell their losses
    in real messages of 8 bytes before the first and after each trial, the budget travels with the model (4 bytes), and
    the run goes on from where the best trial ended, so that its rounds are not lost. All of it counts: bits, packets,
    seconds and joules.

    Parameters
    ----------
    cost
        What the merit divides by.
    budgets, trial_rounds
        The grid; empty: 1, 4, 16, ... below the dimension. Rounds of each trial.
    """

    cost: Annotated[Cost, Ref("cost")]
    budgets: tuple[PositiveInt, ...] = ()
    trial_rounds: PositiveInt = 5

    examples: ClassVar[Examples] = (
        {"variant": "sparsify", "cost": {"name": "bit"}},
        {"variant": "sign", "cost": {"name": "count"}, "budgets": [1, 2], "trial_rounds": 2},
    )

    def model_notes(self) -> int:
        """Return the budget with the model."""
        return 1

    def server(self, ctx: Context) -> Agent:
        """Return a server that tries the grid."""
        return GridSearchServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that does as it is told."""
        return GridSearchWorker(ctx, self)


class GridSearchServer(BudgetServer):
    """Runs the trials, then the rest with the best budget; `merits` are those of the trials that ended, by budget."""

    def __init__(self, ctx: Context, algorithm: GridSearch) -> None:
        super().__init__(ctx, algorithm)
        dim, size = ctx.facts.dim, algorithm.size(ctx.facts.dim)
        grid = algorithm.budgets or tuple(4**i for i in range(32) if 4**i < dim) or (1,)
        self.grid = sorted({min(t, dim) for t in grid})
        self.trial_rounds = algorithm.trial_rounds
        costs = [algorithm.cost.open(ctx.link(ctx.server, worker)) for worker in ctx.workers]
        self.cost_of = {t: sum(budget_cost(float(t), size, cost) for cost in costs) for t in self.grid}
        self.merits, self.round = dict[int, float](), 0

    async def run(self) -> None:
        """Run the trials and then the rounds."""
        await Report(0, self.x)
        start, ends, before = self.x, dict[int, Array](), await self.loss()
        for budget in self.grid:
            self.notes, self.x = (float(budget),), start
            for _ in range(self.trial_rounds):
                await self.one_round()
            ends[budget] = self.x
            self.merits[budget] = (before - await self.loss()) / (self.trial_rounds * self.cost_of[budget])
        best = max(self.grid, key=lambda t: (self.merits[t], -t))
        self.notes, self.x = (float(best),), ends[best]
        while True:
            await self.one_round()

    async def one_round(self) -> None:
        """Run one round with the budget in use."""
        await self.broadcast(self.round)
        await self.take(self.round, await self.collect(self.round))
        self.round += 1
        await Report(self.round, self.x, {"budget": self.notes[0]})

    async def loss(self) -> float:
        """Ask every worker for its loss and return F at the model."""
        sent = await Encode(self.model, self.x, self.round)
        await Send(self.ctx.workers, sent.payload, self.round, "ask")
        inbox = await Receive(len(self.ctx.workers), "loss", self.round)
        return float(np.mean([(await Decode(LOSS, message, dim=1))[0] for message in inbox.messages]))


class GridSearchWorker(BudgetWorker):
    """Compresses with the budget it is told, and tells its loss when asked."""

    async def run(self) -> None:
        """Answer the server."""
        while True:
            (message,) = (await Receive()).messages
            if message.kind == "ask":
                loss = await Value(at=await Decode(self.model, message), batch=ALL)
                sent = await Encode(LOSS, np.array([loss]), message.round)
                await Send(self.ctx.server, sent.payload, message.round, "loss")
            else:
                await self.heard.take(message)
                await self.send_at(message.round, await Gradient(at=self.heard.x), float(self.notes[0]))
