"""Distributed feature quantization: sensors send a few bits a sample to a classifier that is trained already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.coding.cells import Cells
from algorithms.compressors.identity import Identity
from algorithms.learning import quantizers
from netsim.fields import NonNegativeInt, PositiveInt
from netsim.interfaces import Agent, Context, Decode, Encode, Mark, Payload, Receive, Report, Send
from netsim.registry import component


@component("algorithm")
@dataclass(frozen=True)
class FeatureQuantization:
    """The centre designs a quantizer for every feature; each round it asks for a batch of samples and decides.

    A sensor tells of a sample one whole number, its features' cells in mixed radix, in as many bits as it may send. The
    centre waits for all sensors of a sample. Messages: once the boundaries, 32 bits each, and a number a feature that
    says how many; each round a header that asks, and b R bits a sensor. ``elapsed_s`` is the latency of a batch.

    Parameters
    ----------
    bits
        R, bits a sample: one for all sensors, or one each.
    design
        ``greedy`` (boundary insertion for the classifier's decisions), ``uniform``, ``lloyd_max``; the last two deal a
        node's bits evenly to its features and know no classifier.
    decoder
        ``box``: the majority of h over the training points of the product cell, and as ``recon`` where there are none;
        ``recon``: h at the mean of each feature's cell.
    batch
        Samples a round; after the last one comes the first one again.

    References
    ----------
    Hanna, Ezzeldin, Sadjadpour, Fragouli, Diggavi, "On distributed quantization for classification", IEEE JSAIT 2020.
    """

    bits: NonNegativeInt | tuple[NonNegativeInt, ...] = 2
    design: Literal["greedy", "uniform", "lloyd_max"] = "greedy"
    decoder: Literal["box", "recon"] = "box"
    batch: PositiveInt = 16

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"bits": 3, "design": "lloyd_max", "decoder": "recon", "batch": 5},
        {"bits": 1, "design": "uniform"},
    )

    def budgets(self, nodes: int) -> tuple[int, ...]:
        """R of each sensor.

        Raises
        ------
        ConfigError
            If there are not as many, or one is beyond any code.
        """
        bits = self.bits if isinstance(self.bits, tuple) else (self.bits,) * nodes
        quantizers.check_bits(bits, nodes)
        return bits

    def server(self, ctx: Context) -> Agent:
        """Return the centre."""
        return Centre(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a sensor."""
        return Sensor(ctx, self)


class Centre:
    """Designs, asks, decides.

    Attributes
    ----------
    boundaries : of each feature, as the sensors have them.
    decisions : on the test samples, -1 where none has been made.
    """

    def __init__(self, ctx: Context, algorithm: FeatureQuantization) -> None:
        self.ctx, self.algorithm = ctx, algorithm
        self.known = ctx.samples()
        self.bits = algorithm.budgets(len(ctx.workers))
        self.labels = np.asarray(self.known.h.predict(self.known.train), np.int64)
        self.boundaries = self.design()
        self.decisions = ctx.facts.start

    def design(self) -> quantizers.Boundaries:
        """Find the boundaries."""
        train, owners = self.known.train, self.known.owners
        if self.algorithm.design == "greedy":
            return quantizers.greedy(train, self.labels, owners, self.bits)
        counts = quantizers.even_counts(owners, self.bits)
        return (quantizers.uniform if self.algorithm.design == "uniform" else quantizers.lloyd_max)(train, counts)

    async def run(self) -> None:
        """Send the design, then run the rounds."""
        await Report(0, self.decisions)
        for node in self.ctx.workers:
            await self.tell(node)
        self.learn()
        size, batch = len(self.decisions), self.algorithm.batch
        codes = [Cells(bits, batch) for bits in self.bits]
        for round in count():
            begun = await Mark()
            await Send(self.ctx.workers, Payload(b"", 0.0), round, "ask")
            inbox = await Receive(len(self.ctx.workers), "update", round)
            numbers = [await Decode(codes[message.src], message, dim=batch) for message in inbox.messages]
            rows = (round * batch + np.arange(batch)) % size
            self.decisions = self.decisions.copy()
            self.decisions[rows] = self.decide(np.stack([self.split(n, x) for n, x in enumerate(numbers)], axis=0))
            await Report(round + 1, self.decisions, since=begun)

    async def tell(self, node: int) -> None:
        """Send a sensor its boundaries and keep them as it decodes them."""
        mine = [j for j, owner in enumerate(self.known.owners) if owner == node]
        flat = np.concatenate([np.r_[len(self.boundaries[j]), self.boundaries[j]] for j in mine])
        sent = await Encode(Identity(), flat, 0)
        await Send(node, sent.payload, 0, "design")
        for j, rounded in zip(mine, unpack(sent.value), strict=True):
            self.boundaries[j] = rounded

    def learn(self) -> None:
        """Find each feature's cell means and the majority of every product cell that has training points."""
        train, self.box = self.known.train, dict[bytes, int]()
        index = np.stack([quantizers.cells(x, b) for x, b in zip(train.T, self.boundaries, strict=True)], axis=1)
        self.means = []
        for x, own, b in zip(train.T, index.T, self.boundaries, strict=True):
            size = np.bincount(own, minlength=len(b) + 1)
            total = np.bincount(own, weights=x, minlength=len(b) + 1)
            edges = np.r_[x.min(), b, x.max()]
            self.means.append(np.where(size > 0, total / np.maximum(size, 1), (edges[:-1] + edges[1:]) / 2))
        votes: dict[bytes, Counter[int]] = {}
        for row, label in zip(index, self.labels.tolist(), strict=True):
            votes.setdefault(row.tobytes(), Counter())[label] += 1
        # Of equal counts the smaller class.
        self.box = {cell: max(sorted(of), key=of.__getitem__) for cell, of in votes.items()}

    def split(self, node: int, numbers: Any) -> Any:
        """Take a sensor's numbers apart: its features' cells, shape (features, batch)."""
        mine = [j for j, owner in enumerate(self.known.owners) if owner == node]
        out = np.full((len(self.known.owners), len(numbers)), -1)
        for j in reversed(mine):
            numbers, out[j] = np.divmod(numbers, len(self.boundaries[j]) + 1)
        return out

    def decide(self, parts: Any) -> Any:
        """Decide on a batch from all sensors' cells."""
        index = np.ascontiguousarray(parts.max(axis=0).T)
        point = np.stack([means[own] for means, own in zip(self.means, index.T, strict=True)], axis=1)
        guess = np.asarray(self.known.h.predict(point), np.float64)
        if self.algorithm.decoder == "recon":
            return guess
        return np.array([self.box.get(row.tobytes(), g) for row, g in zip(index, guess, strict=True)])


class Sensor:
    """Answers every question with the cells of its features."""

    def __init__(self, ctx: Context, algorithm: FeatureQuantization) -> None:
        self.ctx, self.batch = ctx, algorithm.batch
        self.features = ctx.samples().features
        self.code = Cells(algorithm.budgets(len(ctx.workers))[ctx.node], algorithm.batch)

    async def run(self) -> None:
        """Wait for the design, then answer."""
        (message,) = (await Receive(kind="design")).messages
        boundaries = unpack(await Decode(Identity(), message, dim=len(message.data) // 4))
        while True:
            (message,) = (await Receive(kind="ask")).messages
            rows = (message.round * self.batch + np.arange(self.batch)) % len(self.features)
            numbers = np.zeros(self.batch, np.int64)
            for x, b in zip(self.features[rows].T, boundaries, strict=True):
                numbers = numbers * (len(b) + 1) + quantizers.cells(x, b)
            sent = await Encode(self.code, numbers, message.round)
            await Send(self.ctx.server, sent.payload, message.round)


def unpack(flat: Any) -> list[Any]:
    """Take apart how many boundaries each feature has, and those."""
    out, at = [], 0
    values: Sequence[float] = flat
    while at < len(values):
        n = int(values[at])
        out.append(np.asarray(flat[at + 1 : at + 1 + n], np.float64))
        at += 1 + n
    return out
