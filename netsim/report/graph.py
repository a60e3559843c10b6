"""The graph between peers: edges as wide as their traffic, peers as dark as their models are far from the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from netsim.report.columns import Columns, groups, numbers
from netsim.report.focus import drawn_points
from netsim.report.folder import Results, mapping
from netsim.report.html import render
from netsim.report.words import plain, si

MAX_NODES, MAX_EDGES, MAX_LABELS = 400, 4000, 4
SIDE, MARGIN = 360.0, 16.0
PALE, DARK = (214, 219, 245), (26, 60, 196)

Places = Mapping[int, tuple[float, float]]


def section(results: Results) -> str:
    """Return a drawing for each point and label; '' where no run was between peers."""
    edges = groups(results.edges, "point", "label", "replication")
    peers = groups(results.peers, "point", "label", "replication")
    points = []
    for i, point in enumerate(drawn_points(results)):
        labels = [label for label in results.labels if (point, label, 0.0) in edges]
        pictures = [
            _picture(edges[point, label, 0.0], peers.get((point, label, 0.0), {}), f"graph-{i}-{j}", label)
            for j, label in enumerate(labels[:MAX_LABELS])
        ]
        left = f"{len(labels) - MAX_LABELS} more labels are not drawn. " if len(labels) > MAX_LABELS else ""
        if pictures:
            points.append((point, left + _facts(results, point), pictures))
    return render("graph.html", points=points, whole=SIDE + 2 * MARGIN) if points else ""


def _facts(results: Results, point: str) -> str:
    found = [mapping(run.get("graph")) for run in results.runs if run.get("point") == point and run.get("graph")]
    gaps = [float(facts["spectral_gap"]) for facts in found if isinstance(facts.get("spectral_gap"), int | float)]
    return f"{found[0].get('edges', '?')} edges, spectral gap {plain(gaps[0])}." if gaps else ""


def _picture(edges: Columns, peers: Columns, key: str, label: str) -> dict[str, Any]:
    """Return edges and peers where they are drawn, and what stands under them."""
    nodes = numbers(peers, "node").astype(int).tolist()
    if not nodes or len(nodes) > MAX_NODES:
        return {"drawn": False, "label": label, "nodes": len(nodes)}
    places = _places(nodes, numbers(peers, "x_m"), numbers(peers, "y_m"))
    total: dict[tuple[int, int], float] = {}
    ends = (numbers(edges, name).astype(int).tolist() for name in ("src", "dst"))
    for a, b, size in zip(*ends, numbers(edges, "payload_bytes").tolist(), strict=True):
        pair = (min(a, b), max(a, b))
        total[pair] = total.get(pair, 0.0) + size
    most = max(total.values(), default=0.0)
    lines = [
        (*(f"{at:.1f}" for at in (*places[a], *places[b])), f"{0.5 + 3.5 * (size / most if most else 0.0):.2f}")
        for (a, b), size in list(total.items())[:MAX_EDGES]
        if a in places and b in places
    ]
    far = dict(zip(nodes, numbers(peers, "distance").tolist(), strict=True))
    farthest = max((d for d in far.values() if math.isfinite(d)), default=0.0)
    shares = {n: d / farthest if farthest > 0 and math.isfinite(d) else 0.0 for n, d in far.items()}
    circles = [(f"{x:.1f}", f"{y:.1f}", _shade(shares[node]), node, far[node]) for node, (x, y) in places.items()]
    return {
        "drawn": True, "key": key, "label": label, "nodes": len(nodes), "edges": len(total), "lines": lines,
        "peers": circles, "radius": 7 if len(nodes) <= 60 else 4, "busiest": si(most, "B"), "farthest": farthest,
    }  # fmt: skip


def _places(nodes: list[int], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Places:
    """Return where peers stand in the drawing: their places, as large as fits; else on a circle."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        angle = 2 * np.pi * np.arange(len(nodes)) / len(nodes)
        x, y = np.sin(angle), -np.cos(angle)
    width = max(float(np.ptp(x)), float(np.ptp(y))) or 1.0
    left, top = MARGIN + SIDE * (x - x.min()) / width, MARGIN + SIDE * (y - y.min()) / width
    return {node: (float(a), float(b)) for node, a, b in zip(nodes, left, top, strict=True)}


def _shade(share: float) -> str:
    """Return the colour between pale (0) and dark (1)."""
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(PALE, DARK, strict=True))
