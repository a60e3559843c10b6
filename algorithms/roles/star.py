"""The server that most algorithms of a star share: broadcast, wait for everyone, step along the mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import lru_cache
from itertools import count
from typing import Annotated, Any, Literal, ParamSpec, Protocol, TypeAlias

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.compressors.identity import Identity
from netsim.fields import PositiveFloat, Ref
from netsim.interfaces import Array, Compute, Context, Key, Message, Payload, Receive, Report, Send


class Step(Protocol):
    """A frozen step rule (kind ``step``)."""

    def at(self, round: int) -> float:
        """The step of round k = 0, 1, ..."""


StepSize: TypeAlias = Literal["auto"] | PositiveFloat | Annotated[Step, Ref("step")]
FloatBit: TypeAlias = Literal[32, 64]
P = ParamSpec("P")


class Adder(Protocol):
    """What the server needs of a codec."""

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0) -> None: ...
    def decode_flop(self, dim: int) -> float: ...


def step_rule(step_size: StepSize, smoothness: float) -> Callable[[int], float]:
    """The step of each round: a rule's, a number, or 1/L for ``auto``."""
    if step_size == "auto":
        return lambda _: 1.0 / smoothness
    if isinstance(step_size, float):
        return lambda _: step_size
    return step_size.at


class AveragingServer:
    """x^{k+1} = x^k - gamma_k (1/M) sum_m Q_m, where Q_m is what worker m's payload decodes to.

    Parameters
    ----------
    ctx
        The server's context.
    codec
        Of the workers' payloads.
    step
        The step of each round.
    model
        Codec of the broadcast. The server keeps what it decodes to, so that both ends hold the same model.

    Attributes
    ----------
    x : the model, shape (dim,).
    """

    def __init__(self, ctx: Context, codec: Adder, step: Callable[[int], float], model: Identity) -> None:
        self.ctx = ctx
        self.codec = codec
        self.step = step
        self.model = model
        self.x = ctx.facts.start
        self.broadcast = self.publish()

    async def run(self) -> None:
        await Report(0, self.x)
        dim, workers = self.ctx.facts.dim, len(self.ctx.workers)
        for round in count():
            await codec_work(self.ctx, self.model.encode_flop, dim)
            await Send(self.ctx.workers, self.broadcast, round, "model")
            updates = self.open((await Receive(workers, "update", round)).messages)
            await codec_work(self.ctx, self.decode_flop, updates)
            self.x = self.x - self.step_size(round, updates) * self.mean(updates)
            self.broadcast = self.publish()
            await Report(round + 1, self.x)

    def publish(self) -> Payload:
        """The payload of the model; the model becomes what it decodes to."""
        payload = self.model.encode(self.x, self.ctx.rng())
        self.x = self.model.decode(payload.data, self.ctx.facts.dim)
        return payload

    def open(self, updates: Sequence[Message]) -> Sequence[bytes]:
        """The payloads, in increasing id; subclasses may take off what they carry beside the code."""
        return [update.data for update in updates]

    def mean(self, updates: Sequence[bytes]) -> Array:
        """(1/M) sum of the decoded updates, added in increasing id."""
        total = np.zeros(self.ctx.facts.dim)
        for update in updates:
            self.codec.add_to(update, total)
        return total / len(updates)

    def decode_flop(self, updates: Sequence[bytes]) -> float:
        """Operations of decoding them; subclasses may look at what came."""
        return len(updates) * self.codec.decode_flop(self.ctx.facts.dim)

    def step_size(self, round: int, updates: Sequence[bytes]) -> float:
        """gamma_k; subclasses may read it off the updates."""
        return self.step(round)


class KeyedServer(AveragingServer):
    """The same for any compressor: where its ends share randomness, the server repeats the sender's draws.

    Attributes
    ----------
    keys : of the messages at hand, in increasing id; None each where the compressor shares no randomness.
    """

    codec: Codec

    def __init__(self, ctx: Context, codec: Codec, step: Callable[[int], float], model: Identity) -> None:
        super().__init__(ctx, codec, step, model)
        self.keys: list[Key | None] = []

    def open(self, updates: Sequence[Message]) -> Sequence[bytes]:
        shared = self.codec.shares_randomness
        self.keys = [self.ctx.shared_key(m.round, m.src) if shared else None for m in updates]
        return super().open(updates)

    def mean(self, updates: Sequence[bytes]) -> Array:
        total = np.zeros(self.ctx.facts.dim)
        for update, key in zip(updates, self.keys, strict=True):
            self.codec.add_to(update, total, key=key)
        return total / len(updates)


class _Nothing:
    """What takes neither time nor turn."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


_NOTHING = _Nothing()


def codec_work(ctx: Context, flop: Callable[P, float], *args: P.args, **keys: P.kwargs) -> Awaitable[None]:
    """Time and energy of flop(*args) operations of encoding or decoding; where they are not charged, nothing at all."""
    return Compute(flop(*args, **keys)) if ctx.charges_codec else _NOTHING


async def receive_model(model: Identity, dim: int) -> tuple[int, Array]:
    """The round and the model of the next broadcast; read-only, as all receivers of one broadcast share it."""
    (message,) = (await Receive(kind="model")).messages
    return message.round, _decoded(model, message.data, dim)


@lru_cache(maxsize=1)
def _decoded(model: Identity, data: bytes, dim: int) -> Array:
    x = model.decode(data, dim)
    x.flags.writeable = False
    return x
