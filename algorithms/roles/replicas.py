"""Models that every node keeps itself: the server sends the step, compressed, and all take what it decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from algorithms.coding.codec import Codec
from algorithms.roles.catching_up import Follower, Leader
from algorithms.roles.star import Server, Star, Updates, Worker, step_of
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Agent, Array, Context, Decode, Encode, Payload, Report


@dataclass(frozen=True, kw_only=True)
class Replicated(Star):
    """Keys of a star in which x^{k+1} = x^k - gamma_k D(u), u what the server makes of the uploads and D its code.

    All nodes start from x^0.

    Parameters
    ----------
    model_bit, broadcast
        No effect: steps are sent, and a whole model without rounding.
    quorum, deadline_s
        The server goes on after so many uploads, or so many seconds after its last message. Who was not heard in time
        gets the whole model in place of the step.
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
        self.leader = Leader(ctx, algorithm)
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            updates = await self.collect(round)
            payload = await self.move(round, updates) if len(updates) else None
            await self.leader.send(payload, self.x, updates.in_time, round, "step")
            await Report(round + 1, self.x)

    async def move(self, round: int, updates: Updates) -> Payload:
        """Take the step of a round, and return its message."""
        sent = await Encode(self.down_code, await self.direction(updates), round, self.memory)
        self.memory = sent.memory
        self.x = self.x - self.gamma(round) * sent.value
        return sent.payload

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
        self.follower = Follower(ctx, algorithm)
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        round = 0
        while True:
            await self.upload(round, await self.gradient(round, self.x))
            message = await self.follower.next("step", round)
            if message.kind == "step":
                self.take(round, await Decode(self.down_code, message))
            else:
                self.x = await self.follower.model(message)
            round = message.round + 1

    def take(self, round: int, step: Array) -> None:
        """Take the server's step."""
        self.x = self.x - self.gamma(round) * step
