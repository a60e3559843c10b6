"""The report page: one self-contained HTML file that shows what a run, or several, came to."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from netsim import __version__, files
from netsim.errors import DataError
from netsim.report import answer, graph, loss, nodes, spent, tables, theory, tuning
from netsim.report.focus import OPEN
from netsim.report.folder import Results, load, merge
from netsim.report.html import Section, details, paragraph
from netsim.report.words import escape, listing

PAGE = "report.html"


def write(folder: str | Path) -> Path:
    """Write ``report.html`` into a run's folder, from the files in it.

    The page asks nothing of any network, carries its own drawings and works without scripts. A file that is missing or
    damaged becomes a sentence on the page.

    Parameters
    ----------
    folder
        What ``netsim run`` wrote: scenario.yaml, manifest.json, rounds.parquet, summary.csv, and where they are there
        efficiency.parquet, energy.parquet and bounds.csv.

    Returns
    -------
    The page's path.

    Raises
    ------
    DataError
        If the folder does not exist or holds none of these files.
    OSError
        If the page cannot be written; an older one then stays.
    """
    folder = Path(folder)
    return _save(folder / PAGE, page([load(folder)]))


def compare(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Write one page of several runs side by side; each label carries its run's name.

    Parameters
    ----------
    folders
        At least one run's folder.
    out
        The page to write; its folder must exist.

    Raises
    ------
    DataError
        As `write`, and where there are no folders.
    OSError
        If the page cannot be written.
    """
    if not folders:
        raise DataError("compare: at least one folder that netsim run wrote is needed. Got none")
    return _save(Path(out), page([load(Path(folder)) for folder in folders]))


def page(runs: Sequence[Results]) -> str:
    """Return the HTML of a page.

    Parameters
    ----------
    runs
        At least one; with several, those of equal title are numbered.
    """
    runs = _told_apart(runs)
    results = merge(runs) if len(runs) > 1 else runs[0]
    with np.errstate(all="ignore"):  # infinities in a folder are left out of drawings, not warned about
        parts = [*_sections(results), Section("origin", "Scenario", "Scenario and versions", _origin(runs))]
    links = "".join(f'<li><a href="#{p.key}">{escape(p.name)}</a></li>' for p in parts if p.body)
    head = f'{_header(runs)}<nav aria-label="Sections"><ul>{links}</ul></nav>'
    return _document(runs, f"{head}<main>{''.join(part.show() for part in parts)}</main>")


def _sections(results: Results) -> list[Section]:
    return [
        Section("answer", "Answer", "Answer", _answer(results)),
        Section("claims", "Claims", "The source's claims beside ours", tables.claims(results)),
        Section("summary", "Table", _spent_title(results), _summary(results)),
        Section("faults", "Failed runs", "Runs that did not end well", tables.faults(results)),
        Section("bounds", "Bounds", "Bounds beside what was measured", theory.section(results)),
        Section("curves", "Loss curves", "Loss against wire bits, packets, seconds and joules", loss.section(results)),
        Section("efficiency", "Efficiency(T)", "Efficiency(T): progress per cost", tuning.efficiency(results)),
        Section("budget", "T over rounds", "T over the rounds", tuning.budgets(results)),
        Section("graph", "Graph", "The graph between peers", graph.section(results)),
        Section("nodes", "Data", "Which node has which data", nodes.section(results)),
        Section("spent", "Time and energy", "Where time and energy went", spent.section(results)),
    ]


def _origin(runs: Sequence[Results]) -> str:
    return "".join(tables.origin(run) for run in runs)


def _told_apart(runs: Sequence[Results]) -> list[Results]:
    """Return the runs with different titles: equal ones get their folders' names or numbers."""
    for by_folder in (True, False):
        titles = [run.title for run in runs]
        is_equal = [titles.count(title) > 1 for title in titles]
        runs = [
            dataclasses.replace(run, title=f"{run.title} ({run.folder if by_folder else i})") if equal else run
            for i, (run, equal) in enumerate(zip(runs, is_equal, strict=True), 1)
        ]
    return list(runs)


def _header(runs: Sequence[Results]) -> str:
    if len(runs) > 1:
        items = [f"<li><b>{escape(r.title)}</b>: {_text(r, 'question') or 'no question given'}</li>" for r in runs]
        heading = escape(listing([run.title for run in runs]))
        over = f'<p class="over">netsim: {len(runs)} runs side by side</p>'
        return f"<header>{over}<h1>{heading}</h1><ul>{''.join(items)}</ul></header>"
    run = runs[0]
    question = _text(run, "question") or escape(run.title)
    over = f'<p class="over">netsim run <b>{escape(run.title)}</b></p>'
    lines = [f"<b>{name.capitalize()}:</b> {_text(run, name)}" for name in ("source", "finding") if _text(run, name)]
    return f"<header>{over}<h1>{question}</h1>{''.join(paragraph(line, 'note') for line in lines)}</header>"


def _text(run: Results, key: str) -> str:
    return escape(" ".join(str(run.scenario.get(key) or "").split()))


def _answer(results: Results) -> str:
    gaps = "".join(paragraph(escape(gap), "gap") for gap in results.gaps)
    told = _told(results)
    if not told:
        return gaps + paragraph("There is no summary, so there is no answer in words.", "gap")
    note = _verdict(answer.beaten(results))
    words, numbers = "".join(told[:OPEN]), answer.ledger(results)
    if len(told) > OPEN:
        numbers = details("All answers in words and numbers", "".join(told[OPEN:]) + numbers)
    over = paragraph(escape(answer.replicated(results)), "note") if answer.replicated(results) else ""
    return f'<div class="answer">{words}</div>{note}{gaps}{over}{numbers}'


def _told(results: Results) -> list[str]:
    """Return an answer for each point and target, and after the last one of a point the notes to its figures."""
    all_cases, told = answer.cases(results), []
    for case, after in zip(all_cases, [*all_cases[1:], None], strict=False):
        is_last = after is None or after.point != case.point
        notes = answer.beside(results, case.point) if is_last else []
        note = paragraph(escape(" ".join(notes)), "note") if notes else ""
        told.append(paragraph(answer.paragraph(results, case)) + note)
    return told


def _verdict(found: answer.Beaten) -> str:
    """Return whether CAT keeps what it promises: no fixed T does better."""
    if not found.is_compared:
        return ""
    beyond, within = ("".join(f"<li>{text}</li>" for text in texts) for texts in (found.beyond, found.within))
    note = paragraph(
        "Nowhere is a fixed or grid-searched T better than the best CAT by more than the confidence interval.", "fine"
    )
    if beyond:
        single = ", or in the only replication" if "without an interval" in beyond else ""
        head = f"<b>A fixed or grid-searched T beats the best CAT</b> by more than the confidence interval{single}:"
        note = f'<div class="warn" role="note">{head}<ul>{beyond}</ul></div>'
    if within:
        note += f'<div class="gap">Better on average, but within the confidence interval:<ul>{within}</ul></div>'
    return note


def _spent_title(results: Results) -> str:
    return f"What each spent to the {'target' if any(row.target for row in results.summary) else 'end'}"


def _summary(results: Results) -> str:
    return tables.summary(results) + tables.reading(results) if results.summary else ""


def _document(runs: Sequence[Results], body: str) -> str:
    style, script = _resource("style.css"), _resource("script.js")
    # The policy forbids every request, and every script but ours even if a text slipped through unescaped.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    title = escape(listing([run.title for run in runs]))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="netsim {__version__}"><link rel="icon" href="data:,">'
        f"<title>{title}: netsim report</title><style>{style}</style></head><body>{body}"
        f"<footer>Written by netsim {__version__}. This page is one file and asks nothing of any network.</footer>"
        f"<script>{script}</script></body></html>\n"
    )


@cache
def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _save(path: Path, html: str) -> Path:
    files.write(path, html)
    return path
