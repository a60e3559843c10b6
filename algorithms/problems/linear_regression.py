"""Ridge regression over nodes: a convex problem on real data whose minimiser has a closed form."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from algorithms.learning.linear_outputs import LinearOutputs, Verdict
from algorithms.learning.rows import Span
from algorithms.learning.shares import FIRST, Dealt, Shares
from netsim.errors import SimulationError
from netsim.interfaces import Draws, Floats, Optimum
from netsim.registry import Examples, component

_SIDE_MAX = 4000  # of the system that is factorised
_SPECTRUM_MAX = 1000  # columns up to which the smallest eigenvalue is computed
_ERROR_MAX = 1e-12


@component("problem")
@dataclass(frozen=True)
class LinearRegression(Dealt):
    """f_m(w) = (1/(2 n_m)) sum_i (w'x_i - y_i)^2 + (l2/2) ||w||^2 over node m's samples, F = (1/M) sum_m f_m.

    A bias is a column of the data (`bias: true` of most datasets). F is a mean over nodes, whatever their numbers of
    samples. There is no accuracy: labels are numbers.

    Parameters
    ----------
    dataset
        Labels are any numbers.

    Notes
    -----
    With A = mean_m X_m'X_m/n_m and b = mean_m X_m'y_m/n_m the minimiser is (A + l2 I)^-1 b. L_m is
    lmax(X_m'X_m)/n_m + l2, L of F is lmax(A) + l2; strong convexity is lmin(A) + l2 for up to 1000 columns, else l2.

    A gradient's work is 4 operations per stored feature, 6 per sample and 2 per coordinate.

    Examples
    --------
    >>> from netsim.registry import build
    >>> problem = build("problem", {"name": "linear_regression", "dataset": "breast_cancer"}).open(seed=1)
    >>> problem.dim, problem.loss(problem.start())
    (31, 0.5)
    """

    examples: ClassVar[Examples] = (
        {"dataset": {"name": "breast_cancer"}, "nodes": 3, "batch": 8},
        {"dataset": {"name": "synthetic_sparse", "num_rows": 60, "num_features": 90, "nonzeros_per_row": 8},
         "nodes": 4, "partition": {"name": "dirichlet", "alpha": 0.5}, "batch": 0.5},
    )  # fmt: skip

    def open(self, seed: int, draws: Draws = FIRST) -> LinearProblem:
        """Load and split the data; for errors see `Dealt.deal`."""
        return LinearProblem(self, self.deal(seed, draws))


class LinearProblem(LinearOutputs):
    """The live problem; see `netsim.interfaces.Problem`."""

    def __init__(self, config: LinearRegression, shares: Shares) -> None:
        super().__init__(config, shares, shares.labels, shares.test_labels, 1, 1.0)
        self.layout = ((self.dim,),)

    def judge(self, outputs: Floats, targets: npt.NDArray[Any]) -> Verdict:
        """Return half the squared distances."""
        distances = outputs - targets[..., None]
        return Verdict(0.5 * np.square(distances[..., 0]), distances)

    @functools.cached_property
    def _convexity(self) -> float:
        samples = self._edges[-1]
        if self.dim > min(_SPECTRUM_MAX, samples):
            return self._l2
        gram = self.rows.gram(Span(0, samples), self._shares.sample_weights())
        spectrum = np.linalg.eigvalsh(gram)
        # Eigenvalues err by far less than 1e-12 of the largest.
        return self._l2 + max(0.0, float(spectrum[0] - 1e-12 * spectrum[-1]))

    def strong_convexity(self) -> float:
        """Return lmin(A) + l2, a lower bound within 1e-12 of L; l2 for more than 1000 columns."""
        return self._convexity

    def find_optimum(self) -> Optimum:
        """Return the solution of the normal equations.

        Raises
        ------
        SimulationError
            If l2 is too small for ||grad F||^2 / (2 l2) <= 1e-12.
        """
        weights, features = self._shares.sample_weights(), self._features
        at, right = np.zeros(self.dim), features.T @ (weights * self._targets)
        solve = self._solver(weights)
        # The second pass takes away what the first one's rounding left.
        for _ in range(2):
            residual = right - features.T @ (weights * (features @ at)) - self._l2 * at
            at = at + solve(residual)
        gradient = features.T @ (weights * (features @ at - self._targets)) + self._l2 * at
        error = float(np.dot(gradient, gradient)) / (2 * self._l2)
        if error > _ERROR_MAX:
            allowed = f"no optimum to {_ERROR_MAX:g}; a larger l2 is needed"
            raise SimulationError(f"linear_regression: {allowed}. Got {error:g}.")
        return Optimum(at, self.loss(at), error)

    def _solver(self, weights: Floats) -> Any:
        """Solve with A + l2 I, by factors of it or of the matrix between samples, or by conjugate gradients."""
        samples, features, l2 = weights.size, self._features, self._l2
        if min(samples, self.dim) > _SIDE_MAX:
            from scipy.sparse.linalg import LinearOperator, cg

            def product(v: Floats) -> Floats:
                out: Floats = features.T @ (weights * (features @ v.reshape(-1))) + l2 * v.reshape(-1)
                return out

            operator = LinearOperator((self.dim, self.dim), matvec=product, dtype=np.float64)
            return lambda residual: cg(operator, residual, rtol=1e-14, maxiter=10 * self.dim)[0]
        from scipy.linalg import cho_factor, cho_solve

        gram = self.rows.gram(Span(0, samples), weights)
        gram[np.diag_indices(gram.shape[0])] += l2
        factor = cho_factor(gram)
        if samples >= self.dim:
            return lambda residual: cho_solve(factor, residual)
        roots = np.sqrt(weights)

        def by_rows(residual: Floats) -> Floats:
            """Return the solution by Woodbury: (A'A + l2 I)^-1 r = (r - A'(AA' + l2 I)^-1 A r) / l2."""
            inner = cho_solve(factor, roots * (features @ residual))
            out: Floats = (residual - features.T @ (roots * inner)) / l2
            return out

        return by_rows
