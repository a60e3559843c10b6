"""Small worlds for tests: a quadratic problem in the open, scenarios from a few words, a channel with any delays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import yaml

from netsim.interfaces import (
    Array,
    FrameSink,
    GradientRequest,
    Indices,
    Medium,
    Node,
    NodeId,
    Optimum,
    TransferId,
)
from netsim.scenario import Scenario, parse_text
from netsim.units import seconds_to_ns
from tests.plugins import dgd as dgd  # registers the algorithm of peers
from tests.plugins.pigeon import Coop


class ToyProblem:
    """f_m(w) = 0.5 (w - c_m)' A_m (w - c_m) with diagonal A_m, and minibatches that only shift the gradient.

    Attributes
    ----------
    calls : the requests of every call of `gradients`, as (node, batch) pairs.
    """

    def __init__(self, num_nodes: int = 3, dim: int = 12, seed: int = 0, isotropic: bool = False, batch: int = 0):
        rng = np.random.default_rng(seed)
        self.num_nodes, self.dim, self.batch = num_nodes, dim, batch
        self.layout: Sequence[tuple[int, ...]] = ((dim,),)
        spread = np.full((num_nodes, dim), 2.0) if isotropic else rng.uniform(0.5, 2.0, (num_nodes, dim))
        self.curvature = spread
        centre = rng.normal(size=dim) * rng.exponential(1.0, dim) ** 2
        self.centres = np.tile(centre, (num_nodes, 1)) + (0 if isotropic else 0.1 * rng.normal(size=(num_nodes, dim)))
        self.shifts = 0.05 * rng.normal(size=(64, dim))
        self.calls: list[list[tuple[NodeId, tuple[int, ...] | None]]] = []

    metric_names = frozenset({"loss", "loss_gap", "grad_norm"})

    def start(self) -> Array:
        return np.zeros(self.dim)

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        return np.sort(rng.choice(64, self.batch, replace=False)) if self.batch else None

    def gradients(self, requests: Sequence[GradientRequest]) -> list[Array]:
        self.calls.append([(r.node, None if r.batch is None else tuple(map(int, r.batch))) for r in requests])
        return [self._gradient(r) for r in requests]

    def _gradient(self, request: GradientRequest) -> Array:
        shift = 0.0 if request.batch is None else self.shifts[request.batch].mean(axis=0)
        return self.curvature[request.node] * (request.at - self.centres[request.node]) + shift

    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        return [0.5 * float(self.curvature[r.node] @ (r.at - self.centres[r.node]) ** 2) for r in requests]

    def loss(self, w: Array) -> float:
        return float(np.mean(self.values([GradientRequest(m, w) for m in range(self.num_nodes)])))

    def full_gradient(self, w: Array) -> Array:
        return np.mean([self._gradient(GradientRequest(m, w)) for m in range(self.num_nodes)], axis=0)

    def metrics(self, w: Array) -> Mapping[str, float]:
        return {"loss": self.loss(w), "grad_norm": float(np.linalg.norm(self.full_gradient(w)))}

    def smoothness(self, node: NodeId | None = None) -> float:
        return float((self.curvature.mean(axis=0) if node is None else self.curvature[node]).max())

    def strong_convexity(self) -> float:
        return float(self.curvature.mean(axis=0).min())

    def num_samples(self, node: NodeId) -> int:
        return 64

    def gradient_flop(self, request: GradientRequest) -> float:
        return 3.0 * self.dim

    def optimum(self) -> Optimum:
        at = (self.curvature * self.centres).sum(axis=0) / self.curvature.sum(axis=0)
        return Optimum(at, self.loss(at), 0.0)


def scenario(
    *algorithms: Mapping[str, Any], nodes: int = 3, stop: Mapping[str, Any] | None = None, **keys: Any
) -> Scenario:
    """A checked scenario of these algorithms; the problem is a stand-in for a `ToyProblem` given to the run."""
    plain = {
        "name": "toy",
        "problem": {"name": "quadratic", "dim": 12, "nodes": nodes},
        "algorithms": [dict(a) for a in algorithms],
        "stop": dict(stop or {"rounds": 20}),
        **keys,
    }
    return parse_text(yaml.safe_dump(plain), "toy.yaml")


@dataclass(frozen=True)
class Jitter:
    """A channel on which every message takes its own random time, so that they overtake each other."""

    max_s: float = 0.3

    reliable_delivery: ClassVar[bool] = True

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        return _JitterMedium(nodes, self.max_s, rng)


class _JitterMedium(Coop):
    def __init__(self, nodes: Sequence[Node], max_s: float, rng: np.random.Generator) -> None:
        super().__init__(nodes, max_s, None)
        self.max_ns, self.rng = seconds_to_ns(max_s), rng

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        self.flight_ns = int(self.rng.integers(0, self.max_ns))
        return super().submit(now_ns, src, dst, size_bytes)
