"""Copies of a model that move by the server's steps: whoever may have missed one gets the whole model."""

from __future__ import annotations

from collections.abc import Collection

from algorithms.compressors.identity import Identity
from algorithms.roles.broadcast import is_sure
from algorithms.roles.star import Star
from netsim.interfaces import Array, Context, Decode, Encode, Message, NodeId, Payload, Receive, Send


def exact(ctx: Context) -> Identity:
    """Return the code of a model that loses nothing."""
    return Identity(64 if ctx.facts.dtype.itemsize == 8 else 32)


class Leader:
    """The server's side: an upload of a round in time proves that its sender has that round's model."""

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.workers, self.code, self.is_sure = ctx.workers, exact(ctx), is_sure(ctx, algorithm)

    async def send(self, step: Payload | None, x: Array, heard: Collection[NodeId], round: int, kind: str) -> None:
        """Send the step from the round's model to those heard in time, and where it led to all others.

        Parameters
        ----------
        step
            Of that kind; None: the model stays as it is.
        x
            The model after it.
        """
        current = self.workers if self.is_sure else tuple(sorted(heard))
        if step is None:
            current = ()
        else:
            await Send(current, step, round, kind)
        others = tuple(node for node in self.workers if node not in current)
        if others:
            await Send(others, (await Encode(self.code, x, round, part=2)).payload, round, "model")


class Follower:
    """A worker's side."""

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.code, self.is_sure = exact(ctx), is_sure(ctx, algorithm)

    async def next(self, kind: str, round: int) -> Message:
        """Wait for the step from the round's model, or for a whole model of that round or a later one."""
        if self.is_sure:
            return (await Receive(1, kind, round)).messages[0]
        while True:
            found = (await Receive(take="all")).messages
            newest = max(found, key=lambda message: (message.round, message.kind == "model"))
            if newest.round >= round:
                return newest

    async def model(self, message: Message) -> Array:
        """Decode a whole model."""
        x: Array = await Decode(self.code, message, part=2)
        return x
