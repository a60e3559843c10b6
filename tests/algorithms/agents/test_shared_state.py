"""DIANA and its kin, EF21 and MARINA: theory at every state that they visit, and their sequences by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import Array, GradientRequest
from netsim.registry import build
from netsim.rng import stream
from tests.support.toys import ToyProblem
from tests.support.watch import LoggedProblem, iterates, trace, uploaders, watch

DIM, WORKERS = 12, 4
FLOAT64 = {"name": "identity", "float_bit": 64}
RAND_4 = {"name": "rand_k", "k": 4, "float_bit": 64}  # w = d / k - 1 = 2, E||Q(x) - x||^2 = w ||x||^2 exactly


def unlike(seed: int = 0) -> ToyProblem:
    """Nodes whose gradients do not vanish at the minimiser."""
    problem = ToyProblem(WORKERS, DIM, seed=seed)
    problem.centres = problem.centres + np.random.default_rng(seed).standard_normal((WORKERS, DIM))
    return problem


def gradients(problem: ToyProblem, x: Array) -> Array:
    return np.array(problem.gradients([GradientRequest(m, x) for m in range(problem.num_nodes)]))


def gap(problem: ToyProblem, x: Array) -> float:
    """F(x) - F* of a quadratic, without the cancellation of two losses."""
    return 0.5 * float(problem.curvature.mean(axis=0) @ (x - problem.optimum().at) ** 2)


# --- DIANA --------------------------------------------------------------------------------------------------


def test_dianas_lyapunov_function_falls_in_exact_expectation() -> None:
    """V = ||x - x*||^2 + (4 w / (M a)) gamma^2 mean ||h_m - grad f_m(x*)||^2, E V+ <= max(1 - gamma mu, 1 - a/2) V.

    With Rand-K the variance is an equality, so that E V+ of a state has a closed form; it is taken at every state that
    the agents visit with their automatic step and rate, 'gamma' and 'a' being read from the agents.
    """
    problem, w = unlike(), 2.0
    best = problem.optimum().at
    at_best = gradients(problem, best)
    mu = problem.strong_convexity()
    seen = 0

    def look(round: int, server: Any, workers: list[Any]) -> None:
        nonlocal seen
        gamma, a, x = server.gamma(round), server.rate, server.x
        h = np.array([worker.h for worker in workers])
        weight = 4 * w / (WORKERS * a) * gamma**2
        value = np.sum((x - best) ** 2) + weight * np.mean(np.sum((h - at_best) ** 2, axis=1))
        g = gradients(problem, x)
        noise = w * np.sum((g - h) ** 2, axis=1)
        x_plus = np.sum((x - gamma * g.mean(axis=0) - best) ** 2) + gamma**2 / WORKERS * noise.mean()
        h_plus = np.sum(((1 - a) * (h - at_best) + a * (g - at_best)) ** 2, axis=1) + a**2 * noise
        assert x_plus + weight * h_plus.mean() <= max(1 - gamma * mu, 1 - a / 2) * value * (1 + 1e-12)
        assert (gamma, a) == (pytest.approx(1 / ((1 + 6 * w / WORKERS) * problem.curvature.max())), 1 / (1 + w))
        seen += 1

    watch({"name": "diana", "compressor": RAND_4, "model_bit": 64}, problem, 100, look)
    assert seen == 101


def test_diana_converges_where_dcgd_stalls() -> None:
    """800 rounds of the same draws; on the mean V falls by max(1 - gamma mu, 1 - a/2) < 0.92 a round: e^-66 in all."""
    keys = {"compressor": RAND_4, "model_bit": 64, "step_size": 0.1}
    end = {name: gap(unlike(), iterates({"name": name, **keys}, unlike(), 800)[-1]) for name in ("diana", "dcgd")}
    assert end["diana"] < 1e-20
    assert end["dcgd"] > 1e-3


def test_momentum_of_diana_is_heavy_ball() -> None:
    """With the identity: v = 0.5 v + grad F, x -= 0.1 v."""
    problem = unlike()
    found = iterates({"name": "diana", "compressor": FLOAT64, "momentum": 0.5, "step_size": 0.1, "model_bit": 64},
                     problem, 20)  # fmt: skip
    x, v = problem.start(), np.zeros(DIM)
    for t in range(20):
        v = 0.5 * v + problem.full_gradient(x)
        x = x - 0.1 * v
        np.testing.assert_allclose(found[t + 1], x, rtol=0, atol=1e-12)


def test_vr_diana_renews_its_snapshot_as_the_coin_says() -> None:
    """The coin is the server's stream; the snapshot and its full gradient are the workers' own."""
    problem, p, seed = LoggedProblem(WORKERS, batch=8), 0.3, 0
    coins = [True, *(stream(seed, 0, WORKERS, "snapshot").random(29) < p)]
    renewed: list[Array] = []

    def look(round: int, server: Any, workers: list[Any]) -> None:
        if round and coins[round - 1]:
            renewed.append(before[-1])
        for m, worker in enumerate(workers if round else []):
            np.testing.assert_array_equal(worker.snapshot, renewed[-1])
            (full,) = ToyProblem.gradients(problem, [GradientRequest(m, renewed[-1])])
            np.testing.assert_allclose(worker.full, full, rtol=0, atol=1e-15)
        before.append(server.x)

    before: list[Array] = []
    keys = {"compressor": RAND_4, "snapshot_probability": p, "step_size": 0.1, "model_bit": 64}
    watch({"name": "vr_diana", **keys}, problem, 30, look)
    assert 2 < len(renewed) < 30


# --- ADIANA -------------------------------------------------------------------------------------------------


def test_adiana_by_hand() -> None:
    """With the identity: its four sequences from the box, the coin from the server's stream."""
    problem, p, eta, a = unlike(), 0.3, 0.1, 0.4
    keys = {"compressor": FLOAT64, "anchor_probability": p, "memory_rate": a, "step_size": eta, "model_bit": 64}
    found = iterates({"name": "adiana", **keys}, problem, 30)
    coins, mu = stream(0, 0, WORKERS, "anchor").random(30) < p, problem.strong_convexity()
    t = min(0.25, np.sqrt(eta * mu / p))
    c = eta / (2 * (t + eta * mu))
    y = z = w = problem.start()
    for k in range(30):
        x = t * z + 0.5 * w + (1 - t - 0.5) * y
        after = x - eta * problem.full_gradient(x)
        z = (1 - c * mu) * z + c * mu * x + c / eta * (after - x)
        w, y = (y if coins[k] else w), after
        np.testing.assert_allclose(found[k + 1], y, rtol=0, atol=1e-12)
    assert 3 < coins.sum() < 27


def test_adiana_is_faster_than_diana_where_the_problem_is_badly_conditioned() -> None:
    """L / mu = 1e4, w = 2.4e-4: 600 rounds are 6 sqrt(L / mu) and 0.06 L / mu; DIANA barely moves where F is flat."""

    def bad() -> ToyProblem:
        problem = ToyProblem(3, 4, seed=3)
        problem.curvature = np.tile(np.array([1.0, 0.1, 0.01, 1e-4]), (3, 1))
        problem.centres = np.random.default_rng(1).standard_normal((3, 4))
        return problem

    keys = {"compressor": {"name": "qsgd", "levels": 64, "float_bit": 64}, "model_bit": 64}
    gaps = {name: gap(bad(), iterates({"name": name, **keys}, bad(), 600)[-1]) for name in ("diana", "adiana")}
    assert gaps["adiana"] < 0.05 * gaps["diana"]


def test_the_anchor_travels_when_it_is_new() -> None:
    seen = trace({"name": "adiana", "compressor": RAND_4, "anchor_probability": 0.3}, unlike(), 30)
    coins = [True, *(stream(0, 0, WORKERS, "anchor").random(29) < 0.3)]
    sizes = {m.round: len(m.payload.data) for m in seen.messages if m.dst == 0}
    assert [sizes[t] for t in range(30)] == [2 * 48 if new else 48 for new in coins]


# --- EF21 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 9])
def test_ef21s_lemmas_hold_at_every_step(k: int) -> None:
    """With delta = k / d: the error's recursion, the descent of F, and the bound on the mean squared gradient."""
    problem, delta = unlike(), k / DIM
    theta, b = 1 - np.sqrt(1 - delta), (1 - delta) / (1 - np.sqrt(1 - delta))
    lt2 = np.mean([problem.smoothness(m) ** 2 for m in range(WORKERS)])
    states: list[tuple[Array, Array]] = []
    steps: list[float] = []

    def look(round: int, server: Any, workers: list[Any]) -> None:
        states.append((server.x, np.array([worker.h for worker in workers])))
        steps.append(server.gamma(round))

    top = {"name": "top_k", "k": k, "float_bit": 64}
    watch({"name": "ef21", "compressor": top, "model_bit": 64}, problem, 60, look)
    gamma, smooth = steps[0], problem.smoothness()
    assert gamma == pytest.approx(1 / (smooth + np.sqrt(lt2 * b / theta)))
    squares, errors, moves = [], [], []
    for (x, _), (after, h) in itertools.pairwise(states):  # h of the state after x was made at x
        g = gradients(problem, x)
        errors.append(np.mean(np.sum((h - g) ** 2, axis=1)))
        full = problem.full_gradient(x)
        squares.append(full @ full)
        moved = np.sum((after - x) ** 2)
        descent = problem.loss(x) - gamma / 2 * squares[-1] - (1 / (2 * gamma) - smooth / 2) * moved
        assert problem.loss(after) <= descent + gamma / 2 * errors[-1] + 1e-13
        if len(errors) > 1:
            assert errors[-1] <= (1 - theta) * errors[-2] + b * lt2 * moves[-1] + 1e-12
        moves.append(moved)
    start = gap(problem, states[0][0])
    assert np.mean(squares) <= 2 * start / (gamma * len(squares)) + errors[0] / (theta * len(squares))


def test_ef21_has_no_floor() -> None:
    top = {"name": "top_k", "k": 2, "float_bit": 64}
    keys = {"compressor": top, "model_bit": 64}
    assert gap(unlike(), iterates({"name": "ef21", **keys}, unlike(), 800)[-1]) < 1e-20
    assert gap(unlike(), iterates({"name": "dcgd", "step_size": 0.1, **keys}, unlike(), 800)[-1]) > 1e-3


@pytest.mark.parametrize(("participation", "asked"), [(0.5, 2), (0.1, 1), (0.99, 3), (1.0, 4)])
def test_partial_participation_of_ef21(participation: float, asked: int) -> None:
    """Who is not asked gets and sends nothing and keeps h_m; the automatic step is that of delta asked / M."""
    top = {"name": "top_k", "k": 3, "float_bit": 64}
    algorithm = {"name": "ef21", "compressor": top, "participation": participation, "model_bit": 64}
    seen = trace(algorithm, unlike(), 200)
    sent = uploaders(seen, 200)
    assert {len(who) for who in sent} == {asked}
    models = [{m.dst for m in seen.messages if m.kind == "model" and m.round == t} for t in range(200)]
    assert models == sent
    counts = np.array([sum(m in who for who in sent) for m in range(WORKERS)])
    spread = np.sqrt(200 * asked / 4 * (1 - asked / 4))
    assert (np.abs(counts - 50 * asked) <= 4 * spread).all()  # false alarm: below 3e-4
    h, held = np.zeros((WORKERS, DIM)), []

    def look(round: int, server: Any, workers: list[Any]) -> None:
        held.append(np.array([worker.h for worker in workers]))
        ef, one = 3 / DIM * asked / WORKERS, problem.smoothness()
        root = np.sqrt(1 - ef)
        lt = np.sqrt(np.mean([problem.smoothness(m) ** 2 for m in range(WORKERS)]))
        assert server.gamma(0) == pytest.approx(1 / (one + lt * root / (1 - root)))

    problem = unlike()
    watch(algorithm, problem, 20, look)
    for t in range(20):
        changed = {m for m in range(WORKERS) if (held[t + 1][m] != held[t][m]).any()}
        assert changed == sent[t]
    assert not h.any()


def test_ef21_with_few_workers_a_round_converges() -> None:
    top = {"name": "top_k", "k": 4, "float_bit": 64}
    algorithm = {"name": "ef21", "compressor": top, "participation": 0.5, "model_bit": 64}
    assert gap(unlike(), iterates(algorithm, unlike(), 800)[-1]) < 1e-16


# --- MARINA -------------------------------------------------------------------------------------------------


def test_marinas_estimate_by_hand() -> None:
    """g is the mean gradient after a round of full ones, and else changes by what the uploads decode to."""
    problem, p = unlike(), 0.25
    coins = [True, *(stream(0, 0, WORKERS, "coin").random(39) < p)]
    keys = {"compressor": RAND_4, "full_probability": p, "step_size": 0.1, "float_bit": 64, "model_bit": 64}
    kinds, states = [], list[tuple[Array, Array]]()
    watch({"name": "marina", **keys}, problem, 40, lambda _, server, __: states.append((server.x, server.g)))
    seen = trace({"name": "marina", **keys}, problem, 40)
    for t in range(40):
        (x, before), (after, g) = states[t], states[t + 1]
        uploads = [m.payload for m in seen.messages if m.kind == "update" and m.round == t]
        kinds.append({len(u.data) for u in uploads})
        if coins[t]:
            np.testing.assert_allclose(g, problem.full_gradient(x), rtol=0, atol=1e-12)
        else:
            change = (gradients(problem, x) - gradients(problem, states[t - 1][0])).mean(axis=0)
            assert not np.allclose(g - before, change, atol=1e-9)  # compressed
            sent = np.abs(g - before) > 0
            assert sent.sum() <= WORKERS * 4
        np.testing.assert_array_equal(after, x - 0.1 * g)
    assert [min(kind) == 96 for kind in kinds] == coins  # 12 floats of 64 bits


def test_marinas_automatic_keys() -> None:
    """p = 1 / (1 + w) and gamma = 1 / (L' (1 + sqrt((1 - p) w / (p M)))), with w = 2 and M = 4."""
    problem, found = unlike(), []
    watch({"name": "marina", "compressor": RAND_4}, problem, 1, lambda _, s, __: found.append((s.p, s.gamma(0))))
    lt = np.sqrt(np.mean([problem.smoothness(m) ** 2 for m in range(WORKERS)]))
    assert found[0] == (pytest.approx(1 / 3), pytest.approx(1 / (lt * (1 + np.sqrt(2 / 3 * 2 / (4 / 3))))))


def test_marina_has_no_floor() -> None:
    keys = {"compressor": RAND_4, "float_bit": 64, "model_bit": 64}
    assert gap(unlike(), iterates({"name": "marina", **keys}, unlike(), 800)[-1]) < 1e-20


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "diana", "compressor": {"name": "top_k", "k": 3}}, "compressor: an unbiased compressor.*Got top_k"),
        ({"name": "marina", "compressor": "scaled_sign"}, "compressor: an unbiased compressor.*Got scaled_sign"),
        ({"name": "diana", "compressor": "natural", "memory_rate": 1.5}, "memory_rate: .*<= 1"),
        ({"name": "ef21", "compressor": {"name": "error_feedback", "part": "sign"}}, "compressor: the code inside"),
        ({"name": "ef21", "compressor": "scaled_sign", "participation": 0}, "participation: .*> 0"),
        ({"name": "diana"}, "compressor: "),
    ],
)
def test_bad_keys(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("algorithm", keys)


def test_what_theory_lacks_is_said() -> None:
    with pytest.raises((ConfigError, SimulationError), match="a contraction, such as top_k or to_contraction"):
        iterates({"name": "ef21", "compressor": "sign"}, unlike(), 1)

    class Flat(ToyProblem):
        def strong_convexity(self) -> float:
            return 0.0

    with pytest.raises(SimulationError, match=r"strongly convex problem is needed.*Got mu = 0"):
        iterates({"name": "adiana", "compressor": RAND_4}, Flat(3), 1)
