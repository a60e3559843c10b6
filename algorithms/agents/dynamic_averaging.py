"""Models that are averaged only where one has moved far from what all last agreed on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from algorithms.compressors.identity import Identity
from algorithms.roles.local import FixedSteps, LocalWorker
from algorithms.roles.parts import mean_of, squared
from algorithms.roles.star import Server
from netsim.fields import NonNegativeFloat
from netsim.interfaces import Agent, Array, Context, Decode, Encode, NodeId, Payload, Receive, Report, Send, Silent
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True, kw_only=True)
class DynamicAveraging(FixedSteps):
    """Local SGD; after H steps a worker with ||x_m - r||^2 > Delta sends x_m, and the server averages as few as it can.

    While the senders' mean is itself farther than Delta from the reference r, the server asks another worker, drawn at
    random, for its model. Those who are part of the mean go on from it; where all are, it is the new r. So
    ||mean x_m - r||^2 <= Delta after every round. With Delta = 0 it is local SGD.

    Parameters
    ----------
    divergence
        Delta.
    model_bit
        Bits of a float of a model, in both directions.

    References
    ----------
    Kamp, Adilova, Sicking, Hueger, Schlicht, Wirtz, Wrobel, "Efficient decentralized deep learning by dynamic model
    averaging", ECML PKDD 2018, algorithm 1. Deviation: a row's model is the mean of those that the server knows last.
    """

    divergence: NonNegativeFloat

    examples: ClassVar[Examples] = (
        {"divergence": 0.5, "local_steps": 1, "step_size": 0.05},
        {"divergence": 0.1, "local_steps": 3, "step_size": 0.02, "momentum": 0.5, "model_bit": 64},
    )

    def codec(self, ctx: Context) -> Identity:
        """Return the code of models."""
        return Identity(self.model_bit)

    def server(self, ctx: Context) -> Agent:
        """Return a server that averages where it must."""
        return AveragingServer(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a worker that minds its divergence."""
        return AveragingWorker(ctx, self)


class AveragingServer(Server):
    """Averages the models of those who diverged, and of as many others as it takes; keeps r and what it knew last."""

    def __init__(self, ctx: Context, algorithm: DynamicAveraging) -> None:
        super().__init__(ctx, algorithm)
        self.divergence, self.reference = algorithm.divergence, self.x
        self.known = dict[NodeId, Array].fromkeys(ctx.workers, self.x)

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.x)
        for round in count():
            heard = {m: x for m, x in (await (await self.collect(round)).vectors()).items() if x is not None}
            await self.balance(round, heard)
            self.x = mean_of(self.known)
            await Report(round + 1, self.x, {"averaged": float(len(heard))})

    async def balance(self, round: int, heard: dict[NodeId, Array]) -> None:
        """Average the models heard with others until their mean is near r; tell who is part of it."""
        others = [int(m) for m in self.ctx.rng("balancing").permutation(self.ctx.workers) if m not in heard]
        while heard and others and squared(mean_of(heard) - self.reference) > self.divergence:
            await Send(others[-1], Payload(b"", 0.0), round, "ask")
            (message,) = (await Receive(1, "answer", round)).messages
            heard[others.pop()] = await Decode(self.codec, message)
        if heard:
            sent = await Encode(self.codec, mean_of(heard), round)
            await Send(tuple(sorted(heard)), sent.payload, round, "some" if others else "all")
            self.known |= dict.fromkeys(heard, sent.value)
            self.reference = self.reference if others else sent.value
        if others:
            await Silent(tuple(sorted(others)), round, "some")


class AveragingWorker(LocalWorker):
    """Walks, and tells where it is when that is far from r or when asked."""

    def __init__(self, ctx: Context, algorithm: DynamicAveraging) -> None:
        super().__init__(ctx, algorithm)
        self.divergence = algorithm.divergence
        self.reference = self.x.astype(f"f{algorithm.model_bit // 8}").astype(self.x.dtype)

    async def run(self) -> None:
        """Run the rounds."""
        for round in count():
            self.x = await self.walk(self.local.batches(self.ctx))
            if squared(self.x - self.reference) > self.divergence:
                await self.send(round, self.codec, self.x)
            else:
                await Silent(self.ctx.server, round)
            inbox = await Receive(1, None, round)
            if inbox.messages and inbox.messages[0].kind == "ask":
                await Send(self.ctx.server, (await Encode(self.codec, self.x, round)).payload, round, "answer")
                inbox = await Receive(1, None, round)
            for message in inbox.messages:
                self.x = await Decode(self.codec, message)
                self.reference = self.x if message.kind == "all" else self.reference
