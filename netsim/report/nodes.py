"""Which node has which data: a drawing of nodes by classes, and how far from alike they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netsim.report import svg
from netsim.report.columns import Columns, groups, numbers, unique
from netsim.report.folder import Results
from netsim.report.html import render
from netsim.report.words import plain

MAX_NODES, MAX_CLASSES = 60, 30
CELL, LEFT, TOP = 18.0, 96.0, 26.0


def section(results: Results) -> str:
    """Return drawing and table of each point's data; '' where nodes have no classes."""
    points = [
        (str(point), _picture(here, f"nodes-{i}"), _rows(here))
        for i, ((point,), here) in enumerate(groups(results.nodes, "point").items())
    ]
    return render("nodes.html", points=points) if points else ""


def _picture(here: Columns, key: str) -> dict[str, Any]:
    """Return classes, squares and nodes where they are drawn."""
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
    sides = [
        (LEFT + CELL * (j + 0.5), TOP + CELL * (i + 0.5), CELL * 0.94 * math.sqrt(counts.get((node, name), 0.0) / most))
        for i, name in enumerate(names)
        for j, node in enumerate(shown)
    ]
    step = max(1, math.ceil(len(shown) / 20))
    return {
        "key": key, "width": f"{LEFT + CELL * len(shown) + 12:g}", "height": f"{TOP + CELL * len(names) + 8:g}",
        "left": f"{LEFT - 8:g}", "top": f"{TOP - 8:g}", "colour": svg.STYLES[1][0], "shown": len(shown),
        "classes": [(f"{TOP + CELL * (i + 0.5) + 4:g}", name[:14]) for i, name in enumerate(names)],
        "squares": [(x - side / 2, y - side / 2, side) for x, y, side in sides if side > 0],
        "nodes": [(f"{LEFT + CELL * (j + 0.5):g}", shown[j]) for j in range(0, len(shown), step)],
        "more": len(nodes) - len(shown),
    }  # fmt: skip


def _rows(here: Columns) -> list[list[str]]:
    sizes, variations = list[float](), list[float]()
    for own in groups(here, "node").values():
        sizes.append(float(numbers(own, "samples").sum()))
        variations.append(float(numbers(own, "total_variation")[0]))
    return [
        [title, *(plain(float(f(values))) for f in (np.min, np.mean, np.median, np.max))]
        for title, values in (("samples of a node", sizes), ("distance from the mean", variations))
    ]
