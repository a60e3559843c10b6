"""Which node has which data: ``nodes.csv``, the total variation, and the drawing on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netsim.interfaces import LabelCounts
from netsim.report import nodes as page
from netsim.report.folder import load
from netsim.scenario import parse_text
from netsim.study import run
from netsim.study.nodes import FILE

SCENARIO = """\
name: dealt
problem:
  name: softmax_regression
  dataset: {name: sklearn, loader: iris}
  nodes: 3
  partition: by_label
algorithms: [gd]
stop: {rounds: 1}
sweep: {problem.partition: [by_label, contiguous, iid], "algorithms[0].model_bit": [32, 64]}
"""


def test_total_variation() -> None:
    """Three nodes with a class each are 1 - 1/3 from the mean; equal ones 0; sizes do not matter."""
    names = ("a", "b", "c")
    assert LabelCounts(names, np.diag([10, 20, 30])).total_variation() == pytest.approx([2 / 3] * 3)
    alike = np.array([[1, 2, 3], [10, 20, 30]])
    assert LabelCounts(names, alike).total_variation() == pytest.approx([0, 0])


def test_a_run_says_which_node_has_what(tmp_path: Path) -> None:
    """iris has 50 of each class, in order: by label and contiguous deal one class to each node."""
    run(parse_text(SCENARIO), tmp_path / "out")
    table = load(tmp_path / "out").nodes
    points = [str(point) for point in dict.fromkeys(table["point"].tolist())]
    assert len(points) == 3  # one for each problem, whatever else is swept
    own = [(table["point"] == point) & (table["node"] == 0) for point in points]
    for mine in own[:2]:
        assert table["samples"][mine].tolist() == [50, 0, 0]
        assert table["total_variation"][mine] == pytest.approx(2 / 3)
    assert table["samples"][own[2]].sum() == 50
    html = page.section(load(tmp_path / "out"))
    assert html.count("<svg") == 3
    assert html.count("<rect") == 3 + 3 + 9
    assert (tmp_path / "out" / FILE).read_text().startswith("point,node,label,samples,total_variation\n")


def test_problems_without_classes_leave_nothing(tmp_path: Path) -> None:
    text = SCENARIO.partition("sweep")[0].replace("softmax_regression", "linear_regression").replace("iris", "diabetes")
    run(parse_text(text.replace("by_label", "iid")), tmp_path / "out")
    assert not (tmp_path / "out" / FILE).exists()
    assert page.section(load(tmp_path / "out")) == ""
