"""Which labels to draw in colour, where there are more than eyes can tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.report import svg
from netsim.report.answer import cases, ranking
from netsim.report.folder import Results, label_of
from netsim.report.quantities import judged

FOCUS = len(svg.STYLES)


def drawn_points(results: Results) -> list[str]:
    """Return the sweep points to draw: all where they are few, else evenly spaced ones, to keep the page small."""
    points = list(results.points)
    most = max(2, min(16, 90 // max(len(results.labels), 1)))
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def focus(results: Results) -> list[str]:
    """Return at most eight labels to draw in colour: the first, and the best of each family of algorithms.

    A family is an algorithm with its variant (and its budget, where that is a word); families come in the order
    of their best member's mean rank over points, targets and quantities.
    """
    labels = list(results.labels)
    if len(labels) <= FOCUS:
        return labels
    ranks = dict.fromkeys(labels, 0.0)
    for case in cases(results):
        for quantity in judged(results):
            order = [row.label for row in ranking(case.rows, quantity)]
            for label in labels:
                ranks[label] += order.index(label) if label in order else len(labels)
    families = {label_of(a): _family(a) for a in results.algorithms}
    chosen, seen = [labels[0]], {families.get(labels[0], labels[0])}
    by_rank = sorted(labels[1:], key=lambda label: ranks[label])
    for label in by_rank:
        if families.get(label, label) not in seen and len(chosen) < FOCUS:
            chosen.append(label)
            seen.add(families.get(label, label))
    chosen += [label for label in by_rank if label not in chosen][: FOCUS - len(chosen)]
    return [label for label in labels if label in chosen]


def _family(algorithm: Mapping[str, Any]) -> tuple[object, ...]:
    budget = algorithm.get("budget")
    return (
        algorithm.get("run"),
        algorithm.get("name"),
        str(algorithm.get("variant")),
        budget if isinstance(budget, str) else "",
    )
