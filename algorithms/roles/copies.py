"""Servers and workers that all keep the model: each adds what the server's aggregate decodes to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count

from algorithms.roles.catching_up import Follower, Leader
from algorithms.roles.local import FixedSteps, LocalWorker
from algorithms.roles.star import Server, Star
from netsim.errors import ConfigError, Fault
from netsim.interfaces import Array, Code, Context, Decode, Encode, Inbox, Message, NodeId, Receive, Report


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
        self.leader = Leader(ctx, algorithm)
        self.x = ctx.facts.start

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            await self.exchange(round)

    async def exchange(self, round: int) -> None:
        """Take the workers' messages of one round and answer with an aggregate."""
        raise NotImplementedError

    async def gather(self, kind: str, round: int, asked: Sequence[NodeId]) -> Inbox:
        """Wait for one message of each worker asked, or for as long as patience lasts."""
        count, deadline_s = self.patience(len(asked))
        return await Receive(count, kind, round, deadline_s=deadline_s)

    async def add(self, round: int, code: Code, aggregate: Array | None, heard: Collection[NodeId] = ()) -> None:
        """Send the aggregate to those heard, where some may not be, and add what it decodes to; None: nobody was."""
        payload = None
        if aggregate is not None:
            sent = await Encode(code, aggregate, round, part=1)
            self.x, payload = self.x + sent.value, sent.payload
        await Report(round + 1, self.x)
        await self.leader.send(payload, self.x, heard, round, "aggregate")


class CopyWorker(LocalWorker):
    """Walks from its copy of the model.

    Attributes
    ----------
    x : the model, the same numbers as at the server, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: FixedSteps) -> None:
        super().__init__(ctx, algorithm)
        self.follower = Follower(ctx, algorithm)

    async def run(self) -> None:
        """Run the rounds."""
        round = 0
        while True:
            round = await self.exchange(round)

    async def exchange(self, round: int) -> int:
        """Take the local steps of one round, send what they came to, add the aggregate; return the next round."""
        raise NotImplementedError

    async def follow(self, code: Code, round: int) -> int:
        """Add the aggregate, or take a whole model in its place; return the next round."""
        message = await self.follower.next("aggregate", round)
        if message.kind == "model":
            return await self.catch_up(message)
        self.x = self.x + await Decode(code, message, part=1)
        return round + 1

    async def catch_up(self, message: Message) -> int:
        """Take a whole model; return the next round."""
        self.x = await self.follower.model(message)
        return message.round + 1
