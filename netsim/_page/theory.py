"""Complexity bounds beside what was measured, over the fixed T: a table and drawings."""

from __future__ import annotations

import numpy as np

from netsim._page import svg
from netsim._page.axes import Array, log_axis
from netsim._page.columns import Columns, groups, numbers
from netsim._page.data import Results
from netsim._page.html import details, figure, group, line_legend, table
from netsim._page.words import escape, plain, si

BITS = (
    ("worst_case_bit", "worst-case bound"),
    ("data_dependent_bit", "data-dependent bound"),
    ("measured_bit", "measured"),
    ("lower_bound_bit", "d·log₂(1/ε)"),
)
FACTS = (("alpha_bar", "slowest progress ᾱ(T)"), ("speedup", "SpeedUp(T) = ᾱ(T)·d/T"))


def section(results: Results) -> str:
    """A group for each regime and point."""
    out = []
    for i, ((point, regime), here) in enumerate(groups(results.bounds, "point", "regime").items()):
        mean = _over_replications(here)
        words = {"strongly_convex": "Strongly convex", "convex": "Convex", "nonconvex": "Nonconvex"}
        title = ", ".join(filter(None, (words.get(regime, regime), point))) or "Bounds"
        bits = _drawing(f"bounds-{i}", f"{title}: bits over T", mean, BITS, "bits to the accuracy", "bit")
        facts = _drawing(f"facts-{i}", f"{title}: progress over T", mean, FACTS, "ᾱ and SpeedUp", "")
        out.append(
            group(title, "", [f for f in (bits, facts) if f]) + details(f"Numbers: {title}", _table(title, mean))
        )
    return "".join(out)


def _over_replications(here: Columns) -> dict[str, Array]:
    """Means per budget, by increasing budget."""
    names = ["budget", *(name for name, _ in (*BITS, *FACTS))]
    parts = [t for _, t in sorted(groups(here, "budget").items())]
    return {name: np.array([float(np.mean(numbers(t, name))) for t in parts]) for name in names}


def _drawing(
    key: str, title: str, mean: dict[str, Array], names: tuple[tuple[str, str], ...], y_title: str, unit: str
) -> str:
    x = log_axis([mean["budget"]], is_count=True)
    y = log_axis([mean[name] for name, _ in names], unit)
    if x is None or y is None:
        return ""
    lines = [
        svg.Curve(words, style, mean["budget"][keep], mean[name][keep], is_step=False)
        for style, (name, words) in enumerate(names)
        if (keep := np.isfinite(mean[name])).any()
    ]
    drawing = svg.lines(key, title, lines, x, y, "fixed budget T", y_title)
    return figure(drawing, line_legend([(line.style, line.label) for line in lines]))


def _table(title: str, mean: dict[str, Array]) -> str:
    header = ["T", *(escape(words) for _, words in (*FACTS, *BITS))]
    rows = [
        [plain(t, 6), *(plain(mean[n][i]) for n, _ in FACTS), *(si(mean[n][i], "bit") for n, _ in BITS)]
        for i, t in enumerate(mean["budget"])
    ]
    return table(title, header, rows)
