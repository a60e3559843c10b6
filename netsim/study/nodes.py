"""Which node has how many samples of which class: ``nodes.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim import files
from netsim.interfaces import LabelCounts
from netsim.scenario import points

if TYPE_CHECKING:
    from netsim.scenario import Scenario

FILE = "nodes.csv"
HEAD = ("point", "node", "label", "samples", "total_variation")


def write(folder: Path, scenario: Scenario, counts_of: Callable[[Scenario], LabelCounts | None]) -> None:
    """Write a row for each sweep point, node and class; nothing where no problem has classes.

    `counts_of` gives the counts of a point's problem; points with the same ones have rows once, those of the first.
    ``total_variation`` is the node's distance from the mean label distribution (see `netsim.interfaces.LabelCounts`).
    """
    rows, known = list[tuple[Any, ...]](), list[LabelCounts]()
    for point in points(scenario):
        found = counts_of(point.scenario)
        if found is None or any(found is other for other in known):
            continue
        known.append(found)
        for node, (counts, variation) in enumerate(zip(found.counts, found.total_variation(), strict=True)):
            for name, count in zip(found.names, counts.tolist(), strict=True):
                rows.append((point.name, node, name, count, float(variation)))
    if rows:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([HEAD, *rows])
        files.write(folder / FILE, text.getvalue())
