"""Softmax regression with QSGD over Ethernet as a script would do it: numpy, and an event for each packet.

The same steps as netsim's engine with `dcgd` and nothing else: no payloads are coded, no energy, no states, no counters
of bytes, and one algorithm only.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.speed.packet_level import PacketMessage, datagrams_ns
from benchmarks.speed.plain_rounds import HEADER_BYTES, Outcome
from netsim.rng import stream

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlainSoftmax:
    """A star of workers that send quantised gradients.

    Parameters
    ----------
    problem
        A `SoftmaxProblem`, for its samples and for the losses at both ends of a run.
    batch
        Samples that are drawn for each gradient.
    levels
        s of QSGD, 2**(b-1) - 1 for b bits a coordinate.
    step, rounds, seed
        The step size, how many rounds, and of the minibatches, which are those of `netsim.rng`.
    rate_bps, port_bps, delay_ns, gradient_ns
        Workers' wires, the server's port in each direction, propagation, and a gradient's time.
    network
        The module that simulates packets.
    """

    problem: Any
    batch: int
    levels: int
    step: float
    rounds: int
    seed: int
    rate_bps: int
    port_bps: int
    delay_ns: int
    gradient_ns: int
    network: ModuleType

    def run(self) -> Outcome:
        """All rounds."""
        shares, problem = self.problem._shares, self.problem
        workers, dim, (classes, columns) = problem.num_nodes, problem.dim, problem.layout[0]
        samples = np.split(shares.features, shares.edges[1:-1])
        targets = np.split(problem._targets, shares.edges[1:-1])
        streams = [stream(self.seed, 0, m, "data") for m in range(workers)]
        own = np.random.default_rng(self.seed)
        x, now_ns = np.zeros(dim), 0
        losses = [problem.metrics(x)["loss"]]
        size_bytes = HEADER_BYTES + -(-(32 + dim * (1 + self.levels.bit_length())) // 8)
        wire, port = datagrams_ns(size_bytes, self.rate_bps), datagrams_ns(size_bytes, self.port_bps)
        for _ in range(self.rounds):
            downloads_ns = self._broadcast_ns(dim, workers)
            total, uploads = np.zeros(dim), []
            for m, rng in enumerate(streams):
                picked = np.sort(rng.choice(len(samples[m]), self.batch, replace=False, shuffle=False))
                gradient = _gradient(x.reshape(classes, columns), samples[m][picked], targets[m][picked])
                total += self._quantised(gradient, own)
                uploads.append(PacketMessage(downloads_ns[m] + self.gradient_ns, m, wire, port))
            now_ns += max(self.network.shared_port(uploads, self.delay_ns))
            x = (x - self.step * (total / workers)).astype(np.float32).astype(np.float64)
        return Outcome(x, [*losses, problem.metrics(x)["loss"]], now_ns)

    def _quantised(self, x: Vector, rng: np.random.Generator) -> Vector:
        norm = float(np.float32(np.linalg.norm(x)))
        scaled = self.levels * np.abs(x) / norm
        low = np.floor(scaled)
        out: Vector = norm / self.levels * np.sign(x) * (low + (rng.random(x.size) < scaled - low))
        return out

    def _broadcast_ns(self, dim: int, workers: int) -> list[int]:
        size_bytes = HEADER_BYTES + 4 * dim
        port, wire = datagrams_ns(size_bytes, self.port_bps), datagrams_ns(size_bytes, self.rate_bps)
        arrivals: list[int] = self.network.from_port(port, wire, workers, self.delay_ns)
        return arrivals


def _gradient(w: Vector, features: Vector, targets: npt.NDArray[np.int64]) -> Vector:
    scores = features @ w.T
    scores -= scores.max(axis=1, keepdims=True)
    slopes = np.exp(scores)
    slopes /= slopes.sum(axis=1, keepdims=True)
    slopes[np.arange(targets.size), targets] -= 1.0
    out: Vector = (slopes.T @ features / targets.size).reshape(-1)
    return out
