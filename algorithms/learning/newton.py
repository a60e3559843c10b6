"""Damped Newton for regularised logistic regression, to the last digits, with a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from algorithms.learning.losses import LOGISTIC, bend
from algorithms.learning.rows import Rows, Span
from netsim.errors import SimulationError
from netsim.interfaces import Floats

Solve = Callable[[Floats, Floats], Floats]

_ERROR_WANTED = 1e-15
_ERROR_MAX = 1e-12
_STEPS_MAX = 200
_CHOLESKY_FLOP_MAX = 2e10


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """F(w) = sum_i weights_i log(1 + exp(-x_i'w)) + (l2/2) ||w||^2 over the rows x_i (times their labels)."""

    rows: Rows
    weights: Floats
    l2: float

    @property
    def span(self) -> Span:
        return Span(0, self.rows.num_rows)

    def margins(self, w: Floats) -> Floats:
        """Return x_i'w of each row."""
        out = np.empty(self.rows.num_rows)
        self.rows.dots(self.rows.take(self.span), w, out)
        return out

    def spread(self, factors: Floats) -> Floats:
        """Return sum_i factors_i x_i."""
        return self.rows.combine(self.rows.take(self.span), factors, factors, 0.0)

    def value(self, w: Floats, margins: Floats) -> float:
        """Return F(w), given the margins at w."""
        return float(np.dot(self.weights, LOGISTIC.value(margins))) + self.l2 / 2 * float(np.dot(w, w))

    def gradient(self, w: Floats, margins: Floats) -> Floats:
        """Return the gradient of F at w, given the margins at w."""
        return self.spread(LOGISTIC.slope(margins, self.weights)) + self.l2 * w


def minimise(objective: Objective) -> tuple[Floats, float]:
    """Return the minimiser w and a bound on F(w) - F*, namely ||grad F(w)||^2 / (2 l2) as F is l2-strongly convex.

    Newton steps with backtracking (Boyd, Vandenberghe, "Convex optimization", 2004, algorithm 9.5). The linear
    systems are solved by Cholesky factors of the Hessian, or where there are fewer samples than columns of the Gram
    matrix (Woodbury's identity); large ones by conjugate gradients, more exactly from step to step.

    Raises
    ------
    SimulationError
        If the bound does not come below 1e-12, which needs an l2 of 1e-18 or less.
    """
    solve = _solver(objective)
    w = np.zeros(objective.rows.dim)
    margins = objective.margins(w)
    value, error = objective.value(w, margins), np.inf
    best = w
    for _ in range(_STEPS_MAX):
        gradient = objective.gradient(w, margins)
        bound = float(np.dot(gradient, gradient)) / (2 * objective.l2)
        if bound < error:
            best, error = w, bound
        if error <= _ERROR_WANTED:
            break
        direction = -solve(bend(margins) * objective.weights, gradient)
        found = _search(objective, w, margins, value, direction, float(np.dot(gradient, direction)))
        if found is None:
            break
        w, margins, value = found
    if error > _ERROR_MAX:
        raise SimulationError(
            f"logistic_regression: no optimum to {_ERROR_MAX:g}; a larger l2 is needed. Got {error:g}."
        )
    return best, error


def _search(
    objective: Objective, w: Floats, margins: Floats, value: float, direction: Floats, slope: float
) -> tuple[Floats, Floats, float] | None:
    """Return the first of the steps 1, 1/2, 1/4, ... that lowers F enough; None where none does."""
    change = objective.margins(direction)
    step, rounding = 1.0, 1e-14 * abs(value)
    while step > 1e-8:
        ahead, ahead_margins = w + step * direction, margins + step * change
        reached = objective.value(ahead, ahead_margins)
        if reached <= value + 1e-4 * step * slope + rounding:
            return ahead, objective.margins(ahead), reached
        step /= 2
    return None


def _solver(objective: Objective) -> Solve:
    """Return a solver (weights of the Hessian, right) -> p of (sum_i weights_i x_i x_i' + l2 I) p = right."""
    rows, l2 = objective.rows, objective.l2
    side = min(rows.num_rows, rows.dim)
    if (rows.entries(objective.span) + side**2) * side > _CHOLESKY_FLOP_MAX:
        return _conjugate_gradients(objective)
    from scipy.linalg import cho_factor, cho_solve

    diagonal = np.diag_indices(side)
    if rows.num_rows >= rows.dim:

        def by_columns(weights: Floats, right: Floats) -> Floats:
            hessian = rows.gram(objective.span, weights)
            hessian[diagonal] += l2
            out: Floats = cho_solve(cho_factor(hessian, overwrite_a=True), right)
            return out

        return by_columns
    gram = rows.gram(objective.span, np.ones(side))

    def by_rows(weights: Floats, right: Floats) -> Floats:
        roots = np.sqrt(weights)
        inner = gram * roots[:, None] * roots
        inner[diagonal] += l2
        dual = cho_solve(cho_factor(inner, overwrite_a=True), roots * objective.margins(right))
        out: Floats = (right - objective.spread(roots * dual)) / l2
        return out

    return by_rows


def _conjugate_gradients(objective: Objective) -> Solve:
    from scipy.sparse.linalg import LinearOperator, cg

    dim, first_norm = objective.rows.dim, 0.0

    def solve(weights: Floats, right: Floats) -> Floats:
        nonlocal first_norm
        norm = float(np.linalg.norm(right))
        first_norm = first_norm or norm

        def hessian(v: Floats) -> Floats:
            v = np.ascontiguousarray(v.reshape(-1))
            return objective.spread(weights * objective.margins(v)) + objective.l2 * v

        operator = LinearOperator((dim, dim), matvec=hessian, dtype=np.float64)
        out: Floats = cg(operator, right, rtol=min(0.1, norm / first_norm), maxiter=10 * dim)[0]
        return out

    return solve
