"""Two labels against each other, replication by replication."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from netsim.report.columns import Columns, groups, numbers
from netsim.report.folder import Estimate, Results, Row
from netsim.results.glossary import Quantity
from netsim.results.summary import SPENT, outcome, ratio


def quotient(results: Results, over: Row, under: Row, quantity: Quantity) -> Estimate:
    """Return how many times as much `over` spends as `under` to the same target.

    Returns
    -------
    The geometric mean over the replications in which both reached it, and its 95 % interval, from rounds.parquet;
    without that file the quotient of the summary's means, with no interval.
    """
    a, b = (_spent(results, row, quantity) for row in (over, under))
    shared = sorted(a.keys() & b.keys())
    if shared:
        found = Estimate(*ratio(np.array([a[r] for r in shared]), np.array([b[r] for r in shared])))
        if math.isfinite(found.mean):
            return found
    means = over.estimate(quantity.stem).mean, under.estimate(quantity.stem).mean
    return Estimate(means[0] / means[1]) if min(means) > 0 and math.isfinite(means[0]) else Estimate()


def against_first(row: Row, quantity: Quantity) -> Estimate:
    """Return the inverse of the summary's ratio: what the point's first algorithm spends over what this row spends."""
    found = row.estimate(f"ratio_{quantity.stem}")
    return Estimate(*(1 / v if v > 0 else math.nan for v in (found.mean, found.high, found.low)))


def _spent(results: Results, row: Row, quantity: Quantity) -> dict[float, float]:
    """Return the amount spent until the row's target, by replication."""
    if quantity.stem not in SPENT:
        return {}
    key = (row.point, row.label, row.target, row.target_value)
    if key not in results.outcomes:
        table = results.tracks.get((row.point, row.label), {})
        goal = {row.target: row.target_value} if row.target else {}
        results.outcomes[key] = {
            replication: outcome(partial(_column, rows), "done", goal)
            for (replication,), rows in groups(table, "replication").items()
        }
    place = SPENT.index(quantity.stem)
    spent = {replication: float(one.spent[0, place]) for replication, one in results.outcomes[key].items()}
    return {replication: value for replication, value in spent.items() if math.isfinite(value)}


def _column(rows: Columns, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if name not in rows:
        raise KeyError(name)
    return numbers(rows, name)
