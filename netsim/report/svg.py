"""Static drawings: curves on two axes, and stacked bars; legible without script, colour or network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netsim.report.axes import Array, Axis, fit, text_px
from netsim.report.words import escape

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
    label
        Its name.
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
) -> str:  # fmt: skip
    """Return curves on two axes, as an SVG element.

    Parameters
    ----------
    key
        An id that no other drawing of the page has.
    title
        For those who hear the page.
    curves
        Those in grey come first, underneath.
    x, y, x_title, y_title
        The axes.
    level
        A horizontal line and its text, such as the target.
    """
    y_ticks = y.ticks(HEIGHT - TOP - BOTTOM, vertical=True)
    left = 12.0 + max((text_px(label) for _, label in y_ticks), default=0.0)
    width, height = WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM
    ends = (f"{c.label} ends at {x.label(_sig(c.x[-1]))}, {y.label(_sig(c.y[-1]))}" for c in curves if c.x.size)
    out = [_open(key, title, f"{y_title} over {x_title}. {'; '.join(ends)}.", HEIGHT, _scale_of(x, y, left))]
    out.append(f'<text x="2" y="15" class="t">{escape(y_title)}</text>')
    out.append(f'<text x="{_n(left + width / 2)}" y="{_n(HEIGHT - 8)}" class="t m">{escape(x_title)}</text>')
    grid, texts = [], []
    for value, label in y_ticks:
        at = TOP + height - float(y.at(value, height))
        grid.append(f"M{_n(left)} {_n(at)}h{_n(width)}")
        texts.append(f'<text x="{_n(left - 6)}" y="{_n(at + 4)}" class="e">{escape(label)}</text>')
    for value, label in x.ticks(width):
        at = left + float(x.at(value, width))
        grid.append(f"M{_n(at)} {_n(TOP)}v{_n(height)}")
        texts.append(f'<text x="{_n(at)}" y="{_n(HEIGHT - 27)}" class="m">{escape(label)}</text>')
    small = [f"M{_n(left + float(x.at(v, width)))} {_n(TOP + height)}v-3" for v in x.minor()]
    small += [f"M{_n(left)} {_n(TOP + height - float(y.at(v, height)))}h3" for v in y.minor()]
    out.append(f'<path class="g" d="{"".join(grid)}"/><path class="a" d="{"".join(small)}"/>')
    out.append(f'<path class="a" d="M{_n(left)} {_n(TOP)}v{_n(height)}h{_n(width)}"/>')
    out += texts
    out.append(f'<svg x="{_n(left)}" y="{_n(TOP)}" width="{_n(width)}" height="{_n(height)}">')
    for curve in sorted(curves, key=lambda c: c.style is not None):
        out.append(_curve(curve, x, y, width, height))
    out.append("</svg>")
    if level is not None and y.low <= level[0] <= y.high:
        at = TOP + height - float(y.at(level[0], height))
        over = at - 5 if at > TOP + 16 else at + 14
        out.append(f'<path class="l" d="M{_n(left)} {_n(at)}h{_n(width)}"/>')
        out.append(f'<text x="{_n(left + 6)}" y="{_n(over)}" class="w">{escape(level[1])}</text>')
    return "".join([*out, "</svg>"])


def bars(key: str, title: str, rows: Sequence[Bar], parts: Sequence[tuple[str, str]]) -> str:
    """Return stacked horizontal bars, each of the full width.

    Parameters
    ----------
    key, title
        As for `lines`.
    rows
        From top to bottom.
    parts
        Name and colour of each part.
    """
    told = (f"{r.label} {r.total}: {', '.join(_shares(r, parts))}" for r in rows)
    out = [_open(key, title, f"{'; '.join(told)}.", 42.0 * len(rows) + 2)]
    for i, row in enumerate(rows):
        top, whole, at = 42.0 * i, math.fsum(row.parts), 0.0
        label = fit(row.label, WIDTH - text_px(row.total) - 20)
        out.append(f"<g><title>{escape(row.label)}</title>")
        out.append(f'<text x="0" y="{_n(top + 13)}" class="t">{escape(label)}</text>')
        out.append(f'<text x="{_n(WIDTH)}" y="{_n(top + 13)}" class="e">{escape(row.total)}</text>')
        for value, (name, colour) in zip(row.parts, parts, strict=True):
            wide = WIDTH * value / whole if whole > 0 else 0.0
            if wide >= 0.2:
                out.append(f'<rect x="{_n(at)}" y="{_n(top + 19)}" width="{_n(wide)}" height="17" fill="{colour}">')
                out.append(f"<title>{escape(f'{name}: {value / whole:.1%}')}</title></rect>")
            if wide >= 36:
                ink = "#fff" if luminance(colour) < 0.18 else "#000"
                share = f"{value / whole:.0%}"
                out.append(
                    f'<text x="{_n(at + wide / 2)}" y="{_n(top + 31.5)}" class="m s" fill="{ink}">{share}</text>'
                )
            at += wide
        out.append("</g>")
    return "".join([*out, "</svg>"])


def swatch(style: int | None, is_marked: bool = True) -> str:
    """Return the legend's piece of a line."""
    colour, dash, marker = STYLES[style] if style is not None else (CONTEXT, "", "")
    mark = f'<g transform="translate(17 7)">{_MARKERS[marker]}</g>' if marker and is_marked else ""
    return (
        f'<svg class="k" width="34" height="14" aria-hidden="true"><g class="c" style="--c:{colour}">'
        f'<path class="y" d="M1 7h32"{_dash(dash)}/>{mark}</g></svg>'
    )


def box(colour: str) -> str:
    """Return the legend's piece of a bar."""
    square = f'<rect width="14" height="14" fill="{colour}"/>'
    return f'<svg class="k" width="14" height="14" aria-hidden="true">{square}</svg>'


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _open(key: str, title: str, desc: str, height: float, extra: str = "") -> str:
    return (
        f'<svg class="f" viewBox="0 0 {_n(WIDTH)} {_n(height)}" role="img" aria-labelledby="{key}-t {key}-d"{extra}>'
        f'<title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(desc)}</desc>'
    )


def _scale_of(x: Axis, y: Axis, left: float) -> str:
    frame = (left, TOP, WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM)
    numbers = " ".join(f"{v:.6g}" for v in (*frame, x.low, x.high, x.is_log, y.low, y.high, y.is_log))
    return f' data-axes="{numbers}" data-units="{escape(x.unit)},{escape(y.unit)}"'


def _curve(curve: Curve, x: Axis, y: Axis, width: float, height: float) -> str:
    keep = np.isfinite(curve.y)
    px, py = x.at(curve.x[keep], width), height - y.at(curve.y[keep], height)
    if not px.size:
        return ""
    colour, dash, marker = STYLES[curve.style] if curve.style is not None else (CONTEXT, "", "")
    name = f"<title>{escape(curve.label)}</title>"
    out = [f'<g class="c" style="--c:{colour}" data-s="{escape(curve.label)}">{name}']
    if curve.low.size and curve.style is not None:
        low, high = (height - y.at(v[keep], height) for v in (curve.low, curve.high))
        if float(np.max(low - high)) > 0.6:
            back = _back(px, low) if curve.is_step else f"L{_path(px[::-1], low[::-1], False)[1:]}"
            out.append(f'<path class="b" d="{_path(px, high, curve.is_step)}{back}z"/>')
    out.append(f'<path class="y" d="{_path(px, py, curve.is_step)}"{_dash(dash)}/>')
    if curve.marked:
        spots = [(float(x.at(a, width)), height - float(y.at(b, height))) for a, b in curve.marked]
        out += [f'<circle class="p" cx="{_n(a)}" cy="{_n(b)}" r="5.5"/>' for a, b in spots]
    elif marker:
        at_points = zip(px.tolist(), py.tolist(), strict=True)
        for a, b in at_points if curve.marks_data else _spots(px, py, curve.is_step, curve.style or 0):
            out.append(f'<g transform="translate({_n(a)} {_n(b)})">{_MARKERS[marker]}</g>')
    return "".join([*out, "</g>"])


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


def _n(value: float) -> str:
    return f"{round(value, 1):g}"


def _dash(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _sig(value: float) -> float:
    return float(f"{value:.3g}")


def _shares(row: Bar, parts: Sequence[tuple[str, str]]) -> list[str]:
    whole = math.fsum(row.parts) or 1.0
    return [f"{name} {value / whole:.0%}" for value, (name, _) in zip(row.parts, parts, strict=True)]
