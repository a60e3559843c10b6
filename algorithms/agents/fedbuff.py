"""FedBuff: clients train at their own pace, and the server steps whenever its buffer is full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.roles.asynchronous import AsynchronousServer
from algorithms.roles.federated import Federated
from algorithms.roles.local import LocalWorker
from algorithms.roles.parts import sampled
from netsim.fields import PositiveFloat, PositiveInt
from netsim.interfaces import Agent, Context, Message, NodeId, Payload, Receive, Send, Sum
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class Fedbuff(Federated):
    """The server adds up updates as they come; K of them make a step x <- x - (eta / K) sum s_m (x_m - y_m).

    x_m is the model that client m started from and y_m where its local steps led. A client whose update has come makes
    place for another, drawn uniformly from those that do not train (itself among them), which gets the newest model.
    Rounds are steps of the server; `staleness` is the mean number of steps since the buffered updates' models.

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
    local_steps, epochs, compressor, step_size, weight_decay, model_bit
        As in `fedavg`.
    deadline_s
        A client that has heard nothing for so long asks for the model, in a message of a header alone; one that the
        server does not count on is not answered. Nothing: never; a network that can lose messages needs it.

    References
    ----------
    Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba, "Federated learning with buffered asynchronous aggregation",
    AISTATS 2022, algorithms 1 and 2. Deviations: no secure aggregation; updates of one instant are taken in increasing
    id; what clients send may be compressed.
    """

    buffer_size: PositiveInt
    server_step: PositiveFloat = 1.0
    staleness: Literal["none", "sqrt"] = "sqrt"
    deadline_s: PositiveFloat | None = None

    tolerates: ClassVar[frozenset[str]] = frozenset({"late", "loss"})
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"buffer_size": 2, "local_steps": 3},
        {"buffer_size": 1, "local_steps": 1, "participation": 0.67, "staleness": "none", "step_size": 0.1},
        {"buffer_size": 4, "epochs": 1, "compressor": {"name": "qsgd", "levels": 4}, "step_size": 0.1},
    )

    def server(self, ctx: Context) -> Agent:
        """Return a server with a buffer."""
        return FedbuffServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a client that trains whenever it gets a model."""
        return FedbuffClient(ctx, self)


class FedbuffServer(AsynchronousServer):
    """Keeps a buffer.

    Attributes
    ----------
    buffer : sum of the weighted updates since the last step, shape (dim,).
    ages : their staleness.
    training : clients that have a model and whose update has not come.
    """

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


class FedbuffClient(LocalWorker):
    """Trains on every model it gets; its messages are numbered by itself, as a model may come twice."""

    def __init__(self, ctx: Context, algorithm: Fedbuff) -> None:
        super().__init__(ctx, algorithm)
        self.deadline_s = algorithm.deadline_s

    async def run(self) -> None:
        """Train and upload, and ask where nothing comes."""
        for number in count():
            while not (inbox := await Receive(kind="model", take="latest", deadline_s=self.deadline_s)).messages:
                await Send(self.ctx.server, Payload(b"", 0.0), number, "request")
            self.x = await self.decoded(inbox.messages[0])
            await self.upload(number, self.x - await self.walk(self.local.batches(self.ctx)))
