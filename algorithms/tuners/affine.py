"""C(T) = c0 + c1 T: one threshold solves the deterministic and the stochastic variant without a sort."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from algorithms.tuners.budget_cost import BudgetCost, Line
from algorithms.tuners.choice import Choice
from algorithms.tuners.magnitudes import Magnitudes, Values
from netsim.interfaces import Indices

SURE_RANK = 16  # the sample says nothing about what lies before this


class Kept(NamedTuple):
    """The entries worth their place on a line: those with x_i^2 > tau.

    Parameters
    ----------
    entries
        T = |I|; at least 1.
    energy
        sum over I of x_i^2.
    least
        The smallest magnitude in I.
    tau
        c1 energy / (c0 + c1 T): I is all over it. Infinite where c0 is not over 0 (or next to it), and one
        of the largest entries is kept alone.
    places
        I, ascending; None where one is kept alone.
    """

    entries: int
    energy: float
    least: float
    tau: float
    places: Indices | None


def solve(x: Magnitudes, cost: BudgetCost) -> Choice:
    """Return the smallest T that maximises alpha(T) / C(T).

    Rounding decides between two T only where their efficiencies agree to about 1e-15.

    Parameters
    ----------
    x
        At least one entry is not 0.
    cost
        With `is_line`, c1 >= 0 and C(1) > 0.
    """
    kept = keep(x, cost.line)
    progress = min(kept.energy / x.l2_squared, 1.0)
    return Choice(float(kept.entries), progress / float(cost(kept.entries)), progress, kept.places)


def solve_stochastic(x: Magnitudes, cost: BudgetCost) -> Choice:
    """Return the smallest real T in [1, nonzeros] that maximises omega(T) / C(T).

    The threshold is that of `solve`: p_i = min(1, |x_i| / sqrt(tau)), and T is their sum. For c0 <= 0, T = 1 and
    p_i = |x_i| / ||x||_1.
    """
    kept = keep(x, cost.line)
    if kept.tau < math.inf:
        rest, root = x.mass_below(kept.least), math.sqrt(kept.tau)
        budget = kept.entries + (rest / root if rest else 0.0)
        progress = x.l2_squared / (kept.energy + rest * root)
    else:
        mass = x.mass_below(math.inf)
        budget, progress = 1.0, x.l2_squared / (mass * mass)
    progress = min(progress, 1.0)
    return Choice(budget, progress / float(cost(budget)), progress)


def keep(x: Magnitudes, line: Line) -> Kept:
    """Return the smallest set that maximises A(T) / (c0 + c1 T), with c1 >= 0.

    With rho = c0 / c1, A(T) - a_(T+1) (rho + T) never falls in T, and its sign says whether the ratio rises or falls:
    it rises, may stay at its maximum, and falls. Dinkelbach's equation max_T [A(T) - lambda C(T)] = 0 reads
    sum_i (a_i - tau)_+ = rho tau for tau = lambda c1, whose one root tau* separates what is kept.
    For c0 <= 0, A(T) / C(T) never rises and T = 1; for c1 = 0, every nonzero entry is kept.

    Parameters
    ----------
    x
        At least one entry is not 0.
    """
    if line.c1 == 0.0:
        places, values = x.found_above(0.0)
        return Kept(values.size, x.l2_squared, float(values.min()), 0.0, places)
    if line.c0 > 0.0:
        sure = _slack(_tau(x.l2_squared, x.size, line))
        bound = max(_guess(x, line), sure) if x.is_large else sure
        while True:
            places, values, energy = fixed_point(*x.found_above(bound), line, compiled=x.is_large)
            if values.size:
                tau = _tau(energy, values.size, line)
                # Any set's tau is at most tau*: with all over its own in the pool, this one is the root.
                if bound <= max(_slack(tau), sure):
                    return Kept(values.size, energy, float(values.min()), tau, places)
                bound = max(_slack(tau), sure)
            elif bound > sure:
                bound = sure
            else:
                break  # rounding emptied the set, as rho is next to nothing
    top = x.top()
    return Kept(1, top * top, top, math.inf, None)


def fixed_point(places: Indices, pool: Values, line: Line, *, compiled: bool = False) -> tuple[Indices, Values, float]:
    """Return the entries of `pool` over the tau that they imply, where they are, and the sum of their squares.

    I <- {i in I: a_i > tau}, tau <- A_I / (|I| + rho) until I stays: Newton's method on a convex function from its
    left, about ten passes at most. Empty where rounding empties it.

    Parameters
    ----------
    places, pool
        Magnitudes, all those over sqrt(tau*) among them, and their places. Overwritten.
    """
    if compiled:
        from algorithms.tuners import magnitudes_kernel

        count, energy = magnitudes_kernel.fixed_point(places, pool, line.c0, line.c1)
        return places[:count], pool[:count], float(energy)
    while pool.size:
        squares = pool.astype(np.float64) ** 2
        energy = float(np.add.reduce(squares))
        kept = squares > _tau(energy, squares.size, line)
        if kept.all():
            return places, pool, energy
        places, pool = places[kept], pool[kept]
    return places, pool, 0.0


def _tau(energy: float, count: int, line: Line) -> float:
    return line.c1 * energy / (line.c0 + line.c1 * count)


def _slack(tau: float) -> float:
    return math.sqrt(tau) * (1.0 - 1e-12)


def _guess(x: Magnitudes, line: Line) -> float:
    """Return a magnitude below sqrt(tau*) if the sample, each entry of which stands for `share` entries, is right."""
    share = x.size / x.sample.size
    ratio = np.cumsum(x.sample**2) / (line.c0 / share + line.c1 * np.arange(1, x.sample.size + 1))
    return min(0.9 * math.sqrt(line.c1 * float(ratio.max())), x.sample_rank(SURE_RANK))
