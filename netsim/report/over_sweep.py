"""What each label spends to the target over a swept number, one panel for each value of the other swept keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from netsim.report import svg
from netsim.report.axes import Axis, axis, linear_axis
from netsim.report.folder import Results, Row, mapping
from netsim.report.html import Group
from netsim.report.quantities import judged, named, of
from netsim.report.words import plain, si
from netsim.results.glossary import Quantity
from netsim.scenario import sweep
from netsim.scenario.parts import rises
from netsim.units import unit_of

LEAST = 3  # values of a key that make an axis
MOST = 16
SIGNS = {"byte": "B"}
HEADING = "To the target, over the sweep"


def panels(results: Results, labels: Sequence[str]) -> list[Group]:
    """Return the drawings of each panel, at most `MOST` drawn, with some labels, in colour.

    There are none where no swept key has three numbers, or there is no target.
    """
    keys = [str(key) for key in mapping(results.scenario.get("sweep"))]

    def counts(row: Row) -> bool:
        return row.is_complete and row.label in labels and bool(row.target)

    rows = [row for row in results.summary if counts(row)]
    x_key = next((key for key in keys if len(_numbers(results.summary, key)) >= LEAST), None)
    if x_key is None or not rows:
        return []
    names = dict(zip(keys, sweep.short_names([sweep.split(key) or (key,) for key in keys]), strict=True))
    others = [key for key in keys if key != x_key]
    by_panel: dict[str, list[Row]] = {}
    for row in results.summary:
        values = [*(_told(names[key], row, key) for key in others), _goal(results, row)]
        by_panel.setdefault(", ".join(filter(None, values)), []).extend([row] if counts(row) else [])
    axes = {q.stem: _axes(rows, x_key, q) for q in judged(results)}
    legend = svg.line_legend([(i, label) for i, label in enumerate(labels)])
    out = []
    for i, (told, found) in enumerate((told, found) for told, found in by_panel.items() if found):
        key = f"sweep-{i}" if i else "sweep"
        drawn = _panel(key, found, x_key, names[x_key], labels, axes, judged(results), told) if i < MOST else []
        out.append(Group(f"{HEADING}: {told}" if told else HEADING, drawn, legend))
    return out if any(group.figures for group in out) else []


def _panel(
    key: str, rows: Sequence[Row], x_key: str, x_name: str, labels: Sequence[str],
    axes: Mapping[str, tuple[Axis, Axis] | None], quantities: Sequence[Quantity], told: str,
) -> list[Markup]:  # fmt: skip
    figures = []
    for i, quantity in enumerate(quantities):
        both = axes[quantity.stem]
        if both is None:
            continue
        lines = []
        for style, label in enumerate(labels):
            points = [r for r in rows if r.label == label and math.isfinite(of(r, quantity).mean)]
            if points:
                lines.append(_line(sorted(points, key=lambda r: r.numbers[x_key]), x_key, label, style, quantity))
        if lines:
            title = f"{quantity.noun} to the target over {x_name}{f' at {told}' if told else ''}"
            figures.append(svg.lines(f"{key}-{i}", title, lines, *both, x_name, quantity.title))
    return figures


def _line(rows: Sequence[Row], x_key: str, label: str, style: int, quantity: Quantity) -> svg.Curve:
    found = [of(row, quantity) for row in rows]
    x, y = np.array([row.numbers[x_key] for row in rows]), np.array([e.mean for e in found])
    low, high = (np.array([getattr(e, end) if e.has_interval else e.mean for e in found]) for end in ("low", "high"))
    return svg.Curve(label, style, x, y, low, high, is_step=False, marks_data=True)


def _axes(rows: Sequence[Row], x_key: str, quantity: Quantity) -> tuple[Axis, Axis] | None:
    """Return axes common to all panels, so that they can be compared."""
    with_mean = [row for row in rows if math.isfinite(of(row, quantity).mean)]
    x_values = np.array([row.numbers[x_key] for row in with_mean])
    y_values = np.array([of(row, quantity).mean for row in with_mean])
    unit = unit_of(x_key.rpartition(".")[2]) or ""
    unit = SIGNS.get(unit, unit)
    x = (
        linear_axis([x_values], unit, from_zero=False)
        if (x_values <= 0).any()
        else axis([x_values], unit, log_above=20)
    )
    y = axis([y_values], quantity.unit, is_count=not quantity.unit, log_above=5)
    return None if x is None or y is None else (x, y)


def _numbers(rows: Sequence[Row], key: str) -> set[float]:
    return {row.numbers[key] for row in rows if math.isfinite(row.numbers.get(key, math.nan))}


def _told(name: str, row: Row, key: str) -> str:
    if key in row.numbers:
        unit = unit_of(key.rpartition(".")[2])
        value = row.numbers[key]
        return f"{name} = {si(value, SIGNS.get(unit, unit)) if unit else plain(value)}"
    return f"{name} = {row.words.get(key, '')}"


def _goal(results: Results, row: Row) -> str:
    """Return the target in words, where the study has several."""
    if len({(r.target, r.target_value) for r in results.summary}) == 1 or not row.target:
        return ""
    return f"{named(row.target)} {'≥' if rises(row.target) else '≤'} {plain(row.target_value)}"
