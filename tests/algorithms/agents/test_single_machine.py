"""One machine with all samples: gradient descent's iterates, no message, and its own time."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario


@pytest.mark.parametrize("batch", [0, 8])
def test_its_iterates_are_those_of_exact_gradient_descent(batch: int) -> None:
    exact = {"name": "gd", "step_size": 0.1, "float_bit": 64, "model_bit": 64}
    runs = []
    for algorithm in ({"name": "single_machine", "step_size": 0.1}, exact):
        base = scenario(algorithm)
        runs.append([x for _, _, x in lockstep.run(base, base.algorithms[0], ToyProblem(3, batch=batch), 20).reports])
    assert np.array_equal(*runs)
    assert not np.array_equal(runs[0][0], runs[0][-1])


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_its_recursion(nesterov: bool) -> None:
    """v <- 0.9 v + g and x <- x - 0.05 v, or with nesterov x <- x - 0.05 (0.9 v + g)."""
    base = scenario({"name": "single_machine", "step_size": 0.05, "momentum": 0.9, "nesterov": nesterov})
    problem = ToyProblem(3)
    found = [x for _, _, x in lockstep.run(base, base.algorithms[0], problem, 20).reports]
    x, v = problem.start(), np.zeros(problem.dim)
    for seen in found:
        np.testing.assert_allclose(seen, x, rtol=0, atol=1e-12)
        g = problem.full_gradient(x)
        v = 0.9 * v + g
        x = x - 0.05 * (0.9 * v + g if nesterov else v)


def test_it_sends_nothing_and_takes_the_time_of_all_gradients() -> None:
    base = scenario(
        {"name": "single_machine"}, network={"link": {"name": "wan", "rate_bps": 1e5, "rtt_s": 0.1}},
        compute={"gradient_s": [0.2, 0.3, 1.0]}, stop={"rounds": 4}, record={"messages": True},
    )  # fmt: skip
    result = simulate(base, base.algorithms[0], 0, ToyProblem(3))
    rows = result.tables["rounds"].to_pydict()
    assert rows["sim_time_s"] == [1.5 * r for r in range(5)]
    assert rows["gradients"] == [3 * r for r in range(5)]
    assert result.messages().num_rows == 0
    for name, column in rows.items():
        if name.split("_")[0] in ("uplink", "downlink", "peer"):
            assert not any(column), name
