"""Figures of probes and fits, each one SVG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netsim.errors import ConfigError
from netsim.report.axes import Array, Axis, axis, linear_axis
from netsim.report.sheet import sheet
from netsim.report.svg import STYLES, Curve, lines
from netsim.tools.probe import Point

if TYPE_CHECKING:
    from netsim.tools.fit import Result
    from netsim.tools.measurements import Points

MAX_CURVES = len(STYLES)
_PANELS = (
    ("delivery", "delivered share", ""),
    ("latency_mean_s", "mean latency", "s"),
    ("makespan_s", "makespan", "s"),
    ("bit_j", "energy per delivered bit", "J"),
)


def check(path: str | None) -> None:
    """Refuse a name that is none of an SVG file, before anything runs."""
    if path is not None and not path.endswith(".svg"):
        raise ConfigError(f"--plot: a file that ends in .svg. Got {path!r}")


def probe(title: str, points: Sequence[Point]) -> str:
    """Draw delivery, latency, makespan and energy over the key with most values; the latencies of a single point."""
    x_name, x_title, keys = _across(points)
    panels, legend = [], list[tuple[int | None, str]]()
    if len(points) > 1:
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(_name(point, keys), []).append(point)
        legend = [(i, name) for i, name in enumerate(list(groups)[:MAX_CURVES])]
        for metric, y_title, unit in _PANELS:
            curves = [_curve(metric, x_name, i, name, groups[name]) for i, name in legend if i is not None]
            panels.append(_panel(metric, y_title, unit, x_title, [c for c in curves if c.x.size]))
    else:
        panels.append(_latencies(points[0]))
    left_out = f"; {len(groups) - MAX_CURVES} more lines are in the CSV" if legend and len(groups) > MAX_CURVES else ""
    note = f"bands: two standard errors over {points[0].replications} replications{left_out}"
    return sheet(title, [p for p in panels if p], legend, note if len(points) > 1 else "")


def _across(points: Sequence[Point]) -> tuple[str, str, tuple[str, ...]]:
    facts = {"size_bytes": "message size", "nodes": "nodes", "rate": "messages per second of each node"}
    counts = {name: len({getattr(p.traffic, name) for p in points}) for name in facts}
    best = max(facts, key=lambda name: counts[name])
    return best, facts[best], tuple(name for name in facts if name != best and counts[name] > 1)


def _name(point: Point, keys: Sequence[str]) -> str:
    texts = {"size_bytes": "{} B", "nodes": "{} nodes", "rate": "{:g} messages/s"}
    name = ", ".join(texts[key].format(getattr(point.traffic, key)) for key in keys) or point.channel
    return "1 node" + name[7:] if name.startswith("1 nodes") else name


def _curve(metric: str, x_name: str, style: int, label: str, points: Sequence[Point]) -> Curve:
    found = sorted((getattr(p.traffic, x_name), *p.values[metric]) for p in points)
    found = [row for row in found if np.isfinite(row[1])]
    x, y, error = (np.array(column, np.float64) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
    spread = 2 * np.nan_to_num(error)
    return Curve(label, style, x, y, np.maximum(y - spread, 0), y + spread, is_step=False)


def _panel(key: str, title: str, unit: str, x_title: str, curves: Sequence[Curve]) -> str:
    if not curves:
        return ""
    x = axis([c.x for c in curves], "B" if x_title == "message size" else "", is_count=True)
    values = [np.concatenate([c.y, c.high]) for c in curves]
    y = Axis(0.0, 1.05) if key == "delivery" else axis(values, unit)
    return lines(key, title, curves, x, y, x_title, title) if x and y else ""


def _latencies(point: Point) -> str:
    values = point.latencies_s
    if not values.size:
        return ""
    share: Array = np.arange(1, values.size + 1) / values.size
    keep = np.unique(np.linspace(0, values.size - 1, 400).astype(int))
    x = axis([values], "s") or linear_axis([values], "s")
    curve = Curve("latency", 1, values[keep], share[keep])
    return lines("latency", "latency", [curve], x, Axis(0.0, 1.05), "latency", "share of deliveries") if x else ""


# --- fits -----------------------------------------------------------------------------------------------------


def fits(title: str, result: Result) -> str:
    """Draw the measured costs with the fitted families, their residuals, and the costs by the number of senders."""
    points = result.points
    scale, x_unit = (1.0, "") if points.is_count else (8.0, "B")
    x_title = "T" if points.is_count else "message size"
    y_title = {"s": "seconds", "J": "joules"}[points.unit]
    grid = np.unique(np.concatenate([np.linspace(points.size.min(), points.size.max(), 400), np.unique(points.size)]))
    measured = _measured("measured", None, points, scale)
    models, misses = [], []
    for i, one in enumerate(result.fits):
        models.append(Curve(one.family, i + 1, grid / scale, np.maximum(one(grid), 0.0), is_step=False))
        at = measured.x * scale
        misses.append(Curve(one.family, i + 1, measured.x, 100 * (measured.y / one(at) - 1), is_step=False))
    x = axis([measured.x], x_unit, is_count=True)
    y = axis([measured.y, *(m.y for m in models)], points.unit)
    panels = [lines("fit", "fit", [measured, *models], x, y, x_title, y_title)] if x and y else []
    off = linear_axis([m.y for m in misses[:3]])
    if x and off:
        panels.append(
            lines("off", "measured over fitted", misses[:3], x, off, x_title, "measured over fitted, % beyond")
        )
    counts = np.unique(result.everything.nodes)
    if counts.size > 1:
        curves = [
            _measured(f"{n:g} senders", i, result.everything.of(float(n)), scale) for i, n in enumerate(counts[:8])
        ]
        y = axis([c.y for c in curves], points.unit)
        if x and y:
            heading = f"{y_title} with {', '.join(f'{n:g}' for n in counts[:8])} senders, from the lowest line"
            panels.append(lines("load", "by senders", curves, x, y, x_title, heading))
    legend: list[tuple[int | None, str]] = [(None, "measured, mean")]
    legend += [(i + 1, f"{one.family}{' (chosen)' if i == 0 else ''}") for i, one in enumerate(result.fits)]
    return sheet(title, panels, legend)


def _measured(label: str, style: int | None, points: Points, scale: float) -> Curve:
    sizes = np.unique(points.size)
    means = np.array([points.cost[points.size == size].mean() for size in sizes])
    marked = tuple(zip((sizes / scale).tolist(), means.tolist(), strict=True)) if style is None else ()
    return Curve(label, style, sizes / scale, means, is_step=False, marked=marked[:200])
