"""One drawing that stands alone: several panels with a title and a legend in a single SVG file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from netsim.report.html import render
from netsim.report.svg import HEIGHT, WIDTH, swatch

GAP, HEAD, ROW = 24.0, 34.0, 20.0
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def sheet(title: str, panels: Sequence[str], legend: Sequence[tuple[int | None, str]], note: str = "") -> str:
    """Return an SVG document.

    Parameters
    ----------
    panels
        What `netsim.report.svg.lines` made, at most two side by side.
    legend
        Style and name of each line; none where there is one line only.
    note
        Plain text below.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    names = list(legend) if len(legend) > 1 else []
    per_row = 2 * columns
    legend_rows = -(-len(names) // per_row)
    top = HEAD + ROW * legend_rows
    width = columns * WIDTH + (columns + 1) * GAP
    height = top + rows * (HEIGHT + GAP) + (ROW if note else 0.0)
    marks = [
        (GAP + (i % per_row) * (width - 2 * GAP) / per_row, HEAD + ROW * (i // per_row), swatch(style), name)
        for i, (style, name) in enumerate(names)
    ]
    places = [
        (GAP + (i % columns) * (WIDTH + GAP), top + (i // columns) * (HEIGHT + GAP), panel)
        for i, panel in enumerate(panels)
    ]
    drawn = render(
        "sheet.svg", title=title, width=width, height=height, gap=GAP, font=FONT, style=_style(), legend=marks,
        panels=places, size=(WIDTH, HEIGHT), note=note,
    )  # fmt: skip
    # Programs that draw SVG files outside a browser know colours that are inherited, but no variables.
    return re.sub(r'style="--c:(#\w+)"', r'color="\1"', str(drawn))


@cache
def _style() -> str:
    """Return the rules of the page's style sheet that concern drawings."""
    lines = Path(__file__).with_name("style.css").read_text("utf-8").splitlines()
    rules = [line.replace("var(--c)", "currentColor") for line in lines if re.match(r"svg \.|\.c[ {]", line)]
    own = "svg{font-size:12px;fill:#1b1f24} .h{font-size:15px;font-weight:600} .n{fill:#555b63}"
    return own + "".join(rules)
