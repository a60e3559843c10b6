"""Softmax regression over nodes: any number of classes, convex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.cache import remembered_optimum
from algorithms.learning.cross_entropy import cross_entropy
from algorithms.learning.labels import Classes, classes_of
from algorithms.learning.linear_outputs import LinearOutputs, Verdict
from algorithms.learning.newton_cg import Map, Quadratic, minimise
from algorithms.learning.rows import Span
from algorithms.learning.shares import FIRST, Dealt, Shares
from netsim.interfaces import Draws, Floats, Optimum
from netsim.registry import Examples, component

_GRAM_MAX = 3000  # columns up to which the preconditioner is made


@component("problem")
@dataclass(frozen=True)
class SoftmaxRegression(Dealt):
    """f_m(W) = (1/n_m) sum_i [log sum_c exp(w_c'x_i) - w_{y_i}'x_i] + (l2/2) ||W||^2, F = (1/M) sum_m f_m.

    The model is W, of shape (classes, columns), row by row. A bias is a column of the data (`bias: true` of most
    datasets). F is a mean over nodes, whatever their numbers of samples.

    Notes
    -----
    Smoothness: the second derivative in the scores, diag(p) - pp', has eigenvalues of at most 1/2, reached where two
    classes share all probability. So L_m = lmax(X_m'X_m)/(2 n_m) + l2, and L of F is
    lmax(mean_m X_m'X_m/n_m)/2 + l2 (an upper bound). Strong convexity is l2.

    A gradient's work is 4 operations per stored feature and class, 6 per sample and class, 2 per coordinate.

    The optimum is found by Newton's method with conjugate gradients when a run begins, and kept on disk: for all of
    MNIST that takes minutes once (12000 images at l2 = 1e-3: 392 products with all data, 16 s). With l2 = 0 there is
    none to find.

    References
    ----------
    Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical Mathematics, 1992.

    Examples
    --------
    >>> from netsim.registry import build
    >>> data = {"name": "digits", "positive_class": None}
    >>> problem = build("problem", {"name": "softmax_regression", "dataset": data, "nodes": 2}).open(seed=1)
    >>> problem.layout, round(problem.loss(problem.start()), 4)
    (((10, 65),), 2.3026)
    """

    examples: ClassVar[Examples] = (
        {"dataset": {"name": "digits", "positive_class": None}, "nodes": 3, "batch": 8, "l2": 0.01},
        {"dataset": {"name": "synthetic_sparse", "num_rows": 60, "num_features": 30, "nonzeros_per_row": 8},
         "nodes": 4, "partition": {"name": "dirichlet", "alpha": 0.5}, "batch": 0.5},
    )  # fmt: skip

    def open(self, seed: int, draws: Draws = FIRST) -> SoftmaxProblem:
        """Load and split the data; for errors see `Dealt.deal` and `classes_of`."""
        shares = self.deal(seed, draws)
        return SoftmaxProblem(self, shares, classes_of(shares, "softmax_regression"))


class SoftmaxProblem(LinearOutputs):
    """The live problem; see `netsim.interfaces.Problem`."""

    def __init__(self, config: SoftmaxRegression, shares: Shares, classes: Classes) -> None:
        super().__init__(config, shares, classes.targets, classes.test_targets, classes.number, 0.5)

    def judge(self, outputs: Floats, targets: npt.NDArray[Any]) -> Verdict:
        """Return the cross-entropy of the scores."""
        found = cross_entropy(outputs, targets)
        return Verdict(found.losses, found.slopes, outputs.argmax(-1))

    def find_optimum(self) -> Optimum:
        """Return the minimiser by Newton's method, kept on disk."""

        def find() -> tuple[Floats, float]:
            return minimise(_Objective(self), np.zeros(self.dim), self._l2, self._name)

        return remembered_optimum(self, find, "softmax optimum", self.content(), self._l2)


class _Objective:
    """F with its second derivative, over all samples at once."""

    def __init__(self, problem: SoftmaxProblem) -> None:
        self._features, self._targets = problem._features, problem._targets
        self._weights = problem._shares.sample_weights()[:, None]
        self._shape, self._l2 = problem._shape, problem._l2
        self._gram = None
        if self._shape[1] <= min(_GRAM_MAX, self._targets.size):
            self._gram = problem.rows.gram(Span(0, self._targets.size), self._weights[:, 0])

    def value(self, w: Floats) -> float:
        losses = cross_entropy(self._scores(w), self._targets).losses
        return float(np.dot(self._weights[:, 0], losses)) + self._l2 / 2 * float(np.dot(w, w))

    def expand(self, w: Floats) -> Quadratic:
        seen = cross_entropy(self._scores(w), self._targets)
        probabilities, weighted = seen.probabilities, seen.probabilities * self._weights

        def product(v: Floats) -> Floats:
            change = self._scores(v)
            change -= np.einsum("ij,ij->i", probabilities, change)[:, None]
            return self._spread(weighted * change) + self._l2 * v.reshape(-1)

        value = float(np.dot(self._weights[:, 0], seen.losses)) + self._l2 / 2 * float(np.dot(w, w))
        gradient = self._spread(self._weights * seen.slopes) + self._l2 * w
        spread = np.einsum("ij,ij->j", weighted, 1.0 - probabilities)
        return Quadratic(value, gradient, product, self._precondition(spread))

    def _precondition(self, spread: Floats) -> Map:
        """Solve with each class's own block, as if all samples had the class's mean p (1 - p)."""
        gram = self._gram
        if gram is None:
            return lambda v: v
        from scipy.linalg import cho_factor, cho_solve

        ridge = self._l2 * np.eye(gram.shape[0])
        factors = [cho_factor(mean * gram + ridge) for mean in spread]

        def solve(v: Floats) -> Floats:
            rows = v.reshape(self._shape)
            return np.concatenate([cho_solve(factor, row) for factor, row in zip(factors, rows, strict=True)])

        return solve

    def _scores(self, w: Floats) -> Floats:
        out: Floats = self._features @ w.reshape(self._shape).T
        return out

    def _spread(self, slopes: Floats) -> Floats:
        out: Floats = np.ascontiguousarray(slopes.T @ self._features).reshape(-1)
        return out
