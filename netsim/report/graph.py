"""The graph between peers: edges as wide as their traffic, peers as dark as their models are far from the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from netsim.report.columns import Columns, groups, numbers
from netsim.report.focus import OPEN, drawn_points
from netsim.report.folder import Results, mapping
from netsim.report.html import details, figure, group, paragraph
from netsim.report.words import escape, plain, si

MAX_NODES, MAX_EDGES, MAX_LABELS = 400, 4000, 4
SIDE, MARGIN = 360.0, 16.0
PALE, DARK = (214, 219, 245), (26, 60, 196)

Places = Mapping[int, tuple[float, float]]


def section(results: Results) -> str:
    """Return a drawing for each point and label; '' where no run was between peers."""
    edges = groups(results.edges, "point", "label", "replication")
    peers = groups(results.peers, "point", "label", "replication")
    out = []
    for i, point in enumerate(drawn_points(results)):
        labels = [label for label in results.labels if (point, label, 0.0) in edges]
        figures = [
            _picture(edges[point, label, 0.0], peers.get((point, label, 0.0), {}), f"graph-{i}-{j}", label)
            for j, label in enumerate(labels[:MAX_LABELS])
        ]
        if not figures:
            continue
        left = f"{len(labels) - MAX_LABELS} more labels are not drawn. " if len(labels) > MAX_LABELS else ""
        body = group(point, "", figures, escape(left + _facts(results, point)))
        out.append(body if i < OPEN else details(f"Graph of {point}", body))
    if not out:
        return ""
    how = (
        "Replication 0. An edge is the wider the more payload bytes went over it, a peer the darker the farther its "
        "model is from the mean of all in the last recorded row. Peers without places stand on a circle."
    )
    return paragraph(how, "note") + "".join(out)


def _facts(results: Results, point: str) -> str:
    found = [mapping(run.get("graph")) for run in results.runs if run.get("point") == point and run.get("graph")]
    gaps = [float(facts["spectral_gap"]) for facts in found if isinstance(facts.get("spectral_gap"), int | float)]
    return f"{found[0].get('edges', '?')} edges, spectral gap {plain(gaps[0])}." if gaps else ""


def _picture(edges: Columns, peers: Columns, key: str, label: str) -> str:
    nodes = numbers(peers, "node").astype(int).tolist()
    if not nodes or len(nodes) > MAX_NODES:
        return figure("", f"{escape(label)}: {len(nodes)} peers are too many to draw.")
    places = _places(nodes, numbers(peers, "x_m"), numbers(peers, "y_m"))
    total: dict[tuple[int, int], float] = {}
    ends = (numbers(edges, name).astype(int).tolist() for name in ("src", "dst"))
    for a, b, size in zip(*ends, numbers(edges, "payload_bytes").tolist(), strict=True):
        pair = (min(a, b), max(a, b))
        total[pair] = total.get(pair, 0.0) + size
    most = max(total.values(), default=0.0)
    whole = SIDE + 2 * MARGIN
    parts = [
        f'<svg viewBox="0 0 {whole:g} {whole:g}" width="{whole:g}" height="{whole:g}" role="img" '
        f'aria-labelledby="{key}"><title id="{key}">Graph of {escape(label)}: {len(nodes)} peers, {len(total)} edges'
        "</title>"
    ]
    for (a, b), size in list(total.items())[:MAX_EDGES]:
        if a in places and b in places:
            (x1, y1), (x2, y2) = places[a], places[b]
            width = 0.5 + 3.5 * (size / most if most else 0.0)
            parts.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#8a8a8a" '
                f'stroke-width="{width:.2f}"/>'
            )
    far = dict(zip(nodes, numbers(peers, "distance").tolist(), strict=True))
    farthest = max((d for d in far.values() if math.isfinite(d)), default=0.0)
    radius = 7.0 if len(nodes) <= 60 else 4.0
    for node, (x, y) in places.items():
        share = far[node] / farthest if farthest > 0 and math.isfinite(far[node]) else 0.0
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{_shade(share)}" stroke="#1a1a1a" '
            f'stroke-width="0.8"><title>peer {node}: {plain(far[node])} from the mean</title></circle>'
        )
    busiest = si(most, "B")
    return figure("".join([*parts, "</svg>"]), f"<b>{escape(label)}</b>: at most {busiest} over an edge, "
                  f"at most {plain(farthest)} from the mean.")  # fmt: skip


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
