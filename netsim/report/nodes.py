"""Which node has which data: a drawing of nodes by classes, and how far from alike they are."""

from __future__ import annotations

import math

import numpy as np

from netsim.report import svg
from netsim.report.columns import Columns, groups, numbers, unique
from netsim.report.folder import Results
from netsim.report.html import details, figure, group, paragraph, table
from netsim.report.words import escape, plain

MAX_NODES, MAX_CLASSES, OPEN = 60, 30, 1
CELL, LEFT, TOP = 18.0, 96.0, 26.0


def section(results: Results) -> str:
    """Return drawing and table of each point's data; '' where nodes have no classes."""
    out = []
    for i, ((point,), here) in enumerate(groups(results.nodes, "point").items()):
        body = group(str(point), "", [_picture(here, f"nodes-{i}")], "") + _table(here)
        out.append(body if i < OPEN else details(f"Data of {point}", body))
    if not out:
        return ""
    how = (
        "Each square is a node's samples of one class, its area their number. The distance is the total variation of a "
        "node's classes from the mean over nodes: 0 where all nodes are alike, near 1 where none shares a class."
    )
    return paragraph(how, "note") + "".join(out)


def _picture(here: Columns, key: str) -> str:
    names = unique(here, "label")[:MAX_CLASSES]
    nodes = np.unique(numbers(here, "node")).astype(int).tolist()
    shown = nodes[:MAX_NODES]
    counts = {
        (int(node), str(label)): float(samples)
        for node, label, samples in zip(
            numbers(here, "node"), here["label"].tolist(), numbers(here, "samples"), strict=True
        )
    }
    most = max(counts.values(), default=1.0) or 1.0
    width, height = LEFT + CELL * len(shown) + 12, TOP + CELL * len(names) + 8
    parts = [
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{key}"><title id="{key}">Samples of {len(names)} classes at {len(shown)} nodes</title>'
    ]
    for row, name in enumerate(names):
        y = TOP + CELL * (row + 0.5)
        parts.append(f'<text x="{LEFT - 8:g}" y="{y + 4:g}" class="e">{escape(name[:14])}</text>')
        for column, node in enumerate(shown):
            side = CELL * 0.94 * math.sqrt(counts.get((node, name), 0.0) / most)
            if side > 0:
                x = LEFT + CELL * (column + 0.5)
                place = f'x="{x - side / 2:.2f}" y="{y - side / 2:.2f}" width="{side:.2f}" height="{side:.2f}"'
                parts.append(f'<rect {place} fill="{svg.STYLES[1][0]}"/>')
    step = max(1, math.ceil(len(shown) / 20))
    for column in range(0, len(shown), step):
        x = LEFT + CELL * (column + 0.5)
        parts.append(f'<text x="{x:g}" y="{TOP - 8:g}" class="m">{shown[column]}</text>')
    left_out = f"; {len(nodes) - len(shown)} more nodes are not drawn" if len(nodes) > len(shown) else ""
    return figure("".join([*parts, "</svg>"]), f"Nodes from left to right, classes from top to bottom{left_out}.")


def _table(here: Columns) -> str:
    sizes, variations = list[float](), list[float]()
    for own in groups(here, "node").values():
        sizes.append(float(numbers(own, "samples").sum()))
        variations.append(float(numbers(own, "total_variation")[0]))
    cells = [
        [title, *(plain(float(f(values))) for f in (np.min, np.mean, np.median, np.max))]
        for title, values in (("samples of a node", sizes), ("distance from the mean", variations))
    ]
    return table("How alike the nodes are", ["", "least", "mean", "median", "most"], cells)
