"""Complexity bounds beside what was measured: why compression helps, for each fixed budget.

With alpha_bar = min_k alpha^k the slowest progress of a run, sparsified gradient descent needs at most
A_eps / alpha_bar rounds where full gradient descent needs A_eps, and d / T times A_eps in the worst case:
A_SC = kappa log((F0 - F*) / eps), A_C = 2 L ||x0 - x*||^2 / eps, and A_NC = 2 L (F0 - F*) / eps' to
||grad F||^2 <= eps', where eps' = 2 L eps, which F - F* <= eps implies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from netsim import files
from netsim.arrow import numbers
from netsim.interfaces import Draws, KnownProblem, Problem
from netsim.scenario import Scenario, points
from netsim.text import to_csv


@dataclass(frozen=True, slots=True)
class Bound:
    """One run of one budget against one bound; the row of ``bounds.csv``.

    Parameters
    ----------
    label, point, replication
        The run.
    regime
        ``strongly_convex``, ``convex`` (both to F - F* <= eps) or ``nonconvex`` (to ||grad F||^2 <= 2 L eps).
    eps
        The accuracy, of F - F*.
    budget, dim
        T and d.
    alpha_bar
        Least progress up to the accuracy.
    speedup
        alpha_bar / (T / d), at least 1.
    round_bit
        Bits of the papers' formula in one round.
    measured_rounds, data_dependent_rounds, worst_case_rounds
        Rounds it took, and at most takes by either bound.
    measured_bit, data_dependent_bit, worst_case_bit
        The same in bits.
    lower_bound_bit
        d log2(1/eps): what some problem costs every algorithm (Tsitsiklis and Luo 1987); not a bound for this one.
    """

    label: str
    point: str
    replication: int
    regime: str
    eps: float
    budget: float
    dim: int
    alpha_bar: float
    speedup: float
    round_bit: float
    measured_rounds: float
    data_dependent_rounds: float
    worst_case_rounds: float
    measured_bit: float
    data_dependent_bit: float
    worst_case_bit: float
    lower_bound_bit: float


def full_gradient_rounds(problem: KnownProblem, gap: float, distance: float, eps: float) -> Mapping[str, float]:
    """Return A_eps of each regime for gradient descent at the step 1/L.

    Parameters
    ----------
    problem
        With smoothness L and strong convexity mu.
    gap
        F(x0) - F*.
    distance
        ||x0 - x*||.
    eps
        Accuracy of F - F*.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, the table of iteration complexities.
    """
    smoothness, convexity = problem.smoothness(), problem.strong_convexity()
    rounds = {"convex": 2 * smoothness * distance**2 / eps, "nonconvex": gap / eps}
    if convexity > 0:
        rounds["strongly_convex"] = smoothness / convexity * math.log(max(gap / eps, 1.0))
    return rounds


def bounds_of_run(
    run: Mapping[str, np.ndarray], problem: KnownProblem, eps: float, grad_norm: float | None = None
) -> list[Bound]:
    """Return the bounds of one run with one worker.

    Parameters
    ----------
    run
        Columns ``round, loss_gap, grad_norm, budget, progress, uplink_paper_bit`` of every round from 0, and the
        scalars ``label, point, replication``.
    eps
        Accuracy of F - F*.
    grad_norm
        Accuracy of ||grad F||, for the nonconvex regime; None: sqrt(2 L eps), which F - F* <= eps implies.

    Returns
    -------
    One entry per regime; none where the progress was not recorded or the budget is not one for the whole run.
    """
    optimum = problem.optimum()
    if optimum is None or "progress" not in run or len(run["round"]) < 2 or np.isnan(run["progress"][1:]).all():
        return []
    budgets = run["budget"][1:]
    if np.nanmin(budgets) < 0.9 * np.nanmax(budgets):
        return []
    start, gap = problem.start(), float(run["loss_gap"][0])
    full = dict(full_gradient_rounds(problem, gap, float(np.linalg.norm(start - optimum.at)), eps))
    eps_of = dict.fromkeys(full, eps)
    if grad_norm is not None:
        eps_of["nonconvex"] = grad_norm**2 / (2 * problem.smoothness())
        full["nonconvex"] = gap / eps_of["nonconvex"]
    out = []
    for regime, rounds in full.items():
        is_gradient = regime == "nonconvex"
        measure = run["grad_norm"] ** 2 / (2 * problem.smoothness()) if is_gradient else run["loss_gap"]
        hits = np.flatnonzero(measure <= eps_of[regime])
        end = int(hits[0]) if hits.size else len(measure) - 1
        alpha_bar = float(np.nanmin(run["progress"][1 : max(end, 1) + 1]))
        budget = float(np.nanmax(run["budget"][1:]))
        round_bit = float(run["uplink_paper_bit"][end] / run["round"][end]) if end else math.nan
        measured = float(run["round"][end]) if hits.size else math.inf
        data, worst = rounds / alpha_bar, rounds * problem.dim / budget
        out.append(
            Bound(
                str(run["label"]),
                str(run["point"]),
                int(run["replication"]),
                regime,
                eps_of[regime],
                budget,
                problem.dim,
                alpha_bar,
                alpha_bar * problem.dim / budget,
                round_bit,
                measured,
                data,
                worst,
                measured * round_bit,
                data * round_bit,
                worst * round_bit,
                problem.dim * math.log2(1 / eps_of[regime]),
            )
        )
    return out


def write(folder: Path, scenario: Scenario, rounds: pa.Table) -> Path | None:
    """Write ``bounds.csv`` into a study's folder.

    Parameters
    ----------
    scenario
        With ``stop.target.loss_gap``, which is eps, and perhaps ``grad_norm`` for the nonconvex regime.

    Returns
    -------
    The file, or None where no run has bounds: no target gap, several workers, or no progress recorded.
    """
    rows: list[Bound] = []
    names = ("label", "point", "replication")
    keys = list(zip(*(rounds.column(name).to_pylist() for name in names), strict=True))
    columns = [c for c in rounds.column_names if c not in ("label", "point", "algorithm", "replication")]
    table = {c: numbers(rounds.column(c)) for c in columns}
    for point in points(scenario):
        target = point.scenario.stop.target
        eps = target.get("loss_gap")
        if eps is None or point.scenario.problem.nodes != 1:
            continue
        opened = dict[Draws, Problem]()
        for key in dict.fromkeys(k for k in keys if k[1] == point.name):
            draws = point.scenario.draws(int(key[2]))
            if draws not in opened:
                opened = {draws: point.scenario.open_problem(int(key[2]))}
            problem = opened[draws]
            mask = np.array([k == key for k in keys])
            run = {c: values[mask] for c, values in table.items()} | dict(zip(names, key, strict=True))
            if isinstance(problem, KnownProblem):
                rows += bounds_of_run(run, problem, eps, target.get("grad_norm"))
    if not rows:
        return None
    lines = [[f.name for f in fields(Bound)], *(list(asdict(row).values()) for row in rows)]
    files.write(folder / "bounds.csv", to_csv(lines))
    return folder / "bounds.csv"
