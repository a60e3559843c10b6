"""The exact solver for any progress <= 1 and any cost that never decreases, and its search of ever more entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.choice import Choice
from algorithms.tuners.magnitudes import Magnitudes
from algorithms.tuners.ranked import Ranked, Variant
from netsim.interfaces import Floats

FIRST_ENTRIES = 1 << 12


def solve(x: Magnitudes, variant: Variant, cost: BudgetCost) -> Choice:
    """Return the smallest whole T that maximises progress(T) / C(T), T = 1 .. nonzeros of x.

    Sorts only the T_hi largest magnitudes. Efficiencies are compared as float64 numbers.

    Parameters
    ----------
    x
        At least one entry is not 0.
    variant
        Which progress; for ``stochastic`` the whole T only.
    cost
        C(T); never decreasing.
    """

    def scan(values: npt.NDArray[Any], complete: bool) -> Choice:
        ranked = Ranked.of(x, values, complete)
        return best(ranked, variant, cost, np.arange(1.0, ranked.size + 1.0))

    return search(x, cost, scan)


def best(ranked: Ranked, variant: Variant, cost: BudgetCost, budgets: Floats) -> Choice:
    """Return the first of these budgets that is as efficient as any of them."""
    above, below = ranked.fraction(variant, budgets)
    price = cost(budgets)
    i = int(np.argmax(above / (below * price)))
    progress = min(float(above[i] / below[i] / ranked.total), 1.0)
    return Choice(float(budgets[i]), progress / float(price[i]), progress)


def search(x: Magnitudes, cost: BudgetCost, solve_pool: Callable[[npt.NDArray[Any], bool], Choice]) -> Choice:
    """Return the best choice, from pools of the largest magnitudes that grow until no larger budget can win.

    Every efficiency that some T reaches bounds the cost of the best T, as progress is at most 1. So the
    best T of the `FIRST_ENTRIES` largest entries tells how many entries can matter; a pool of more of them
    tells it better. A pool that holds more than that holds the answer.

    Parameters
    ----------
    solve_pool
        Nonzero magnitudes in any order (and whether they are all) to the best T <= their number.
    """
    wanted = FIRST_ENTRIES
    while True:
        values, complete = x.largest(wanted)
        choice = solve_pool(values, complete)
        if complete:
            return choice
        needed = cost.limit(choice.efficiency, x.size) + 1
        if needed <= values.size:
            return choice
        wanted = min(needed, 16 * wanted)
