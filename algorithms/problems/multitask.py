"""A model of its own for every node, held near those of its neighbours by constraints."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.learning.constrained import minimum
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat, Ref
from netsim.interfaces import Array, Floats, GradientRequest, Indices, NodeId, ProblemConfig
from netsim.registry import Examples, component
from netsim.rng import philox

Pair = tuple[NodeId, NodeId]
NOISE_SAMPLES = 1 << 16


@component("problem")
@dataclass(frozen=True)
class Multitask:
    """Minimise sum_i f_i(x_i) over x_i in X with g(x_i, x_j) <= 0 on every edge of the network's graph, i < j.

    The functions f_i are those of any other problem's nodes: quadratics, least squares, logistic losses on data that a
    partition deals to users. Columns of a run: ``cost``, the sum of f_i(x_i); ``cost_gap``, the same less the minimum,
    which is found by an augmented Lagrangian and is negative where constraints are not met; ``violation``, the largest
    max(0, g). ``loss`` is F at the mean model, which is nobody's.

    Parameters
    ----------
    costs
        The problem that the functions are taken from, with its nodes.
    constraint
        ``distance``: g = ||x_i - x_j||^2 - bound^2. ``linear``: g = direction'(x_i - x_j) - bound.
    bound
        b; for ``distance`` a length.
    direction
        One number for each coordinate, or one for all.
    radius, box
        X: the ball of that radius around 0, or the box [-box, box] in every coordinate; one of the two.
    noise
        Standard deviation of a Gaussian that is added to every entry of a gradient, and its inner product with the
        model to a value: for costs without samples.

    References
    ----------
    Singh, Cao, Diggavi, Basar, "Decentralized multi-task stochastic optimization with compressed communications",
    arXiv 2112.12373. Koppel, Sadler, Ribeiro, "Proximity without consensus in online multi-agent optimization", IEEE
    TSP 2017.
    """

    examples: ClassVar[Examples] = (
        {"costs": {"name": "quadratic", "dim": 4, "nodes": 3, "heterogeneity": 1.0}},
        {
            "costs": {"name": "quadratic", "dim": 3, "nodes": 4, "isotropic": True},
            "constraint": "linear",
            "direction": [1, 0, 0],
            "radius": None,
            "box": 5.0,
            "noise": 0.1,
        },
    )

    costs: Annotated[ProblemConfig, Ref("problem")]
    constraint: Literal["distance", "linear"] = "distance"
    bound: NonNegativeFloat = 1.0
    direction: tuple[float, ...] = (1.0,)
    radius: PositiveFloat | None = 10.0
    box: PositiveFloat | None = None
    noise: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        if (self.radius is None) == (self.box is None):
            got = "neither" if self.radius is None else "both"
            raise ConfigError([Fault(("box",), "a radius or a box, where box needs radius: null", got)])

    @property
    def nodes(self) -> int:
        """The nodes of the costs."""
        return self.costs.nodes

    def open(self, seed: int) -> MultitaskProblem:
        """Open the costs.

        Raises
        ------
        ConfigError
            If `direction` fits no model.
        """
        live: Any = self.costs.open(seed)
        if len(self.direction) not in (1, live.dim):
            allowed = f"one number, or one for each of {live.dim} coordinates"
            raise ConfigError([Fault(("direction",), allowed, f"{len(self.direction)} numbers")])
        return MultitaskProblem(live, self)


class MultitaskProblem:
    """The live problem; see `netsim.interfaces.Problem`, `HasJointMetrics` and `HasPairs`.

    Parameters
    ----------
    costs
        The live problem of the f_i.
    config
        Its constraints and X.
    pairs
        Whom the constraints join, each with the smaller id first.
    """

    joint_metric_names = frozenset({"cost", "cost_gap", "violation"})

    def __init__(self, costs: Any, config: Multitask, pairs: Sequence[Pair] = ()) -> None:
        self.costs, self.config, self.pairs = costs, config, tuple(pairs)
        self.dim, self.num_nodes, self.layout = costs.dim, costs.num_nodes, costs.layout
        self.metric_names = costs.metric_names - {"loss_gap"}
        self.direction = np.broadcast_to(np.array(config.direction), (costs.dim,))

    def coupled(self, pairs: Sequence[Pair]) -> MultitaskProblem:
        """Return this problem with constraints between those pairs."""
        return _coupled(self.costs, self.config, tuple(pairs))

    # --- the functions -------------------------------------------------------------------------------------

    def start(self) -> Array:
        """Return the costs' start, in X."""
        return self.project(self.costs.start())

    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return the metrics of the costs at one model for all."""
        measured: Mapping[str, float] = self.costs.metrics(w)
        return measured

    def num_samples(self, node: NodeId) -> int:
        """Return the node's samples; with noise there are 65536, and the mean over all is without noise."""
        return NOISE_SAMPLES if self.config.noise else int(self.costs.num_samples(node))

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """Draw the costs' minibatch, or with noise one sample."""
        if self.config.noise:
            return rng.integers(NOISE_SAMPLES, size=1)
        batch: Indices | None = self.costs.draw_batch(node, rng)
        return batch

    def gradients(self, requests: Sequence[GradientRequest]) -> list[Array]:
        """Return the gradient of each request."""
        pairs = zip(requests, self.costs.gradients(self._without_noise(requests)), strict=True)
        return [g + self._drawn(r) if self._is_noisy(r) else g for r, g in pairs]

    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_i of each request."""
        pairs = zip(requests, self.costs.values(self._without_noise(requests)), strict=True)
        return [float(f + self._drawn(r) @ r.at) if self._is_noisy(r) else f for r, f in pairs]

    def gradient_flop(self, request: GradientRequest) -> float:
        """Return operations of the costs' gradient."""
        return float(self.costs.gradient_flop(*self._without_noise([request])))

    def _is_noisy(self, request: GradientRequest) -> bool:
        return bool(self.config.noise) and request.batch is not None

    def _without_noise(self, requests: Sequence[GradientRequest]) -> list[GradientRequest]:
        return [r._replace(batch=None) if self._is_noisy(r) else r for r in requests]

    def _drawn(self, request: GradientRequest) -> Array:
        """Return the mean noise of a batch: samples 2k and 2k + 1 are opposite normal vectors (Box and Muller)."""
        batch = np.asarray(request.batch, np.int64)
        half = (self.dim + 1) // 2
        counters = ((batch // 2)[:, None] * half + np.arange(half)).astype(np.uint64).ravel()
        words = philox(request.node, 0, counters)
        u, v = (((words[:, i].astype(np.float64) + 0.5) * 2.0**-32).reshape(-1, half) for i in (0, 1))
        length = np.where(batch % 2, -1.0, 1.0)[:, None] * np.sqrt(-2.0 * np.log(u))
        both = np.concatenate([length * np.cos(2 * np.pi * v), length * np.sin(2 * np.pi * v)], axis=1)
        noise: Array = self.config.noise * both.mean(axis=0)[: self.dim]
        return noise

    # --- the constraints -----------------------------------------------------------------------------------

    def constraint(self, a: Array, b: Array) -> float:
        """Return g(x_a, x_b), a being the smaller id."""
        if self.config.constraint == "linear":
            return float(self.direction @ (a - b)) - self.config.bound
        return float((a - b) @ (a - b)) - self.config.bound**2

    def constraint_slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return the gradients of g(x_a, x_b) for x_a and for x_b."""
        slope: Array = self.direction if self.config.constraint == "linear" else 2.0 * (a - b)
        return slope, -slope

    @property
    def inner_radius(self) -> float:
        """The radius of the largest ball around 0 in X."""
        return float(self.config.radius or self.config.box or 0.0)

    def project(self, x: Array, shrink: float = 1.0) -> Array:
        """Return the point of shrink X that is nearest to x."""
        if self.config.box is not None:
            return np.clip(x, -shrink * self.config.box, shrink * self.config.box)
        length, most = float(np.sqrt(x @ x)), shrink * float(self.config.radius or 0.0)
        return x * (most / length) if length > most else x

    # --- measures ------------------------------------------------------------------------------------------

    def joint_metrics(self, models: Mapping[NodeId, Array]) -> Mapping[str, float]:
        """Return cost, cost_gap and violation of the nodes' models."""
        cost = float(sum(self.costs.values([GradientRequest(node, x) for node, x in models.items()])))
        there = [(a, b) for a, b in self.pairs if a in models and b in models]
        worst = max((self.constraint(models[a], models[b]) for a, b in there), default=0.0)
        return {"cost": cost, "cost_gap": cost - self.best[1], "violation": max(worst, 0.0)}

    @functools.cached_property
    def best(self) -> tuple[Array, float]:
        """The minimiser, shape (M, d), and the minimum of the sum."""
        m, d, is_ball = self.num_nodes, self.dim, self.config.box is None
        first, second = (np.array([pair[i] for pair in self.pairs], np.int64) for i in (0, 1))

        def cost(flat: Floats) -> tuple[float, Floats]:
            requests = [GradientRequest(node, x) for node, x in enumerate(flat.reshape(m, d))]
            return float(sum(self.costs.values(requests))), np.concatenate(list(self.costs.gradients(requests)))

        def limits(flat: Floats, weights: Floats) -> tuple[Floats, Floats]:
            x = flat.reshape(m, d)
            apart, on_pairs = x[first] - x[second], weights[: len(first)]
            if self.config.constraint == "linear":
                g, slope = apart @ self.direction - self.config.bound, np.outer(on_pairs, self.direction)
            else:
                g, slope = (apart**2).sum(axis=1) - self.config.bound**2, 2.0 * on_pairs[:, None] * apart
            out = np.zeros_like(x)
            np.add.at(out, first, slope)
            np.subtract.at(out, second, slope)
            if is_ball:
                g = np.append(g, (x**2).sum(axis=1) - self.inner_radius**2)
                out += 2.0 * weights[len(first) :, None] * x
            return g, out.ravel()

        sides = None if is_ball else [(-self.inner_radius, self.inner_radius)] * (m * d)
        start = np.tile(np.asarray(self.start(), np.float64), m)
        at, value = minimum(cost, limits, start, len(first) + m * is_ball, sides)
        return at.reshape(m, d), value


@functools.lru_cache(maxsize=8)
def _coupled(costs: Any, config: Multitask, pairs: tuple[Pair, ...]) -> MultitaskProblem:
    """Return one object for each graph, so that its minimum is found once."""
    return MultitaskProblem(costs, config, pairs)
