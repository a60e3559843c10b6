"""Servers and workers that all keep the model: each adds what the server's aggregate decodes to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from algorithms.roles.local import FixedSteps, LocalWorker
from algorithms.roles.star import Server, Star
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Array, Code, Context, Decode, Encode, Message, Receive, Report, Send


@dataclass(frozen=True, kw_only=True)
class Copying(FixedSteps):
    """Keys of algorithms whose server sends aggregates and never a model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.broadcast != "auto":
            raise ConfigError([Fault(("broadcast",), "auto, as no model travels down", self.broadcast)])


class CopyServer(Server):
    """Makes one aggregate in every round.

    Attributes
    ----------
    x : the model, the same numbers as at every worker, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        super().__init__(ctx, algorithm)
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            await self.exchange(round)

    async def exchange(self, round: int) -> None:
        """Take the workers' messages of one round and answer with an aggregate."""
        raise NotImplementedError

    async def gather(self, kind: str, round: int) -> list[Message]:
        """Wait for one message of every worker, in increasing id."""
        return list((await Receive(len(self.ctx.workers), kind, round)).messages)

    async def add(self, round: int, code: Code, aggregate: Array) -> None:
        """Send the aggregate and add what it decodes to."""
        sent = await Encode(code, aggregate, round, part=1)
        self.x = self.x + sent.value
        await Report(round + 1, self.x)
        await Send(self.ctx.workers, sent.payload, round, "aggregate")


class CopyWorker(LocalWorker):
    """Walks from its copy of the model.

    Attributes
    ----------
    x : the model, the same numbers as at the server, shape (dim,).
    """

    async def run(self) -> None:
        """Run the rounds."""
        for round in count():
            await self.exchange(round)

    async def exchange(self, round: int) -> None:
        """Take the local steps of one round, send what they came to, and add the aggregate."""
        raise NotImplementedError

    async def answer(self, code: Code, kind: str, round: int) -> Array:
        """Wait for the server's message of that kind and round, and decode it."""
        (message,) = (await Receive(kind=kind, round=round)).messages
        value: Array = await Decode(code, message, part=1)
        return value
