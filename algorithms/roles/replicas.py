"""Models that every node keeps itself: the server sends the step, compressed, and all take what it decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from algorithms.coding.codec import Codec
from algorithms.roles.star import Server, Star, Updates, Worker, step_of
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Receive, Report, Send


@dataclass(frozen=True, kw_only=True)
class Replicated(Star):
    """Keys of a star in which x^{k+1} = x^k - gamma_k D(u), u what the server makes of the uploads and D its code.

    All nodes start from x^0 and no model is ever sent, so that `model_bit` has no effect and `broadcast` no choice.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.broadcast != "auto":
            raise ConfigError([Fault(("broadcast",), "auto, as steps are sent down and no models", self.broadcast)])

    def down(self, ctx: Context) -> Codec:
        """Return D; here the code of the uploads."""
        return self.codec(ctx)

    def server(self, ctx: Context) -> Agent:
        """Return a server that sends steps."""
        return ReplicaServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that keeps the model."""
        return ReplicaWorker(ctx, self)


class ReplicaServer(Server):
    """Sends the mean of the uploads, compressed, and takes the step that all take.

    Attributes
    ----------
    memory : of the code down, None where it keeps none.
    """

    def __init__(self, ctx: Context, algorithm: Replicated) -> None:
        super().__init__(ctx, algorithm)
        self.down_code, self.memory = algorithm.down(ctx), None
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            step = await self.direction(await self.collect(round))
            sent = await Encode(self.down_code, step, round, self.memory)
            self.memory = sent.memory
            await Send(self.ctx.workers, sent.payload, round, "step")
            self.x = self.x - self.gamma(round) * sent.value
            await Report(round + 1, self.x)

    async def direction(self, updates: Updates) -> Array:
        """Return what is to be sent down."""
        return await updates.mean()


class ReplicaWorker(Worker):
    """Uploads at its own model, and takes the server's step.

    Attributes
    ----------
    x : the model, the same at all nodes, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Replicated) -> None:
        super().__init__(ctx, algorithm)
        self.down_code, self.gamma = algorithm.down(ctx), step_of(algorithm, ctx)
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        for round in count():
            await self.upload(round, await self.gradient(round, self.x))
            (message,) = (await Receive(1, "step", round)).messages
            self.take(round, await Decode(self.down_code, message))

    def take(self, round: int, step: Array) -> None:
        """Take the server's step."""
        self.x = self.x - self.gamma(round) * step
