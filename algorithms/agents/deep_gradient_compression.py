"""Very sparse gradients with momentum that is right for what is sent late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from algorithms.compressors.top_k import TopK
from algorithms.roles.parts import FloatBit
from algorithms.roles.star import Worker
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction, NonNegativeInt, PositiveFloat, Range
from netsim.interfaces import Agent, Array, Context, Report
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class DeepGradientCompression(Mindful):
    """u_m <- b u_m + g_m, v_m <- v_m + u_m; v_m is sent where largest, and both are 0 there; x -= gamma_k mean sent_m.

    Momentum is taken before what is kept back adds up (momentum correction), and ends where an entry is sent (factor
    masking). Gradients are clipped to the norm clip_norm / sqrt(M) before. Over the first `warmup_rounds` rounds the
    share that is sent is 25, 6.25, 1.5625 and 0.39 percent, a quarter of these rounds each, but never below `fraction`.

    Parameters
    ----------
    fraction
        Share of the entries that a message holds, rounded down, but at least one.
    momentum
        b; with 0 it is `dcgd` with `error_feedback` of `top_k`.
    clip_norm
        Norm of a gradient of all nodes together; nothing: no clipping.
    warmup_rounds
        Rounds of the warm-up of the sparsity, in the paper those of 4 epochs.
    float_bit
        Bits of a float in the upload.

    References
    ----------
    Lin, Han, Mao, Wang, Dally, "Deep gradient compression: reducing the communication bandwidth for distributed
    training", ICLR 2018, algorithms 1 and 4. Deviations: one threshold for all tensors, that of the exact k-th largest
    entry and not of a sample; what the floats of the wire round off stays in v.
    """

    fraction: Fraction = 0.001
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9
    clip_norm: PositiveFloat | None = None
    warmup_rounds: NonNegativeInt = 0
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"fraction": 0.2, "step_size": 0.05},
        {"fraction": 0.1, "momentum": 0.5, "clip_norm": 2.0, "warmup_rounds": 8, "step_size": 0.05},
    )

    def codec(self, ctx: Context) -> TopK:
        """Return what decodes a message of any number of entries."""
        return self.at(0)

    def at(self, round: int) -> TopK:
        """Return the code of a round."""
        share = self.fraction
        if round < self.warmup_rounds:
            share = max(share, 0.25 ** (1 + 4 * round // self.warmup_rounds))
        return TopK(fraction=share, float_bit=self.float_bit)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with both memories."""
        return DgcWorker(ctx, self)


class DgcWorker(Worker):
    """Sends the largest entries of its accumulated velocity.

    Attributes
    ----------
    u, v : velocity and its sum, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: DeepGradientCompression) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm = algorithm
        self.u = self.v = np.zeros_like(ctx.facts.start)

    async def upload(self, round: int, g: Array) -> None:
        """Accumulate, send and mask."""
        keys = self.algorithm
        if keys.clip_norm is not None:
            limit = keys.clip_norm / math.sqrt(len(self.ctx.workers))
            g = g * min(1.0, limit / (float(np.linalg.norm(g)) or limit))
        self.u = keys.momentum * self.u + g
        self.v = self.v + self.u
        sent = await self.send(round, keys.at(round), self.v)
        self.v = self.v - sent.value
        self.u = np.where(sent.value == 0, self.u, 0.0)
        await Report(round + 1, metrics={"budget": lambda: float(np.count_nonzero(sent.value))})
