"""Where error feedback stops: ``python -m benchmarks.error_feedback`` writes docs/error_feedback.md and its figure.

Logistic regression on breast_cancer, four nodes with samples of one label each, l2 = 0.01, full batches. A floor is the
median gap over the last tenth of a run of `LENGTH` / step rounds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from netsim import files
from netsim.scenario import parse_text
from netsim.simulation.engine import simulate

DOCS = Path(__file__).parents[1] / "docs"
LENGTH = 1600.0  # of a run, in units of rounds times step
STEPS = (0.26, 0.13, 0.065, 0.0325)
COST = {"name": "affine", "c0": 432, "c_bit": 1}
TOP = {"name": "top_k", "k": 3}
SIGNS = {"name": "sign_top_k", "k": 3}
CODES: Mapping[str, Mapping[str, Any]] = {
    "CAT S, `memory: ef`": {"name": "cat", "variant": "sparsify", "cost": COST, "memory": "ef"},
    "CAT S+Q, `memory: ef`": {"name": "cat", "variant": "sign", "cost": COST, "memory": "ef"},
    "`ef_sgd`, top 3": {"name": "ef_sgd", "compressor": TOP},
    "`ef_sgd`, signs of the top 3": {"name": "ef_sgd", "compressor": SIGNS},
    "CAT S, `memory: ef21`": {"name": "cat", "variant": "sparsify", "cost": COST, "memory": "ef21"},
    "CAT S+Q, `memory: ef21`": {"name": "cat", "variant": "sign", "cost": COST, "memory": "ef21"},
}
COLOURS = ("#1b5e9b", "#b3541e", "#2f7d4f", "#7a4b94", "#5a6169", "#a8891c")
PROBLEM = {
    "name": "logistic_regression", "dataset": "breast_cancer", "l2": 1.0e-2, "nodes": 4, "partition": "by_label",
}  # fmt: skip


def gaps(code: Mapping[str, Any], step: float, length: float = LENGTH) -> list[float]:
    """Return the gap to the optimum in a hundred rows of a run."""
    rounds = max(100, round(length / step))
    text = yaml.safe_dump({
        "name": "floor", "problem": PROBLEM, "network": {"silence": "free"},
        "algorithms": [{**code, "step_size": step, "model_bit": 64}], "stop": {"rounds": rounds},
        "record": {"every": rounds // 100, "efficiency": False},
    })  # fmt: skip
    base = parse_text(text, "floor.yaml")
    found = simulate(base, base.algorithms[0], 0, base.problem.open(base.seed)).tables["rounds"]["loss_gap"].to_pylist()
    return [float(gap) for gap in found]


def floor(code: Mapping[str, Any], step: float, length: float = LENGTH) -> float:
    """Return where a run ends: the median of the last ten rows."""
    return float(np.median(gaps(code, step, length)[-10:]))


def slope(floors: Sequence[float], steps: Sequence[float] = STEPS) -> float:
    """Return the exponent of the step in the floor."""
    return float(np.polyfit(np.log(steps), np.log(floors), 1)[0])
