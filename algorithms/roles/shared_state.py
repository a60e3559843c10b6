"""A vector h_m that worker and server both know: the worker sends changes, and both add what these decode to."""

from __future__ import annotations

import numpy as np

from algorithms.coding.memory import unsent
from algorithms.roles.parts import Momentum
from algorithms.roles.star import Server, Star, Updates, Worker
from netsim.interfaces import Array, Context, Encode, Encoded


class StateServer(Server):
    """Keeps h = (1/M) sum_m h_m and steps along h + (1/M) sum_m c_m, where c_m is what worker m sent.

    A worker that is silent, or was not asked, counts as c_m = 0.

    Parameters
    ----------
    rate
        a in h <- h + a c; with 1 the step is along the new h.
    momentum
        Heavy-ball factor of the steps.

    Attributes
    ----------
    h : shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Star, rate: float = 1.0, momentum: float = 0.0) -> None:
        super().__init__(ctx, algorithm)
        self.rate, self.momentum = rate, Momentum(momentum)
        self.h = np.zeros_like(self.x)

    async def step(self, round: int, updates: Updates) -> None:
        """Step, and add the mean change."""
        change = (await updates.sum()) / len(self.ctx.workers)
        direction = self.momentum.direction(self.h + change)
        self.h = self.h + self.rate * change
        self.x = self.x - self.gamma(round) * direction


class StateWorker(Worker):
    """Keeps h_m and sends C(g - h_m).

    Parameters
    ----------
    rate
        a in h_m <- h_m + a C(g - h_m), as at the server.

    Attributes
    ----------
    h : shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Star, rate: float = 1.0) -> None:
        super().__init__(ctx, algorithm)
        self.rate = rate
        self.h = np.zeros_like(ctx.facts.start)

    async def upload(self, round: int, g: Array) -> None:
        """Send the compressed change and add what it decodes to."""
        await self.tell(round, await self.encode_change(round, g))

    async def encode_change(self, round: int, g: Array) -> Encoded:
        """Encode g - h_m."""
        sent = await Encode(self.codec, g - self.h, round, self.memory)
        self.memory = sent.memory
        return sent

    async def tell(self, round: int, change: Encoded) -> Encoded:
        """Send an encoded change and add what arrives of it."""
        told = await self.deliver(round, change, lambda: unsent(self.codec, self.h, self.memory))
        self.h = self.h + self.rate * told.value
        return told
