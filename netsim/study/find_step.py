"""A step size for every algorithm of a scenario, searched with a seed that the study does not use."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim import files
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import Problem
from netsim.scenario import Entry, Record, Scenario, points
from netsim.scenario.parts import rises
from netsim.study import children
from netsim.text import to_csv

FILE = "steps.csv"
PER_DECADE = 8  # steps of the grid
LOWEST, HIGHEST = -4 * PER_DECADE, 2 * PER_DECADE  # 10^-4 to 10^2
ROUNDS_MAX = 100  # of a trial
_SEED_APART = 1_000_003  # prime: the seed of the trials is the study's and this


@dataclass(frozen=True)
class Found:
    """What the search came to for one algorithm.

    Parameters
    ----------
    score
        Of its trial: the target's first metric, else the loss, at the end.
    trials, rounds, gradients, host_s
        What the search cost.
    """

    label: str
    step_size: float
    score: float
    trials: int
    rounds: int
    gradients: int
    host_s: float


def find_steps(scenario: Scenario, tell: Callable[[str], None] = lambda _: None) -> tuple[Scenario, list[Found]]:
    """Search the step size of every algorithm that has one, rules of steps apart.

    A trial is a run of at most 100 rounds at the first sweep point with another seed; its score is the target's first
    metric at the end (without target, the loss). Steps are 10^(k/8), from 1e-4 to 1e2: every decade is tried, then
    golden-section search goes on between the neighbours of the best one.

    Parameters
    ----------
    tell
        Called with a sentence for each algorithm.

    Returns
    -------
    The scenario with the steps found, and what the search cost.

    Raises
    ------
    ConfigError
        If no step of an algorithm ends with a finite score, or no algorithm has a step size.
    """
    first = points(scenario)[0].scenario
    rounds = min(first.stop.rounds or ROUNDS_MAX, ROUNDS_MAX)
    stop = dataclasses.replace(first.stop, rounds=rounds, target={}, every=1)
    trial = dataclasses.replace(
        first, seed=first.seed + _SEED_APART, stop=stop, record=Record(every=rounds, efficiency=False), claims=()
    )
    metric = next(iter(first.stop.target), "loss")
    metric = "loss" if metric == "loss_gap" else metric  # the same order, without the optimum of other data
    entries, found = list(scenario.algorithms), list[Found]()
    with children.one_thread():
        problem = trial.open_problem(0)
        for i, entry in enumerate(entries):
            step = getattr(entry.algorithm, "step_size", None)
            if step != "auto" and not isinstance(step, float):
                continue
            one = _Search(trial, entry, problem, metric).best()
            entries[i] = dataclasses.replace(entry, algorithm=_with_step(entry.algorithm, one.step_size))
            found.append(one)
            tell(f"{one.label}: step_size {one.step_size:g} after {one.trials} trials of {rounds} rounds")
    if not found:
        raise ConfigError("--find-step: an algorithm with step_size, auto or a number, is needed")
    return dataclasses.replace(scenario, algorithms=tuple(entries)), found


def write_steps(folder: str | Path, found: Sequence[Found]) -> None:
    """Write ``steps.csv`` into a folder of results: a row for each algorithm, with what its search cost."""
    head = [field.name for field in dataclasses.fields(Found)]
    files.write(Path(folder) / FILE, to_csv([head, *map(dataclasses.astuple, found)]))


def golden(score: Callable[[int], float], low: int, high: int) -> int:
    """Return the best whole number of an interval, where the score falls and then rises.

    Golden-section search between whole numbers; two that are equal count as falling.

    Examples
    --------
    >>> golden(lambda k: (k - 5) ** 2, -8, 8)
    5
    """
    share = (math.sqrt(5) - 1) / 2
    while high - low > 2:
        left, right = round(high - share * (high - low)), round(low + share * (high - low))
        left = min(left, right - 1) if right - 1 > low else low + 1
        right = max(right, left + 1)
        if score(left) < score(right):
            high = right
        else:
            low = left
    return min(range(low, high + 1), key=score)


class _Search:
    """The trials of one algorithm, each done once."""

    def __init__(self, trial: Scenario, entry: Entry, problem: Problem, metric: str) -> None:
        self._trial, self._entry, self._problem, self._metric = trial, entry, problem, metric
        self._scores: dict[int, float] = {}
        self._rounds = self._gradients = 0

    def best(self) -> Found:
        start_s = time.perf_counter()
        decades = range(LOWEST, HIGHEST + 1, PER_DECADE)
        middle = min(decades, key=self.score)
        if not math.isfinite(self.score(middle)):
            raise ConfigError(f"--find-step: no step from 1e-4 to 1e2 ends with a finite {self._metric} "
                              f"for {self._entry.label}")  # fmt: skip
        best = golden(self.score, max(LOWEST, middle - PER_DECADE), min(HIGHEST, middle + PER_DECADE))
        best = min(self._scores, key=lambda k: (self._scores[k], k)) if self.score(best) > self.score(middle) else best
        host_s = time.perf_counter() - start_s
        return Found(self._entry.label, _step(best), self.score(best), len(self._scores), self._rounds,
                     self._gradients, host_s)  # fmt: skip

    def score(self, k: int) -> float:
        """Return the end of a trial, the less the better; infinite where it breaks or is no number."""
        if k not in self._scores:
            self._scores[k] = self._try(_step(k))
        return self._scores[k]

    def _try(self, step: float) -> float:
        from netsim.simulation.engine import simulate

        entry = dataclasses.replace(self._entry, algorithm=_with_step(self._entry.algorithm, step))
        try:
            result = simulate(self._trial, entry, 0, self._problem)
        except (SimulationError, ArithmeticError):
            return math.inf
        table: Mapping[str, list[Any]] = result.tables["rounds"].to_pydict()
        self._rounds += table["round"][-1]
        self._gradients += table["gradients"][-1]
        end = float(table[self._metric][-1])
        if result.status == "diverged" or not math.isfinite(end):
            return math.inf
        return -end if rises(self._metric) else end


def _step(k: int) -> float:
    """10^(k/8) to four digits, so that it reads well in a scenario."""
    return float(f"{10 ** (k / PER_DECADE):.4g}")


def _with_step(algorithm: Any, step: float) -> Any:
    return dataclasses.replace(algorithm, step_size=step)
