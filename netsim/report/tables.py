"""The page's tables: summary, claims, runs that went wrong, where a run comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from netsim.report.answer import Case, cases, free_ways, ranking
from netsim.report.columns import numbers, size
from netsim.report.focus import OPEN
from netsim.report.folder import Results, Row
from netsim.report.html import details, paragraph, table
from netsim.report.pairs import against_first
from netsim.report.quantities import of, shown, tabled
from netsim.report.words import count, escape, interval, listing, plain, times
from netsim.results.glossary import BY_STEM, Quantity

WELL = ("reached", "done", "finished", "ok", "")
MAX_FAULTS = 40
_ELSEWHERE = ("runs", "notes", "free_ways", "redrawn", "files")  # facts of the manifest that other sections show
_ACCURACIES = {"final_accuracy": "Final training accuracy", "final_test_accuracy": "Final test accuracy"}


def summary(results: Results) -> str:
    """Return one table per point and target."""
    columns = tabled(results)
    drawn = [_summary(results, case, columns) for case in cases(results)]
    rest = "".join(drawn[OPEN:])
    return "".join(drawn[:OPEN]) + (details(f"{count(len(drawn) - OPEN, 'more table')}", rest) if rest else "")


def _summary(results: Results, case: Case, columns: Sequence[Quantity]) -> str:
    best = {q.stem: _least(case, q) for q in columns}
    accuracies = {
        name: title
        for name, title in _ACCURACIES.items()
        if any(math.isfinite(row.numbers.get(name, math.nan)) for row in case.rows)
    }
    header = [
        "Algorithm",
        "Reached" if case.target else "Ended",
        *(escape(q.title) for q in columns),
        "Final loss",
    ]
    rows, free = [], free_ways(results, case.point)
    for row in case.rows:
        cells = [escape(row.label), _reached(row)]
        cells += ["<td>free</td>" if q.noun in free else _cell(row, q, case.first(row), best[q.stem]) for q in columns]
        cells.append(_loss(row.numbers.get("final_loss", math.nan)))
        shares = [row.numbers.get(name, math.nan) for name in accuracies]
        cells += [f"{share:.1%}" if math.isfinite(share) else "–" for share in shares]
        rows.append(cells)
    where = f"{case.point}: {case.goal}" if case.point else case.goal[:1].upper() + case.goal[1:]
    return table(where, [*header, *accuracies.values()], rows, "summary")


def _least(case: Case, quantity: Quantity) -> float:
    """Return the least mean; NaN where all rows are equal."""
    means = [of(row, quantity).mean for row in ranking(case.rows, quantity)]
    return means[0] if case.target and means and means[0] != means[-1] else math.nan


def _cell(row: Row, quantity: Quantity, first: Row, best: float) -> str:
    found = of(row, quantity)
    if not math.isfinite(found.mean):
        return "<td>–</td>"
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
    lines = "".join(f"<small>{text}</small>" for text in small)
    if row.is_complete and found.mean == best:
        return f'<td class="best"><b>{shown(quantity, found.mean)}</b> <span class="tag">best</span>{lines}</td>'
    return f"<td>{shown(quantity, found.mean)}{lines}</td>"


def _loss(value: float) -> str:
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e4 else plain(value, 4)


def _reached(row: Row) -> str:
    share = f"{row.reached} of {row.replications}" if row.reached >= 0 and row.replications >= 0 else ""
    status = row.status if row.status not in WELL or not share else ""
    return f"{escape(share)}{f'<small>{escape(status)}</small>' if status else ''}" or "–"


def reading(results: Results) -> str:
    """Return the instructions for reading the summary."""
    firsts = list(dict.fromkeys(case.rows[0].label for case in cases(results)))
    first = escape(firsts[0]) if len(firsts) == 1 and not results.summary[0].run else "the first algorithm of its run"
    has_target = any(case.target for case in cases(results))
    of = "that reached the target" if has_target else "to the end of the run"
    best = "“Best” is the least mean among those that reached it in every replication. " if has_target else ""
    words = "".join(f"<li><b>{escape(q.title)}</b>: {escape(q.meaning)}.</li>" for q in tabled(results))
    return paragraph(
        f"Each cell: the mean over the replications {of}; below it the 95&nbsp;% confidence interval where they "
        f"differ, and how many times less (÷) or more (×) than {first}. {best}More columns: summary.csv.",
        "note",
    ) + details("What the words count", f"<ul>{words}</ul>")


def claims(results: Results) -> str:
    """Return the source's claims, the results here, and the verdicts."""
    found = results.findings
    rows: list[list[str] | str] = []
    for i in range(size(found)):
        texts = {name: str(found[name][i]) if name in found else "" for name in CLAIM_TEXTS}
        said, goal, *ours = (float(numbers(found, name)[i]) for name in CLAIM_NUMBERS)
        show, noun = measured(texts["quantity"], bool(texts["against"]))
        pair = " over ".join(escape(texts[key]) for key in ("against", "label") if texts[key])
        heading = f"<b>{escape(texts['claim'])}</b> ({pair}, {escape(noun)})"
        if heading not in rows:
            rows.append(heading)
        span = f"<small>{show(ours[1])}–{show(ours[2])}</small>" if math.isfinite(ours[1]) and ours[1] < ours[2] else ""
        sign = "≥" if texts["sense"] == "at_least" else "≤"
        why = f"<small>{escape(texts['why'])}</small>" if texts["why"] else ""
        verdict = f"<b>{escape(texts['verdict'])}</b>{why}"
        place = escape(texts["point"]) or "here"
        rows.append([place, show(said), f"{sign} {show(goal)}", f"<td>{show(ours[0])}{span}</td>", verdict])
    header = ["Where", "The source", "Holds if", "Ours, 95&nbsp;% interval", "Verdict"]
    return table("Thresholds were written down before the run", header, rows, "claims") if rows else ""


CLAIM_TEXTS = ("claim", "point", "label", "against", "quantity", "sense", "verdict", "why")
CLAIM_NUMBERS = ("source", "threshold", "ours", "ours_low", "ours_high")


def measured(stem: str, is_ratio: bool) -> tuple[Callable[[float], str], str]:
    """Return how a claim's numbers are shown, and its quantity's name in words."""
    known = BY_STEM.get(stem)
    noun = known.noun if known else stem.replace("_", " ")
    if is_ratio:
        return times, noun
    if known is None:
        return plain, noun
    return (lambda value: shown(known, known.scale * value)), noun


def faults(results: Results) -> str:
    """Return the runs that failed or stalled, with their sentences."""
    found: dict[tuple[str, ...], list[str]] = {}
    for run in results.runs:
        if str(run.get("status", "")) not in WELL:
            key = tuple(str(run.get(name) or "") for name in ("label", "point", "status", "sentence"))
            found.setdefault(key, []).append(str(run.get("replication", "?")))
    rows = [
        [escape(label), escape(point) or "–", escape(", ".join(which)), escape(status), escape(sentence) or "–"]
        for (label, point, status, sentence), which in list(found.items())[:MAX_FAULTS]
    ]
    if not rows:
        return ""
    more = len(found) - len(rows)
    after = paragraph(f"{more} more stand in manifest.json.", "note") if more > 0 else ""
    return (
        table(
            "Runs that failed, stalled or diverged",
            ["Algorithm", "Point", "Replications", "Status", "Why"],
            rows,
            "faults",
        )
        + after
    )


def origin(results: Results) -> str:
    """Return scenario, versions, machine, seed and command."""
    facts = {
        "seed": results.scenario.get("seed"),
        **{k: v for k, v in results.manifest.items() if k not in _ELSEWHERE},
    }
    rows = [[escape(name.replace("_", " ")), _fact(value)] for name, value in facts.items() if value is not None]
    ended = Counter(str(run.get("status", "unknown")) for run in results.runs)
    if ended:
        rows.append(["runs", escape(listing([f"{count(n, 'run')} {status}" for status, n in ended.items()]))])
    body = (
        details(
            f"Versions, machine, seed and command of {results.title}",
            table("Where this comes from", ["Fact", "Value"], rows, "facts"),
        )
        if rows
        else ""
    )
    text = f"<pre>{escape(results.scenario_text)}</pre>" if results.scenario_text.strip() else ""
    return body + (
        details(f"Scenario {results.title}: run it again with netsim run scenario.yaml", text) if text else ""
    )


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(k)}: {_fact(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return escape(" ".join(map(str, value))) or "none"
    return escape(f"{value:.6g}" if isinstance(value, float) else value)
