"""Communication-aware adaptive tuning: every message's budget maximises progress per cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.roles.budget_code import BudgetWorker, explored
from algorithms.roles.compensation import compensation
from algorithms.roles.local import summed_gradients
from algorithms.roles.star import step_of
from algorithms.roles.tuned import Tuned
from algorithms.tuners.curve import curves
from algorithms.tuners.tune import tune
from netsim.fields import Ref
from netsim.interfaces import Agent, Array, Context, Cost
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Cat(Tuned):
    """T^k = argmax_T progress(T) / C(T) at every worker and round, then x^{k+1} = x^k - (gamma_k/M) sum_m Q_{T_m}(g_m).

    Parameters
    ----------
    cost
        What a message costs, as a function of its size. One that learns (``learned``) asks for some messages of other
        sizes than the best, which its T then is.
    tune
        ``local``: each worker by its own gradient. ``shared``: one T for all, which the server sends with the model:
        the rounded mean of what the workers preferred in the round before (32 bits each way; in round 0 their own).
    expected
        Of ``stochastic``, whose number N of entries is drawn with the mean T. ``cost``: C(T) is E[C(N)]. ``count``:
        it is C(E N), as the paper writes it, which takes a message of T entries for a sure thing.
    memory
        Of S and S+Q, which are biased. ``ef``: e_m + g_m is compressed and e_m keeps what is lost. ``ef21``: g_m - h_m
        is, both ends add it to h_m, and the step is along mean h_m; it needs a smaller step and has no floor.
    local_steps
        H > 1: g_m is the sum of the gradients of H steps of the size gamma_k from the model.
    down
        What the server's message costs; its T, of S, is then tuned like those of the workers, and what is left of the
        step stays in a memory at the server. The link is that to the first worker.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021. Deviations: S+Q sends S(T)/T in place of ||g||, which gives the same iterates at the step 1/L;
    with several workers S and S+Q without memory may stall near the minimiser.
    """

    cost: Annotated[Cost, Ref("cost")]
    expected: Literal["cost", "count"] = "cost"

    examples: ClassVar[Examples] = (
        {"variant": "sparsify", "cost": {"name": "bit"}},
        {"variant": "sign", "cost": {"name": "affine", "c0": 432, "c_bit": 1}},
        {"variant": "stochastic", "cost": {"name": "from_channel", "quantity": "bit"}, "tune": "shared"},
        {
            "variant": "stochastic",
            "cost": {"name": "packets", "c_packet": 1, "payload_max_bit": 256},
            "expected": "count",
        },
        {"variant": "sign", "cost": "bit", "memory": "ef", "participation": 0.7, "step_size": 0.1},
        {"variant": "sparsify", "cost": "bit", "memory": "ef21", "local_steps": 2, "step_size": 0.05},
        {"variant": "sparsify", "cost": "bit", "down": {"name": "affine", "c0": 99, "c_bit": 1}, "step_size": 0.1},
    )

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that tunes."""
        return CatWorker(ctx, self)

    def tables(
        self, ctx: Context, gradient: Callable[[Array], Array], models: Sequence[tuple[int, Array]]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Make Efficiency(T) of node 0 at some models; see `netsim.interfaces.AfterRun`."""
        cost = ctx.cost(self.cost, ctx.server)
        size, drawn = self.size(ctx.facts.dim), self.expected == "cost"
        return {"efficiency": curves(gradient, models, self.variant, size, cost, drawn)}


class CatWorker(BudgetWorker):
    """Tunes T to its gradient and its link, then compresses."""

    def __init__(self, ctx: Context, algorithm: Cat) -> None:
        super().__init__(ctx, algorithm)
        self.variant, self.size = algorithm.variant, algorithm.size(ctx.facts.dim)
        self.cost, self.drawn = ctx.cost(algorithm.cost, ctx.server), algorithm.expected == "cost"
        self.compensation = compensation(algorithm.memory, np.zeros_like(ctx.facts.start))
        self.gamma, self.steps = step_of(algorithm, ctx), algorithm.local_steps

    async def gradient(self, round: int, x: Array) -> Array:
        """Return the gradient, or the sum of those of the local steps."""
        return await summed_gradients(x, self.steps, self.gamma(round))

    async def upload(self, round: int, g: Array) -> None:
        """Choose T and send Q_T of the gradient, or of what the memory makes of it."""
        g = self.compensation.target(g)
        choice = tune(g, self.variant, self.size, self.cost, drawn=self.drawn)  # Step 1
        told = float(self.notes[0]) if self.notes.size else 0.0
        budget = explored(told or choice.budget, g, self.size, self.cost)
        known = (choice.progress, choice.kept) if budget == choice.budget and not told else (None, None)
        preferred = (choice.budget,) if self.notes.size else ()
        sent = await self.send_at(round, g, budget, *known, *preferred)  # Step 2
        self.compensation.keep(g, sent)
