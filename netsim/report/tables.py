"""The page's tables: summary, claims, runs that went wrong, where a run comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from netsim.report.answer import Case, cases, ranking, with_interval
from netsim.report.focus import OPEN
from netsim.report.folder import Results, Row, mappings
from netsim.report.html import details, paragraph, table
from netsim.report.pairs import against_first, quotient
from netsim.report.quantities import Quantity, direction, judged, tabled
from netsim.report.words import NONE, count, escape, interval, listing, plain, times

WELL = ("reached", "done", "finished", "ok", "")
MAX_FAULTS = 40
_ALIASES = {"bit": "paper_bit", "bits": "paper_bit", "packet": "packets", "packets": "packets"}
_OTHERS = {"s": "time_s", "seconds": "time_s", "time": "time_s", "sim_time_s": "time_s"}
_JOULES = {"j": "energy_j", "joules": "energy_j", "energy": "energy_j"}


def summary(results: Results) -> str:
    """One table per point and target."""
    columns = tabled(results)
    drawn = [_summary(results, case, columns) for case in cases(results)]
    rest = "".join(drawn[OPEN:])
    return "".join(drawn[:OPEN]) + (details(f"{count(len(drawn) - OPEN, 'more table')}", rest) if rest else "")


def _summary(results: Results, case: Case, columns: Sequence[Quantity]) -> str:
    best = {q.stem: _least(case, q) for q in columns}
    has_accuracy = any(math.isfinite(row.numbers.get("final_accuracy", math.nan)) for row in case.rows)
    header = [
        "Algorithm",
        "Reached" if case.target else "Ended",
        *(escape(q.title.capitalize()) for q in columns),
        "Final loss",
    ]
    rows = []
    for row in case.rows:
        cells = [escape(row.label), _reached(row)]
        cells += [_cell(row, q, case.first(row), best[q.stem]) for q in columns]
        cells.append(_loss(row.numbers.get("final_loss", math.nan)))
        if has_accuracy:
            accuracy = row.numbers.get("final_accuracy", math.nan)
            cells.append(f"{accuracy:.1%}" if math.isfinite(accuracy) else "–")
        rows.append(cells)
    where = f"{case.point}: {case.goal}" if case.point else case.goal[:1].upper() + case.goal[1:]
    return table(where, [*header, "Final accuracy"] if has_accuracy else header, rows, "summary")


def _least(case: Case, quantity: Quantity) -> float:
    """The least mean; NaN where nothing is to be won."""
    means = [row.estimate(quantity.stem).mean for row in ranking(case.rows, quantity)]
    return means[0] if case.target and means and means[0] < means[-1] else math.nan


def _cell(row: Row, quantity: Quantity, first: Row, best: float) -> str:
    found = row.estimate(quantity.stem)
    if not math.isfinite(found.mean):
        return "<td>–</td>"
    small = []
    if found.has_interval and found.high > found.low:
        small.append(interval(found.low, found.high, quantity.unit))
    gain = against_first(row, quantity).mean
    if row is not first and math.isfinite(gain):
        small.append(f"÷{times(gain)[:-1]}" if gain >= 1 else f"×{times(1 / gain)[:-1]}")
    lines = "".join(f"<small>{text}</small>" for text in small)
    if row.is_complete and found.mean == best:
        return f'<td class="best"><b>{quantity.show(found.mean)}</b> <span class="tag">best</span>{lines}</td>'
    return f"<td>{quantity.show(found.mean)}{lines}</td>"


def _loss(value: float) -> str:
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e4 else plain(value, 4)


def _reached(row: Row) -> str:
    share = f"{row.reached} of {row.replications}" if row.reached >= 0 and row.replications >= 0 else ""
    status = row.status if row.status not in WELL or not share else ""
    return f"{escape(share)}{f'<small>{escape(status)}</small>' if status else ''}" or "–"


def reading(results: Results) -> str:
    """How to read the summary."""
    firsts = list(dict.fromkeys(case.rows[0].label for case in cases(results)))
    first = escape(firsts[0]) if len(firsts) == 1 and not results.summary[0].run else "the first algorithm of its run"
    has_target = any(case.target for case in cases(results))
    of = "that reached the target" if has_target else "to the end of the run"
    best = "“Best” is the least mean among those that reached it in every replication. " if has_target else ""
    return paragraph(
        f"Each cell: the mean over the replications {of}; below it the 95&nbsp;% confidence interval where they "
        f"differ, and how many times less (÷) or more (×) than {first}. {best}More columns: summary.csv.",
        "note",
    )


def claims(results: Results) -> str:
    """What the source claims beside what came out here."""
    rows: list[list[str] | str] = []
    for claim in mappings(results.scenario.get("claims")):
        said = claim.get("ratio")
        theirs = times(float(said)) if isinstance(said, int | float) and not isinstance(said, bool) else NONE
        stem = _stem(results, str(claim.get("quantity", "")))
        noun = next((q.noun for q in (*judged(results), *tabled(results)) if q.stem == stem), stem.replace("_", " "))
        over, under = (escape(claim.get(key, "")) for key in ("against", "label"))
        rows.append(f"<b>{escape(claim.get('text', ''))}</b> ({over} over {under}, {escape(noun)})")
        rows += [[case.where, theirs, _claim(results, claim, stem, case)] for case in cases(results)]
    header = ["Where", "The source", "Here, with 95&nbsp;% interval"]
    return table("How many times as much", header, rows, "claims") if rows else ""


def _claim(results: Results, claim: Mapping[str, Any], stem: str, case: Case) -> str:
    by_label = {row.label: row for row in case.rows}
    over, under = (by_label.get(str(claim.get(key))) for key in ("against", "label"))
    absent = [str(claim.get(key)) for key, row in (("against", over), ("label", under)) if row is None]
    if over is None or under is None:
        return f"{escape(listing(absent))} did not run"
    found = quotient(results, over, under, Quantity(stem, stem, "", "", ""))
    if not math.isfinite(found.mean):
        lost = [row.label for row in (over, under) if not row.is_complete]
        return f"{escape(listing(lost))} did not reach the target" if lost else "no number"
    return f"<b>{with_interval(found)}</b>"


def _stem(results: Results, name: str) -> str:
    if name in _ALIASES:
        return f"{direction(results)[0]}_{_ALIASES[name]}"
    return (_OTHERS | _JOULES).get(name, name)


def faults(results: Results) -> str:
    """Runs that failed, stalled or diverged, with their sentences."""
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
    """Scenario, versions, machine, seed, command."""
    facts = {
        "seed": results.scenario.get("seed"),
        **{k: v for k, v in results.manifest.items() if k not in ("runs", "files")},
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
