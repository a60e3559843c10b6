"""Static drawings: curves on two axes, and stacked bars; legible without script, colour or network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from netsim.report.axes import Array, Axis, fit, text_px
from netsim.report.html import render

WIDTH, HEIGHT = 400.0, 292.0
TOP, BOTTOM, RIGHT = 28.0, 44.0, 26.0

# Spread in lightness, so that colour-blind eyes keep them apart; each with a dash pattern and a marker.
STYLES: tuple[tuple[str, str, str], ...] = (
    ("#000000", "", "circle"),
    ("#1a3cc4", "", "square"),
    ("#a63c00", "7 3", "up"),
    ("#00b368", "2 2.5", "diamond"),
    ("#a15b8d", "9 3 2 3", "down"),
    ("#e3902a", "", "plus"),
    ("#8c97f5", "7 3", "cross"),
    ("#571d78", "2 2.5", "ring"),
)
CONTEXT = "#b4b4b4"
_MARKERS = {
    "circle": '<circle r="3.4"/>',
    "ring": '<circle r="3.2" class="o"/>',
    "square": '<path d="M-3-3h6v6h-6z"/>',
    "up": '<path d="M0-4l3.8 6.6h-7.6z"/>',
    "down": '<path d="M0 4l3.8-6.6h-7.6z"/>',
    "diamond": '<path d="M0-4.4l3.8 4.4L0 4.4-3.8 0z"/>',
    "plus": '<path class="o" d="M-4 0h8M0-4v8"/>',
    "cross": '<path class="o" d="M-3-3l6 6M-3 3l6-6"/>',
}


@dataclass(frozen=True)
class Curve:
    """One line of a drawing.

    Parameters
    ----------
    style
        Index in `STYLES`; None draws it thin and grey, as context.
    x, y
        Where it goes, x not decreasing.
    low, high
        A band around it; empty for none.
    is_step
        Whether y holds until the next x, instead of a straight line.
    marked
        Points to mark with a ring, such as the chosen T; without any, small markers tell the lines apart.
    marks_data
        Whether these stand at every point, instead of evenly along the line.
    """

    label: str
    style: int | None
    x: Array
    y: Array
    low: Array = field(default_factory=lambda: np.zeros(0))
    high: Array = field(default_factory=lambda: np.zeros(0))
    is_step: bool = True
    marked: tuple[tuple[float, float], ...] = ()
    marks_data: bool = False


@dataclass(frozen=True)
class Bar:
    """One row of stacked bars.

    Parameters
    ----------
    label, total
        Text above the bar, left and right.
    parts
        Non-negative values, in the order of the legend; drawn as shares of their sum.
    """

    label: str
    total: str
    parts: tuple[float, ...]


def lines(
    key: str, title: str, curves: Sequence[Curve], x: Axis, y: Axis, x_title: str, y_title: str,
    level: tuple[float, str] | None = None,
) -> Markup:  # fmt: skip
    """Return curves on two axes, as an SVG element.

    Parameters
    ----------
    key
        An id that no other drawing of the page has.
    title
        For those who hear the page.
    curves
        Those in grey come first, underneath.
    level
        A horizontal line and its text, such as the target.
    """
    y_ticks = y.ticks(HEIGHT - TOP - BOTTOM, vertical=True)
    left = 12.0 + max((text_px(label) for _, label in y_ticks), default=0.0)
    wide, high = WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM

    def down(value: float) -> float:
        return TOP + high - float(y.at(value, high))

    def along(value: float) -> float:
        return left + float(x.at(value, wide))

    line = None
    if level is not None and y.low <= level[0] <= y.high:
        at = down(level[0])
        line = {"at": at, "over": at - 5 if at > TOP + 16 else at + 14, "text": level[1]}
    shown = [c for c in sorted(curves, key=lambda c: c.style is not None) if np.isfinite(c.y).any()]
    return render(
        "lines.svg", key=key, title=title, x=x, y=y, x_title=x_title, y_title=y_title, width=WIDTH, height=HEIGHT,
        left=left, top=TOP, wide=wide, high=high,
        scale=[f"{v:.6g}" for v in (left, TOP, wide, high, x.low, x.high, x.is_log, y.low, y.high, y.is_log)],
        ends=[f"{c.label} ends at {x.label(_sig(c.x[-1]))}, {y.label(_sig(c.y[-1]))}" for c in curves if c.x.size],
        x_ticks=[(along(value), label) for value, label in x.ticks(wide)], x_minor=map(along, x.minor()),
        y_ticks=[(down(value), label) for value, label in y_ticks], y_minor=map(down, y.minor()),
        curves=[_curve(curve, x, y, wide, high) for curve in shown], level=line,
    )  # fmt: skip


def bars(key: str, title: str, rows: Sequence[Bar], parts: Sequence[tuple[str, str]]) -> Markup:
    """Return stacked horizontal bars, from top to bottom, each of the full width; `parts` have names and colours."""
    drawn = []
    for i, row in enumerate(rows):
        whole, at, shares = math.fsum(row.parts) or 1.0, 0.0, []
        for value, (name, colour) in zip(row.parts, parts, strict=True):
            ink = "#fff" if luminance(colour) < 0.18 else "#000"
            wide, share = WIDTH * value / whole, value / whole
            shares.append({"name": name, "colour": colour, "ink": ink, "at": at, "wide": wide, "share": share})
            at += wide
        label = fit(row.label, WIDTH - text_px(row.total) - 20)
        drawn.append({"label": row.label, "short": label, "total": row.total, "top": 42.0 * i, "parts": shares})
    return render("bars.svg", key=key, title=title, rows=drawn, width=WIDTH, height=42.0 * len(rows) + 2)


def swatch(style: int | None, is_marked: bool = True) -> Markup:
    """Return the legend's piece of a line."""
    colour, dash, marker = STYLES[style] if style is not None else (CONTEXT, "", "")
    return render("swatch.svg", colour=colour, dash=dash, marker=_MARKERS[marker] if marker and is_marked else "")


def line_legend(labels: Sequence[tuple[int | None, str]], is_marked: bool = True) -> list[tuple[Markup, str]]:
    """Return the legend of curves: for style and name of each, its swatch and name."""
    return [(swatch(style, is_marked), name) for style, name in labels]


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _curve(curve: Curve, x: Axis, y: Axis, width: float, height: float) -> dict[str, Any]:
    """Return how a curve is drawn: the paths of its line and its band, and where its rings or markers stand."""
    keep = np.isfinite(curve.y)
    px, py = x.at(curve.x[keep], width), height - y.at(curve.y[keep], height)
    colour, dash, marker = STYLES[curve.style] if curve.style is not None else (CONTEXT, "", "")
    around, spots = "", list[tuple[float, float]]()
    if curve.low.size and curve.style is not None:
        low, high = (height - y.at(v[keep], height) for v in (curve.low, curve.high))
        if float(np.max(low - high)) > 0.6:
            back = _back(px, low) if curve.is_step else f"L{_path(px[::-1], low[::-1], False)[1:]}"
            around = f"{_path(px, high, curve.is_step)}{back}z"
    if curve.marks_data and marker:
        spots = list(zip(px.tolist(), py.tolist(), strict=True))
    elif marker and not curve.marked:
        spots = _spots(px, py, curve.is_step, curve.style or 0)
    return {
        "label": curve.label, "colour": colour, "dash": dash, "path": _path(px, py, curve.is_step), "band": around,
        "rings": [(float(x.at(a, width)), height - float(y.at(b, height))) for a, b in curve.marked],
        "spots": spots, "marker": _MARKERS.get(marker, ""),
    }  # fmt: skip


def _spots(px: Array, py: Array, is_step: bool, index: int) -> list[tuple[float, float]]:
    """Return the places of markers: evenly along x, shifted from line to line, and at the end."""
    first, last = max(float(px[0]), 0.0), float(px[-1])
    places = [first + (last - first) * (k + (index % 8) / 8) / 4 for k in range(4)]
    places = [p for p in places if last - p > 8] + [last]
    if is_step:
        found = np.searchsorted(px, places, side="right") - 1
        return [(p, float(py[i])) for p, i in zip(places, found, strict=True)]
    return [(p, float(np.interp(p, px, py))) for p in places]


def _path(px: Array, py: Array, is_step: bool) -> str:
    xs, ys = _tenths(px), _tenths(py)
    out = [f"M{_t(xs[0])} {_t(ys[0])}"]
    at = (xs[0], ys[0])
    for i, (a, b) in enumerate(zip(xs[1:], ys[1:], strict=True), 1):
        if b == at[1] and i < len(xs) - 1:
            continue
        if is_step:
            out.append(f"h{_t(a - at[0])}" + (f"v{_t(b - at[1])}" if b != at[1] else ""))
        else:
            if xs[i - 1] != at[0]:
                out.append(f"H{_t(xs[i - 1])}")
            out.append(f"L{_t(a)} {_t(b)}")
        at = (a, b)
    return "".join(out)


def _back(px: Array, py: Array) -> str:
    """Return the lower edge of a band of steps, from its end to its start."""
    xs, ys = _tenths(px), _tenths(py)
    out, at = [f"V{_t(ys[-1])}"], (xs[-1], ys[-1])
    for right, b in zip(xs[:0:-1], ys[-2::-1], strict=True):
        if b != at[1]:
            out.append((f"H{_t(right)}" if right != at[0] else "") + f"V{_t(b)}")
            at = (right, b)
    return "".join([*out, f"H{_t(xs[0])}"])


def _tenths(values: Array) -> list[int]:
    rounded: list[int] = np.rint(values * 10).astype(int).tolist()
    return rounded


def _t(tenths: int) -> str:
    return f"{tenths / 10:g}"


def _sig(value: float) -> float:
    return float(f"{value:.3g}")
