"""Loss against bits, packets, seconds and joules, for each sweep point."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from netsim.report import over_sweep, svg
from netsim.report.axes import Axis, axis, linear_axis, log_axis
from netsim.report.columns import numbers
from netsim.report.curves import Band, band
from netsim.report.focus import FOCUS, drawn_points, focus
from netsim.report.folder import Results
from netsim.report.html import Group, render
from netsim.report.quantities import judged, metric, named, targets
from netsim.report.words import listing, plain
from netsim.results.glossary import Quantity

OTHERS = "the other labels"


def section(results: Results) -> str:
    """Return the curves of all points; the first few open, the others on demand."""
    labels, points = list(results.labels), drawn_points(results)
    if not results.rounds or not points:
        return render("curves.html", points=[], over_sweep=[], more_over_sweep=0, of=0)
    bright = focus(results)
    rest = [label for label in labels if label not in bright]
    chunks = [rest[i : i + FOCUS - 1] for i in range(0, len(rest), FOCUS - 1)]
    curves = len(points) * 4 * (len(labels) + len(chunks) + 0.3 * len(rest))
    most = int(min(160, max(24, 35_000 / max(curves, 1))))
    out = []
    for i, point in enumerate(points):
        bands = _bands(results, point, most)
        main = _panels(results, f"loss-{i}", point, bands, _styled(bright), rest)
        others = [
            (chunk, _panels(results, f"loss-{i}-{j}", point, bands, _styled([bright[0], *chunk]), []))
            for j, chunk in enumerate(chunks)
        ]
        out.append({"name": point, "main": main, "others": others})
    panels = over_sweep.panels(results, bright)
    return render(
        "curves.html", points=out, of=len(results.points), over_sweep=panels[: over_sweep.MOST],
        more_over_sweep=max(len(panels) - over_sweep.MOST, 0),
        is_replicated=any(len(np.unique(numbers(t, "replication"))) > 1 for t in results.tracks.values()),
    )  # fmt: skip


def _styled(labels: Sequence[str]) -> dict[str, int]:
    return {label: i for i, label in enumerate(labels)}


def _costs(results: Results) -> list[Quantity]:
    return [quantity for quantity in judged(results) if not quantity.is_gain]


def _bands(results: Results, point: str, most: int) -> dict[tuple[str, str], Band]:
    """Return the curve of each (label, column)."""
    wanted = ((label, q.noun) for label in results.labels for q in _costs(results))
    y_name, found = metric(results, point), {}
    for label, column in wanted:
        curve = band(results.tracks.get((point, label), {}), column, y_name, most)
        if curve is not None:
            found[label, column] = curve
    return found


def _panels(
    results: Results, key: str, point: str, bands: Mapping[tuple[str, str], Band], bright: Mapping[str, int],
    rest: Sequence[str],
) -> Group:  # fmt: skip
    """Return the four drawings of one point."""
    shown = [label for label in [*bright, *rest] if any(label == name for name, _ in bands)]
    figures, absent = [], []
    y = _loss_axis(results, point, [b for (label, _), b in bands.items() if label in shown])
    for i, quantity in enumerate(_costs(results)):
        curves = {label: bands[label, quantity.noun] for label in shown if (label, quantity.noun) in bands}
        x = _cost_axis(curves.values(), quantity)
        if x is None or y is None:
            absent.append(quantity.noun)
            continue
        lines = [
            svg.Curve(label, bright.get(label), b.from_first_cost() if x.is_log else b.x, b.median, b.low, b.high)
            for label, b in curves.items()
        ]
        where = f" at {point}" if point else ""
        title = f"{named(metric(results, point))} against {quantity.noun}{where}".capitalize()
        y_title = named(metric(results, point))
        figures.append(
            svg.lines(f"{key}-{i}", title, lines, x, y, quantity.title, y_title, level=_level(results, point))
        )
    legend: list[tuple[int | None, str]] = [(bright[label], label) for label in shown if label in bright]
    legend += [(None, f"{OTHERS} ({len(rest)}), below")] if rest else []
    note = f"Nothing to draw against {listing(absent)}: none were spent here." if absent else ""
    heading = point or ("No sweep point" if results.points[1:] else "")
    return Group(heading, figures, svg.line_legend(legend), note)


def _cost_axis(bands: Collection[Band], quantity: Quantity) -> Axis | None:
    """Return an axis from a hundredth of the least whole cost: before that every curve is flat."""
    least = min((float(b.x[-1]) for b in bands), default=0.0)
    values = [b.x[1:][b.x[1:] >= least / 100] for b in bands]
    return axis(values, quantity.unit, is_count=not quantity.unit, log_above=20)


def _loss_axis(results: Results, point: str, bands: Sequence[Band]) -> Axis | None:
    """Return a logarithmic axis for losses that go to zero; it ends at ten times the start, however runs diverge."""
    name = metric(results, point)
    if not bands:
        return None
    start = max(float(b.median[0]) for b in bands)
    goal = targets(results, point).get(name)
    values = [np.concatenate([b.median, [goal if goal is not None else b.median[-1]]]) for b in bands]
    if name.endswith("accuracy"):
        return linear_axis(values, from_zero=False)
    if start > 0:
        values = [np.minimum(v, 10 * start) for v in values]
        floor = max(start * 1e-14, min((float(v[v > 0].min()) for v in values if (v > 0).any()), default=start))
        values = [np.maximum(v, floor) for v in values] if name != "loss" else values
    return (log_axis(values) if name in ("loss_gap", "grad_norm") else None) or axis(values) or linear_axis(values)


def _level(results: Results, point: str) -> tuple[float, str] | None:
    goal = targets(results, point).get(metric(results, point))
    return (goal, f"target {plain(goal)}") if goal is not None else None
