"""The minimum of a smooth convex function under smooth convex inequalities: a reference, found apart from any agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netsim.errors import SimulationError
from netsim.interfaces import Floats

MAX_OUTER = 60
TOLERANCE = 1e-9


def minimum(
    cost: Callable[[Floats], tuple[float, Floats]],
    limits: Callable[[Floats, Floats], tuple[Floats, Floats]],
    start: Floats,
    count: int,
    bounds: Any = None,
) -> tuple[Floats, float]:
    """Minimise `cost` where all `limits` are at most 0, by an augmented Lagrangian around L-BFGS-B.

    Parameters
    ----------
    cost
        Value and gradient at a point, shape (n,).
    limits
        For a point and weights, shape (count,): the values g, shape (count,), and the gradient of weights'g.
    start, count
        Where to begin; how many inequalities there are.
    bounds
        Lower and upper bounds of every coordinate, as of `scipy.optimize.minimize`.

    Returns
    -------
    The minimiser and the minimum.

    Raises
    ------
    SimulationError
        If the inequalities are not met to 1e-9 of their scale.

    References
    ----------
    Nocedal, Wright, "Numerical optimization", 2nd edition, 2006, section 17.4.
    """
    from scipy.optimize import minimize

    x, rho = start, 10.0
    lam, nothing = np.zeros(count), np.zeros(count)
    worst_before = np.inf

    def lagrangian(x: Any) -> Any:
        value, gradient = cost(x)
        g, _ = limits(x, nothing)
        raised = np.maximum(lam + rho * g, 0.0)
        _, slope = limits(x, raised)
        return value + float(np.sum(raised**2 - lam**2)) / (2 * rho), gradient + slope

    options: Any = {"maxiter": 20000, "maxfun": 100000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}
    for _ in range(MAX_OUTER):
        found: Any = minimize(lagrangian, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        x = np.asarray(found.x, np.float64)
        g, _ = limits(x, nothing)
        raised = np.maximum(lam + rho * g, 0.0)
        worst = float(np.max(np.abs(np.minimum(-g, raised)), initial=0.0))
        lam = raised
        if worst <= TOLERANCE * max(1.0, float(np.abs(x).max(initial=0.0)) ** 2):
            return x, cost(x)[0]
        if worst > worst_before / 4:
            rho *= 4
        worst_before = worst
    raise SimulationError(f"the reference minimum under constraints was not found: a residual of {worst:.3g} is left")
