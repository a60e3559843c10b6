"""A server that takes uploads as they come, and workers that ask where no answer comes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from algorithms.roles.local import Local, LocalWorker
from algorithms.roles.star import Server, Star, Updates
from netsim.interfaces import Array, Context, Message, NodeId, Payload, Receive, Report, Send


class AsynchronousServer(Server):
    """Takes all uploads of one instant together, in increasing id, and then answers those who sent them.

    Attributes
    ----------
    version : commits so far, which is the round of the model's messages.
    known : the version that each worker was sent last.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        super().__init__(ctx, algorithm)
        self.version = 0
        self.known: dict[NodeId, int] = dict.fromkeys(ctx.workers, 0)

    async def run(self) -> None:
        """Send the model to all, then take and answer what comes."""
        await Report(0, self.x)
        await self.answer(self.asked)
        while True:
            messages = sorted((await Receive(take="all")).messages, key=lambda message: message.src)
            updates = [message for message in messages if message.kind == "update"]
            if updates:
                await self.take_in(updates)
            await self.answer(self.next_ones(messages))

    def next_ones(self, messages: Sequence[Message]) -> Sequence[NodeId]:
        """Return who gets the model after these messages; here their senders."""
        return [message.src for message in messages]

    async def take_in(self, messages: Sequence[Message]) -> None:
        """Change the model by uploads that came at one instant; here one commit for all."""
        updates = Updates(self.codec, {message.src: message for message in messages})
        staleness = [self.version - self.known[node] for node in updates.senders]
        await self.step(self.version, updates)
        await self.commit(self.x, staleness)

    async def commit(self, x: Array, staleness: Sequence[int]) -> None:
        """Make `x` the next version; `staleness` counts the commits since the uploaders' models."""
        self.x, self.version = self.rounded(x), self.version + 1
        metrics = {"staleness": sum(staleness) / len(staleness), "batch": float(len(staleness))}
        await Report(self.version, self.x, metrics)

    async def answer(self, workers: Sequence[NodeId]) -> None:
        """Send these workers the model."""
        if not workers:
            return
        self.asked = workers
        self.known |= dict.fromkeys(workers, self.version)
        await self.broadcast(self.version)


class AskingWorker(LocalWorker):
    """Walks from every model it gets, and asks for one, by a header alone, where it has heard nothing for long.

    It numbers its messages by itself, as a model may come twice.

    Parameters
    ----------
    deadline_s
        How long, a half more or less, drawn anew so that workers do not ask, and collide, all at once; None: for ever.
    """

    def __init__(self, ctx: Context, algorithm: Local, deadline_s: float | None) -> None:
        super().__init__(ctx, algorithm)
        self.deadline_s = deadline_s

    async def run(self) -> None:
        """Train and upload."""
        for number in count():
            while not (inbox := await Receive(kind="model", take="latest", deadline_s=self.patience_s())).messages:
                await Send(self.ctx.server, Payload(b"", 0.0), number, "request")
            self.x = await self.decoded(inbox.messages[0])
            await self.upload(number, self.x - await self.walk(self.local.batches(self.ctx)))

    def patience_s(self) -> float | None:
        """Draw how long to wait for the next model."""
        return self.deadline_s and self.deadline_s * float(self.ctx.rng("patience").uniform(0.5, 1.5))
