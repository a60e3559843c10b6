"""From the rounds of all runs to what each algorithm spent until the target, with confidence intervals."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from netsim import text
from netsim.scenario.parts import COUNTERS, DIRECTIONS, ENERGIES, FINALS, QUANTITIES, meets
from netsim.text import from_cell

Numbers = npt.NDArray[np.float64]
Row = dict[str, Any]

SPENT = QUANTITIES
BAD = ("failed", "stalled", "diverged")
ENDS = ("mean", "low", "high")
CONFIDENCE = 0.95
_LAST = ("accuracy", "test_accuracy", "violation")  # columns of which the last row counts


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one run had spent when it met each target.

    Parameters
    ----------
    reached
        Shape (targets,), bool.
    spent
        Shape (targets, len(SPENT)): what the run had spent in that row; NaN where none meets the target.
    final_loss, final_accuracy, final_test_accuracy, final_violation
        Of the last row; NaN where there is none. `final_accuracy` is that of the training samples.
    """

    status: str
    reached: npt.NDArray[np.bool_]
    spent: Numbers
    final_loss: float = math.nan
    final_accuracy: float = math.nan
    final_test_accuracy: float = math.nan
    final_violation: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The replications of one algorithm at one sweep point, in their order; the point's targets and swept values."""

    point: str
    label: str
    algorithm: str
    targets: Mapping[str, float]
    outcomes: Sequence[Outcome]
    swept: Mapping[str, int | float | str] = field(default_factory=dict)


def outcome(column: Callable[[str], Numbers], status: str, targets: Mapping[str, float]) -> Outcome:
    """Return what one run spent.

    Parameters
    ----------
    column
        A column of the run's rounds by its name, shape (rows,).
    targets
        Metric to value; the first row that is at or below it counts (``accuracy``: at or above). Whatever
        ``record.every``, the first round that meets a target has a row. Without targets the last row counts, if the run
        was ``done``.

    Returns
    -------
    With one entry per target, or one where there is none.
    """
    loss = column("loss")
    rows = len(loss)
    if targets:
        hits = [meets(m, column(m), goal) for m, goal in targets.items()]
        first = [int(np.argmax(hit)) if hit.any() else -1 for hit in hits]
    else:
        first = [rows - 1 if status == "done" else -1]
    at = np.array(first)
    spent = {"rounds": column("round"), "time_s": column("sim_time_s")}
    spent |= {name: _optional(column, name, rows) for name in ENERGIES}
    delivered_bit = 8.0 * _optional(column, "delivered_bytes", rows)
    spent["j_per_bit"] = spent["energy_j"] / np.where(delivered_bit > 0, delivered_bit, math.nan)
    spent["lifetime_days"] = _optional(column, "lifetime_days", rows)
    for counter in COUNTERS:
        parts = [_optional(column, f"{d}_{counter}", rows) for d in DIRECTIONS]
        spent |= {f"{d}_{counter}": part for d, part in zip(DIRECTIONS, parts, strict=True)}
        spent[f"total_{counter}"] = np.sum(parts, axis=0)
    reached = at >= 0

    def pick(values: Numbers) -> Numbers:
        return np.where(reached, values[at], math.nan) if rows else np.full(at.shape, math.nan)

    return Outcome(
        status,
        reached,
        np.stack([pick(spent[name]) for name in SPENT], axis=1),
        float(loss[-1]) if rows else math.nan,
        *(float(_optional(column, name, rows)[-1]) if rows else math.nan for name in _LAST),
    )


def _optional(column: Callable[[str], Numbers], name: str, rows: int) -> Numbers:
    try:
        return column(name).astype(np.float64)
    except KeyError:
        return np.full(rows, math.nan)


def nothing(status: str, targets: Mapping[str, float]) -> Outcome:
    """Return the outcome of a run without rows."""
    size = max(len(targets), 1)
    return Outcome(status, np.zeros(size, bool), np.full((size, len(SPENT)), math.nan))


def interval(values: Numbers) -> tuple[float, float, float]:
    """Return mean and 95 % confidence interval of the mean, by Student's t.

    Parameters
    ----------
    values
        Shape (n,): one per replication.

    Returns
    -------
    mean, low, high
        mean -+ t_{0.975, n-1} s / sqrt(n), with s the sample's standard deviation. All NaN where n = 0; low and high
        NaN where n = 1, as one replication says nothing of the spread; low = high = mean where all are equal.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6, 1908.

    Examples
    --------
    >>> mean, low, high = interval(np.array([1.0, 2.0, 3.0]))
    >>> round(low, 4), mean, round(high, 4)
    (-0.4841, 2.0, 4.4841)
    """
    size = len(values)
    if size == 0:
        return math.nan, math.nan, math.nan
    if size == 1:
        return float(values[0]), math.nan, math.nan
    if values.min() == values.max():
        return float(values[0]), float(values[0]), float(values[0])
    from scipy.special import stdtrit

    mean = float(values.mean())
    half = float(stdtrit(size - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(size))
    return mean, mean - half, mean + half


def ratio(ours: Numbers, first: Numbers) -> tuple[float, float, float]:
    """Return how many times as much is spent as by the first algorithm, paired by replication.

    Parameters
    ----------
    ours, first
        Shape (n,), a replication at the same place in both; NaN where the target was not reached.

    Returns
    -------
    mean, low, high
        The geometric mean of ours / first over the replications where both reached, and its 95 % interval:
        `interval` of the logarithms, exponentiated. NaN where one of the values is not positive.

    Examples
    --------
    >>> ratio(np.array([2.0, 6.0, math.nan]), np.array([1.0, 3.0, 5.0]))
    (2.0, 2.0, 2.0)
    """
    both = ~(np.isnan(ours) | np.isnan(first))
    ours, first = ours[both], first[both]
    if not ((ours > 0) & (first > 0)).all():
        return math.nan, math.nan, math.nan
    quotients = ours / first
    if len(quotients) > 1 and quotients.min() == quotients.max():
        return (float(quotients[0]),) * 3
    mean, low, high = np.exp(interval(np.log(quotients)))
    return float(mean), float(low), float(high)


def rows(groups: Sequence[Group]) -> list[Row]:
    """Return the rows of ``summary.csv``: for each group in order, one per target.

    Columns: ``label, algorithm, point``, every swept key, ``target, target_value, status, reached, replications,
    final_loss, final_accuracy, final_test_accuracy, final_violation``, then with ``_mean, _low, _high`` each of `SPENT`
    to the target over the replications that reached it (see `interval`), and as ``ratio_...`` the same against the
    first algorithm of the point (see `ratio`).
    ``status`` is ``failed``, ``stalled`` or ``diverged`` where a replication is, else ``reached`` where all reached,
    else ``done``. ``j_per_bit`` is all joules over the payload bits that arrived, counted at every receiver;
    ``lifetime_days`` that of the node whose battery lasts least: its capacity over its mean power while it lived. Final
    values are means over the replications that have rows.
    """
    out, first = list[Row](), dict[str, Group]()
    for group in groups:
        reference = first.setdefault(group.point, group)
        for index, (metric, goal) in enumerate(group.targets.items() or [("", math.nan)]):
            ours, base = _spent(group, index), _spent(reference, index)
            reached = [bool(o.reached[index]) for o in group.outcomes]
            row: Row = {"label": group.label, "algorithm": group.algorithm, "point": group.point}
            row |= group.swept
            row |= {"target": metric, "target_value": goal, "status": _status(group, reached, bool(metric))}
            row |= {"reached": sum(reached), "replications": len(reached)}
            row |= {name: _mean([getattr(o, name) for o in group.outcomes]) for name in FINALS}
            for i, name in enumerate(SPENT):
                row |= _three(name, interval(ours[reached, i]))
            for i, name in enumerate(SPENT):
                row |= _three(f"ratio_{name}", ratio(ours[:, i], base[:, i]))
            out.append(row)
    return out


def to_csv(rows: Sequence[Row]) -> str:
    """Return the text of a table such as ``summary.csv``: numbers at full precision, NaN as an empty cell."""
    cells = (["" if isinstance(v, float) and math.isnan(v) else v for v in row.values()] for row in rows)
    return text.to_csv([rows[0] if rows else (), *cells])


def from_csv(text: str) -> list[Row]:
    """Return the rows that `to_csv` wrote."""
    lines = list(csv.DictReader(io.StringIO(text)))
    columns = {name: _read(name, [from_cell(line[name]) for line in lines]) for name in (lines[0] if lines else ())}
    return [{name: columns[name][i] for name in line} for i, line in enumerate(lines)]


def swept_keys(rows: Sequence[Row]) -> list[str]:
    """Return the swept keys of a study: the columns between ``point`` and ``target``."""
    names = list(rows[0]) if rows else []
    return names[names.index("point") + 1 : names.index("target")] if "target" in names else []


def _read(name: str, cells: Sequence[str]) -> Sequence[str | int | float]:
    """Parse a column's cells: words, counts, and numbers where all cells are numbers or empty."""
    if name in ("label", "algorithm", "point", "target", "status"):
        return cells
    for kind in (int, lambda cell: float(cell or "nan")):
        with contextlib.suppress(ValueError):
            return [kind(cell) for cell in cells]
    return cells


def _spent(group: Group, target: int) -> Numbers:
    return np.stack([o.spent[target] for o in group.outcomes])


def _status(group: Group, reached: Sequence[bool], has_target: bool) -> str:
    of_runs = {o.status for o in group.outcomes}
    bad = next((s for s in BAD if s in of_runs), None)
    return bad or ("reached" if has_target and all(reached) else "done")


def _mean(values: Sequence[float]) -> float:
    there = [v for v in values if not math.isnan(v)]
    return sum(there) / len(there) if there else math.nan


def _three(name: str, values: tuple[float, float, float]) -> Row:
    return {f"{name}_{end}": value for end, value in zip(ENDS, values, strict=True)}
