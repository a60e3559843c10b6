"""Workers that send their gradients to a server that learns and keeps the model to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from netsim.interfaces import Agent, Context, Decode, Encode, Gradient, Receive, Send, Sum
from netsim.registry import build, component


@component("algorithm")
@dataclass(frozen=True)
class NeverReports:
    """w <- w - 0.1 sum_m grad f_m(w) / M."""

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def server(self, ctx: Context) -> Agent:
        return Server(ctx)

    def worker(self, ctx: Context) -> Agent:
        return Worker(ctx)


class Server:
    """Has the model."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.w = ctx.facts.start

    async def run(self) -> None:
        code, workers = build("compressor", {"name": "identity", "float_bit": 64}), self.ctx.workers
        for round in count():
            sent = await Encode(code, self.w, round)
            await Send(workers, sent.payload, round, "model")
            inbox = await Receive(len(workers), "update", round)
            self.w = self.w - 0.1 / len(workers) * await Sum(code, inbox.messages)


class Worker:
    """Has samples."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    async def run(self) -> None:
        code = build("compressor", {"name": "identity", "float_bit": 64})
        for round in count():
            (model,) = (await Receive(1, "model", round)).messages
            g = await Gradient(at=await Decode(code, model))
            await Send(self.ctx.server, (await Encode(code, g, round)).payload, round, "update")
