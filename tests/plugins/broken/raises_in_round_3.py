"""Peers that average, until one of them stumbles in round 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from algorithms.roles.parts import collect
from netsim.interfaces import Agent, Context, Encode, Gradient, Report, Send
from netsim.registry import build, component


@component("algorithm")
@dataclass(frozen=True)
class RaisesInRound3:
    """x_i <- sum_j w_ij x_j - 0.1 grad f_i(x_i)."""

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def peer(self, ctx: Context) -> Agent:
        return Peer(ctx)


class Peer:
    """One peer."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.x = ctx.facts.start
        self.step_sizes = [0.1, 0.1, 0.1]

    async def run(self) -> None:
        code = build("compressor", {"name": "identity", "float_bit": 64})
        await Report(0, self.x)
        for round in count():
            weights = self.ctx.neighbours(round)
            sent = await Encode(code, self.x, round)
            await Send(tuple(weights), sent.payload, round, "model")
            g = await Gradient(at=self.x)
            mixed = (1.0 - sum(weights.values())) * self.x
            for node, x in (await collect(code, len(weights), "model", round)).items():
                mixed = mixed + weights[node] * x
            self.x = mixed - self.step_sizes[round] * g
            await Report(round + 1, self.x)
