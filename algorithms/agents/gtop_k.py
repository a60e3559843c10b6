"""The k largest entries of the sum of everybody's k largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.compressors.top_k import TopK
from algorithms.roles.parts import FloatBit
from algorithms.roles.replicas import Replicated, ReplicaWorker
from netsim.fields import PositiveInt
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True, kw_only=True)
class GtopK(Replicated):
    """v_m = top_k(g_m + e_m), V = top_k(mean v_m), x^{k+1} = x^k - gamma_k V; e_m keeps what neither v_m nor V has.

    An upload's entry that is not among those of V returns to the memory of its worker, so that at a constant step the
    virtual iterate x^k - gamma mean e_m moves by -gamma mean g_m. Both directions carry k entries, whatever M is.

    Parameters
    ----------
    k
        Entries of every message.
    step_size
        ``auto`` is 1/L of F; what theory admits shrinks with k / d. A number, or a step rule.
    float_bit
        Bits of a float in all messages.

    References
    ----------
    Shi, Wang, Zhao, Tang, Wang, Huang, Chu, "A distributed synchronous SGD algorithm with global top-k sparsification
    for low bandwidth networks", ICDCS 2019. Deviation: the server takes the k largest of the whole
    mean, not of pairs up a tree.
    """

    counts_entries: ClassVar[tuple[str, ...]] = ("k",)

    k: PositiveInt
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"k": 3, "step_size": 0.1},
        {"k": 5, "step_size": 0.2, "float_bit": 64},
    )

    def codec(self, ctx: Context) -> TopK:
        """Return the code of both directions."""
        return TopK(k=self.k, float_bit=self.float_bit)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an error memory."""
        return GtopKWorker(ctx, self)


class GtopKWorker(ReplicaWorker):
    """Sends its k largest entries, and takes back those that the server leaves out.

    Attributes
    ----------
    e, sent : error memory and the last upload, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: GtopK) -> None:
        super().__init__(ctx, algorithm)
        self.e = self.sent = np.zeros_like(self.x)

    async def upload(self, round: int, g: Array) -> None:
        """Send the k largest entries of g + e."""
        p = g + self.e
        self.sent = (await self.send(round, self.codec, p)).value
        self.e = p - self.sent

    def take(self, round: int, step: Array) -> None:
        """Take the step, and back what is not part of it."""
        super().take(round, step)
        self.e = self.e + np.where(step == 0, self.sent, 0.0)
