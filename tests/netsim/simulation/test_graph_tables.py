"""What a run between peers leaves of its graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netsim.simulation.engine import simulate
from netsim.study import run
from tests.support.toys import ToyProblem, scenario

LINK = {"name": "ethernet_udp", "rate_bps": 1e6}


def test_edges_carry_what_was_sent_and_peers_stand_where_they_stand() -> None:
    places = [[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 2.0]]
    base = scenario({"name": "dpsgd", "step_size": 0.1}, nodes=4, stop={"rounds": 5},
                    network={"topology": {"name": "ring", "positions_m": places}, "link": LINK})  # fmt: skip
    problem = ToyProblem(4)
    result = simulate(base, base.algorithms[0], 0, problem)
    edges, peers = (result.tables[name].to_pydict() for name in ("edges", "peers"))
    assert list(zip(edges["src"], edges["dst"], strict=True)) == [
        (0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2),
    ]  # fmt: skip
    assert edges["weight"] == [1 / 3] * 8
    assert edges["messages"] == [5] * 8
    assert edges["payload_bytes"] == [5 * 4 * 12] * 8
    assert list(zip(peers["x_m"], peers["y_m"], strict=True)) == [tuple(p) for p in places]
    distance = result.tables["rounds"]["consensus_distance"].to_pylist()[-1]
    assert np.sqrt(np.mean(np.square(peers["distance"]))) == pytest.approx(distance)
    # W of a ring of four: 1/3 + (2/3) cos(pi k / 2), that is 1, 1/3, -1/3, 1/3.
    assert result.graph == pytest.approx({"edges": 4, "spectral_gap": 2 / 3, "mixing_norm": 4 / 3})


def test_the_manifest_has_the_spectral_gap(tmp_path: Path) -> None:
    base = scenario({"name": "dgd"}, nodes=4, stop={"rounds": 2}, network={"topology": "hypercube", "link": LINK})
    run(base, tmp_path / "out")
    (ended,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["runs"]
    assert ended["graph"]["spectral_gap"] == pytest.approx(2 / 3)
    assert (tmp_path / "out" / "edges.parquet").exists()


def test_without_peers_there_is_no_graph() -> None:
    base = scenario({"name": "gd"}, stop={"rounds": 2})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    assert result.graph == {}
    assert {"edges", "peers"}.isdisjoint(result.tables)
