"""How CAT chose: Efficiency(T) with the chosen T, and T over the rounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.report import svg
from netsim.report.axes import Array, Axis, axis, linear_axis, log_axis
from netsim.report.columns import Columns, groups, numbers, unique
from netsim.report.curves import band, thin
from netsim.report.focus import drawn_points, focus
from netsim.report.folder import Results
from netsim.report.html import render
from netsim.report.words import plain

MAX_FIGURES = 12
COLOURS = (1, 2, 3)  # styles of the first, a middle and the last round

Figure = tuple[str, str, list[tuple[Any, str]]]
"""Label, drawing and legend."""
Drawn = tuple[str, list[Figure]]
"""A point and its figures."""


def efficiency(results: Results) -> str:
    """Return drawings of progress per cost over T, for each label and point, with the chosen T marked."""
    found = groups(results.efficiency, "point", "label")
    if not found:
        return ""
    early, late = list[Drawn](), list[Drawn]()
    points = [point for point in drawn_points(results) if any(point == p for p, _ in found)]
    for i, point in enumerate(points):
        of_point = [(label, table) for (p, label), table in found.items() if p == point]
        figures = [_efficiency(f"eff-{i}-{j}", label, table) for j, (label, table) in enumerate(of_point)]
        drawn = [figure for figure in figures if figure]
        if drawn:
            (early if len(drawn) * (i + 1) <= MAX_FIGURES or i == 0 else late).append((point, drawn))
    return render("efficiency.html", early=early, late=late) if early else ""


def budgets(results: Results) -> str:
    """Return drawings of T over the rounds, one for each point."""
    figures, tables, legends = [], results.tracks, dict[str, int]()
    tuned = [label for label in results.labels if _varies(results, label)]
    steady = [label for label in results.labels if label not in tuned and _has_budget(results, label)]
    chosen = [*tuned, *steady][: len(svg.STYLES)]
    bright = focus(results)
    free = [i for i in range(len(svg.STYLES)) if not any(label in bright[i : i + 1] for label in chosen)]
    styles = {label: bright.index(label) if label in bright else free.pop() for label in chosen}
    for i, point in enumerate(drawn_points(results)):
        bands = {label: band(tables.get((point, label), {}), "round", "budget", 120) for label in chosen}
        found = {label: b for label, b in bands.items() if b is not None}
        x = axis([b.x[1:] for b in found.values()], is_count=True)
        y = log_axis([b.median[1:] for b in found.values()], is_count=True)
        if x is None or y is None:
            continue
        legends |= {label: styles[label] for label in found}
        lines = [
            svg.Curve(label, styles[label], b.x[1:], b.median[1:], b.low[1:], b.high[1:]) for label, b in found.items()
        ]
        title = f"Budget T over the rounds{f' at {point}' if point else ''}"
        different = "; ".join(f"{label}: {_different(tables[point, label])}" for label in found)
        drawing = svg.lines(f"budget-{i}", title, lines, x, y, "round", "budget T, mean over the nodes")
        figures.append((point, drawing, different))
    if not figures:
        return ""
    legend = svg.line_legend([(style, label) for label, style in legends.items()])
    left = len(tuned) + len(steady) - len(chosen)
    return render("budgets.html", figures=figures, legend=legend, left=left)


def _efficiency(key: str, label: str, table: Columns) -> Figure | None:
    first = numbers(table, "replication")
    table = {name: v[first == np.nanmin(first)] for name, v in table.items()} if np.isfinite(first).any() else table
    rounds = np.unique(numbers(table, "round"))
    rounds = rounds[np.isfinite(rounds)]
    if not rounds.size:
        return None
    lines, legend = [], []
    for style, round in zip(COLOURS, dict.fromkeys((rounds[0], rounds[len(rounds) // 2], rounds[-1])), strict=False):
        here = numbers(table, "round") == round
        t, value, chosen = (numbers(table, name)[here] for name in ("budget", "efficiency", "chosen"))
        order = np.argsort(t, kind="stable")
        t, value, chosen = t[order], value[order], chosen[order]
        keep = np.isfinite(t) & np.isfinite(value) & (t > 0)
        t, value, chosen = t[keep], value[keep], chosen[keep]
        if not t.size:
            continue
        marks = tuple((float(a), float(b)) for a, b in zip(t[chosen > 0], value[chosen > 0], strict=True))
        x_thin, y_thin = thin(t, value, 160)
        lines.append(svg.Curve(f"round {round:.0f}", style, x_thin, y_thin, is_step=False, marked=marks))
        legend.append((style, f"round {round:.0f}: T = {_budget(marks[0][0]) if marks else 'not chosen'}"))
    x = log_axis([line.x for line in lines], is_count=True)
    y = _efficiency_axis([line.y for line in lines])
    if x is None or y is None:
        return None
    unit = next((u for name in ("unit", "quantity", "cost") for u in unique(table, name) if u), "cost")
    unit = {"s": "second", "j": "joule"}.get(unit, unit)
    drawing = svg.lines(key, f"Efficiency of {label} over T", lines, x, y, "budget T", f"progress per {unit}")
    return label, drawing, svg.line_legend(legend, is_marked=False)


def _budget(chosen: float) -> str:
    return f"{chosen:.0f}" if chosen == round(chosen) else plain(chosen)


def _efficiency_axis(values: list[Array]) -> Axis | None:
    peaks = [float(v.max()) for v in values if v.size]
    if not peaks or max(peaks) <= 0:
        return None
    if min(peaks) > 0 and max(peaks) / min(peaks) > 5:
        return log_axis([*(np.maximum(v, min(peaks) * 1e-3) for v in values), np.array([1.3 * max(peaks)])])
    return linear_axis([*values, np.array([1.06 * max(peaks)])])


def _has_budget(results: Results, label: str) -> bool:
    return any(np.isfinite(numbers(t, "budget")).any() for (_, name), t in results.tracks.items() if name == label)


def _varies(results: Results, label: str) -> bool:
    tables = [t for (_, name), t in results.tracks.items() if name == label]
    return any(_different(t) > 1 for t in tables)


def _different(table: Columns) -> int:
    """Return the number of different T in the replication that has the most."""
    sizes = (
        len(np.unique(b[np.isfinite(b)])) for b in (numbers(r, "budget") for r in groups(table, "replication").values())
    )
    return max(sizes, default=0)
