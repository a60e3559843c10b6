"""Collective operations: sums, bits and times against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.simulation import lockstep
from netsim.simulation.engine import Engine
from tests.support.toys import ToyProblem, scenario

DIM = 12
RATE_BPS, DELAY_S, HEADER = 1e6, 0.01, 8


def of(nodes: int, link: Any = "ideal", **keys: Any) -> Any:
    algorithm = {"name": "all_reduce_sgd", "step_size": 0.1, "float_bit": 64, **keys}
    return scenario(algorithm, nodes=nodes, stop={"rounds": 4}, network={"topology": "complete", "link": link})


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("how", ["ring", "tree", "all_gather"])
def test_every_node_has_gradient_descents_model(how: str, nodes: int) -> None:
    """The same bits at all nodes; gradient descent to the rounding of another order of sums; more nodes than d, too."""
    problem = ToyProblem(nodes, DIM)
    base = of(nodes, collective=how)
    trace = lockstep.run(base, base.algorithms[0], problem, 4)
    x = np.zeros(DIM)
    for round in range(1, 5):
        x = x - 0.1 * problem.full_gradient(x)
        models = [estimate for _, r, estimate in trace.reports if r == round]
        assert len({model.tobytes() for model in models}) == 1
        np.testing.assert_allclose(models[0], x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("nodes", [2, 4, 6])
@pytest.mark.parametrize("how", ["ring", "tree", "all_gather"])
def test_bits_are_the_closed_forms(how: str, nodes: int) -> None:
    base = of(nodes, collective=how)
    rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
    floats = {"ring": 2 * (nodes - 1) * DIM, "tree": 2 * (nodes - 1) * DIM, "all_gather": nodes * (nodes - 1) * DIM}
    assert rows["peer_paper_bit"][-1] >= 64 * 4 * floats[how]
    messages = {"ring": 2 * nodes * (nodes - 1), "tree": 2 * (nodes - 1), "all_gather": nodes * (nodes - 1)}
    # A row stands when the last node has finished; others may have begun the next round.
    assert messages[how] * 4 <= rows["peer_messages"][-1] <= messages[how] * 5


@pytest.mark.parametrize("nodes", [2, 3, 4, 6])
def test_time_of_a_ring_and_of_a_gathering_to_the_nanosecond(nodes: int) -> None:
    """2 (M - 1), or M - 1, messages one after the other: each its bits at the rate, and the delay."""
    link = {"name": "wan", "transport": "plain", "rate_bps": RATE_BPS, "rtt_s": 2 * DELAY_S}
    for how, hops, size in (("ring", 2 * (nodes - 1), DIM // nodes), ("all_gather", nodes - 1, DIM)):
        base = of(nodes, link, collective=how)
        rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
        hop_s = DELAY_S + 8 * (HEADER + 8 * size) / RATE_BPS
        assert rows["sim_time_s"] == pytest.approx([r * hops * hop_s for r in range(5)], abs=1e-9)
