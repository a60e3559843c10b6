"""SCAFFOLD: control variates take the drift of unlike clients out of their local steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.several import Several
from algorithms.coding.wrappers import require_memoryless
from algorithms.compressors.identity import Identity
from algorithms.roles.federated import Federated, FederatedServer
from algorithms.roles.local import LocalWorker
from algorithms.roles.star import Updates
from algorithms.roles.tolerant import Mindful
from netsim.fields import PositiveFloat
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Receive, Send
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Scaffold(Federated, Mindful):
    """Local steps y <- y - gamma (g_m(y) - c_m + c), with c_m client m's control variate and c = (1/M) sum_m c_m.

    After its K steps a client takes c_m <- c_m - c + (x - y) / (K gamma), option II, and sends y - x and the change of
    c_m; the server takes x <- x + (eta / |S|) sum (y_m - x) and c <- c + (1/M) sum of the changes. Both ends add what
    the changes decode to. With full batches the minimiser is a fixed point however much clients differ.

    Parameters
    ----------
    server_step
        eta.
    compressor
        Of each of the two vectors; one that keeps a memory is refused.
    step_size
        gamma: ``auto`` is 1 / max_m L_m; a number; or a step rule by a client's own steps (K gamma is then their sum).

    References
    ----------
    Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic controlled averaging for federated learning",
    ICML 2020, algorithm 1. Deviation: the paper's vectors are not compressed.
    """

    server_step: PositiveFloat = 1.0

    examples: ClassVar[Examples] = (
        {"local_steps": 3, "step_size": 0.1},
        {"epochs": 1, "participation": 0.67, "step_size": 0.1, "server_step": 0.5},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_memoryless(compressor=self.compressor)

    def codec(self, ctx: Context) -> Any:
        """Return the codec of two vectors."""
        one = super().codec(ctx)
        return Several((one, one), (None, None))

    def down(self) -> Several:
        """Return the codec of x and c."""
        return Several((Identity(self.model_bit),) * 2, (None, None))

    def server(self, ctx: Context) -> Agent:
        """Return a server that keeps c."""
        return ScaffoldServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a client that keeps c_m."""
        return ScaffoldClient(ctx, self)


class ScaffoldServer(FederatedServer):
    """Keeps x and c; both are what the clients decode."""

    def __init__(self, ctx: Context, algorithm: Scaffold) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.eta, self.two = algorithm.server_step, algorithm.down()
        self.c = np.zeros_like(self.x)

    async def send_model(self, round: int, kind: str) -> None:
        """Send x and c to the clients of the round."""
        sent = await Encode(self.two, (self.x, self.c), round)  # line 4
        await Send(tuple(self.asked), sent.payload, round, kind)

    async def step(self, round: int, updates: Updates) -> None:
        """Add the mean of the clients' changes."""
        changes = await updates.decoded()
        self.x = self.x + self.eta / max(len(changes), 1) * sum(dy for dy, _ in changes)  # lines 16, 17
        self.c = self.rounded(self.c + sum(dc for _, dc in changes) / len(self.ctx.workers))


class ScaffoldClient(LocalWorker):
    """Keeps its control variate c_m."""

    def __init__(self, ctx: Context, algorithm: Scaffold) -> None:
        super().__init__(ctx, algorithm)
        self.two = algorithm.down()
        self.c_m, self.c = np.zeros_like(ctx.facts.start), np.zeros_like(ctx.facts.start)

    async def run(self) -> None:
        """Run the rounds."""
        while True:
            (message,) = (await Receive(kind="model", take="latest")).messages
            self.x, self.c = await Decode(self.two, message)
            batches, first = self.local.batches(self.ctx), self.steps
            y = await self.walk(batches)  # lines 8-11
            gammas = sum(self.gamma(t) for t in range(first, self.steps))
            change = (self.x - y) / gammas - self.c  # line 12, option II
            sent = await self.send(message.round, self.codec, (y - self.x, change))  # line 13
            self.c_m = self.c_m + sent.value[1]  # line 14

    def changed(self, x: Array, g: Array) -> Array:
        """Return the corrected gradient."""
        return g - self.c_m + self.c  # line 10
