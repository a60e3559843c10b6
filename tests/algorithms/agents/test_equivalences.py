"""O11: at the end of their keys many algorithms are gradient descent, on full batches and on the same minibatches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.toys import ToyProblem
from tests.support.watch import iterates

ROUNDS = 30
FLOAT64 = {"name": "identity", "float_bit": 64}
IDENTITY = {"compressor": FLOAT64, "model_bit": 64}
EXACT = {"float_bit": 64, "model_bit": 64}

GRADIENT_DESCENT = [
    {"name": "lena", "beta": 0.0, "drift": "m", **IDENTITY},
    {"name": "lena", "beta": 0.0, "drift": "avg", "force_first": False, **IDENTITY},
    {"name": "lag", "xi": 0.0, **EXACT},
    {"name": "lag", "rule": "server", "xi": 0.0, **EXACT},
    {"name": "lasg", "rule": "wk1", "xi": 0.0, "max_age": 1000, **EXACT},
    {"name": "lasg", "rule": "wk2", "xi": 0.0, **EXACT},
    {"name": "lasg", "rule": "ps", "xi": 0.0, **EXACT},
    {"name": "diana", **IDENTITY},
    {"name": "diana", "memory_rate": 0.3, **IDENTITY},
    {"name": "diana", "memory_rate": 0.0, **IDENTITY},
    {"name": "ef_sgd", **IDENTITY},
    {"name": "ef21", **IDENTITY},
]
FULL_BATCHES_ONLY = [
    {"name": "vr_diana", "memory_rate": 0.3, "snapshot_probability": 0.2, **IDENTITY},
    {"name": "marina", "full_probability": 0.2, **IDENTITY, "float_bit": 64},
]


@pytest.mark.parametrize(
    ("algorithm", "batch"),
    [*((a, batch) for a in GRADIENT_DESCENT for batch in (0, 8)), *((a, 0) for a in FULL_BATCHES_ONLY)],
    ids=str,
)
def test_gradient_descent(algorithm: dict[str, Any], batch: int) -> None:
    """1e-12 as the specification says; steps are 0.3, and 'auto' is another test's."""
    expected = iterates({"name": "gd", "step_size": 0.3, **EXACT}, ToyProblem(3, batch=batch), ROUNDS)
    found = iterates({**algorithm, "step_size": 0.3}, ToyProblem(3, batch=batch), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "lena", "beta": 0.0, **IDENTITY},
        {"name": "lag", "xi": 0.0, **EXACT},
        {"name": "lag", "rule": "server", "xi": 0.0, **EXACT},
        {"name": "lasg", "xi": 0.0, **EXACT},
        {"name": "ef21", **IDENTITY},
        {"name": "cat", "variant": "sparsify", "cost": {"name": "affine", "c0": 1e15, "c_bit": 1.0}, **EXACT},
    ],
    ids=str,
)
def test_automatic_steps_of_one_worker_are_1_over_l(algorithm: dict[str, Any]) -> None:
    expected = iterates({"name": "gd", **EXACT}, ToyProblem(1), 4)
    np.testing.assert_allclose(iterates(algorithm, ToyProblem(1), 4), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("compressor", [{"name": "top_k", "k": 2}, {"name": "qsgd", "levels": 2}, "scaled_sign"])
def test_lena_without_silence_is_error_feedback(compressor: Any) -> None:
    """beta = 0 with compressor C is EF-SGD with C: the same draws, as a message's depend on round and sender alone."""
    keys = {"compressor": compressor, "step_size": 0.1, "model_bit": 64}
    problem = ToyProblem(3, batch=8)
    expected = iterates({"name": "ef_sgd", **keys}, problem, ROUNDS)
    found = iterates({"name": "lena", "beta": 0.0, "drift": "v", **keys}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("compressor", [{"name": "qsgd", "levels": 2}, {"name": "rand_k", "k": 4}])
def test_diana_that_learns_nothing_is_dcgd(compressor: Any) -> None:
    keys = {"compressor": compressor, "step_size": 0.1, "model_bit": 64}
    expected = iterates({"name": "dcgd", **keys}, ToyProblem(3, batch=8), ROUNDS)
    found = iterates({"name": "diana", "memory_rate": 0.0, **keys}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_array_equal(found, expected)


def test_laq_with_many_bits_is_lag() -> None:
    """24 bits leave an error of 2^-24 of the innovation's range, which starts at 40; no decision is that close."""
    keys = {"xi": 0.1, "step_size": 0.3, **EXACT}
    expected = iterates({"name": "lag", **keys}, ToyProblem(3), ROUNDS)
    found = iterates({"name": "laq", "bits": 24, **keys}, ToyProblem(3), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=40 / 2**24)


def test_lasg_on_full_batches_is_lag() -> None:
    keys = {"xi": 0.4, "step_size": 0.3, **EXACT}
    expected = iterates({"name": "lag", **keys}, ToyProblem(3), ROUNDS)
    found = iterates({"name": "lasg", "max_age": 1000, **keys}, ToyProblem(3), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_variance_reduction_takes_the_noise_of_the_toy_away() -> None:
    """There a minibatch shifts the gradient by the same at every model, so that differences have no noise at all."""
    for name, keys in (("vr_diana", {"snapshot_probability": 0.1}), ("marina", {"full_probability": 0.2})):
        algorithm = {"name": name, "compressor": {"name": "rand_k", "k": 4, "float_bit": 64}, "step_size": 0.1, **keys}
        full, noisy = (iterates({**algorithm, "model_bit": 64}, ToyProblem(3, batch=b), ROUNDS) for b in (0, 8))
        np.testing.assert_allclose(noisy, full, rtol=0, atol=1e-12)


def test_vr_diana_on_full_batches_is_diana() -> None:
    keys = {"compressor": {"name": "rand_k", "k": 4, "float_bit": 64}, "step_size": 0.1, "model_bit": 64}
    expected = iterates({"name": "diana", **keys}, ToyProblem(3), ROUNDS)
    found = iterates({"name": "vr_diana", "snapshot_probability": 0.1, **keys}, ToyProblem(3), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
