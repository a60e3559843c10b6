"""The glossary's quantities as a page or a terminal shows them, and the metric that is looked at."""

from __future__ import annotations

import math

import numpy as np

from netsim.report.columns import numbers
from netsim.report.folder import Estimate, Results, Row, mapping
from netsim.report.words import plain, si
from netsim.results import glossary
from netsim.results.glossary import Quantity
from netsim.units import S_PER_DAY

METRICS = {
    "loss": "loss",
    "loss_gap": "loss gap F − F*",
    "grad_norm": "gradient norm",
    "accuracy": "accuracy",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
}


def judged(results: Results) -> list[Quantity]:
    """Return what algorithms are ranked by; see `netsim.results.glossary.headline`."""
    return [q for q in glossary.headline(*_power(results)) if not q.is_gain or _has(results, q)]


def tabled(results: Results) -> list[Quantity]:
    """Return the columns of the summary table: those in which somebody has spent something."""
    return [q for q in glossary.tabled(*_power(results)) if _has(results, q)]


def of(row: Row, quantity: Quantity) -> Estimate:
    """Return what a row spent of a quantity, in the quantity's unit."""
    found, scale = row.estimate(quantity.stem), quantity.scale
    return Estimate(scale * found.mean, scale * found.low, scale * found.high)


def shown(quantity: Quantity, value: float) -> str:
    """Return a value with its unit; how long a battery lasts in days."""
    if quantity.is_gain and value >= S_PER_DAY:
        return f"{plain(value / S_PER_DAY)} days"
    return si(value, quantity.unit)


def metric(results: Results, point: str) -> str:
    """Return what is plotted: the target's metric, else the loss gap where there is one, else the loss."""
    wanted = [*targets(results, point), "loss_gap", "loss"]
    return next((name for name in wanted if np.isfinite(numbers(results.rounds, name)).any()), "loss")


def named(metric: str) -> str:
    """Return a metric's name in words."""
    return METRICS.get(metric, metric.replace("_", " "))


def targets(results: Results, point: str) -> dict[str, float]:
    """Return the targets at a point, value by metric: the summary's, else the scenario's."""
    told = {row.target: row.target_value for row in results.summary if row.point == point and row.target}
    target = mapping(mapping(results.scenario.get("stop")).get("target"))
    pairs = told.items() if told else target.items()
    return {str(k): float(v) for k, v in pairs if isinstance(v, int | float) and math.isfinite(v)}


def _power(results: Results) -> tuple[bool, str]:
    network = mapping(results.scenario.get("network"))
    return bool(network.get("battery")), str(network.get("server_power") or "mains")


def _has(results: Results, quantity: Quantity) -> bool:
    return any(row.numbers.get(f"{quantity.stem}_mean", 0.0) > 0 for row in results.summary)
