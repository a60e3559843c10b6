"""Efficiency over budget at some models of a run, as a table for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.coding.sizes import CodeSize
from algorithms.tuners.ranked import Variant
from algorithms.tuners.tune import efficiency, tune
from netsim.interfaces import Array, CostModel

POINTS = 256


def curves(
    gradient: Callable[[Array], Array],
    models: Sequence[tuple[int, Array]],
    variant: Variant,
    size: CodeSize,
    cost: CostModel,
    drawn: bool,
) -> Mapping[str, Any]:
    """Compute Efficiency(T) of the gradient at each model, at no more than `POINTS` budgets and the chosen one.

    Returns
    -------
    Columns ``round``, ``budget``, ``efficiency``, ``chosen`` and ``quantity`` (what the cost counts).
    """
    rounds, budgets, ratios, chosen = (list[Any]() for _ in range(4))
    for round, model in models:
        g = gradient(model)
        best = tune(g, variant, size, cost, drawn=drawn)
        nonzeros = max(int(np.count_nonzero(g)), 1)
        grid = np.unique(np.append(np.geomspace(1, nonzeros, POINTS).astype(np.int64).astype(float), best.budget))
        grid = grid[grid > 0]
        rounds += [round] * grid.size
        budgets += grid.tolist()
        ratios += efficiency(g, variant, size, cost, grid, drawn=drawn).tolist()
        chosen += (grid == best.budget).tolist()
    return {
        "round": np.array(rounds, np.int64),
        "budget": np.array(budgets, np.float64),
        "efficiency": np.array(ratios, np.float64),
        "chosen": np.array(chosen, np.bool_),
        "quantity": (cost.quantity,) * len(rounds),
    }
