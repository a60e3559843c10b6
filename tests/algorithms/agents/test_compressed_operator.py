"""Fixed points of gradient steps, local steps and proximal points, with any Q."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.registry import build
from tests.support.toys import ToyProblem
from tests.support.watch import iterates

FLOAT64 = {"name": "identity", "float_bit": 64}
TOP = {"name": "top_k", "k": 2, "float_bit": 64}
ROUNDS = 20


@pytest.mark.parametrize("compressor", [FLOAT64, TOP], ids=str)
def test_gradient_steps_are_dcgd(compressor: Any) -> None:
    keys = {"compressor": compressor, "step_size": 0.2, "model_bit": 64}
    expected = iterates({"name": "dcgd", **keys}, ToyProblem(3, batch=8), ROUNDS)
    found = iterates({"name": "compressed_operator", **keys}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_local_steps_are_local_sgd() -> None:
    keys = {"local_steps": 3, "compressor": FLOAT64, "step_size": 0.05, "model_bit": 64}
    expected = iterates({"name": "fedavg", **keys}, ToyProblem(3, batch=8), ROUNDS)
    found = iterates({"name": "compressed_operator", "operator": "local", **keys}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("relaxation", [1.0, 0.5])
def test_proximal_points_of_quadratics(relaxation: float) -> None:
    """prox(x) = (A + I/gamma)^-1 (A c + x/gamma) of each node; 60 inner steps contract by at least 1/2 each."""
    problem, gamma = ToyProblem(3), 0.5
    keys = {"operator": "proximal", "local_steps": 60, "compressor": FLOAT64, "step_size": gamma, "model_bit": 64}
    found = iterates({"name": "compressed_operator", "relaxation": relaxation, **keys}, problem, ROUNDS)
    x = problem.start()
    for t in range(ROUNDS):
        ends = (problem.curvature * problem.centres + x / gamma) / (problem.curvature + 1 / gamma)
        x = x + relaxation * (ends.mean(axis=0) - x)
        np.testing.assert_allclose(found[t + 1], x, rtol=0, atol=1e-10)


def test_cats_q() -> None:
    """Where an entry is what costs, T = 1: CAT's S is top_k of one."""
    keys = {"step_size": 0.2, "model_bit": 64}
    one = {"name": "compressed_operator", "compressor": {"name": "top_k", "k": 1}, **keys}
    cat = {"name": "compressed_operator", "cost": {"name": "count"}, **keys}
    np.testing.assert_array_equal(
        iterates(cat, ToyProblem(3, batch=8), ROUNDS), iterates(one, ToyProblem(3, batch=8), ROUNDS)
    )


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "compressor: either compressor or cost. Got neither"),
        ({"compressor": "identity", "cost": "bit"}, "compressor: either compressor or cost. Got both"),
        ({"compressor": "identity", "operator": "prox"}, "operator: .*Nearest: proximal"),
        ({"compressor": {"name": "error_feedback", "part": "sign"}}, "compressor: the code inside"),
    ],
)
def test_bad_keys(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("algorithm", {"name": "compressed_operator", **keys})
