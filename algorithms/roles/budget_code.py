"""The three compressions that CAT tunes, with a budget for each message, and the step that goes with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.sizes import CodeSize
from algorithms.compressors.sign_top_k import SignTopK
from algorithms.compressors.stochastic_sparsification import StochasticSparsification
from algorithms.compressors.top_k import TopK
from algorithms.roles.parts import FloatBit
from algorithms.roles.star import Server, Star, Updates, Worker
from algorithms.tuners.tune import progress
from netsim.interfaces import Agent, Array, Context, CostModel, Encoded, Indices, Report

Variant: TypeAlias = Literal["sparsify", "sign", "stochastic"]
Code: TypeAlias = TopK | SignTopK | StochasticSparsification

NOTE_BIT = 32


@dataclass(frozen=True, kw_only=True)
class Budgeted(Star):
    """Keys of an algorithm that sends Q_T of its gradients for a T that may change from message to message.

    Parameters
    ----------
    variant
        ``sparsify`` (S), ``sign`` (S+Q, projection-scaled) or ``stochastic`` (SS).
    step_size
        ``auto`` is 1/L, for SS omega/L (see `BudgetServer`); a number; or a step rule.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.
    """

    variant: Variant
    float_bit: FloatBit = 32

    relays: ClassVar[bool] = True

    def at(self, budget: float, kept: Indices | None = None) -> Any:
        """Return Q_T, for S and S+Q at the T coordinates where the caller knows them."""
        if self.variant == "stochastic":
            return StochasticSparsification(budget=max(budget, 1e-9), float_bit=self.float_bit)
        code = _keeping(self.variant, max(int(budget), 1), self.float_bit)
        return code if kept is None else code.on(kept)

    def codec(self, ctx: Context) -> Codec:
        """Return what decodes the message of any T."""
        code: Code = self.at(1)
        return code

    def upload_notes(self) -> int:
        """Return omega(T) for SS with the automatic step, where the server's step needs it."""
        return int(self.sends_omega)

    @property
    def sends_omega(self) -> bool:
        """Whether omega(T) goes with every upload."""
        return self.variant == "stochastic" and self.step_size == "auto"

    def size(self, dim: int) -> CodeSize:
        """Return the bits of an upload as a function of T."""
        size = self.at(1).size(dim)
        return CodeSize(size.paper0_bit + NOTE_BIT * self.upload_notes(), size.entry_bit, size.count_bit)

    def server(self, ctx: Context) -> Agent:
        """Return a server whose step knows omega."""
        return BudgetServer(ctx, self)


class BudgetServer(Server):
    """The averaging server with CAT's step: 1/L for S and S+Q, omega/L for SS.

    For SS the step minimises the bound of the descent lemma with M workers of like gradients,
    gamma = 1 / (L (1 + (1/M^2) sum_m (1/omega_m - 1))), which for one worker is omega/L.
    """

    def __init__(self, ctx: Context, algorithm: Budgeted) -> None:
        super().__init__(ctx, algorithm)
        self.sends_omega = algorithm.sends_omega

    async def step(self, round: int, updates: Updates) -> None:
        """Step along the uploads."""
        gamma = self.gamma(round)
        if self.sends_omega and len(updates):
            omegas = [float(notes[0]) for notes in (await updates.notes()).values()]
            gamma /= 1.0 + sum(1.0 / omega - 1.0 for omega in omegas if omega) / len(omegas) ** 2
        self.x = self.x - gamma * await self.direction(updates)

    async def direction(self, updates: Updates) -> Array:
        """Return the mean upload."""
        return await updates.mean()


class BudgetWorker(Worker):
    """Sends Q_T of its gradient, and reports T and its progress."""

    def __init__(self, ctx: Context, algorithm: Budgeted) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm = algorithm

    async def send_at(
        self,
        round: int,
        g: Array,
        budget: float,
        known: float | None = None,
        kept: Indices | None = None,
        *notes: float,
    ) -> Encoded:
        """Send Q_T(g), and return it.

        Parameters
        ----------
        round, g
            The model's round and the gradient at it.
        budget
            T; more than there are nonzeros means all of them.
        known, kept
            The progress, and for S and S+Q the T coordinates, where the caller knows them.
        notes
            Floats before the upload's own.
        """
        algorithm, variant = self.algorithm, self.algorithm.variant
        if variant == "stochastic":
            budget = min(budget, float(np.count_nonzero(g)))
            if known is None:
                known = float(progress(g, variant, np.array([budget]))[0]) if budget else 0.0
        omega = (known or 0.0,) if algorithm.sends_omega else ()
        sent = await self.send(round, algorithm.at(budget, kept), g, (*omega, *notes))
        metrics: dict[str, Any] = {"budget": budget, "progress": known}
        if variant != "stochastic":
            metrics["budget"] = lambda: float(np.count_nonzero(vector_of(sent)))
            if known is None:
                metrics["progress"] = lambda: _progress(variant, g, vector_of(sent))
        await Report(round + 1, metrics=metrics)
        return sent


def vector_of(sent: Encoded) -> Array:
    """Return the decoded vector of an upload, without its notes."""
    value: Any = sent.value[-1] if isinstance(sent.value, tuple) else sent.value
    return np.asarray(value)


def budget_cost(budget: float, size: CodeSize, cost: CostModel) -> float:
    """Return the cost of one upload of `budget` entries."""
    t = np.array([budget])
    of_basis = {"count": t, "paper": size.paper_bit(t), "message": size.message_bit(t)}
    return float(cost(of_basis[cost.basis])[0])


def explored(budget: float, g: Array, size: CodeSize, cost: Any) -> float:
    """Return the budget, or another one near it where a cost that learns asks for other sizes."""
    explore = getattr(cost, "explore", None)
    if explore is None or budget < 1.0:
        return budget
    chosen_bit = float(size.message_bit(budget))
    wanted = budget + (explore(chosen_bit) - chosen_bit) / size.entry_bit
    return float(min(max(round(wanted), 1), np.count_nonzero(g))) if wanted != budget else budget


def _progress(variant: Variant, g: Array, sent: Array) -> float:
    """Return alpha or beta of the coordinates that were sent, in O(T) beside ||g||."""
    kept = np.abs(g[np.flatnonzero(sent)])
    if not kept.size:
        return 0.0
    part = float(kept.sum()) ** 2 / kept.size if variant == "sign" else float(np.dot(kept, kept))
    return part / float(np.dot(g, g))


@lru_cache(maxsize=256)
def _keeping(variant: Literal["sparsify", "sign"], k: int, float_bit: FloatBit) -> TopK | SignTopK:
    return TopK(k=k, float_bit=float_bit) if variant == "sparsify" else SignTopK(k=k, float_bit=float_bit)
