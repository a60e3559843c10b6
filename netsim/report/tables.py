"""The page's tables: summary, claims, runs that went wrong, where a run comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from netsim.report.answer import Case, cases, free_ways, ranking
from netsim.report.columns import numbers, size
from netsim.report.folder import Results, Row
from netsim.report.html import Cell, Heading, render
from netsim.report.pairs import against_first
from netsim.report.quantities import of, shown, tabled
from netsim.report.words import NONE, interval, listing, plain, times
from netsim.results.glossary import BY_STEM, Quantity
from netsim.text import count

WELL = ("reached", "done", "finished", "ok", "")
MAX_FAULTS = 40
_ELSEWHERE = ("runs", "notes", "free_ways", "redrawn", "files")  # facts of the manifest that other sections show
_ACCURACIES = {"final_accuracy": "Final training accuracy", "final_test_accuracy": "Final test accuracy"}


def summary(results: Results) -> str:
    """Return one table per point and target, and how they are read."""
    found, columns = cases(results), tabled(results)
    if not found:
        return ""
    firsts = list(dict.fromkeys(case.rows[0].label for case in found))
    return render(
        "summary.html", tables=[_summary(results, case, columns) for case in found], quantities=columns,
        first=firsts[0] if len(firsts) == 1 and not results.summary[0].run else "the first algorithm of its run",
        has_target=any(case.target for case in found),
    )  # fmt: skip


def _summary(
    results: Results, case: Case, columns: Sequence[Quantity]
) -> tuple[str, list[str], list[list[str | Cell]]]:
    """Return caption, header and rows."""
    best = {q.stem: _least(case, q) for q in columns}
    accuracies = {
        name: title
        for name, title in _ACCURACIES.items()
        if any(math.isfinite(row.numbers.get(name, math.nan)) for row in case.rows)
    }
    header = ["Algorithm", "Reached" if case.target else "Ended", *(q.title for q in columns), "Final loss"]
    rows, free = [], free_ways(results, case.point)
    for row in case.rows:
        cells: list[str | Cell] = [row.label, _reached(row)]
        cells += ["free" if q.noun in free else _cell(row, q, case.first(row), best[q.stem]) for q in columns]
        cells.append(_loss(row.numbers.get("final_loss", math.nan)))
        shares = [row.numbers.get(name, math.nan) for name in accuracies]
        cells += [f"{share:.1%}" if math.isfinite(share) else "–" for share in shares]
        rows.append(cells)
    where = f"{case.point}: {case.goal}" if case.point else case.goal[:1].upper() + case.goal[1:]
    return where, [*header, *accuracies.values()], rows


def _least(case: Case, quantity: Quantity) -> float:
    """Return the least mean; NaN where all rows are equal."""
    means = [of(row, quantity).mean for row in ranking(case.rows, quantity)]
    return means[0] if case.target and means and means[0] != means[-1] else math.nan


def _cell(row: Row, quantity: Quantity, first: Row, best: float) -> str | Cell:
    found = of(row, quantity)
    if not math.isfinite(found.mean):
        return NONE
    small = []
    if found.has_interval and found.high > found.low:
        if quantity.is_gain:
            small.append(f"{shown(quantity, found.low)}–{shown(quantity, found.high)}")
        else:
            small.append(interval(found.low, found.high, quantity.unit))
    elif found.has_interval:
        small.append(f"the same in all {row.replications}")
    gain = against_first(row, quantity).mean
    if row is not first and math.isfinite(gain):
        small.append(f"÷{times(gain)[:-1]}" if gain >= 1 else f"×{times(1 / gain)[:-1]}")
    return Cell(shown(quantity, found.mean), small, "best" if row.is_complete and found.mean == best else "")


def _loss(value: float) -> str:
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e4 else plain(value, 4)


def _reached(row: Row) -> Cell:
    share = f"{row.reached} of {row.replications}" if row.reached >= 0 and row.replications >= 0 else ""
    status = row.status if row.status not in WELL or not share else ""
    return Cell(share or ("" if status else NONE), [status] if status else [])


def claims(results: Results) -> str:
    """Return the source's claims, the results here, and the verdicts."""
    rows: list[Heading | list[str | Cell]] = []
    for texts, (said, goal, *ours) in found_claims(results):
        show, noun = measured(texts["quantity"], bool(texts["against"]), ours[0], goal)
        pair = " over ".join(texts[key] for key in ("against", "label") if texts[key])
        heading = Heading(texts["claim"], f" ({pair}, {noun})")
        if heading not in rows:
            rows.append(heading)
        span = [f"{show(ours[1])}–{show(ours[2])}"] if math.isfinite(ours[1]) and ours[1] < ours[2] else []
        goal_shown = f"{'≥' if texts['sense'] == 'at_least' else '≤'} {show(goal)}"
        verdict = Cell(texts["verdict"], [texts["why"]] if texts["why"] else [], "bold")
        rows.append([texts["point"] or "here", show(said), goal_shown, Cell(show(ours[0]), span), verdict])
    return render("claims.html", rows=rows) if rows else ""


def found_claims(results: Results) -> Iterator[tuple[dict[str, str], list[float]]]:
    """Yield the texts of each claim, and its numbers: source, threshold, ours, and the ends of our interval."""
    found = results.findings
    for i in range(size(found)):
        texts = {name: str(found[name][i]) if name in found else "" for name in CLAIM_TEXTS}
        yield texts, [float(numbers(found, name)[i]) for name in CLAIM_NUMBERS]


CLAIM_TEXTS = ("claim", "point", "label", "against", "quantity", "sense", "verdict", "why")
CLAIM_NUMBERS = ("source", "threshold", "ours", "ours_low", "ours_high")


def measured(stem: str, is_ratio: bool, ours: float, goal: float) -> tuple[Callable[[float], str], str]:
    """Return how a claim's numbers are shown, so that ours and the threshold differ, and its quantity in words."""
    known = BY_STEM.get(stem)
    noun = known.noun if known else stem.replace("_", " ")
    if is_ratio:
        return times, noun
    if known is None:
        digits = next((n for n in range(3, 16) if plain(ours, n) != plain(goal, n)), 3)
        return (lambda value: plain(value, digits)), noun
    return (lambda value: shown(known, known.scale * value)), noun


def faults(results: Results) -> str:
    """Return the runs that failed or stalled, with their sentences."""
    found: dict[tuple[str, ...], list[str]] = {}
    for run in results.runs:
        if str(run.get("status", "")) not in WELL:
            key = tuple(str(run.get(name) or "") for name in ("label", "point", "status", "sentence"))
            found.setdefault(key, []).append(str(run.get("replication", "?")))
    rows = [
        [label, point or NONE, ", ".join(which), status, sentence or NONE]
        for (label, point, status, sentence), which in list(found.items())[:MAX_FAULTS]
    ]
    return render("faults.html", rows=rows, more=len(found) - len(rows)) if rows else ""


def origin(runs: Sequence[Results]) -> str:
    """Return scenario, versions, machine, seed and command of each run."""
    return render("origin.html", runs=[(run, _facts(run)) for run in runs])


def _facts(run: Results) -> list[list[str]]:
    facts = {"seed": run.scenario.get("seed"), **{k: v for k, v in run.manifest.items() if k not in _ELSEWHERE}}
    rows = [[name.replace("_", " "), _fact(value)] for name, value in facts.items() if value is not None]
    ended = Counter(str(run.get("status", "unknown")) for run in run.runs)
    told = listing([f"{count(n, 'run')} {status}" for status, n in ended.items()])
    return [*rows, *([["runs", told]] if told else [])]


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{k}: {_fact(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
