"""Sparsification with sign quantisation at the budget of Alistarh et al. (2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.compressors.alistarh import Alistarh as AlistarhCode
from algorithms.compressors.identity import Identity
from algorithms.roles.star import AveragingServer, FloatBit, StepSize, codec_work, receive_model, step_rule
from netsim.interfaces import Agent, Context, Gradient, Report, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class Alistarh:
    """x^{k+1} = x^k - (gamma_k / M) sum_m Q(g_m) with T_A = min {T : S(T) >= ||g||}, S+Q coded.

    The payload carries the projection-scaled signs, so that the step 1/L is that of S+Q; the choice of T alone sets it
    apart from CAT.

    Parameters
    ----------
    step_size
        ``auto`` is 1/L of F; a number; or a step rule.
    model_bit
        Bits of a float in the broadcast.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: Communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, the gradient descent variant.
    """

    step_size: StepSize = "auto"
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"step_size": 0.1})

    def server(self, ctx: Context) -> Agent:
        step = step_rule(self.step_size, ctx.facts.smoothness)
        return AveragingServer(ctx, AlistarhCode(), step, Identity(self.model_bit))

    def worker(self, ctx: Context) -> Agent:
        return AlistarhWorker(ctx, self)


class AlistarhWorker:
    """Sends the T_A largest coordinates' signs and one scale."""

    def __init__(self, ctx: Context, algorithm: Alistarh) -> None:
        self.ctx = ctx
        self.code = AlistarhCode()
        self.model = Identity(algorithm.model_bit)

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            round, x = await receive_model(self.model, dim)
            await codec_work(self.ctx, self.model.decode_flop, dim)
            g = await Gradient(at=x)
            await codec_work(self.ctx, self.code.encode_flop, dim)
            upload = self.code.encode(g, self.ctx.rng())
            del g  # the next worker's gradient takes its memory, which is in cache
            # Values are one 32-bit scale and a sign per kept coordinate.
            await Report(round + 1, metrics={"budget": max(upload.value_bit - 32.0, 0.0)})
            await Send(self.ctx.server, upload, round)
