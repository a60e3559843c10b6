"""Which node has how many samples of which class: ``nodes.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim import files
from netsim.interfaces import HasLabels, LabelCounts, Problem
from netsim.text import to_csv

FILE = "nodes.csv"
HEAD = ("point", "node", "label", "samples", "total_variation")


def counts(problem: Problem) -> LabelCounts | None:
    """Return the samples of each class at every node; None where the problem has no classes."""
    return problem.label_counts() if isinstance(problem, HasLabels) else None


def write(folder: Path, found: Mapping[str, LabelCounts | None]) -> None:
    """Write a row for each sweep point, node and class; nothing where no point has classes.

    Points with the same problem, for which `found` has the very same object, have rows once, those of the first.
    ``total_variation`` is the node's distance from the mean label distribution (see `netsim.interfaces.LabelCounts`).
    """
    rows, known = list[tuple[Any, ...]](), set[int]()
    for point, labels in found.items():
        if labels is None or id(labels) in known:
            continue
        known.add(id(labels))
        for node, (own, variation) in enumerate(zip(labels.counts, labels.total_variation(), strict=True)):
            rows += [
                (point, node, name, n, float(variation)) for name, n in zip(labels.names, own.tolist(), strict=True)
            ]
    if rows:
        files.write(folder / FILE, to_csv([HEAD, *rows]))
