"""A server and its workers: broadcast, gradient, upload, step. An algorithm overrides what its paper adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.memory import unsent
from algorithms.coding.several import Several
from algorithms.compressors.identity import Identity
from algorithms.roles.broadcast import Broadcast, Broadcaster, Listener, is_sure, noted
from algorithms.roles.parts import FloatBit, StepSize, step_rule
from netsim.errors import ConfigError, Fault, SimulationError
from netsim.interfaces import (
    Agent,
    Array,
    Code,
    Context,
    Decode,
    Delivered,
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
        gamma: ``auto``, which is 1/L of F unless the algorithm says otherwise; a number; or a step rule such as
        ``{name: inverse_round, a: 1}``.
    model_bit
        Bits of a float in the broadcast.
    broadcast
        How the model travels down: ``dense``; ``changes``, the entries that are not what the workers have; ``relay``,
        the round's uploads as they came, from which every worker repeats the server's step; ``auto``, the shortest of
        them in every round. All give the same models, bit for bit.
    """

    step_size: StepSize = "auto"
    model_bit: FloatBit = 32
    broadcast: Broadcast = "auto"

    tolerates: ClassVar[frozenset[str]] = frozenset()
    relays: ClassVar[bool] = False  # True: the server's step is a function of model, notes, round and uploads alone

    def __post_init__(self) -> None:
        if self.broadcast == "relay" and not self.relays:
            allowed = "auto, dense or changes, as the server's step does not depend on the uploads alone"
            raise ConfigError([Fault(("broadcast",), allowed, "relay")])

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

    def replica(self, ctx: Context) -> Server:
        """Return a server's agent whose step a worker repeats."""
        made = self.server(ctx)
        if not isinstance(made, Server):
            raise SimulationError(f"a worker cannot repeat the step of {type(made).__name__}")
        return made


@dataclass(frozen=True, kw_only=True)
class Dense(Star):
    """Keys of a star whose uploads are whole vectors.

    Parameters
    ----------
    float_bit
        Bits of a float in the upload.
    """

    float_bit: FloatBit = 32

    def codec(self, ctx: Context) -> Identity:
        """Return the codec of dense vectors."""
        return Identity(self.float_bit)


class Updates:
    """What a server heard in one round.

    Parameters
    ----------
    codec
        Of the uploads.
    messages
        By sender in increasing id; None for a worker that was silent.
    late
        Uploads of earlier rounds that count now.
    asked
        By how many the sum is divided for the mean; 0: by the number of uploads.

    Attributes
    ----------
    sent : all uploads, the late ones first.
    """

    def __init__(
        self, codec: Code, messages: Mapping[NodeId, Message | None], late: Sequence[Message] = (), asked: int = 0
    ) -> None:
        self.messages, self.late = messages, late
        self._codec, self._asked = codec, asked
        self.sent = [*late, *(message for message in messages.values() if message is not None)]

    def __len__(self) -> int:
        return len(self.sent)

    @property
    def senders(self) -> tuple[NodeId, ...]:
        """The sender of each upload of `sent`; a worker may be there twice."""
        return tuple(message.src for message in self.sent)

    @property
    def in_time(self) -> tuple[NodeId, ...]:
        """Who sent an upload of this round, in increasing id."""
        return tuple(node for node, message in self.messages.items() if message is not None)

    async def sum(self, weights: Sequence[float] | None = None) -> Array:
        """Add up the decoded uploads, with a weight each where there are weights."""
        return await Sum(self._codec, self.sent, weights)

    async def mean(self) -> Array:
        """Return the mean of the decoded uploads; zeros where nobody sent one."""
        return (await self.sum()) / max(self._asked or len(self), 1)

    async def vectors(self) -> dict[NodeId, Any]:
        """Return the decoded upload, with its notes where it has some, of every worker; None for a silent one."""
        return {node: None if m is None else await Decode(self._codec, m) for node, m in self.messages.items()}

    async def decoded(self) -> list[Any]:
        """Return the decoded uploads of `sent`."""
        return [await Decode(self._codec, m) for m in self.sent]

    async def late_vectors(self) -> list[tuple[NodeId, int, Any]]:
        """Return sender, round and decoded upload of every late one, in order of rounds."""
        return [(m.src, m.round, await Decode(self._codec, m)) for m in self.late]

    async def notes(self) -> dict[NodeId, Array]:
        """Return the notes of every upload."""
        assert isinstance(self._codec, Several)
        return {m.src: await Decode(self._codec.part(0), m) for m in self.sent}


class Server:
    """Broadcasts its model, waits for all workers, and steps.

    Parameters
    ----------
    ctx, algorithm
        The server's context and the algorithm's keys.

    Attributes
    ----------
    x : the model as the workers decode it, shape (dim,).
    model : the codec of a dense model.
    notes : floats that travel with the model.
    asked : the workers that take part in the next round; all of them unless the algorithm chooses.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.ctx = ctx
        self.patience = algorithm.patience
        self.is_mindful = "known_loss" in algorithm.tolerates
        self.asked: Sequence[NodeId] = ctx.workers
        self.codec = noted(algorithm.codec(ctx), algorithm.upload_notes())
        self.gamma = step_of(algorithm, ctx)
        self.notes: Sequence[float] = (0.0,) * algorithm.model_notes()
        self.model = Identity(algorithm.model_bit)
        self.broadcaster = Broadcaster(ctx, algorithm, ctx.workers)
        self._float = np.dtype(f"f{algorithm.model_bit // 8}")
        self._made_of: tuple[Array, Mapping[NodeId, Message | None]] | None = None
        self._made: tuple[Array, Sequence[float]] | None = None
        self.x = self.rounded(ctx.facts.start)

    async def run(self) -> None:
        """Run the rounds."""
        await self.report(0)
        for round in count():
            await self.broadcast(round)
            await self.take(round, await self.collect(round))
            await self.report(round + 1)

    async def take(self, round: int, updates: Updates) -> None:
        """Step along the uploads, and round the model and the notes to the floats of the broadcast."""
        before = self.x
        await self.step(round, updates)
        self.x = self.rounded(self.x)
        self.notes = tuple(map(float, np.array(self.notes, np.float32)))
        self._made_of, self._made = (before, updates.messages), (self.x, self.notes)

    async def report(self, round: int) -> None:
        """Report the model, and how many broadcasts took which way."""
        ways = {f"{way}_broadcasts": float(n) for way, n in self.broadcaster.counts.items()}
        await Report(round, self.x, ways)

    async def step(self, round: int, updates: Updates) -> None:
        """Change the model by what the workers sent."""
        self.x = self.x - self.gamma(round) * await updates.mean()

    async def broadcast(self, round: int, kind: str = "model") -> None:
        """Send the model and the notes to the workers asked."""
        is_step = self._made is not None and self._made[0] is self.x and self._made[1] is self.notes
        await self.broadcaster.send(
            tuple(self.asked), self.x, self.notes, round, kind, self._made_of if is_step else None
        )

    async def collect(self, round: int) -> Updates:
        """Wait until the workers asked have sent their uploads, or said that they stay silent, or for long enough."""
        count, deadline_s = self.patience(len(self.asked))
        inbox = await Receive(count, "update", round, deadline_s=deadline_s)
        heard: dict[NodeId, Message | None] = dict.fromkeys(inbox.silent)
        heard |= {message.src: message for message in inbox.messages}
        return self.updates({node: heard[node] for node in sorted(heard)}, inbox.late)

    def updates(self, messages: Mapping[NodeId, Message | None], late: Sequence[Message] = ()) -> Updates:
        """Return what the server makes of uploads; a server without workers' memories drops those that are late."""
        if self.is_mindful:
            return Updates(self.codec, messages, late, len(self.asked))
        return Updates(self.codec, messages)

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
    memory : the codec's memory, None where it keeps none.
    model : the codec of a dense model.
    """

    def __init__(self, ctx: Context, algorithm: Star) -> None:
        self.ctx = ctx
        self.codec = algorithm.codec(ctx)
        self.model = Identity(algorithm.model_bit)
        self.heard = Listener(ctx, algorithm)
        self.memory: Any = None
        self.waits_for_word = "known_loss" in algorithm.tolerates and not is_sure(ctx, algorithm)

    @property
    def notes(self) -> Array:
        """The floats that came with the last model."""
        return self.heard.notes

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
        await self.heard.take(message)
        return self.heard.x

    async def send(
        self,
        round: int,
        codec: Code,
        x: Any,
        notes: Sequence[float] = (),
        memory: Any = None,
        kind: str = "update",
    ) -> Encoded:
        """Encode `x` and its notes and send them to the server; return what of them arrived."""
        if notes:
            codec, x = noted(codec, len(notes)), (np.array(notes), x)
        encoded = await Encode(codec, x, round, memory)
        return await self.deliver(round, encoded, lambda: unsent(codec, x, memory), kind)

    async def deliver(self, round: int, sent: Encoded, lost: Callable[[], Encoded], kind: str = "update") -> Encoded:
        """Send what was encoded; return it, or where the worker learns that it was lost, what `lost` makes of it."""
        await Send(self.ctx.server, sent.payload, round, kind)
        return lost() if self.waits_for_word and not await Delivered() else sent


def step_of(algorithm: Star, ctx: Context) -> Callable[[int], float]:
    """Return the step size of each round."""
    return step_rule(algorithm.step_size, ctx, lambda: algorithm.auto_step(ctx))
