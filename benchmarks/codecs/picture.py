"""Bits against error, as one SVG of panels; legible without colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from netsim.report.svg import _MARKERS as MARKERS
from netsim.report.svg import STYLES

WIDTH, PANEL, PLOT = 880, (440, 424), (62, 34, 358, 262)  # whole; panel; left, top, width, height of a plot
SENT, NEEDED = (0.05, 64.0), (0.005, 64.0)  # ends of the axes, in bits an entry
TICKS = (0.1, 0.3, 1, 3, 10, 30)
ERRORS = {0.99: "0.99", 0.9: "0.9", 0.5: "0.5", 0.1: "0.1", 0.01: "0.01", 1e-4: "1e-4", 1e-8: "1e-8", 1e-16: "1e-16"}
_STYLE = """\
svg { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; fill: #1b1f24; }
.t { font-weight: 600; } .m { text-anchor: middle; } .e { text-anchor: end; }
.g { stroke: #e3e6ea; fill: none; } .a { stroke: #7b828a; fill: none; }
.l { stroke: #1b1f24; fill: none; stroke-width: 1.6; stroke-dasharray: 1 4; stroke-linecap: round; }
.y { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .o { fill: #fff; stroke-width: 1.7; }
.c { stroke-width: 0; }
.x { fill: #c3c7cc; }
"""


@dataclass(frozen=True)
class Line:
    """One compressor: its settings as (bits an entry, error), in increasing bits."""

    name: str
    group: str
    points: tuple[tuple[float, float], ...]


def draw(lines: Sequence[Line], dim: int) -> str:
    """The whole picture.

    Parameters
    ----------
    lines
        All compressors; those of a group share a panel, in which the others are grey.
    dim
        d, for the text.
    """
    panels = list(_panels(lines))
    height = PANEL[1] * -(-len(panels) // 2) + 26
    title = "Bits an entry against error of every compressor"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="18">Vectors uniform in the unit ball, d = {dim}. Dotted: the bound, no code is left of it. '
        "Grey: the compressors of the other panels.</text>",
    ]
    for i, (name, mine) in enumerate(panels):
        others = [line for line in lines if line not in mine]
        out.append(f'<g transform="translate({PANEL[0] * (i % 2)} {26 + PANEL[1] * (i // 2)})">')
        out += _panel(name, mine, others)
        out.append("</g>")
    return "\n".join([*out, "</svg>"]) + "\n"


def _panels(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    """Groups in their order of names, those of more compressors than there are styles in two or more panels."""
    for group in sorted({line.group for line in lines}):
        mine = [line for line in lines if line.group == group]
        count = -(-len(mine) // len(STYLES))
        size = -(-len(mine) // count)
        for i in range(count):
            name = group if count == 1 else f"{group} ({i + 1} of {count})"
            yield name, mine[i * size : (i + 1) * size]


def _panel(name: str, mine: Sequence[Line], others: Sequence[Line]) -> Iterator[str]:
    left, top, width, height = PLOT
    yield f'<text x="{left}" y="20" class="t">{escape(name)}</text>'
    for tick in TICKS:
        at = left + width * _share(tick, SENT)
        yield f'<path class="g" d="M{at:.1f} {top}v{height}"/>'
        yield f'<text x="{at:.1f}" y="{top + height + 17}" class="m">{tick:g}</text>'
    for error, label in ERRORS.items():
        at = top + height * _share(needed(error), NEEDED)
        yield f'<path class="g" d="M{left} {at:.1f}h{width}"/>'
        yield f'<text x="{left - 6}" y="{at + 4:.1f}" class="e">{label}</text>'
    yield f'<path class="a" d="M{left} {top}v{height}h{width}"/>'
    yield f'<text x="{left + width / 2}" y="{top + height + 34}" class="m">bits an entry</text>'
    middle = top + height / 2
    yield f'<text transform="translate(13 {middle}) rotate(-90)" class="m">error D of the best multiple</text>'
    bound = top + height * _share(SENT[0], NEEDED)
    yield f'<path class="l" d="M{left} {bound:.1f}L{left + width} {top + height}"/>'
    for line in others:
        for x, y in _places(line):
            yield f'<circle class="x" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
    for i, line in enumerate(mine):
        colour, dash, marker = STYLES[i]
        places = list(_places(line))
        path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in _best(places))
        drawn = f' stroke-dasharray="{dash}"' if dash else ""
        column, row = i % 2, i // 2
        legend = 12 + column * PANEL[0] / 2, top + height + 50 + 17 * row
        yield f'<g class="c" fill="{colour}" stroke="{colour}"><title>{escape(line.name)}</title>'
        if "L" in path:
            yield f'<path class="y" d="{path}"{drawn}/>'
        yield f'<path class="y" d="M{legend[0]} {legend[1]}h32"{drawn}/>'
        for x, y in [*places, (legend[0] + 16, legend[1])]:
            yield f'<g transform="translate({x:.1f} {y:.1f})">{MARKERS[marker]}</g>'
        yield f'</g><text x="{legend[0] + 40}" y="{legend[1] + 4}">{escape(line.name)}</text>'


def _best(places: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Those of fewest bits for their error; lower on the page is less error."""
    lowest = -math.inf
    for x, y in places:
        if y > lowest:
            lowest = y
            yield x, y


def needed(error: float) -> float:
    """Bits an entry that the bound asks for an error."""
    return max(-0.5 * math.log2(min(error, 1.0)), 1e-12)


def _share(bits: float, ends: tuple[float, float]) -> float:
    """Where on an axis so many bits are, 0 to 1; what is beyond stands at its end."""
    low, high = map(math.log, ends)
    return min(max((math.log(max(bits, 1e-12)) - low) / (high - low), 0.0), 1.0)


def _places(line: Line) -> Iterator[tuple[float, float]]:
    left, top, width, height = PLOT
    for bits, error in line.points:
        yield left + width * _share(bits, SENT), top + height * _share(needed(error), NEEDED)
