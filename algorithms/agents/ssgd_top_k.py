"""Sparse SGD by top-K: every worker sends its own largest coordinates, with their positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback
from algorithms.compressors.top_k import TopK
from algorithms.roles.copies import Copying, CopyServer, CopyWorker
from algorithms.roles.parts import FloatBit
from algorithms.roles.tolerant import Mindful
from netsim.fields import Fraction
from netsim.interfaces import Agent, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class SsgdTopK(Copying, Mindful):
    """D_n = (how far H local steps led) + e_n; the K largest |D_n| are sent, e_n <- D_n - sent; x <- x + mean sent.

    The mean has up to N K nonzeros and travels down sparse. All workers keep x themselves and start from the same.
    Positions are block coded both ways, as in the paper's Table 1.

    Parameters
    ----------
    fraction
        phi: K = max(floor(phi d), 1).
    float_bit, model_bit
        Bits of a value in the upload and in the mean.
    quorum, deadline_s
        The server goes on after so many uploads, or so many seconds after its last message. Who was not heard in time
        gets the whole model in place of the mean; a late upload counts when it comes.

    References
    ----------
    Ozfatura, Ozfatura, Gunduz, "Distributed sparse SGD with majority voting", arXiv 2011.06495, 2020, the baseline of
    section 2.1 and Table 1.
    """

    fraction: Fraction
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"fraction": 0.25, "local_steps": 1, "step_size": 0.1},
        {"fraction": 0.1, "local_steps": 4, "step_size": 0.1, "momentum": 0.5},
    )

    def codec(self, ctx: Context) -> Codec:
        """Return the K largest with the error memory."""
        return ErrorFeedback(TopK(fraction=self.fraction, float_bit=self.float_bit, index="block_paper"))

    def down(self) -> Codec:
        """Return the codec of all nonzeros."""
        return TopK(fraction=1.0, float_bit=self.model_bit, index="block_paper")

    def server(self, ctx: Context) -> Agent:
        """Return a server that averages."""
        return SsgdTopKServer(ctx, self.at_server())

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an error memory."""
        return SsgdTopKWorker(ctx, self)


class SsgdTopKServer(CopyServer):
    """Sends the mean of what came."""

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.down = algorithm.down()

    async def exchange(self, round: int) -> None:
        """Average one round."""
        updates = await self.collect(round)
        await self.add(round, self.down, await updates.mean() if len(updates) else None, updates.in_time)


class SsgdTopKWorker(CopyWorker):
    """Keeps e_n in `memory`."""

    def __init__(self, ctx: Context, algorithm: SsgdTopK) -> None:
        super().__init__(ctx, algorithm)
        self.down = algorithm.down()

    async def exchange(self, round: int) -> int:
        """Take one round's steps and send the largest coordinates."""
        led = await self.walk(self.local.batches(self.ctx)) - self.x
        await self.upload(round, led)
        return await self.follow(self.down, round)
