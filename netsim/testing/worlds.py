"""Small worlds for agents: a quadratic problem in the open, a channel with any delays, scenarios of one algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from netsim.interfaces import (
    STATES,
    Array,
    CostModel,
    CostStructure,
    Delivery,
    FrameSink,
    GradientRequest,
    Indices,
    Medium,
    Node,
    NodeId,
    Optimum,
    TransferId,
    Usage,
    is_between_peers,
)
from netsim.scenario import Entry, Network, Scenario, Stop, Topology
from netsim.units import NS_PER_S, seconds_to_ns

STAR_WORKERS, PEERS = 3, 5


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
        """Return zeros."""
        return np.zeros(self.dim)

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """Draw `batch` of 64 samples, sorted; None for all."""
        return np.sort(rng.choice(64, self.batch, replace=False)) if self.batch else None

    def gradients(self, requests: Sequence[GradientRequest]) -> list[Array]:
        """Return A_m (w - c_m) plus the batch's mean shift."""
        self.calls.append([(r.node, None if r.batch is None else tuple(map(int, r.batch))) for r in requests])
        return [self._gradient(r) for r in requests]

    def _gradient(self, request: GradientRequest) -> Array:
        shift = 0.0 if request.batch is None else self.shifts[request.batch].mean(axis=0)
        gradient: Array = self.curvature[request.node] * (request.at - self.centres[request.node]) + shift
        return gradient

    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_m(w), whatever the batch."""
        return [0.5 * float(self.curvature[r.node] @ (r.at - self.centres[r.node]) ** 2) for r in requests]

    def loss(self, w: Array) -> float:
        """Return F(w)."""
        return float(np.mean(self.values([GradientRequest(m, w) for m in range(self.num_nodes)])))

    def full_gradient(self, w: Array) -> Array:
        """Return the gradient of F."""
        mean: Array = np.mean([self._gradient(GradientRequest(m, w)) for m in range(self.num_nodes)], axis=0)
        return mean

    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return ``loss`` and ``grad_norm``."""
        return {"loss": self.loss(w), "grad_norm": float(np.linalg.norm(self.full_gradient(w)))}

    def smoothness(self, node: NodeId | None = None) -> float:
        """Return the largest curvature."""
        return float((self.curvature.mean(axis=0) if node is None else self.curvature[node]).max())

    def strong_convexity(self) -> float:
        """Return the smallest mean curvature."""
        return float(self.curvature.mean(axis=0).min())

    def num_samples(self, node: NodeId) -> int:
        """Return 64."""
        return 64

    def gradient_flop(self, request: GradientRequest) -> float:
        """Return 3 operations per coordinate."""
        return 3.0 * self.dim

    # Constraints between neighbours, for algorithms that are about them: ||x_a - x_b||^2 <= 0.01, all within 100 of 0.
    inner_radius = 100.0

    def coupled(self, pairs: Sequence[tuple[NodeId, NodeId]]) -> ToyProblem:
        """Return itself."""
        return self

    def constraint(self, a: Array, b: Array) -> float:
        """Return ||a - b||^2 - 0.01."""
        return float((a - b) @ (a - b)) - 0.01

    def constraint_slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return 2 (a - b) and 2 (b - a)."""
        return 2.0 * (a - b), 2.0 * (b - a)

    def project(self, x: Array, shrink: float = 1.0) -> Array:
        """Return the nearest point of the ball."""
        return x * min(1.0, shrink * self.inner_radius / max(float(np.linalg.norm(x)), 1e-300))

    def optimum(self) -> Optimum:
        """Return the curvatures' mean of the centres."""
        at = (self.curvature * self.centres).sum(axis=0) / self.curvature.sum(axis=0)
        return Optimum(at, self.loss(at), 0.0)


class SampledToy(ToyProblem):
    """The same, and it shows its nodes samples."""

    def samples(self, node: NodeId) -> Any:
        """For algorithms about a trained classifier: `dim` samples of a feature a node, at the centre all else."""
        points = self.centres.T[:, : self.num_nodes]
        if node < self.num_nodes:
            return SimpleNamespace(features=points[:, node : node + 1])
        h = SimpleNamespace(predict=lambda x: (x.sum(axis=1) > 0).astype(np.int64))
        return SimpleNamespace(train=points, owners=tuple(range(self.num_nodes)), h=h)


@dataclass(frozen=True)
class Jitter:
    """A channel on which every message takes its own random time, up to `max_s`, so that they overtake each other."""

    max_s: float = 0.3

    reliable_delivery: ClassVar[bool] = True

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Open a medium at time 0."""
        return _JitterMedium(nodes, seconds_to_ns(self.max_s), rng)


class _JitterMedium:
    def __init__(self, nodes: Sequence[Node], max_ns: int, rng: np.random.Generator) -> None:
        self.nodes = [node.id for node in nodes]
        self.max_ns, self.rng = max_ns, rng
        self.under_way: list[Delivery] = []
        self.sent = 0
        self.tx_bytes = dict.fromkeys(self.nodes, 0)
        self.tx_frames = dict.fromkeys(self.nodes, 0)

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        transfer, self.sent = self.sent, self.sent + 1
        air_ns = int(self.rng.integers(0, self.max_ns))
        for to in dst:
            ends = transfer, to, now_ns + air_ns
            self.under_way.append(
                Delivery(*ends, True, 1, 1, size_bytes, air_ns, src, size_bytes, air_ns / NS_PER_S, 0.0)
            )
            self.tx_bytes[src] += size_bytes
            self.tx_frames[src] += 1
        return transfer

    def next_event_ns(self) -> int | None:
        return min((delivery.at_ns for delivery in self.under_way), default=None)

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        here = [delivery for delivery in self.under_way if delivery.at_ns <= to_ns]
        self.under_way = [delivery for delivery in self.under_way if delivery.at_ns > to_ns]
        return sorted(here, key=lambda d: (d.at_ns, d.dst, d.src, d.transfer))

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        raise NotImplementedError("nodes of this channel stay up")

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        return _JitterCost(quantity, {"packet": 1.0, "s": self.max_ns / NS_PER_S, "j": 0.0}.get(quantity))

    def usage(self, at_ns: int) -> Usage:
        state_ns = np.zeros((len(self.nodes), len(STATES)), np.int64)
        state_ns[:, STATES.index("idle")] = at_ns
        sent = (np.array([counts[n] for n in self.nodes], np.int64) for counts in (self.tx_bytes, self.tx_frames))
        return Usage([(node, "port") for node in self.nodes], state_ns, np.zeros(state_ns.shape), *sent)


@dataclass(frozen=True)
class _JitterCost:
    """The same for every message; None: its bits."""

    quantity: str
    constant: float | None

    basis: ClassVar[Any] = "message"
    structure: ClassVar[CostStructure | None] = None

    def __call__(self, size: npt.ArrayLike) -> npt.NDArray[np.float64]:
        size_bit = np.asarray(size, np.float64)
        return size_bit if self.constant is None else np.full_like(size_bit, self.constant)

    def observe(self, message_bit: float, value: float) -> None:
        """Do nothing: the model is fixed."""


@dataclass(frozen=True)
class _StandIn:
    """Stands for the configuration of a problem that is given to the run open."""

    nodes: int


def is_star(algorithm: Any) -> bool:
    """Return whether an algorithm is one of a server and workers."""
    return not is_between_peers(algorithm)


def nodes_of(algorithm: Any) -> int:
    """Return the learning nodes of an algorithm's worlds here."""
    return STAR_WORKERS if is_star(algorithm) else PEERS


def world(algorithm: Any, link: Any, rounds: int, **parts: Any) -> Scenario:
    """Return a scenario of an algorithm alone, on a star or a ring of one link, that stops after some rounds.

    `parts` are further fields of the scenario.
    """
    shape = Topology(name="star" if is_star(algorithm) else "ring")
    return Scenario(
        name="contract",
        problem=_StandIn(nodes_of(algorithm)),  # type: ignore[arg-type]
        algorithms=(Entry("algorithm", algorithm),),
        network=Network(topology=shape, link=link),
        stop=Stop(rounds=rounds),
        **parts,
    )
