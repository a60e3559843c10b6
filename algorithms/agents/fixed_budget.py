"""Compression at one budget for the whole run: what CAT is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from algorithms.coding.sizes import CodeSize
from algorithms.roles.budget_code import Budgeted, BudgetWorker
from algorithms.roles.tolerant import Tolerant
from netsim.fields import PositiveInt
from netsim.interfaces import Agent, Array, Context, CostModel
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class FixedBudget(Budgeted, Tolerant):
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q_T(g_m) with the same T in every round.

    Parameters
    ----------
    budget
        T; or ``one_packet``: the largest T whose message the link to the server carries in one packet.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, sparsified gradient descent.
    """

    counts_entries: ClassVar[tuple[str, ...]] = ("budget",)

    budget: PositiveInt | Literal["one_packet"]

    examples: ClassVar[Examples] = (
        {"variant": "sparsify", "budget": 3},
        {"variant": "sign", "budget": "one_packet"},
        {"variant": "stochastic", "budget": 2, "step_size": {"name": "inverse_round", "a": 1.0}},
    )

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with that budget on its link."""
        return FixedBudgetWorker(ctx, self)


class FixedBudgetWorker(BudgetWorker):
    """Sends Q_T of its gradient.

    Attributes
    ----------
    budget : T.
    """

    def __init__(self, ctx: Context, algorithm: FixedBudget) -> None:
        super().__init__(ctx, algorithm)
        dim = ctx.facts.dim
        if isinstance(algorithm.budget, int):
            self.budget = min(algorithm.budget, dim)
        else:
            self.budget = one_packet_budget(algorithm.size(dim), ctx.link(ctx.server).cost("packet"), dim)

    async def upload(self, round: int, g: Array) -> None:
        """Send Q_T(g)."""
        await self.send_at(round, g, float(self.budget))


def one_packet_budget(size: CodeSize, packets: CostModel, dim: int) -> int:
    """Return the largest T of 1 .. dim whose message is one packet; 1 where none is.

    Parameters
    ----------
    size
        Bits of the code.
    packets
        The link's packets as a function of the message's bits.
    dim
        The dimension.
    """
    budgets = np.arange(1, dim + 1, dtype=np.float64)
    return max(int(np.count_nonzero(packets(size.message_bit(budgets)) <= 1.0)), 1)
