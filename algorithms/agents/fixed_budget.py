"""Compression at one budget for the whole run: what CAT is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.coding.sizes import CodeSize
from algorithms.compressors.identity import Identity
from algorithms.roles.budget_code import Variant, VariantServer, budget_code
from algorithms.roles.star import FloatBit, StepSize, codec_work, receive_model
from netsim.fields import PositiveInt
from netsim.interfaces import Agent, Context, CostModel, Gradient, Report, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class FixedBudget:
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q_T(g_m) with the same T in every round.

    Parameters
    ----------
    variant
        ``sparsify`` (S), ``sign`` (S+Q, projection-scaled) or ``stochastic`` (SS).
    budget
        T; or ``one_packet``: the largest T whose message the link to the server carries in one packet.
    step_size
        ``auto`` is 1/L, for SS omega/L; a number; or a step rule.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, sparsified gradient descent.
    """

    variant: Variant
    budget: PositiveInt | Literal["one_packet"]
    step_size: StepSize = "auto"
    float_bit: FloatBit = 32
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"variant": "sparsify", "budget": 3},
        {"variant": "sign", "budget": "one_packet"},
        {"variant": "stochastic", "budget": 2, "step_size": {"name": "inverse_round", "a": 1.0}},
    )

    def server(self, ctx: Context) -> Agent:
        code = budget_code(self.variant, self.float_bit, self.step_size)
        return VariantServer(ctx, code, self.step_size, Identity(self.model_bit))

    def worker(self, ctx: Context) -> Agent:
        return FixedBudgetWorker(ctx, self)


class FixedBudgetWorker:
    """Sends Q_T of its gradient."""

    def __init__(self, ctx: Context, algorithm: FixedBudget) -> None:
        self.ctx = ctx
        self.algorithm = algorithm
        self.code = budget_code(algorithm.variant, algorithm.float_bit, algorithm.step_size)
        self.model = Identity(algorithm.model_bit)
        dim = ctx.facts.dim
        if isinstance(algorithm.budget, int):
            self.budget = min(algorithm.budget, dim)
        else:
            self.budget = one_packet_budget(self.code.size(dim), ctx.link(ctx.server).cost("packet"), dim)

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            round, x = await receive_model(self.model, dim)
            await codec_work(self.ctx, self.model.decode_flop, dim)
            g = await Gradient(at=x)
            upload, budget, gain = self.code.encode(g, float(self.budget), self.ctx.rng())
            await Report(round + 1, metrics={"budget": budget, "progress": gain})
            del g, gain  # the next worker's gradient takes their memory, which is in cache
            await codec_work(self.ctx, self.code.encode_flop, dim, budget)
            await Send(self.ctx.server, upload, round)


def one_packet_budget(size: CodeSize, packets: CostModel, dim: int) -> int:
    """The largest T of 1 .. dim whose message is one packet; 1 where none is.

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
