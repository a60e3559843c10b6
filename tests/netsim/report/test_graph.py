"""The page's drawing of the graph between peers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from netsim import report, study
from netsim.report import graph
from netsim.report.folder import Results, load
from netsim.scenario import parse_text

TEXT = """
name: ring
problem: {name: quadratic, dim: 8, nodes: 6, heterogeneity: 1}
network: {topology: {name: ring}, link: ideal}
algorithms:
  - {name: choco_sgd, label: A <b>, compressor: {name: top_k, k: 2}, gamma: 0.2, step_size: 0.05}
  - {name: dpsgd, label: B, step_size: 0.05}
stop: {rounds: 3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study between six peers on a ring."""
    out = tmp_path_factory.mktemp("graph") / "out"
    study.run(parse_text(TEXT, "s.yaml"), out)
    return out


def test_a_drawing_for_each_label_with_all_peers_and_edges(folder: Path) -> None:
    """A ring of 6 has 6 edges; its spectral gap with Metropolis weights 1/3 is 1 - (1 + 2 cos 60) / 3 = 1/3."""
    page = report.write(folder).read_text("utf-8")
    section = page[page.index('<section id="graph">') :].split("</section>")[0]
    assert section.count("<circle") == 12
    assert section.count("<line ") == 12
    assert "<b>A &lt;b&gt;</b>" in section
    assert "6 edges, spectral gap 0.333." in section


def test_edges_are_as_wide_as_their_traffic(folder: Path) -> None:
    """All peers of D-PSGD send the same bytes, so all edges have the greatest width; the farthest peer is dark."""
    section = graph.section(load(folder))
    widths = re.findall(r'stroke-width="([\d.]+)"/>', section)
    assert set(widths[6:]) == {"4.00"}
    assert all(f'fill="{graph._shade(1.0)}"' in part for part in section.split("<figure>")[1:])


def test_places_are_kept_in_proportion() -> None:
    found = graph._places([0, 1, 2], np.array([0.0, 10.0, 10.0]), np.array([0.0, 0.0, 5.0]))
    assert found[1][0] - found[0][0] == pytest.approx(graph.SIDE)
    assert found[2][1] - found[1][1] == pytest.approx(graph.SIDE / 2)


def test_no_peers_no_drawing() -> None:
    assert graph.section(Results("none")) == ""
