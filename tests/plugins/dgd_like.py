"""Decentralised gradient descent between peers, as a user would add it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from algorithms.roles.parts import collect
from netsim.fields import PositiveFloat
from netsim.interfaces import Agent, Context, Encode, Gradient, Report, Send
from netsim.registry import build, component


@component("algorithm")
@dataclass(frozen=True)
class DgdLike:
    """x_i <- sum_j w_ij x_j - gamma grad f_i(x_i).

    Parameters
    ----------
    step_size
        gamma.

    References
    ----------
    Nedic, Ozdaglar, "Distributed subgradient methods for multi-agent optimization", IEEE TAC 2009, eq. (3).
    """

    step_size: PositiveFloat

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({"step_size": 0.1},)

    def peer(self, ctx: Context) -> Agent:
        return DgdLikePeer(ctx, self)


class DgdLikePeer:
    """One peer: sends its model to its neighbours and mixes theirs in."""

    def __init__(self, ctx: Context, algorithm: DgdLike) -> None:
        self.ctx = ctx
        self.step_size = algorithm.step_size
        self.code = build("compressor", {"name": "identity", "float_bit": 64})
        self.x = ctx.facts.start

    async def run(self) -> None:
        await Report(0, self.x)
        for round in count():
            weights = self.ctx.neighbours(round)
            sent = await Encode(self.code, self.x, round)
            await Send(tuple(weights), sent.payload, round, "model")
            g = await Gradient(at=self.x)
            mixed = (1.0 - sum(weights.values())) * self.x
            for node, x in (await collect(self.code, len(weights), "model", round)).items():
                mixed = mixed + weights[node] * x
            self.x = mixed - self.step_size * g
            await Report(round + 1, self.x)
