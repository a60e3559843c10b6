"""Gossip with compressed differences and an event trigger, as a user would add it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.roles.parts import collect
from netsim.fields import Fraction, NonNegativeFloat, PositiveFloat, Ref
from netsim.interfaces import Agent, Context, Encode, Gradient, Report, Send, Silent
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class SparqLike:
    """x+ = x - eta g; q = C(x+ - xh) where ||x+ - xh||^2 > c eta^2; x <- x+ + gamma sum_j w_ij (xh_j - xh_i)."""

    compressor: Annotated[Codec, Ref("compressor")]
    eta: PositiveFloat = 0.1
    gamma: Fraction = 0.3
    threshold: NonNegativeFloat = 0.0

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"compressor": {"name": "top_k", "k": 3}, "threshold": 1.0},)

    def peer(self, ctx: Context) -> Agent:
        return SparqLikePeer(ctx, self)


class SparqLikePeer:
    def __init__(self, ctx: Context, algorithm: SparqLike) -> None:
        self.ctx, self.algorithm = ctx, algorithm
        self.x, self.copies = (
            ctx.facts.start,
            dict.fromkeys((ctx.node, *ctx.neighbours(0)), np.zeros_like(ctx.facts.start)),
        )

    async def run(self) -> None:
        a, me, weights = self.algorithm, self.ctx.node, self.ctx.neighbours(0)
        await Report(0, self.x)
        for round in count():
            x = self.x - a.eta * await Gradient(at=self.x)
            difference, mine = x - self.copies[me], None
            if difference @ difference > a.threshold * a.eta**2:
                sent = await Encode(a.compressor, difference, round)
                await Send(tuple(weights), sent.payload, round)
                mine = sent.value
            else:
                await Silent(tuple(weights), round)
            for node, q in {me: mine, **await collect(a.compressor, len(weights), "update", round)}.items():
                self.copies[node] = self.copies[node] if q is None else self.copies[node] + q
            self.x = x + a.gamma * sum(w * (self.copies[j] - self.copies[me]) for j, w in weights.items())
            await Report(round + 1, self.x)
