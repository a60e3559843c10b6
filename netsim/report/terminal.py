"""The page's answer and main table as plain text, in the same words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from netsim.report import answer
from netsim.report.answer import Case
from netsim.report.folder import Results, Row, load
from netsim.report.pairs import against_first
from netsim.report.quantities import of, shown, tabled
from netsim.report.tables import found_claims, measured
from netsim.report.words import NBSP, times
from netsim.results.glossary import MESSAGE, PAPER, SERVER_JOULES, TRANSMISSIONS, Quantity
from netsim.text import table

_ASCII = str.maketrans(
    {NBSP: " ", "×": "x", "÷": "/", "–": "-", "−": "-", "≥": ">=", "≤": "<=", "µ": "u", "“": '"', "”": '"'}
)
_ON_PAGE_ONLY = (MESSAGE, PAPER, TRANSMISSIONS, SERVER_JOULES)


def in_words(folder: str | Path) -> str:
    """Return what the page of a run's folder answers: a table and a paragraph per sweep point and target, the verdicts.

    Raises
    ------
    DataError
        As `netsim.report.write`.
    """
    results = load(Path(folder))
    blocks = []
    for case in answer.cases(results):
        notes = answer.beside(results, case.point)
        blocks.append("\n".join([_title(case), _table(results, case), "", _plain(answer.paragraph(results, case))]))
        blocks += [_plain(" ".join(notes))] if notes else []
    over = answer.replicated(results)
    blocks += [*([_plain(over)] if over else []), *results.gaps, *_verdicts(results)]
    return "\n\n".join(blocks)


def _title(case: Case) -> str:
    return _plain(f"{case.point}: {case.goal}" if case.point else case.goal)


def _table(results: Results, case: Case) -> str:
    columns = [q for q in tabled(results) if q not in _ON_PAGE_ONLY]
    header = ["", "reached", "rounds", *(q.noun for q in columns)]
    free = answer.free_ways(results, case.point)
    rows = [_row(row, columns, case, free) for row in case.rows]
    return _plain_lines(table(header, rows))


def _row(row: Row, columns: Sequence[Quantity], case: Case, free: Sequence[str]) -> list[str]:
    status = f" ({row.status})" if row.status in ("failed", "stalled", "diverged") else ""
    rounds = row.numbers.get("rounds_mean", math.nan)
    cells = [row.label, f"{row.reached} of {row.replications}{status}", f"{rounds:.0f}" if rounds >= 0 else "-"]
    first = case.first(row)
    for quantity in columns:
        if quantity.noun in free:
            cells.append("free")
            continue
        gain = against_first(row, quantity).mean
        ratio = f" ({times(gain)})" if row is not first and math.isfinite(gain) and not quantity.is_gain else ""
        cells.append(f"{shown(quantity, of(row, quantity).mean)}{ratio}")
    return cells


def _verdicts(results: Results) -> list[str]:
    lines = []
    for text, (said, goal, ours, *_) in found_claims(results):
        show, _ = measured(text["quantity"], bool(text["against"]), ours, goal)
        place = f" at {text['point']}" if text["point"] else ""
        sign = ">=" if text["sense"] == "at_least" else "<="
        source = f"source {show(said)}, " if math.isfinite(said) else ""
        why = f"; {text['why']}" if text["why"] else ""
        lines.append(
            f"{text['verdict']}{place}: {text['claim']}: {show(ours)} ({source}holds if {sign} {show(goal)}{why})"
        )
    return [_plain_lines("\n".join(lines))] if lines else []


def _plain(text: str) -> str:
    """Return HTML as plain text in ASCII but for the users' own words."""
    return _plain_lines(text.striptags() if isinstance(text, Markup) else " ".join(text.split()))


def _plain_lines(text: str) -> str:
    return text.translate(_ASCII)
