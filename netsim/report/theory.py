"""Complexity bounds beside what was measured, over the fixed T: a table and drawings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netsim.report import svg
from netsim.report.axes import Array, log_axis
from netsim.report.columns import Columns, groups, numbers
from netsim.report.folder import Results
from netsim.report.html import render
from netsim.report.words import plain, si

BITS = (
    ("worst_case_bit", "worst-case bound"),
    ("data_dependent_bit", "data-dependent bound"),
    ("measured_bit", "measured"),
    ("lower_bound_bit", "d·log₂(1/ε)"),
)
FACTS = (("alpha_bar", "slowest progress ᾱ(T)"), ("speedup", "SpeedUp(T) = ᾱ(T)·d/T"))
NAMES = ("budget", *(name for name, _ in (*BITS, *FACTS)))


def section(results: Results) -> str:
    """Return a group for each point and regime: fixed budgets are drawn, all labels stand in its table."""
    fixed = {row.label for row in results.summary if row.algorithm == "fixed_budget"}
    out, header = [], ["Algorithm", "T", *(words for _, words in (*FACTS, *BITS))]
    for i, ((point, regime), here) in enumerate(groups(results.bounds, "point", "regime").items()):
        by_label = [(str(label), _mean(t)) for (label,), t in groups(here, "label").items()]
        drawn = [m for label, m in by_label if label in fixed] or [m for _, m in by_label]
        drawn.sort(key=lambda m: m["budget"])
        words = {"strongly_convex": "Strongly convex", "convex": "Convex", "nonconvex": "Nonconvex"}
        title = ", ".join(filter(None, (words.get(regime, regime), point))) or "Bounds"
        columns = {name: np.array([m[name] for m in drawn]) for name in NAMES}
        bits = _drawing(f"bounds-{i}", f"{title}: bits over T", columns, BITS, "bits to the accuracy", "bit")
        facts = _drawing(f"facts-{i}", f"{title}: progress over T", columns, FACTS, "ᾱ and SpeedUp", "")
        out.append((title, [f for f in (bits, facts) if f], header, [_row(label, m) for label, m in by_label]))
    return render("bounds.html", groups=out) if out else ""


def _row(label: str, m: Mapping[str, float]) -> list[str]:
    return [label, plain(m["budget"], 6), *(plain(m[n]) for n, _ in FACTS), *(si(m[n], "bit") for n, _ in BITS)]


def _mean(here: Columns) -> dict[str, float]:
    """Return means over replications."""
    return {name: float(np.mean(numbers(here, name))) for name in NAMES}


def _drawing(
    key: str, title: str, mean: dict[str, Array], names: tuple[tuple[str, str], ...], y_title: str, unit: str
) -> tuple[str, list[tuple[Any, str]]] | None:
    x = log_axis([mean["budget"]], is_count=True)
    y = log_axis([mean[name] for name, _ in names], unit)
    if x is None or y is None:
        return None
    lines = [
        svg.Curve(words, style, mean["budget"][keep], mean[name][keep], is_step=False)
        for style, (name, words) in enumerate(names)
        if (keep := np.isfinite(mean[name])).any()
    ]
    drawing = svg.lines(key, title, lines, x, y, "fixed budget T", y_title)
    return drawing, svg.line_legend([(line.style, line.label) for line in lines])
