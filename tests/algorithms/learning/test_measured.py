"""What `metrics` has just computed is handed out again, bit for bit, and only for the very same model."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.interfaces import GradientRequest
from netsim.registry import build


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "breast_cancer"},
        {"name": "synthetic_sparse", "num_rows": 90, "num_features": 40, "nonzeros_per_row": 6},
    ],
    ids=["dense", "sparse"],
)
def test_gradients_after_metrics_have_the_same_bits(dataset: dict[str, object]) -> None:
    problem, other = (
        build("problem", {"name": "logistic_regression", "dataset": dataset, "nodes": 3}).open(1) for _ in range(2)
    )
    w = np.random.default_rng(2).normal(size=problem.dim)
    requests = [GradientRequest(node, w) for node in (2, 0, 1)]
    problem.metrics(w)
    measured, plain = problem.gradients(requests), other.gradients(requests)
    assert all(np.array_equal(a, b) for a, b in zip(measured, plain, strict=True))
    measured[0][:] = 0.0
    assert np.array_equal(problem.gradients(requests)[0], plain[0])
    batch = np.arange(5)
    assert not np.array_equal(problem.gradients([GradientRequest(2, w, batch)])[0], plain[0])
    near = w.copy()
    near[0] = np.nextafter(near[0], np.inf)
    moved = problem.gradients([GradientRequest(2, near)])[0]
    assert np.array_equal(moved, other.gradients([GradientRequest(2, near)])[0])
    far = problem.gradients([GradientRequest(2, w + 0.1)])[0]
    assert np.array_equal(far, other.gradients([GradientRequest(2, w + 0.1)])[0])
    assert not np.array_equal(far, plain[0])


def test_metrics_agree_with_loss_and_gradients() -> None:
    problem = build("problem", {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 3}).open(1)
    w = np.random.default_rng(3).normal(size=problem.dim)
    seen = problem.metrics(w)
    gradient = np.mean(problem.gradients([GradientRequest(m, w) for m in range(3)]), axis=0)
    assert seen["loss"] == problem.loss(w)
    assert seen["grad_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
