"""Quadratics with known constants and minimiser, where most statements about algorithms are equalities."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from algorithms.learning.quiet import quiet
from netsim import memory
from netsim.errors import SimulationError
from netsim.fields import PositiveInt, Range
from netsim.interfaces import Array, Draws, Floats, GradientRequest, Indices, NodeId, Optimum
from netsim.registry import Examples, component
from netsim.rng import stream

_FIRST = Draws()


@component("problem")
@dataclass(frozen=True)
class Quadratic:
    """f_m(w) = w'A_m w / 2 - b_m'w, F = (1/M) sum_m f_m, all from a seed.

    With a random rotation Q, A = Q diag(mu .. L) Q' has eigenvalues evenly spaced in their logarithms. With h the
    heterogeneity, A_m = (A + h B_m)/(1 + h), where B_m is A in a rotation of node m's own; node m alone is minimised by
    x_m = x + h u_m with x and u_m standard normal, so b_m = A_m x_m. At h = 0 all nodes have the same function.

    Parameters
    ----------
    dim, nodes
        d and M.
    smoothness
        L, the largest eigenvalue of A; no L_m is larger.
    condition
        L/mu of A, at least 1; plays no part if `isotropic`.
    heterogeneity
        h >= 0.
    isotropic
        A_m = L times the identity, so that F(w) = (L/2) ||w - x*||^2 plus a constant, for any dim (no matrices).

    Examples
    --------
    >>> problem = Quadratic(dim=3, isotropic=True, smoothness=2.0).open(seed=1)
    >>> problem.smoothness(), problem.strong_convexity()
    (2.0, 2.0)
    """

    examples: ClassVar[Examples] = (
        {"dim": 6, "nodes": 3, "heterogeneity": 0.5},
        {"dim": 20, "nodes": 1, "isotropic": True},
    )

    dim: PositiveInt = 20
    nodes: PositiveInt = 4
    smoothness: Annotated[float, Range(gt=0, le=1e100)] = 1.0
    condition: Annotated[float, Range(ge=1, le=1e15)] = 10.0
    heterogeneity: Annotated[float, Range(ge=0, le=1e100)] = 0.0
    isotropic: bool = False

    redraws: ClassVar[frozenset[str]] = frozenset({"data"})

    def open(self, seed: int, draws: Draws = _FIRST) -> QuadraticProblem:
        """Draw matrices and minimisers from the stream ``(seed, draws.data, -1, "dataset")``."""
        if not self.isotropic:
            memory.require(16.0 * self.nodes * self.dim**2, f"quadratic: matrices of d = {self.dim} rows and columns")
        memory.require(16.0 * self.nodes * self.dim, f"quadratic: models of d = {self.dim} numbers")
        rng = stream(seed, draws.data, -1, "dataset")
        h = self.heterogeneity
        centres = rng.standard_normal(self.dim) + h * rng.standard_normal((self.nodes, self.dim))
        if self.isotropic:
            return QuadraticProblem(np.full((self.nodes, 1, 1), self.smoothness), centres)
        eigenvalues = self.smoothness * np.geomspace(1 / self.condition, 1, self.dim)
        shared = _rotated(eigenvalues, rng)
        if h == 0:
            return QuadraticProblem(np.repeat(shared[None], self.nodes, 0), centres)
        own = np.stack([_rotated(eigenvalues, rng) for _ in range(self.nodes)])
        return QuadraticProblem((shared + h * own) / (1 + h), centres)


class QuadraticProblem:
    """The live problem, of any symmetric A_m and b_m = A_m x_m; see `netsim.interfaces.Problem`.

    Parameters
    ----------
    matrices
        A_m, shape (M, d, d), positive definite; shape (M, 1, 1) stands for multiples of the identity.
    centres
        x_m, shape (M, d).
    """

    metric_names = frozenset({"loss", "grad_norm", "loss_gap"})

    def __init__(self, matrices: Floats, centres: Floats) -> None:
        self.matrices, self.centres = matrices, centres
        self.num_nodes, self.dim = centres.shape
        self.layout = ((self.dim,),)
        self._is_isotropic = matrices.shape[1:] == (1, 1)
        self._linear = self._apply(matrices, centres)
        self._mean, self._mean_linear = matrices.mean(0), self._linear.mean(0)

    def start(self) -> Array:
        """Return zeros."""
        return np.zeros(self.dim)

    def num_samples(self, node: NodeId) -> int:
        """Return 1: the function is all that a node has."""
        return 1

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """Return None: there are no minibatches."""
        return None

    def batch_size(self, node: NodeId) -> int:
        """Return the number of the node's samples: there are no minibatches."""
        return self.num_samples(node)

    @quiet
    def gradients(self, requests: Sequence[GradientRequest]) -> list[Array]:
        """Return A_m w - b_m of each request; as A_m (w - x_m) it is exact where w - x_m is."""
        return [self._product(self.matrices[node], self._point(at) - self.centres[node]) for node, at, *_ in requests]

    @quiet
    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_m(w) of each request."""
        return [self._value(self.matrices[node], self._linear[node], self._point(at)) for node, at, *_ in requests]

    @quiet
    def loss(self, w: Array) -> float:
        """Return F(w)."""
        return self._value(self._mean, self._mean_linear, self._point(w))

    @quiet
    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return ``loss`` and ``grad_norm`` of F."""
        point = self._point(w)
        gradient = self._product(self._mean, point) - self._mean_linear
        return {
            "loss": self._value(self._mean, self._mean_linear, point),
            "grad_norm": float(np.sqrt(np.dot(gradient, gradient))),
        }

    def smoothness(self, node: NodeId | None = None) -> float:
        """Return the largest eigenvalue of A_m, or of the mean matrix."""
        return float(self._spectrum(self._mean if node is None else self.matrices[node])[-1])

    def strong_convexity(self) -> float:
        """Return the smallest eigenvalue of the mean matrix."""
        return float(self._spectrum(self._mean)[0])

    def gradient_flop(self, request: GradientRequest) -> float:
        """Return 2 d^2 + d, or 2 d if isotropic: a product and a sum per entry, and w - x_m."""
        return float(2 * self.dim if self._is_isotropic else 2 * self.dim**2 + self.dim)

    def optimum(self) -> Optimum:
        """Return the solution of the mean system, with ||grad F||^2 / (2 mu) as its error."""
        return self._optimum

    @functools.cached_property
    def _optimum(self) -> Optimum:
        if self._is_isotropic:
            at = self._mean_linear / self._mean[0, 0]
        else:
            at = np.linalg.solve(self._mean, self._mean_linear)
        gradient = self._product(self._mean, at) - self._mean_linear
        return Optimum(at, self.loss(at), float(np.dot(gradient, gradient)) / (2 * self.strong_convexity()))

    def _apply(self, matrices: Floats, points: Floats) -> Floats:
        return np.stack([self._product(matrix, point) for matrix, point in zip(matrices, points, strict=True)])

    def _product(self, matrix: Floats, point: Floats) -> Floats:
        out: Floats = matrix[0, 0] * point if self._is_isotropic else np.dot(matrix, point)
        return out

    def _value(self, matrix: Floats, linear: Floats, point: Floats) -> float:
        value = float(np.dot(point, 0.5 * self._product(matrix, point) - linear))
        # Overflow of either sign is far away from the minimiser; which sign depends on the order of the sum.
        return value if math.isfinite(value) else math.inf

    def _spectrum(self, matrix: Floats) -> Floats:
        return matrix[0] if self._is_isotropic else np.asarray(np.linalg.eigvalsh(matrix), np.float64)

    def _point(self, w: Array) -> Floats:
        if np.shape(w) != (self.dim,):
            raise SimulationError(f"quadratic: a model of shape ({self.dim},) is needed. Got {np.shape(w)}.")
        return np.asarray(w, np.float64)


def _rotated(eigenvalues: Floats, rng: np.random.Generator) -> Floats:
    """Return Q diag(eigenvalues) Q' with a uniformly random rotation (or reflection) Q."""
    q, r = np.linalg.qr(rng.standard_normal((eigenvalues.size, eigenvalues.size)))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    matrix: Floats = (q * eigenvalues) @ q.T
    return (matrix + matrix.T) / 2
