"""Communication-aware adaptive tuning: every message's budget maximises progress per cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding.sizes import CodeSize
from algorithms.compressors.identity import Identity
from algorithms.roles.budget_code import BudgetCode, Variant, VariantServer, budget_code
from algorithms.roles.star import FloatBit, StepSize, codec_work
from algorithms.tuners.tune import efficiency, tune
from netsim.fields import Ref
from netsim.interfaces import Agent, Array, Context, Cost, Gradient, Message, Payload, Receive, Report, Send
from netsim.registry import component

BUDGET_BYTES = 4


@dataclass(frozen=True)
class Curve:
    """Efficiency over budget: (budget, efficiency, chosen) in increasing budget, and what cost counts."""

    points: tuple[tuple[float, float, bool], ...]
    quantity: str


@component("algorithm")
@dataclass(frozen=True)
class Cat:
    """T^k = argmax_T progress(T) / C(T) at every worker and round, then x^{k+1} = x^k - (gamma_k/M) sum_m Q_{T_m}(g_m).

    Parameters
    ----------
    variant
        ``sparsify`` (S, progress alpha), ``sign`` (S+Q, beta, projection-scaled) or ``stochastic`` (SS, omega).
    cost
        What a message costs, as a function of its size. One that learns (``learned``) asks for some messages of other
        sizes than the best, which its T then is.
    tune
        ``local``: each worker by its own gradient. ``shared``: one T for all, which the server sends with the model:
        the rounded mean of what the workers preferred in the round before (32 bits each way; in round 0 each
        worker's own).
    step_size
        ``auto`` is 1/L, for SS omega/L (see `VariantServer`); a number; or a step rule.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021. Deviations: S+Q sends S(T)/T in place of ||g||, which gives the same iterates at the step 1/L;
    with several workers S and S+Q are biased and may stall near the minimiser.
    """

    variant: Variant
    cost: Annotated[Cost, Ref("cost")]
    tune: Literal["local", "shared"] = "local"
    step_size: StepSize = "auto"
    float_bit: FloatBit = 32
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"variant": "sparsify", "cost": {"name": "bit"}},
        {"variant": "sign", "cost": {"name": "affine", "c0": 432, "c_bit": 1}},
        {"variant": "stochastic", "cost": {"name": "from_channel", "quantity": "bit"}, "tune": "shared"},
    )

    def server(self, ctx: Context) -> Agent:
        return CatServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        return CatWorker(ctx, self)

    def code(self) -> BudgetCode:
        """The codec of the uploads."""
        return budget_code(self.variant, self.float_bit, self.step_size)

    def size(self, dim: int) -> CodeSize:
        """Bits of an upload as a function of T."""
        size = self.code().size(dim)
        extra_bit = 8 * BUDGET_BYTES if self.tune == "shared" else 0
        return CodeSize(size.paper0_bit + extra_bit, size.entry_bit, size.count_bit)

    def efficiency_curve(self, ctx: Context, gradient: Array) -> Curve:
        """Efficiency(T) of one gradient at a worker: at most 256 budgets and the chosen one."""
        size, cost = self.size(gradient.size), ctx.cost(self.cost, ctx.server)
        best = tune(gradient, self.variant, size, cost)
        nonzeros = max(int(np.count_nonzero(gradient)), 1)
        budgets = np.unique(np.append(np.geomspace(1, nonzeros, 256).astype(np.int64).astype(float), best.budget))
        budgets = budgets[budgets > 0]
        ratios = efficiency(gradient, self.variant, size, cost, budgets)
        points = tuple((float(t), float(r), bool(t == best.budget)) for t, r in zip(budgets, ratios, strict=True))
        return Curve(points, cost.quantity)


class CatServer(VariantServer):
    """Averages; with ``tune: shared`` also averages the preferred budgets.

    Attributes
    ----------
    budget : the shared T, 0 before any is known.
    """

    def __init__(self, ctx: Context, algorithm: Cat) -> None:
        self.budget = 0.0
        self.is_shared = algorithm.tune == "shared"
        super().__init__(ctx, algorithm.code(), algorithm.step_size, Identity(algorithm.model_bit))

    def publish(self) -> Payload:
        payload = super().publish()
        return _with_budget(payload, self.budget) if self.is_shared else payload

    def open(self, updates: Sequence[Message]) -> Sequence[bytes]:
        if not self.is_shared:
            return super().open(updates)
        self.budget = round(sum(_budget_of(m.data) for m in updates) / len(updates))
        return [_without_budget(m.data) for m in updates]


class CatWorker:
    """Tunes T to its gradient and its link, then compresses."""

    def __init__(self, ctx: Context, algorithm: Cat) -> None:
        self.ctx = ctx
        self.algorithm = algorithm
        self.code = algorithm.code()
        self.size = algorithm.size(ctx.facts.dim)
        self.cost = ctx.cost(algorithm.cost, ctx.server)
        self.model = Identity(algorithm.model_bit)

    async def run(self) -> None:
        shared, dim = self.algorithm.tune == "shared", self.ctx.facts.dim
        while True:
            (model,) = (await Receive(kind="model")).messages
            told = _budget_of(model.data) if shared else 0.0
            x = _without_budget(model.data) if shared else model.data
            await codec_work(self.ctx, self.model.decode_flop, dim)
            g = await Gradient(at=self.model.decode(x, dim))
            choice = tune(g, self.algorithm.variant, self.size, self.cost)  # Step 1
            budget = self.explored(told or choice.budget, g)
            known = (choice.progress, choice.kept) if budget == choice.budget and not told else ()
            upload, budget, gain = self.code.encode(g, budget, self.ctx.rng(), *known)  # Step 2
            await Report(model.round + 1, metrics={"budget": budget, "progress": gain})
            del g, gain  # the next worker's gradient takes their memory, which is in cache
            await codec_work(self.ctx, self.code.encode_flop, dim, budget)
            await Send(self.ctx.server, _with_budget(upload, choice.budget) if shared else upload, model.round)

    def explored(self, budget: float, g: Array) -> float:
        """The budget, or another one near it where a cost that learns asks for other sizes."""
        explore = getattr(self.cost, "explore", None)
        if explore is None or budget < 1.0:
            return budget
        chosen_bit = float(self.size.message_bit(budget))
        wanted = budget + (explore(chosen_bit) - chosen_bit) / self.size.entry_bit
        return float(min(max(round(wanted), 1), np.count_nonzero(g))) if wanted != budget else budget


def _with_budget(payload: Payload, budget: float) -> Payload:
    data = payload.data + np.float32(budget).tobytes()
    return Payload(data, payload.paper_bit + 8 * BUDGET_BYTES, payload.index_bit, payload.value_bit)


def _budget_of(data: bytes) -> float:
    return float(np.frombuffer(data[-BUDGET_BYTES:], np.float32)[0])


def _without_budget(data: bytes) -> bytes:
    return data[:-BUDGET_BYTES]
