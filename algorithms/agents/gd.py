"""Distributed gradient descent without compression: the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.compressors.identity import Identity
from algorithms.roles.star import AveragingServer, FloatBit, StepSize, codec_work, receive_model, step_rule
from netsim.interfaces import Agent, Context, Gradient, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class Gd:
    """x^{k+1} = x^k - (gamma_k / M) sum_m grad f_m(x^k), with dense gradients.

    With minibatches in the problem it is distributed SGD.

    Parameters
    ----------
    step_size
        ``auto`` is 1/L of F; a number; or a step rule such as ``{name: inverse_round, a: 1}``.
    float_bit, model_bit
        Bits of a float in the upload and in the broadcast.
    """

    step_size: StepSize = "auto"
    float_bit: FloatBit = 32
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"step_size": 0.1}, {"float_bit": 64, "model_bit": 64})

    def server(self, ctx: Context) -> Agent:
        step = step_rule(self.step_size, ctx.facts.smoothness)
        return AveragingServer(ctx, Identity(self.float_bit), step, Identity(self.model_bit))

    def worker(self, ctx: Context) -> Agent:
        return GdWorker(ctx, self)


class GdWorker:
    """Sends its whole gradient every round."""

    def __init__(self, ctx: Context, algorithm: Gd) -> None:
        self.ctx = ctx
        self.code = Identity(algorithm.float_bit)
        self.model = Identity(algorithm.model_bit)

    async def run(self) -> None:
        dim = self.ctx.facts.dim
        while True:
            round, x = await receive_model(self.model, dim)
            await codec_work(self.ctx, self.model.decode_flop, dim)
            upload = self.code.encode(await Gradient(at=x), self.ctx.rng())
            await codec_work(self.ctx, self.code.encode_flop, dim)
            await Send(self.ctx.server, upload, round)
