"""FedBuff: clients train at their own pace, and the server steps whenever its buffer is full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from algorithms.roles.asynchronous import AskingWorker, AsynchronousServer
from algorithms.roles.federated import Federated
from algorithms.roles.parts import sampled
from netsim.fields import PositiveFloat, Range
from netsim.interfaces import Agent, Context, Message, NodeId, Sum
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class Fedbuff(Federated):
    """The server adds up updates as they come; K of them make a step x <- x - (eta / K) sum s_m (x_m - y_m).

    x_m is the model that client m started from and y_m where its local steps led. A client whose update has come makes
    place for one drawn uniformly from those that do not train (itself among them), which gets the newest model. Rounds
    are steps of the server; `staleness` is the mean number of steps since the buffered updates' models.

    Parameters
    ----------
    buffer_size
        K.
    server_step
        eta.
    staleness
        ``none``: s = 1. ``sqrt``: s = 1 / sqrt(1 + staleness).
    participation
        max(floor(participation * M), 1) clients train at a time, the paper's concurrency.
    deadline_s
        A client that has heard nothing for so long, a half more or less at random, asks for the model by a header; one
        that does not train is not answered. Nothing: never; a network that can lose messages needs it.

    References
    ----------
    Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba, "Federated learning with buffered asynchronous aggregation",
    AISTATS 2022, algorithms 1 and 2. Deviations: no secure aggregation; what clients send may be compressed.
    """

    buffer_size: Annotated[int, Range(ge=1, le=20_000)]
    server_step: PositiveFloat = 1.0
    staleness: Literal["none", "sqrt"] = "sqrt"
    deadline_s: PositiveFloat | None = None

    examples: ClassVar[Examples] = (
        {"buffer_size": 2, "local_steps": 3},
        {"buffer_size": 1, "local_steps": 1, "participation": 0.67, "staleness": "none", "step_size": 0.1},
        {"buffer_size": 4, "epochs": 1, "compressor": {"name": "qsgd", "levels": 4}, "step_size": 0.1},
    )

    @property
    def tolerates(self) -> frozenset[str]:  # type: ignore[override]  # depends on a key
        """Late and lost messages; where the compressor keeps a memory, lost ones of which the client learns."""
        return frozenset({"late", "known_loss" if self.compressor.is_outermost else "loss"})

    def patience(self, asked: int) -> tuple[int, float | None]:
        """Return the deadline: a model may then reach a client twice."""
        return asked, self.deadline_s

    def server(self, ctx: Context) -> Agent:
        """Return a server with a buffer."""
        return FedbuffServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a client that trains on every model it gets."""
        return AskingWorker(ctx, self, self.deadline_s)


class FedbuffServer(AsynchronousServer):
    """Keeps a `buffer` of weighted updates with their `ages`, and who is `training`: has a model, has not answered."""

    def __init__(self, ctx: Context, algorithm: Fedbuff) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.algorithm = algorithm
        self.buffer, self.ages = np.zeros_like(self.x), list[int]()
        self.asked = sampled(ctx, algorithm.participation)
        self.training = set(self.asked)

    async def take_in(self, messages: Sequence[Message]) -> None:
        """Put updates into the buffer, and step whenever it is full."""
        a = self.algorithm
        for message in messages:
            age = self.version - self.known[message.src]
            weight = (1.0 + age) ** -0.5 if a.staleness == "sqrt" else 1.0
            self.buffer = self.buffer + await Sum(self.codec, [message], [weight])
            self.ages.append(age)
            if len(self.ages) == a.buffer_size:
                x, ages = self.x - a.server_step / a.buffer_size * self.buffer, self.ages
                self.buffer, self.ages = np.zeros_like(self.x), []
                await self.commit(x, ages)

    def next_ones(self, messages: Sequence[Message]) -> Sequence[NodeId]:
        """Draw a client for every update that came, and remember those that ask for a model that was lost."""
        done = [message.src for message in messages if message.kind == "update" and message.src in self.training]
        again = {message.src for message in messages if message.kind == "request"} & self.training
        self.training -= set(done)
        for _ in done:
            idle = [node for node in self.ctx.workers if node not in self.training]
            chosen = idle[int(self.ctx.rng("participation").integers(len(idle)))]
            self.training.add(chosen)
            again.add(chosen)
        return sorted(again)
