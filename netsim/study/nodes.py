"""Which node has how many samples of which class: ``nodes.csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim import files
from netsim.interfaces import HasLabels, Problem
from netsim.scenario import points
from netsim.scenario.parsing import dump

if TYPE_CHECKING:
    from netsim.scenario import Scenario

FILE = "nodes.csv"
HEAD = ("point", "node", "label", "samples", "total_variation")


def write(folder: Path, scenario: Scenario, opener: Callable[[Scenario], Problem]) -> None:
    """Write a row for each sweep point, node and class; nothing where no problem has classes.

    Points with the same problem have rows once, those of the first. ``total_variation`` is the node's distance from the
    mean label distribution (see `netsim.interfaces.LabelCounts`).
    """
    rows, known = list[tuple[Any, ...]](), set[str]()
    for point in points(scenario):
        key = json.dumps([dump(point.scenario.problem), point.scenario.seed], sort_keys=True)
        if key in known:
            continue
        known.add(key)
        problem = opener(point.scenario)
        found = problem.label_counts() if isinstance(problem, HasLabels) else None
        if found is None:
            continue
        for node, (counts, variation) in enumerate(zip(found.counts, found.total_variation(), strict=True)):
            for name, count in zip(found.names, counts.tolist(), strict=True):
                rows.append((point.name, node, name, count, float(variation)))
    if rows:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([HEAD, *rows])
        files.write(folder / FILE, text.getvalue())
