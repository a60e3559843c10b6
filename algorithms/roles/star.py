"""A server and its workers: broadcast, gradient, upload, step. An algorithm overrides what its paper adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.several import Several
from algorithms.compressors.identity import Identity
from algorithms.roles.parts import FloatBit, StepSize, step_rule
from netsim.interfaces import (
    Agent,
    Array,
    Code,
    Context,
    Decode,
    Encode,
    Encoded,
    Gradient,
    Message,
    NodeId,
    Receive,
    Report,
    Send,
    Sum,
)


@dataclass(frozen=True, kw_only=True)
class Star:
    """Keys of every algorithm of a server and workers, and the agents that it starts from.

    Parameters
    ----------
    step_size
        ``auto``, which is 1/L unless the algorithm says otherwise; a number; or a step rule such as
        ``{name: inverse_round, a: 1}``.
    model_bit
        Bits of a float in the broadcast.
    """

    step_size: StepSize = "auto"
    model_bit: FloatBit = 32

    tolerates: ClassVar[frozenset[str]] = frozenset()

    def codec(self, ctx: Context) -> Codec:
        """Return the codec of the uploads."""
        raise NotImplementedError

    def auto_step(self, ctx: Context) -> float:
        """Return the step size that ``auto`` stands for."""
        return 1.0 / ctx.facts.smoothness

    def upload_notes(self) -> int:
        """Return how many floats of 32 bits travel with every upload."""
        return 0

    def model_notes(self) -> int:
        """Return how many floats of 32 bits travel with every model."""
        return 0

    def patience(self, asked: int) -> tuple[int, float | None]:
        """Return how many answers end a round, and the seconds after which it ends without them."""
        return asked, None

    def server(self, ctx: Context) -> Agent:
        """Return the server's agent."""
        return Server(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return one worker's agent."""
        return Worker(ctx, self)


class Updates:
    """What a server heard in one round.

    Attributes
    ----------
    messages : by sender in increasing id; None for a worker that was silent.
    """

    def __init__(self, codec: Code, messages: Mapping[NodeId, Message | None]) -> None:
        self.messages = messages
        self._codec = codec
        self._sent = [message for message in messages.values() if message is not None]

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def senders(self) -> tuple[NodeId, ...]:
        """Who sent an upload, in increasing id."""
        return tuple(message.src for message in self._sent)

    async def sum(self, weights: Sequence[float] | None = None) -> Array:
        """Add up the decoded uploads, with a weight each where there are weights."""
        return await Sum(self._codec, self._sent, weights)

    async def mean(self) -> Array:
        """Return the mean of the decoded uploads; zeros where nobody sent one."""
        return (await self.sum()) / max(len(self), 1)

    async def vectors(self) -> dict[NodeId, Any]:
        """Return the decoded upload, with its notes where it has some, of every worker; None for a silent one."""
        return {node: None if m is None else await Decode(self._codec, m) for node, m in self.messages.items()}

    async def notes(self) -> dict[NodeId, Array]:
        """Return the notes of every upload."""
        assert isinstance(self._codec, Several)
        return {m.src: await Decode(self._codec.part(0), m) for m in self._sent}


class Server:
    """Broadcasts its model, waits for all workers, and steps.

    Parameters
    ----------
    ctx, algorithm
        The server's context and the algorithm's keys.

    Attributes
    ----------
    x : the model as the workers decode it, shape (dim,).
    notes : floats that travel with the model.
    asked : the workers that take part in the next round; all of them unless the algorithm chooses.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.ctx = ctx
        self.patience = algorithm.patience
        self.asked: Sequence[NodeId] = ctx.workers
        self.codec = noted(algorithm.codec(ctx), algorithm.upload_notes())
        self.model = noted(Identity(algorithm.model_bit), algorithm.model_notes())
        self.gamma = step_of(algorithm, ctx)
        self.notes: Sequence[float] = (0.0,) * algorithm.model_notes()
        self._float = np.dtype(f"f{algorithm.model_bit // 8}")
        self.x = self.rounded(ctx.facts.start)

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            await self.broadcast(round)
            await self.step(round, await self.collect(round))
            self.x = self.rounded(self.x)
            await Report(round + 1, self.x)

    async def step(self, round: int, updates: Updates) -> None:
        """Change the model by what the workers sent."""
        self.x = self.x - self.gamma(round) * await updates.mean()

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Send the model and the notes to the workers asked."""
        x = (np.array(self.notes), self.x) if self.notes else self.x
        sent = await Encode(self.model, x, round)
        await Send(tuple(self.asked), sent.payload, round, kind)

    async def collect(self, round: int) -> Updates:
        """Wait until the workers asked have sent their uploads, or said that they stay silent, or for long enough."""
        count, deadline_s = self.patience(len(self.asked))
        inbox = await Receive(count, "update", round, deadline_s=deadline_s)
        heard: dict[NodeId, Message | None] = dict.fromkeys(inbox.silent)
        heard |= {message.src: message for message in inbox.messages}
        return Updates(self.codec, {node: heard[node] for node in sorted(heard)})

    def rounded(self, x: Array) -> Array:
        """Round a model to the floats of the broadcast, so that both ends hold the same one."""
        return x.astype(self._float, copy=False).astype(self.ctx.facts.dtype, copy=False)


class Worker:
    """Takes the gradient at every model it gets, and uploads what the algorithm makes of it.

    Parameters
    ----------
    ctx, algorithm
        The worker's context and the algorithm's keys.

    Attributes
    ----------
    notes : the floats that came with the last model.
    memory : the codec's memory, None where it keeps none.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.ctx = ctx
        self.codec = algorithm.codec(ctx)
        self.model = noted(Identity(algorithm.model_bit), algorithm.model_notes())
        self.notes: Array = np.zeros(algorithm.model_notes())
        self.memory: Any = None

    async def run(self) -> None:
        """Run the rounds."""
        while True:
            round, x = await self.next_model()
            await self.upload(round, await self.gradient(round, x))

    async def gradient(self, round: int, x: Array) -> Array:
        """Return the gradient at a model on the next minibatch."""
        return await Gradient(at=x)

    async def upload(self, round: int, g: Array) -> None:
        """Send the compressed gradient."""
        self.memory = (await self.send(round, self.codec, g, memory=self.memory)).memory

    async def next_model(self) -> tuple[int, Array]:
        """Wait for the next model, the newest of several; return its round and the model, and keep its notes."""
        (message,) = (await Receive(kind="model", take="latest")).messages
        return message.round, await self.decoded(message)

    async def decoded(self, message: Message) -> Array:
        """Decode a model and keep its notes."""
        value = await Decode(self.model, message)
        if isinstance(value, tuple):
            self.notes, value = value
        model: Array = value
        return model

    async def send(self, round: int, codec: Code, x: Any, notes: Sequence[float] = (), memory: Any = None) -> Encoded:
        """Encode `x` and its notes and send them to the server."""
        if notes:
            codec, x = noted(codec, len(notes)), (np.array(notes), x)
        sent = await Encode(codec, x, round, memory)
        await Send(self.ctx.server, sent.payload, round)
        return sent


def noted(codec: Any, notes: int) -> Any:
    """Return the codec of a vector with that many floats of 32 bits before it."""
    return Several((Identity(), codec), (notes, None)) if notes else codec


def step_of(algorithm: Star, ctx: Context) -> Callable[[int], float]:
    """Return the step size of each round."""
    return step_rule(algorithm.step_size, ctx, lambda: algorithm.auto_step(ctx))
