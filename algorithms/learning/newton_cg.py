"""Newton's method with conjugate gradients for strongly convex functions, to the last digits, with a certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from netsim.errors import SimulationError
from netsim.interfaces import Floats

Map = Callable[[Floats], Floats]

_ERROR_WANTED = 1e-16
_ERROR_MAX = 1e-12
_STEPS_MAX = 100


class Quadratic(NamedTuple):
    """The function near a point.

    Parameters
    ----------
    value, gradient
        There.
    product
        Multiplies a vector by the second derivative.
    precondition
        Multiplies a vector by something near its inverse, symmetric and positive definite.
    """

    value: float
    gradient: Floats
    product: Map
    precondition: Map


class Smooth(Protocol):
    """A function to minimise."""

    def value(self, w: Floats) -> float:
        """Return the function's value."""

    def expand(self, w: Floats) -> Quadratic:
        """Return the quadratic model at w."""


def minimise(function: Smooth, start: Floats, convexity: float, name: str) -> tuple[Floats, float]:
    """Return the minimiser w and a bound on F(w) - F*, namely ||grad F(w)||^2 / (2 mu).

    Inexact Newton steps with backtracking (Nocedal, Wright, "Numerical optimization", 2006, algorithm 7.1); the linear
    systems are solved by preconditioned conjugate gradients, more exactly from step to step.

    Parameters
    ----------
    function
        With a modulus of strong convexity of at least `convexity`, mu.
    start
        Where to begin.
    name
        Of the problem, for the error.

    Raises
    ------
    SimulationError
        If the bound does not come below 1e-12, as with a mu of 1e-15.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    w, best, error, first_norm = start, start, np.inf, 0.0
    for _ in range(_STEPS_MAX):
        near = function.expand(w)
        norm = float(np.linalg.norm(near.gradient))
        if not first_norm and (2.2e-16 * norm) ** 2 / (2 * convexity) > _ERROR_MAX:
            error = norm**2 / (2 * convexity)
            break  # rounding errors of the gradient alone are too large
        first_norm = first_norm or norm
        bound = norm**2 / (2 * convexity)
        if bound < error:
            best, error = w, bound
        if error <= _ERROR_WANTED:
            break
        square = (w.size, w.size)
        direction: Floats = cg(
            LinearOperator(square, matvec=near.product, dtype=np.float64), -near.gradient,
            rtol=max(1e-10, min(0.1, norm / first_norm)), maxiter=20 * w.size,
            M=LinearOperator(square, matvec=near.precondition, dtype=np.float64),
        )[0]  # fmt: skip
        found = _search(function, w, near, direction)
        if found is None:
            break
        w = found
    if error > _ERROR_MAX:
        raise SimulationError(f"{name}: no optimum to {_ERROR_MAX:g}; a larger l2 is needed. Got {error:g}.")
    return best, error


def _search(function: Smooth, w: Floats, near: Quadratic, direction: Floats) -> Floats | None:
    """Return the first of the steps 1, 1/2, 1/4, ... that lowers the function enough; None where none does."""
    slope, step, rounding = float(near.gradient @ direction), 1.0, 1e-14 * abs(near.value)
    while step > 1e-8:
        ahead: Floats = w + step * direction
        if function.value(ahead) <= near.value + 1e-4 * step * slope + rounding:
            return ahead
        step /= 2
    return None
