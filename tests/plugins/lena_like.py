"""A lazy worker as a user would add it: it uploads only when what it has kept back is large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.compressors.identity import Identity
from algorithms.roles.star import Server, Star, Updates, Worker, step_of
from netsim.fields import NonNegativeFloat
from netsim.interfaces import Agent, Array, Context, Silent
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class LenaLike(Star):
    """p = e + alpha g is sent where ||p||^2 >= beta alpha^2 ||g||^2, else e = p; the server subtracts their sum / M.

    Parameters
    ----------
    beta
        0 sends in every round.
    """

    beta: NonNegativeFloat = 40.0

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"beta": 0.0, "step_size": 0.1})

    def codec(self, ctx: Context) -> Identity:
        return Identity()

    def server(self, ctx: Context) -> Agent:
        return LenaLikeServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        return LenaLikeWorker(ctx, self)


class LenaLikeServer(Server):
    async def step(self, round: int, updates: Updates) -> None:
        self.x = self.x - (await updates.sum()) / len(self.ctx.workers)


class LenaLikeWorker(Worker):
    def __init__(self, ctx: Context, algorithm: LenaLike) -> None:
        super().__init__(ctx, algorithm)
        self.beta, self.alpha, self.e = algorithm.beta, step_of(algorithm, ctx), np.zeros_like(ctx.facts.start)

    async def upload(self, round: int, g: Array) -> None:
        p = self.e + self.alpha(round) * g
        if round == 0 or p @ p >= self.beta * self.alpha(round) ** 2 * (g @ g):
            self.e = p - (await self.send(round, self.codec, p)).value
        else:
            self.e = p
            await Silent(self.ctx.server, round)
