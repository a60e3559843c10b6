"""Sparsified gradient descent over Ethernet as a script would do it: numpy, scipy and an event for each packet.

The same steps as netsim's engine with `fixed_budget` and nothing else: no payloads are coded, no energy, no states,
no counters of bytes, and one algorithm only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.speed import packet_level
from benchmarks.speed.packet_level import PacketMessage, datagrams_ns
from netsim.rng import stream

Vector = npt.NDArray[np.float64]
Largest = Callable[[Vector, int], npt.NDArray[np.intp]]

HEADER_BYTES = 8


class Outcome(NamedTuple):
    """The last iterate, the losses of the recorded rounds, and when the last round ended."""

    x: Vector
    losses: list[float]
    end_ns: int


@dataclass(frozen=True)
class PlainRounds:
    """A star of workers with equal shares of the samples, in order.

    Parameters
    ----------
    features, labels
        CSR of shape (samples, d) and -1 or 1.
    workers, batch
        Samples are dealt in blocks that differ by at most one; `batch` of them are drawn for each gradient.
    budget
        T, entries that a worker sends.
    step
        The step size.
    rounds, every
        How many rounds, and how often the loss is looked at.
    seed
        Of the minibatches, which are those of `netsim.rng`.
    rate_bps, port_bps, delay_ns, gradient_ns
        Workers' wires, the server's port in each direction, propagation, and a gradient's time.
    largest
        The places of the T largest magnitudes.
    network
        The module that simulates packets.
    """

    features: Any
    labels: Vector
    workers: int
    batch: int
    budget: int
    step: float
    rounds: int
    every: int
    seed: int
    rate_bps: int
    port_bps: int
    delay_ns: int
    gradient_ns: int
    largest: Largest
    network: ModuleType = packet_level

    def run(self) -> Outcome:
        """All rounds."""
        num_samples, dim = self.features.shape
        shares = np.array_split(np.arange(num_samples), self.workers)
        streams = [stream(self.seed, 0, m, "data") for m in range(self.workers)]
        weights = np.concatenate([np.full(share.size, 1.0 / (self.workers * share.size)) for share in shares])
        x, now_ns, losses = np.zeros(dim), 0, [self._loss(np.zeros(dim), weights)]
        for k in range(self.rounds):
            downloads_ns = self._broadcast_ns(dim)
            total, uploads = np.zeros(dim), []
            for m, (share, rng) in enumerate(zip(shares, streams, strict=True)):
                batch = np.sort(rng.choice(share.size, self.batch, replace=False, shuffle=False))
                gradient = self._gradient(x, share[batch])
                kept = self.largest(gradient, self.budget)
                kept = kept[gradient[kept] != 0]
                total[kept] += gradient[kept].astype(np.float32)
                uploads.append(self._upload(m, downloads_ns[m] + self.gradient_ns, kept.size, dim))
            now_ns += max(self.network.shared_port(uploads, self.delay_ns))
            x = (x - self.step * (total / self.workers)).astype(np.float32).astype(np.float64)
            if (k + 1) % self.every == 0 or k + 1 == self.rounds:
                losses.append(self._loss(x, weights))
        return Outcome(x, losses, now_ns)

    def _gradient(self, x: Vector, rows: npt.NDArray[np.int64]) -> Vector:
        features, labels = self.features[rows], self.labels[rows]
        slopes = -1.0 / (1.0 + np.exp(labels * (features @ x))) * (1.0 / rows.size)
        gradient: Vector = features.T @ (slopes * labels)
        return gradient

    def _loss(self, x: Vector, weights: Vector) -> float:
        """The loss; accuracy and the gradient's norm are looked at with it."""
        margins = self.labels * (self.features @ x)
        np.linalg.norm(self.features.T @ (-self.labels / (1.0 + np.exp(margins)) * weights))
        np.count_nonzero(margins > 0)
        return float(weights @ np.logaddexp(0.0, -margins))

    def _broadcast_ns(self, dim: int) -> list[int]:
        size_bytes = HEADER_BYTES + 4 * dim
        port, wire = datagrams_ns(size_bytes, self.port_bps), datagrams_ns(size_bytes, self.rate_bps)
        arrivals: list[int] = self.network.from_port(port, wire, self.workers, self.delay_ns)
        return arrivals

    def _upload(self, src: int, at_ns: int, kept: int, dim: int) -> PacketMessage:
        index_bit, count_bit = (dim - 1).bit_length(), dim.bit_length()
        size_bytes = HEADER_BYTES + -(-(count_bit + kept * (index_bit + 32)) // 8)
        return PacketMessage(
            at_ns, src, datagrams_ns(size_bytes, self.rate_bps), datagrams_ns(size_bytes, self.port_bps)
        )


def from_the_end(x: Vector, k: int) -> npt.NDArray[np.intp]:
    """As it is mostly written; takes twenty times as long where most entries are zero."""
    return np.argpartition(np.abs(x), x.size - k)[x.size - k :]


def from_the_start(x: Vector, k: int) -> npt.NDArray[np.intp]:
    """The spelling that does not suffer from zeros."""
    return np.argpartition(-np.abs(x), k)[:k]
