"""LENA beside a transcription of its recursion, and the identities that hold for any drift and trigger."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array, GradientRequest
from netsim.registry import build
from tests.support.toys import ToyProblem
from tests.support.watch import LoggedProblem, iterates, trace, uploaders, watch

IDENTITY = {"name": "identity", "float_bit": 64}
EXACT = {"name": "lena", "model_bit": 64, "compressor": IDENTITY}
DRIFTS = [0, "g", "v", "m", "avg"]
ROUNDS = 40


def by_hand(problem: ToyProblem, alpha: float, rounds: int, **keys: Any) -> tuple[Array, list[set[int]]]:
    """The exact algorithm, round by round, on full batches: iterates and who uploaded."""
    beta, drift, gamma, times = keys["beta"], keys["drift"], keys.get("gamma", 0.1), keys.get("times", 1)
    x, workers, d = problem.start(), range(problem.num_nodes), problem.dim
    e, q, v, m = (np.zeros((problem.num_nodes, d)) for _ in range(4))
    count, last = dict.fromkeys(workers, 0), dict.fromkeys(workers, -1)
    before, mean = np.zeros_like(e), np.zeros_like(e)
    xs, who = [x], []
    for t in range(rounds):
        uploads = set()
        for i in workers:
            (g,) = problem.gradients([GradientRequest(i, x)])
            m[i] = alpha * g if t == 0 else (1 - gamma) * m[i] + gamma * alpha * g
            mean[i] = g if t == 0 else (1 - gamma) * mean[i] + gamma * g
            p = e[i] + alpha * g
            told = {"v": v[i], "q": q[i]}[keys.get("reference", "v")]
            of = {"current": g, "previous": before[i], "window": mean[i]}[keys.get("gradient_reference", "current")]
            scale = {"alpha2": beta * alpha**2, "literal": beta, "alpha2beta2": beta**2 * alpha**2}
            count[i] += np.sum((p - told) ** 2) >= scale[keys.get("scale", "alpha2")] * np.sum(of**2)
            before[i] = g
            if count[i] >= times or (t == 0 and keys.get("force_first", True)):
                uploads.add(i)
                n = t - last[i]
                v[i] = p
                new = {0: 0 * p, "g": alpha * g, "v": p, "m": m[i], "avg": (p + (n - 1) * q[i]) / n}
                q[i], count[i], last[i] = new[drift], 0, t
            else:
                v[i] = q[i]
            e[i] = p - v[i]
        x = x - v.mean(axis=0)
        xs.append(x)
        who.append(uploads)
    return np.array(xs), who


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize(
    "keys",
    [
        {"beta": 40.0},
        {"beta": 3.0, "times": 3},
        {"beta": 0.5, "times": 2},
        {"beta": 0.02, "scale": "literal", "reference": "q"},
        {"beta": 4.0, "scale": "alpha2beta2", "gradient_reference": "window", "gamma": 0.4},
        {"beta": 5.0, "gradient_reference": "previous", "force_first": False},
    ],
    ids=str,
)
def test_it_is_its_recursion(drift: Any, keys: dict[str, Any]) -> None:
    problem, alpha = ToyProblem(4, seed=1), 0.05
    expected, who = by_hand(problem, alpha, ROUNDS, drift=drift, **keys)
    seen = trace({**EXACT, "drift": drift, "step_size": alpha, **keys}, problem, ROUNDS)
    assert uploaders(seen, ROUNDS) == who
    assert 0 < sum(map(len, who)) < 4 * ROUNDS  # some are silent
    np.testing.assert_allclose(np.array([x for _, _, x in seen.reports]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("drift", "scale", "times"), [*itertools.product(DRIFTS, ["alpha2", "literal", "alpha2beta2"], [1, 3])]
)
@pytest.mark.parametrize("compressor", [IDENTITY, {"name": "qsgd", "levels": 2}, {"name": "top_k", "k": 2}, "identity"])
def test_virtual_iterate(drift: Any, scale: str, times: int, compressor: Any) -> None:
    """x~ = x - mean e moves by -(alpha / M) sum g, whatever drift, trigger, times and compressor; 1e-9."""
    problem, alpha, virtual = LoggedProblem(3, batch=8), 0.1, []
    keys = {"beta": {"literal": 0.1}.get(scale, 2.0), "step_size": alpha, "drift": drift, "scale": scale}

    def look(round: int, server: Any, workers: list[Any]) -> None:
        virtual.append(server.x - np.mean([worker.e for worker in workers], axis=0))

    watch({**EXACT, **keys, "times": times, "compressor": compressor}, problem, 15, look)
    assert len(virtual) == 16
    for t in range(15):
        step = alpha * np.mean([problem.log[m][t] for m in range(3)], axis=0)
        np.testing.assert_allclose(virtual[t + 1], virtual[t] - step, rtol=0, atol=1e-9)


@pytest.mark.parametrize("drift", DRIFTS)
def test_server_and_workers_agree(drift: Any) -> None:
    """O12: every drift is the same, bit for bit, at both ends; what was lost of an upload stays in e."""

    def look(round: int, server: Any, workers: list[Any]) -> None:
        assert all((server.q[m] == worker.q).all() for m, worker in enumerate(workers))
        assert [int(last) for last in server.last] == [worker.last for worker in workers]
        for worker in workers:
            assert worker.last < round
            if worker.last == round - 1:
                assert (np.abs(worker.e) <= 2**-23 * np.abs(worker.v)).all()  # a float's rounding alone
            seen.add(worker.last == round - 1)

    seen: set[bool] = set()
    watch({"name": "lena", "beta": 3.0, "drift": drift, "step_size": 0.1}, ToyProblem(3, batch=8), 30, look)
    assert seen == {True, False}


def test_upload_clears_the_memory_and_silence_bounds_it() -> None:
    """With reference q, K = 1 and the current gradient, ||e||^2 of a silent worker is below the limit."""
    problem, beta, alpha = LoggedProblem(3), 5.0, 0.1
    kinds: set[bool] = set()

    def look(round: int, server: Any, workers: list[Any]) -> None:
        for m, worker in enumerate(workers if round else []):
            g = problem.log[m][round - 1]
            kinds.add(worker.last == round - 1)
            if worker.last == round - 1:
                assert not worker.e.any()
            else:
                assert worker.e @ worker.e < beta * alpha**2 * (g @ g)

    watch({**EXACT, "beta": beta, "reference": "q", "step_size": alpha}, problem, ROUNDS, look)
    assert kinds == {True, False}


@pytest.mark.parametrize("drift", DRIFTS)
def test_memory_is_what_the_drift_missed_since_the_last_upload(drift: Any) -> None:
    """Equation 5: e^{t+1} = sum_{i = t_last + 1}^{t} (alpha g^i - q)."""
    problem, alpha = LoggedProblem(2, batch=8), 0.1

    def look(round: int, server: Any, workers: list[Any]) -> None:
        for m, worker in enumerate(workers if round else []):
            missed = [alpha * g - worker.q for g in problem.log[m][worker.last + 1 : round]]
            np.testing.assert_allclose(worker.e, np.sum(missed, axis=0) if missed else 0.0, rtol=0, atol=1e-12)

    watch({**EXACT, "beta": 8.0, "drift": drift, "step_size": alpha}, problem, ROUNDS, look)


def test_average_drift_is_the_mean_step_between_uploads() -> None:
    """Equation 7, corrected, from what the server has alone."""
    problem, alpha = LoggedProblem(2, batch=8), 0.1
    last: dict[int, int] = {0: -1, 1: -1}
    gaps = set()

    def look(round: int, server: Any, workers: list[Any]) -> None:
        for m in range(2):
            if round and server.last[m] == round - 1:
                steps = [alpha * g for g in problem.log[m][last[m] + 1 : round]]
                np.testing.assert_allclose(server.q[m], np.mean(steps, axis=0), rtol=0, atol=1e-12)
                gaps.add(len(steps))
                last[m] = round - 1

    watch({**EXACT, "beta": 8.0, "drift": "avg", "step_size": alpha}, problem, 80, look)
    assert max(gaps) > 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"drift": "m", "gamma": 1.0}, {"drift": "g"}),
        ({"drift": "v", "reference": "v"}, {"drift": "v", "reference": "q"}),
    ],
    ids=["gamma = 1 is g", "v: both references"],
)
def test_equal_variants(one: dict[str, Any], other: dict[str, Any]) -> None:
    keys = {**EXACT, "beta": 6.0, "step_size": 0.1}
    a, b = (trace({**keys, **own}, ToyProblem(3, batch=8), ROUNDS) for own in (one, other))
    assert uploaders(a, ROUNDS) == uploaders(b, ROUNDS)
    for (_, _, x), (_, _, y) in zip(a.reports, b.reports, strict=True):
        assert x.tobytes() == y.tobytes()


class Linear(ToyProblem):
    """A constant gradient at every node."""

    def _gradient(self, request: GradientRequest) -> Array:
        return self.centres[request.node]


@pytest.mark.parametrize("drift", ["g", "m"])
def test_a_constant_gradient_is_uploaded_once(drift: str) -> None:
    seen = trace({**EXACT, "drift": drift, "step_size": 0.1}, Linear(1), ROUNDS)
    assert uploaders(seen, ROUNDS) == [{0}] + [set()] * (ROUNDS - 1)


def test_without_a_limit_all_upload_even_what_is_known() -> None:
    """beta = 0 and 0 >= 0: the condition of line 8 is not strict."""
    assert uploaders(trace({**EXACT, "beta": 0.0, "step_size": 0.1}, Linear(2), 5), 5) == [{0, 1}] * 5


@pytest.mark.parametrize(("scale", "is_invariant"), [("alpha2", True), ("alpha2beta2", True), ("literal", False)])
def test_units(scale: str, is_invariant: bool) -> None:
    """f -> 4 f and alpha -> alpha / 4 is the same run, bit for bit, where the limit has the units of a squared step."""
    plain, scaled = ToyProblem(3), ToyProblem(3)
    scaled.curvature = 4.0 * scaled.curvature
    keys = {**EXACT, "scale": scale, "beta": 0.04 if scale == "literal" else 4.0}
    a, b = trace({**keys, "step_size": 0.1}, plain, ROUNDS), trace({**keys, "step_size": 0.025}, scaled, ROUNDS)
    assert (uploaders(a, ROUNDS) == uploaders(b, ROUNDS)) == is_invariant
    assert (a.reports[-1][2] == b.reports[-1][2]).all() == is_invariant


def test_the_minimiser_of_all_is_a_fixed_point() -> None:
    class Solved(ToyProblem):
        def start(self) -> Array:
            return self.centres[0].copy()

    xs = iterates({**EXACT, "step_size": 0.1}, Solved(3, isotropic=True), 5)
    assert (xs == xs[0]).all()


def test_bits_of_an_upload() -> None:
    """Two vectors of 12 floats of 32 bits for g and m, one for the others."""
    for drift in DRIFTS:
        seen = trace({"name": "lena", "drift": drift, "step_size": 0.1}, ToyProblem(), 3)
        bits = {m.payload.paper_bit for m in seen.messages if m.kind == "update"}
        assert bits == {2 * 32 * 12 if drift in ("g", "m") else 32 * 12}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"beta": -1.0}, "beta: a number >= 0. Got -1"),
        ({"drift": "momentum"}, "drift: .*Got 'momentum'"),
        ({"compressor": {"name": "error_feedback", "part": "sign"}}, "compressor: the code inside"),
        ({"scale": "alpha"}, "scale: .*Got 'alpha'.*Nearest: alpha2"),
    ],
)
def test_bad_keys(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("algorithm", {"name": "lena", **keys})
