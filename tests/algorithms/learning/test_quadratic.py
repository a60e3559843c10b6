"""Quadratics: gradients, constants and minimiser against plain linear algebra; the exact equalities they are for."""

import numpy as np
import pytest

from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import GradientRequest
from netsim.registry import build


def opened(seed=3, **config):
    return build("problem", {"name": "quadratic", **config}).open(seed)


CONFIGS = [
    {"dim": 6, "nodes": 3},
    {"dim": 6, "nodes": 3, "heterogeneity": 2.0, "condition": 50.0, "smoothness": 7.0},
    {"dim": 5, "nodes": 2, "isotropic": True, "smoothness": 3.0, "heterogeneity": 1.0},
    {"dim": 1, "nodes": 1},
]


def matrices(problem):
    """A_m as full matrices."""
    return [np.eye(problem.dim) * a if a.shape == (1, 1) else a for a in problem.matrices]


@pytest.mark.parametrize("config", CONFIGS)
def test_values_and_gradients(config):
    """f_m = w'A_m w/2 - b_m'w with b_m = A_m x_m, and its central difference, which is exact."""
    problem = opened(**config)
    w = np.random.default_rng(0).standard_normal(problem.dim)
    values, gradients = [], []
    for node, a in enumerate(matrices(problem)):
        b = a @ problem.centres[node]
        request = GradientRequest(node, w)
        (value,), (gradient,) = problem.values([request]), problem.gradients([request])
        assert value == pytest.approx(w @ a @ w / 2 - b @ w, rel=1e-13)
        assert np.abs(gradient - (a @ w - b)).max() < 1e-13
        for j, unit in enumerate(np.eye(problem.dim)):
            ahead, behind = problem.values([GradientRequest(node, w + unit), GradientRequest(node, w - unit)])
            assert gradient[j] == pytest.approx((ahead - behind) / 2, abs=1e-12)
        values.append(value)
        gradients.append(gradient)
    assert problem.loss(w) == pytest.approx(np.mean(values), rel=1e-13)
    metrics = problem.metrics(w)
    assert metrics["loss"] == problem.loss(w)
    assert metrics["grad_norm"] == pytest.approx(np.linalg.norm(np.mean(gradients, axis=0)), rel=1e-12)
    assert problem.metric_names == {"loss", "grad_norm", "loss_gap"}


@pytest.mark.parametrize("config", CONFIGS)
def test_constants_and_optimum(config):
    problem = opened(**config)
    full = matrices(problem)
    mean = np.mean(full, axis=0)
    spectrum = np.linalg.eigvalsh(mean)
    assert problem.smoothness() == pytest.approx(spectrum[-1], rel=1e-14)
    assert problem.strong_convexity() == pytest.approx(spectrum[0], rel=1e-12)
    for node, a in enumerate(full):
        own = np.linalg.eigvalsh(a)
        assert problem.smoothness(node) == pytest.approx(own[-1], rel=1e-14)
        # Mixtures of matrices with one spectrum stay within it.
        assert own[-1] <= config.get("smoothness", 1.0) * (1 + 1e-14)
        assert own[0] >= config.get("smoothness", 1.0) / config.get("condition", 10.0) * (1 - 1e-12)
    best = problem.optimum()
    linear = np.mean([a @ x for a, x in zip(full, problem.centres, strict=True)], axis=0)
    assert np.abs(mean @ best.at - linear).max() < 1e-13
    assert best.value == pytest.approx(-linear @ np.linalg.solve(mean, linear) / 2, rel=1e-12)
    assert 0 <= best.error <= 1e-12
    w = best.at + np.random.default_rng(0).standard_normal(problem.dim)
    gap = problem.loss(w) - best.value
    assert problem.strong_convexity() / 2 <= gap / np.sum((w - best.at) ** 2) * (1 + 1e-12)
    assert gap / np.sum((w - best.at) ** 2) <= problem.smoothness() / 2 * (1 + 1e-12)


def test_spectrum_of_one_function():
    """Without heterogeneity every A_m has eigenvalues L kappa^(-i/(d-1)): 8, 4, 2, 1 for L = 8, kappa = 8, d = 4."""
    problem = opened(dim=4, nodes=3, smoothness=8.0, condition=8.0)
    for a in problem.matrices:
        assert np.linalg.eigvalsh(a) == pytest.approx([1, 2, 4, 8], rel=1e-12)
        assert (a == problem.matrices[0]).all()
        assert (a == a.T).all()
    assert (problem.centres == problem.centres[0]).all()


def test_heterogeneity_moves_minimisers_apart():
    """x_m - x_n is sqrt 2 h times standard normal: with d = 400, |x_m - x_n|^2/(2 h^2 d) is 1 +- sqrt(2/400) = 0.07.

    Beyond 5 standard errors with probability 6e-7.
    """
    problem = opened(dim=400, nodes=2, heterogeneity=0.3, isotropic=True)
    distance = np.sum((problem.centres[0] - problem.centres[1]) ** 2)
    assert distance / (2 * 0.09 * 400) == pytest.approx(1, abs=0.36)


def test_isotropic_equalities():
    """F(w) = (L/2)|w - x*|^2 + F*, so a step of 1/L ends at x*, and F - F* = |grad F|^2/(2L)."""
    problem = opened(dim=30, nodes=4, isotropic=True, smoothness=2.5, heterogeneity=1.0)
    best, w = problem.optimum(), np.random.default_rng(0).standard_normal(30)
    gradient = np.mean(problem.gradients([GradientRequest(node, w) for node in range(4)]), axis=0)
    assert np.abs(w - gradient / 2.5 - best.at).max() < 1e-14
    gap = problem.loss(w) - best.value
    assert gap == pytest.approx(gradient @ gradient / 5, rel=1e-13)
    assert gap == pytest.approx(1.25 * np.sum((w - best.at) ** 2), rel=1e-13)
    assert problem.smoothness() == problem.smoothness(2) == problem.strong_convexity() == 2.5


def test_isotropic_needs_no_matrices():
    problem = opened(dim=1_000_000, nodes=2, isotropic=True)
    (gradient,) = problem.gradients([GradientRequest(1, problem.start())])
    assert gradient.tobytes() == (0 - problem.centres[1]).tobytes()


def test_the_rest_of_the_contract():
    problem = opened(dim=6, nodes=3)
    assert problem.draw_batch(0, np.random.default_rng(0)) is None
    assert (problem.num_samples(2), problem.num_nodes, problem.layout) == (1, 3, ((6,),))
    assert problem.start().tolist() == [0.0] * 6
    assert problem.gradient_flop(GradientRequest(0, problem.start())) == 2 * 36 + 6
    assert opened(dim=6, isotropic=True).gradient_flop(GradientRequest(0, problem.start())) == 12
    assert opened(dim=6, nodes=3).matrices.tobytes() == problem.matrices.tobytes()
    assert opened(4, dim=6, nodes=3).matrices.tobytes() != problem.matrices.tobytes()
    for far in (np.full(6, 1e200), np.where(np.arange(6) % 2, 1e200, -1e300)):
        assert problem.metrics(far)["loss"] == problem.loss(far) == np.inf
    with pytest.raises(SimulationError, match=r"quadratic: a model of shape \(6,\) is needed. Got \(5,\)."):
        problem.gradients([GradientRequest(0, np.zeros(5))])
    with pytest.raises(ConfigError, match=r"condition: a number >= 1 and <= 1e\+15\. Got 0\.5\."):
        opened(condition=0.5)
