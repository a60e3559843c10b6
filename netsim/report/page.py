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
from netsim.report.folder import Results, load, merge
from netsim.report.html import render

PAGE = "report.html"


def write(folder: str | Path) -> Path:
    """Write ``report.html`` into a folder that ``netsim run`` wrote, from the files in it, and return its path.

    The page asks nothing of any network, carries its own drawings and works without scripts. It is made of
    scenario.yaml, manifest.json, rounds.parquet, summary.csv, and where they are there efficiency.parquet,
    energy.parquet and bounds.csv; a file that is missing or damaged becomes a sentence on the page.

    Raises
    ------
    DataError
        If the folder does not exist or holds none of these files.
    OSError
        If the page cannot be written; an older one then stays.
    """
    folder = Path(folder)
    files.write(folder / PAGE, page([load(folder)]))
    return folder / PAGE


def compare(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Write one page of one run or several side by side, in a folder that exists; each label carries its run's name.

    Raises
    ------
    DataError
        As `write`, and where there are no folders.
    OSError
        If the page cannot be written.
    """
    if not folders:
        raise DataError("compare: at least one folder that netsim run wrote is needed. Got none")
    files.write(Path(out), page([load(Path(folder)) for folder in folders]))
    return Path(out)


def page(runs: Sequence[Results]) -> str:
    """Return the HTML of a page of one run or several, of which those of equal title are numbered."""
    runs = _told_apart(runs)
    results = merge(runs) if len(runs) > 1 else runs[0]
    script = _resource("script.js")
    with np.errstate(all="ignore"):  # infinities in a folder are left out of drawings, not warned about
        return render(
            "page.html", runs=runs, sections=_sections(results, runs), version=__version__, script=script,
            style=_resource("style.css"), digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )  # fmt: skip


def _sections(results: Results, runs: Sequence[Results]) -> list[tuple[str, str, str, str]]:
    """Return id, name, heading and HTML of each section; '' leaves it out."""
    spent_title = f"What each spent to the {'target' if any(row.target for row in results.summary) else 'end'}"
    return [
        ("answer", "Answer", "Answer", answer.section(results)),
        ("claims", "Claims", "The source's claims beside ours", tables.claims(results)),
        ("summary", "Table", spent_title, tables.summary(results)),
        ("faults", "Failed runs", "Runs that did not end well", tables.faults(results)),
        ("bounds", "Bounds", "Bounds beside what was measured", theory.section(results)),
        ("curves", "Loss curves", "Loss against wire bits, packets, seconds and joules", loss.section(results)),
        ("efficiency", "Efficiency(T)", "Efficiency(T): progress per cost", tuning.efficiency(results)),
        ("budget", "T over rounds", "T over the rounds", tuning.budgets(results)),
        ("graph", "Graph", "The graph between peers", graph.section(results)),
        ("nodes", "Data", "Which node has which data", nodes.section(results)),
        ("spent", "Time and energy", "Where time and energy went", spent.section(results)),
        ("origin", "Scenario", "Scenario and versions", tables.origin(runs)),
    ]


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


@cache
def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
