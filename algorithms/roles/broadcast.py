"""How a server's model reaches its workers: whole, as what changed, or as the uploads it was made of; all exact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from algorithms.coding.changes import Changes, changes_bit
from algorithms.coding.several import Several
from algorithms.coding.uploads import Uploads
from algorithms.compressors.identity import Identity
from netsim.errors import SimulationError
from netsim.interfaces import Array, Code, Context, Decode, Encode, Message, NodeId, Send

if TYPE_CHECKING:
    from algorithms.roles.star import Server, Star

Broadcast: TypeAlias = Literal["auto", "dense", "changes", "relay"]
DENSE, CHANGES, RELAY = range(3)  # the header's flags of a model
WAYS = ("dense", "changes", "relay")


class Broadcaster:
    """The server's side: sends each model the shortest way that the algorithm and the network allow.

    A way other than dense needs a receiver that has the version before. A relay needs a model that is the step from
    that version along the uploads, and nothing else.

    Parameters
    ----------
    uploaders
        Who uploads, in increasing id.

    Attributes
    ----------
    counts : broadcasts so far by way.
    """

    def __init__(self, ctx: Context, algorithm: Star, uploaders: Sequence[NodeId]) -> None:
        if algorithm.broadcast not in ("auto", "dense") and not ctx.is_reliable:
            raise SimulationError(
                f"broadcast: {algorithm.broadcast} needs links that deliver every message, as each model builds on the "
                "one before. The network can lose messages: take broadcast: dense."
            )
        # A worker that takes the newest of several models needs no other one.
        sure = is_sure(ctx, algorithm)
        self.way, self.allowed = algorithm.broadcast, (sure, sure and algorithm.relays)
        self.float_bit, self.notes = algorithm.model_bit, algorithm.model_notes()
        self.uploads, self.uploaders = Uploads(len(uploaders)), tuple(uploaders)
        self.versions: dict[NodeId, Array] = {}
        self.counts = dict.fromkeys(WAYS, 0)

    async def send(
        self,
        to: tuple[NodeId, ...],
        x: Array,
        notes: Sequence[float],
        round: int,
        kind: str,
        made_of: tuple[Array, Mapping[NodeId, Message | None]] | None,
    ) -> None:
        """Send a model.

        Parameters
        ----------
        to
            The receivers.
        x, notes
            The model as all ends hold it, and floats beside it.
        round, kind
            Of the message.
        made_of
            The version and the uploads of which the algorithm's step made `x` and `notes`, where it did.
        """
        bases = {id(self.versions.get(node)): self.versions.get(node) for node in to}
        since = bases.popitem()[1] if len(bases) == 1 else None
        relayed = None
        if made_of is not None and made_of[0] is since:
            relayed = [None if m is None else m.data for m in map(made_of[1].get, self.uploaders)]
        way = self._shortest(x, since, relayed)
        if way == RELAY:
            sent = await Encode(self.uploads, relayed, round)
        else:
            code: Any = Identity(self.float_bit) if since is None or way == DENSE else Changes(since, self.float_bit)
            sent = await Encode(noted(code, self.notes), (np.array(notes), x) if self.notes else x, round)
        await Send(to, sent.payload.flagged(way), round, kind)
        self.counts[WAYS[way]] += 1
        self.versions |= dict.fromkeys(to, x)

    def _shortest(self, x: Array, since: Array | None, relayed: Sequence[bytes | None] | None) -> int:
        """Return the way with the fewest bytes, the first of those that are equal."""
        can_change, can_relay = self.allowed
        dense_bytes = (32 * self.notes + self.float_bit * x.size) // 8
        sizes = {DENSE: dense_bytes}
        if since is not None and can_change and self.way in ("auto", "changes"):
            limit_bit = 8 * dense_bytes if self.way == "auto" else 1 << 62
            sizes[CHANGES] = math.ceil((32 * self.notes + changes_bit(since, x, self.float_bit, limit_bit)) / 8)
        if relayed is not None and can_relay and self.way in ("auto", "relay"):
            sizes[RELAY] = self.uploads.size_bytes([None if data is None else len(data) for data in relayed])
        if self.way != "auto":
            return max(sizes)
        return min(sizes, key=lambda way: (sizes[way], way))


class Listener:
    """A worker's side: holds the model of the last broadcast.

    Attributes
    ----------
    x, notes : the model and the floats that came with it.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.algorithm, self.ctx = algorithm, ctx
        self.x: Array = np.zeros(0)
        self.notes: Array = np.zeros(algorithm.model_notes())
        self._replica: Server | None = None

    async def take(self, message: Message) -> None:
        """Decode a model, or repeat the step that made it."""
        if message.flags == RELAY:
            await self._repeat(message)
            return
        float_bit = self.algorithm.model_bit
        code: Any = Identity(float_bit) if message.flags == DENSE else Changes(self.x, float_bit)
        value = await Decode(noted(code, self.notes.size), message)
        self.notes, self.x = value if isinstance(value, tuple) else (self.notes, value)

    async def _repeat(self, message: Message) -> None:
        if self._replica is None:
            self._replica = self.algorithm.replica(self.ctx)
        replica, round = self._replica, message.round - 1
        uploaders = replica.ctx.workers
        parts = await Decode(Uploads(len(uploaders)), message)
        uploads = {
            node: None if data is None else Message(node, round, "update", data)
            for node, data in zip(uploaders, parts, strict=True)
        }
        replica.asked = [node for node, upload in uploads.items() if upload is not None]
        replica.x, replica.notes = self.x, tuple(self.notes.tolist())
        await replica.take(round, replica.updates(uploads))
        self.x, self.notes = replica.x, np.array(replica.notes)


def is_sure(ctx: Context, algorithm: Star) -> bool:
    """Return whether all workers take part in every round: nothing is lost, and the server waits for all."""
    return ctx.is_reliable and algorithm.patience(len(ctx.workers)) == (len(ctx.workers), None)


def noted(codec: Any, notes: int) -> Code:
    """Return the codec of a vector with that many floats of 32 bits before it."""
    return Several((Identity(), codec), (notes, None)) if notes else codec
