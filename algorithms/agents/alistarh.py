"""Sparsification with sign quantisation at the budget of Alistarh et al. (2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.compressors.alistarh import Alistarh as AlistarhCode
from algorithms.roles.star import Worker
from algorithms.roles.tolerant import Tolerant
from netsim.interfaces import Agent, Array, Context, Report
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Alistarh(Tolerant):
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q(g_m) with T_A = min {T : S(T) >= ||g||}, S+Q coded.

    The payload carries the projection-scaled signs, so that the step 1/L is that of S+Q; the choice of T alone sets it
    apart from CAT.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: Communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, the gradient descent variant.
    """

    relays: ClassVar[bool] = True
    examples: ClassVar[Examples] = ({}, {"step_size": 0.1})

    def codec(self, ctx: Context) -> AlistarhCode:
        """Return the codec of the T_A largest coordinates' signs and one scale."""
        return AlistarhCode()

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that reports its T_A."""
        return AlistarhWorker(ctx, self)


class AlistarhWorker(Worker):
    """Sends the T_A largest coordinates' signs and one scale."""

    async def upload(self, round: int, g: Array) -> None:
        """Send them, and report T_A."""
        sent = await self.send(round, self.codec, g)
        await Report(round + 1, metrics={"budget": lambda: float(np.count_nonzero(sent.value))})
