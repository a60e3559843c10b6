"""Updates that are sent where they are large beside the parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from algorithms.compressors.top_k import TopK
from algorithms.roles.parts import FloatBit
from algorithms.roles.star import Server, Updates, Worker, step_of
from algorithms.roles.tolerant import Mindful
from netsim.fields import NonNegativeFloat
from netsim.interfaces import Agent, Array, Context, Report
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Gaia(Mindful):
    """a_m <- a_m + gamma_k g_m(x - a_m); its entries with |a_i| >= v_k |x_i| are sent and cleared; x -= mean sent_m.

    Every node works on a copy x - a_m of the model that has its own updates at once and those of others when they are
    significant. The virtual iterate x - mean a_m moves by -gamma_k mean g_m. With threshold 0 it is SGD.

    Parameters
    ----------
    threshold
        v: the significance of an update is its size beside the parameter's.
    decay
        ``root``: v_k = v / sqrt(k + 1). ``none``: v_k = v.
    float_bit
        Bits of a float in the upload.

    References
    ----------
    Hsieh, Harlap, Vijaykumar, Konomis, Ganger, Gibbons, Mutlu, "Gaia: geo-distributed machine learning approaching LAN
    speeds", NSDI 2017, section 4, significance filter of approximate synchronous parallel. Deviations: rounds are
    synchronous, so that no clocks or barriers limit how late an update comes; updates are averaged, and pass a server.
    """

    threshold: NonNegativeFloat = 0.01
    decay: Literal["root", "none"] = "root"
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"step_size": 0.05},
        {"threshold": 0.2, "decay": "none", "step_size": 0.1, "float_bit": 64},
    )

    def codec(self, ctx: Context) -> TopK:
        """Return the code of all entries that are not 0."""
        return TopK(k=ctx.facts.dim, float_bit=self.float_bit)

    def server(self, ctx: Context) -> Agent:
        """Return a server whose step is 1, as the workers' steps are in what they send."""
        return GaiaServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with a copy of its own."""
        return GaiaWorker(ctx, self)


class GaiaServer(Server):
    """Adds up what is significant."""

    async def step(self, round: int, updates: Updates) -> None:
        """Subtract the mean."""
        self.x = self.x - await updates.mean()


class GaiaWorker(Worker):
    """Applies its steps to its own copy, and sends what became significant.

    Attributes
    ----------
    x : the model that came last, shape (dim,).
    a : steps that are not sent yet, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Gaia) -> None:
        super().__init__(ctx, algorithm)
        self.algorithm, self.gamma = algorithm, step_of(algorithm, ctx)
        self.x = ctx.facts.start
        self.a = np.zeros_like(self.x)

    async def gradient(self, round: int, x: Array) -> Array:
        """Return the gradient at the copy."""
        self.x = x
        return await super().gradient(round, x - self.a)

    async def upload(self, round: int, g: Array) -> None:
        """Send the significant entries and clear them."""
        keys = self.algorithm
        self.a = self.a + self.gamma(round) * g
        limit = keys.threshold / (math.sqrt(round + 1.0) if keys.decay == "root" else 1.0)
        is_significant = np.abs(self.a) >= limit * np.abs(self.x)
        sent = await self.send(round, self.codec, np.where(is_significant, self.a, 0.0))
        self.a = self.a - sent.value
        await Report(round + 1, metrics={"budget": lambda: float(np.count_nonzero(sent.value))})
