"""Sparsification where messages fill packets (and bytes): exact, and nearly as fast as on a line."""

from __future__ import annotations

import math

import numpy as np

from algorithms.tuners import affine
from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.choice import Choice
from algorithms.tuners.magnitudes import Magnitudes
from netsim.interfaces import Floats

REACH = 64


def solve(x: Magnitudes, cost: BudgetCost) -> Choice:
    """Return the smallest whole T that maximises alpha(T) / C(T).

    C(T) lies over a line L(T) and touches it wherever a packet is just full. alpha(T) / L(T) rises to its maximum
    at T_L, which `affine.keep` finds, and falls after it; alpha(T) / C(T) lies below. So only T around T_L matter:
    a window of them is put in order and weighed, and grows until the bound at both of its ends
    is below the best efficiency inside. With whole entries that is the full packet before or after T_L.

    Parameters
    ----------
    x
        A large vector, at least one entry not 0.
    cost
        With `is_over_line`.
    """
    kept = affine.keep(x, cost.line)
    reach = REACH + 2.0 * cost.packet_bit / cost.slope if cost.c_packet else REACH
    while True:
        budgets, energy, complete = _window(x, kept, reach)
        price = cost(budgets)
        i = int(np.argmax(energy / price))
        best = energy[i] / price[i]
        low, high = (energy[[0, -1]] / (cost.line.c0 + cost.line.c1 * budgets[[0, -1]])).tolist()
        if (budgets[0] == 1.0 or low < best) and (complete or high <= best):
            progress = min(float(energy[i]) / x.l2_squared, 1.0)
            return Choice(float(budgets[i]), progress / float(price[i]), progress)
        reach *= 4.0


def _window(x: Magnitudes, kept: affine.Kept, reach: float) -> tuple[Floats, Floats, bool]:
    """Return about `reach` budgets T to both sides of the kept count, their A(T), and whether they reach the end."""
    root = min(math.sqrt(kept.tau), kept.least)
    rank = int(np.count_nonzero(x.sample >= root))
    expected = reach * x.sample.size / x.size
    aside = expected + 4.0 * math.sqrt(expected) + 4.0
    low, high = min(x.sample_rank(rank + aside), root), math.inf
    if kept.tau < math.inf:
        while (high := x.sample_rank(rank - aside)) <= kept.least:
            aside *= 4.0
    values = x.above(low)
    band = np.sort(values[values < high])[::-1].astype(np.float64)
    squares = band * band
    before = kept.entries - int(np.count_nonzero(squares > kept.tau)) if high < math.inf else 0
    energy = (x.energy_from(high) if before else 0.0) + np.cumsum(squares)
    return np.arange(before + 1.0, before + band.size + 1.0), energy, low == 0.0
