"""Where time and energy went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from netsim.report import svg
from netsim.report.columns import Columns, groups, numbers
from netsim.report.curves import last_rows
from netsim.report.focus import drawn_points
from netsim.report.folder import Results
from netsim.report.html import render
from netsim.report.words import plain, si
from netsim.units import S_PER_DAY

TIME = (("compute", "#f0a81c"), ("uplink", "#1a3cc4"), ("downlink", "#8c97f5"), ("waiting", "#d0d0d0"))
ENERGY = (
    ("tx", "#a33b00"),
    ("rx", "#1a3cc4"),
    ("listen", "#8c97f5"),
    ("idle", "#d0d0d0"),
    ("sleep", "#6f6f6f"),
    ("compute", "#f0a81c"),
    ("waiting", "#87e187"),
)
MAX_ROWS = 40

Table = tuple[str, list[str], list[list[str]]]
"""Caption, header and rows."""


def section(results: Results) -> str:
    """Return bars of each label, per point: its time and its energy, to the end of its runs; '' where none are."""
    points, spent = [], groups(results.energy, "point", "label")
    for i, point in enumerate(drawn_points(results)):
        energy = {label: spent.get((point, label), {}) for label in results.labels}
        found = {
            "time": _bars(results, point, f"time-{i}", "time", [(n, c, f"time_{n}_s") for n, c in TIME], "s"),
            "energy": _bars(results, point, f"energy-{i}", "energy", [(n, c, f"energy_{n}_j") for n, c in ENERGY], "J"),
        }
        if any(found.values()):
            missing = [name for name, bars in found.items() if not bars]
            points.append({
                "name": point, "bars": [bars for bars in found.values() if bars],
                "missing": f"No {' and no '.join(missing)} was booked here." if missing else "",
                "tables": [table for table in (_by_node(results, point, energy), _on(point, energy)) if table],
            })  # fmt: skip
    has_idle = any(np.isfinite(numbers(track, "energy_waiting_j")).any() for track in results.tracks.values())
    return render("spent.html", points=points, has_idle=has_idle) if points else ""


def _bars(
    results: Results, point: str, key: str, what: str, parts: Sequence[tuple[str, str, str]], unit: str
) -> tuple[str, list[tuple[str, str]], str] | None:
    """Return the title, the legend (names and colours) and the drawing."""
    rows = []
    for label in results.labels[:MAX_ROWS]:
        means = last_rows(results.tracks.get((point, label), {}), [column for *_, column in parts])
        values = tuple(max(v, 0.0) if math.isfinite(v) else 0.0 for v in means.values()) or (0.0,)
        if sum(values) > 0:
            rows.append(svg.Bar(label, si(math.fsum(values), unit), values))
    if not rows:
        return None
    used = [(name, colour) for i, (name, colour, _) in enumerate(parts) if any(row.parts[i] > 0 for row in rows)]
    drawing = svg.bars(key, f"Where the {what} went", rows, [(name, colour) for name, colour, _ in parts])
    return what, used, drawing


def _by_node(results: Results, point: str, energy: Mapping[str, Columns]) -> Table | None:
    """Return the node that spends the most and the cost of a delivered bit, for each label; lifetimes of batteries.

    A lifetime is a battery's capacity over its node's mean power while it lived, the mean of the replications.
    """
    rows = []
    for label, here in energy.items():
        replications = max(len(np.unique(numbers(here, "replication"))), 1)
        joules = {n: float(np.nansum(numbers(t, "energy_j"))) for (n,), t in groups(here, "node").items()}
        if not joules or max(joules.values()) <= 0:
            continue
        hungriest = max(joules, key=lambda node: joules[node])
        states = {
            str(s): float(np.nansum(numbers(t, "energy_j")))
            for (node, s), t in groups(here, "node", "state").items()
            if node == hungriest
        }
        state = max(states, key=lambda s: states[s])
        share = states[state] / joules[hungriest]
        mean = math.fsum(joules.values()) / len(joules)
        days = _lifetimes(here)
        first = min(days, key=lambda node: days[node], default=None)
        rows.append([
            label, _node(hungriest), si(joules[hungriest] / replications, "J"),
            f"{share:.0%} {state}", si(mean / replications, "J"),
            si(_per_bit(results.tracks.get((point, label), {})), "J"),
            *([] if first is None else [_node(first), _days(days[first]), _days(max(days.values()))]),
        ])  # fmt: skip
    if not rows:
        return None
    header = ["Algorithm", "Node that spends most", "Its energy", "Most of it in", "Mean of all nodes"]
    header += ["Per delivered bit", "Battery that lasts least", "It lasts", "Longest lasts"]
    width = max(map(len, rows))
    header, rows = header[:width], [row + ["-"] * (width - len(row)) for row in rows]
    return f"Energy by node{f': {point}' if point else ''}", header, rows


def _on(point: str, energy: Mapping[str, Columns]) -> Table | None:
    """Return a table of how long nodes were on, for each label; None where no node goes off."""
    rows = []
    for label, here in energy.items():
        off_s = {
            n: float(numbers(t, "time_s").sum()) for (n, s), t in groups(here, "node", "state").items() if s == "off"
        }
        # All states of one interface of a node are the whole of its replications.
        spans = {str(i): float(numbers(t, "time_s").sum()) for (i,), t in groups(here, "interface").items()}
        nodes = {str(i): np.unique(numbers(t, "node")).size for (i,), t in groups(here, "interface").items()}
        whole_s = max((spans[i] / nodes[i] for i in spans if i != "processor"), default=0.0)
        if off_s and whole_s > 0:
            most = max(off_s, key=lambda node: off_s[node])
            mean = math.fsum(off_s.values()) / len(off_s)
            rows.append([
                label, plain(float(len(off_s))), f"{max(1 - mean / whole_s, 0.0):.0%}", _node(most),
                f"{max(1 - off_s[most] / whole_s, 0.0):.0%}",
            ])  # fmt: skip
    header = ["Algorithm", "Nodes that go off", "On, on the mean", "Node most off", "On"]
    return (f"Nodes that go off{f': {point}' if point else ''}", header, rows) if rows else None


def _per_bit(rounds: Columns) -> float:
    """Return all joules over the payload bits that arrived (counted at every receiver), averaged over replications."""
    ends = [(numbers(t, "energy_j"), numbers(t, "delivered_bytes")) for t in groups(rounds, "replication").values()]
    ratios = [energy_j[-1] / (8 * data[-1]) for energy_j, data in ends if data.size and data[-1] > 0]
    return math.fsum(ratios) / len(ratios) if ratios else math.nan


def _lifetimes(energy: Columns) -> dict[object, float]:
    days = {n: numbers(t, "lifetime_days") for (n,), t in groups(energy, "node").items()}
    return {node: float(np.nanmean(values)) for node, values in days.items() if np.isfinite(values).any()}


def _days(days: float) -> str:
    return f"{days:.3g} days" if days >= 1 else si(days * S_PER_DAY, "s")


def _node(node: object) -> str:
    return plain(node) if isinstance(node, float) else str(node)
