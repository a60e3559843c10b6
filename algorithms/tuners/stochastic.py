"""Stochastic sparsification under packets, with or without a cost per bit: exact for every number of packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.tuners import universal
from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.choice import Choice
from algorithms.tuners.magnitudes import Magnitudes
from algorithms.tuners.ranked import Ranked
from netsim.interfaces import Floats


def solve(x: Magnitudes, cost: BudgetCost) -> Choice:
    """Return the smallest real T in [1, nonzeros] that maximises omega(T) / C(T).

    While the message has n packets, t_(n-1) < T <= t_n, C is a line, and omega is concave, so the ratio has one
    peak there: that of the line alone where the interval holds it, else t_n; a peak before the
    interval is worse than t_(n-1), which costs a packet less.

    Parameters
    ----------
    x
        At least one entry is not 0.
    cost
        With a `structure` and `expected`.
    """

    def solve_pool(values: npt.NDArray[Any], complete: bool) -> Choice:
        ranked = Ranked.of(x, values, complete)
        return universal.best(ranked, "stochastic", cost, candidates(ranked, cost))

    return universal.search(x, cost, solve_pool)


def candidates(ranked: Ranked, cost: BudgetCost) -> Floats:
    """Return increasing budgets in [1, n], the best one among them: 1, and one at most for each number of packets."""
    most = float(ranked.size)
    packets = np.arange(float(cost.packets(1.0)), float(cost.packets(most)) + 1.0)
    ends = np.minimum(cost.last_in(packets), most)
    starts = np.concatenate(([1.0], ends[:-1]))
    peaks = np.minimum(line_peaks(ranked, cost.c0 + cost.c_packet * packets, cost.c1), ends)
    return np.concatenate(([1.0], peaks[peaks > starts]))


def line_peaks(ranked: Ranked, constants: Floats, slope: float) -> Floats:
    """Return the best T for each cost constant + slope * T at once, as far as it is at most n, else some T >= n.

    With s entries certain, tau = A_s / (s + rho); s is the first whose next square is at most tau. A constant below 0
    counts as 0: then no T > 1 is better than T = 1.
    """
    if slope == 0.0:
        return np.full_like(constants, np.inf)
    certain = np.arange(1, ranked.size)
    # s is enough for every rho up to A_s / a_(s+1) - s, which never decreases.
    enough_for = np.maximum.accumulate(ranked.energy[1:-1] / ranked.squares[1:] - certain)
    rho = np.maximum(constants / slope, 0.0)
    s = np.searchsorted(enough_for, rho) + 1
    return s + ranked.rest[s] / np.sqrt(ranked.energy[s] / (s + rho))
