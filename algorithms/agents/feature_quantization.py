"""Distributed feature quantization: sensors send a few bits a sample to a classifier that is trained already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np

from algorithms.coding.cells import Cells
from algorithms.compressors.identity import Identity
from algorithms.learning import code_books, quantizers
from algorithms.learning.code_books import Decoder
from algorithms.learning.sensing import CodeBook, Quantizer, Thresholds, product
from netsim.errors import Fault
from netsim.fields import NonNegativeInt, Range
from netsim.interfaces import Agent, Context, Decode, Encode, Mark, Payload, Receive, Report, Send
from netsim.registry import Examples, component

MAX_BITS = quantizers.MAX_BITS, code_books.MAX_BITS  # of cells, and of a code book


@component("algorithm")
@dataclass(frozen=True)
class FeatureQuantization:
    """The centre designs a quantizer for every feature; each round it asks for a batch of samples and decides.

    A sensor tells of a sample one whole number, its features' cells in mixed radix, in as many bits as it may send. The
    centre waits for all sensors of a sample. Messages: once the design, 32 bits a number, which are boundaries with
    their number for each feature, or an encoder and a code book; each round a header that asks, and b R bits a sensor.
    ``elapsed_s`` is the latency of a batch.

    Parameters
    ----------
    bits
        R, bits a sample: one for all sensors, or one each.
    design
        ``greedy`` (boundary insertion for the classifier's decisions); ``uniform``, ``lloyd_max``, which deal a node's
        bits evenly to its features and know no classifier; ``on_the_line``, exact among boundaries that two features
        share, for two sensors of one feature each and a linear classifier of two classes; ``learned``, where a sensor
        sends the number of the code vector nearest to what its encoder makes of a sample, trained together with a
        decoder for the classifier's decisions, with at most 12 bits a sensor.
    decoder
        ``box``: the majority of h over the training points of the product cell, and as ``recon`` where there are none;
        ``recon``: h at the mean of each feature's cell. Of ``learned`` the decoder network takes the place of both.
    epochs
        Of ``learned``: passes over the training points.
    batch
        Samples a round; after the last one comes the first one again.

    References
    ----------
    Hanna, Ezzeldin, Sadjadpour, Fragouli, Diggavi, "On distributed quantization for classification", IEEE JSAIT 2020.
    """

    bits: NonNegativeInt | tuple[NonNegativeInt, ...] = 2
    design: Literal["greedy", "uniform", "lloyd_max", "on_the_line", "learned"] = "greedy"
    decoder: Literal["box", "recon"] = "box"
    epochs: Annotated[int, Range(ge=1, le=1000)] = 60
    batch: Annotated[int, Range(ge=1, le=1_000_000)] = 16

    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[Examples] = (
        {},
        {"bits": 3, "design": "lloyd_max", "decoder": "recon", "batch": 5},
        {"bits": 1, "design": "uniform"},
        {"bits": 2, "design": "learned", "epochs": 5},
    )

    def node_faults(self, nodes: int) -> Sequence[Fault]:
        """Return what does not fit that many sensors."""
        return quantizers.bit_faults(self.budgets(nodes), nodes, MAX_BITS[self.design == "learned"])

    def budgets(self, nodes: int) -> tuple[int, ...]:
        """Return R of each sensor."""
        return self.bits if isinstance(self.bits, tuple) else (self.bits,) * nodes

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
    quantizers : of each sensor, as it decodes it.
    decisions : on the test samples, -1 where none has been made.
    """

    def __init__(self, ctx: Context, algorithm: FeatureQuantization) -> None:
        self.ctx, self.algorithm = ctx, algorithm
        self.known = ctx.samples()
        self.bits = algorithm.budgets(len(ctx.workers))
        self.labels = np.asarray(self.known.h.predict(self.known.train), np.int64)
        self.columns = [np.flatnonzero(np.array(self.known.owners) == node) for node in ctx.workers]
        self.network: Decoder | None = None
        self.quantizers = self.design()
        self.decisions = ctx.facts.start

    def design(self) -> list[Quantizer]:
        """Find every sensor's quantizer."""
        known, how = self.known, self.algorithm.design
        if how == "learned":
            books, self.network = code_books.learn(
                known.train, self.labels, known.owners, self.bits, self.algorithm.epochs, self.ctx.rng("design")
            )
            return list(books)
        if how == "greedy":
            found = quantizers.greedy(known.train, self.labels, known.owners, self.bits)
        elif how == "on_the_line":
            found = quantizers.shared_line(known.train, self.labels, *quantizers.line_of(known), self.bits)
        else:
            counts = quantizers.even_counts(known.owners, self.bits, known.train.var(axis=0))
            found = (quantizers.uniform if how == "uniform" else quantizers.lloyd_max)(known.train, counts)
        return [Thresholds([found[j] for j in mine]) for mine in self.columns]

    async def run(self) -> None:
        """Send the design, then run the rounds."""
        await Report(0, self.decisions)
        for node in self.ctx.workers:
            sent = await Encode(Identity(), self.quantizers[node].pack(), 0)
            await Send(node, sent.payload, 0, "design")
            self.quantizers[node] = unpacked(self.algorithm, sent.value, len(self.columns[node]))
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
            self.decisions[rows] = self.decide(product(numbers))
            await Report(round + 1, self.decisions, since=begun)

    def learn(self) -> None:
        """Find each feature's cell means and the majority of every product cell that has training points."""
        train = self.known.train
        index = product([q.numbers(train[:, mine]) for q, mine in zip(self.quantizers, self.columns, strict=True)])
        votes: dict[bytes, Counter[int]] = {}
        for row, label in zip(index, self.labels.tolist(), strict=True):
            votes.setdefault(row.tobytes(), Counter())[label] += 1
        # Of equal counts the smaller class.
        self.box = {cell: max(sorted(of), key=of.__getitem__) for cell, of in votes.items()}
        self.means: dict[int, Any] = {}
        for q, mine in zip(self.quantizers, self.columns, strict=True):
            if isinstance(q, Thresholds):
                for j, b in zip(mine.tolist(), q.boundaries, strict=True):
                    self.means[j] = quantizers.cell_means(train[:, j], b)

    def decide(self, numbers: Any) -> Any:
        """Decide on a batch from all sensors' numbers, shape (batch, sensors)."""
        if self.network is not None:
            return self.network.decide(cast(Any, self.quantizers), numbers)
        point = np.zeros((len(numbers), len(self.known.owners)))
        for q, mine, own in zip(self.quantizers, self.columns, numbers.T, strict=True):
            for j, cell in zip(mine.tolist(), cast(Thresholds, q).split(own).T, strict=True):
                point[:, j] = self.means[j][cell]
        guess = np.asarray(self.known.h.predict(point), np.float64)
        if self.algorithm.decoder == "recon":
            return guess
        return np.array([self.box.get(row.tobytes(), g) for row, g in zip(numbers, guess, strict=True)])


class Sensor:
    """Answers every question with the numbers of its samples."""

    def __init__(self, ctx: Context, algorithm: FeatureQuantization) -> None:
        self.ctx, self.algorithm = ctx, algorithm
        self.features = ctx.samples().features
        self.code = Cells(algorithm.budgets(len(ctx.workers))[ctx.node], algorithm.batch)

    async def run(self) -> None:
        """Wait for the design, then answer."""
        (message,) = (await Receive(kind="design")).messages
        flat = await Decode(Identity(), message, dim=len(message.data) // 4)
        quantizer, batch = unpacked(self.algorithm, flat, self.features.shape[1]), self.algorithm.batch
        while True:
            (message,) = (await Receive(kind="ask")).messages
            rows = (message.round * batch + np.arange(batch)) % len(self.features)
            sent = await Encode(self.code, quantizer.numbers(self.features[rows]), message.round)
            await Send(self.ctx.server, sent.payload, message.round)


def unpacked(algorithm: FeatureQuantization, flat: Any, features: int) -> Quantizer:
    """Return a sensor's quantizer from its message."""
    return CodeBook.unpack(flat, features) if algorithm.design == "learned" else Thresholds.unpack(flat)
