"""Local SGD, FedAvg and its kin against gradient descent, each other, and their recursions written out."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array, GradientRequest, NodeId
from netsim.simulation import lockstep
from tests.support.toys import ToyProblem, scenario
from tests.support.watched import iterates, watch

DENSE = {"model_bit": 64, "compressor": {"name": "identity", "float_bit": 64}}
EXACT = {"model_bit": 64, "float_bit": 64}


def assert_close(xs: list[Array], ys: list[Array], atol: float = 1e-12) -> None:
    assert len(xs) == len(ys) > 2
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=atol)


class Unlike(ToyProblem):
    """Nodes with 10, 20, 30, ... samples, minibatches of 8, and centres far apart."""

    def __init__(self, nodes: int = 3, batch: int = 8, far: float = 1.0) -> None:
        super().__init__(nodes, 12, batch=batch)
        self.centres = self.centres + far * np.random.default_rng(1).standard_normal((nodes, 12))

    def num_samples(self, node: NodeId) -> int:
        return 10 * (node + 1)

    def batch_size(self, node: NodeId) -> int:
        return self.batch or self.num_samples(node)

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Any:
        return np.sort(rng.choice(self.num_samples(node), self.batch, replace=False)) if self.batch else None


# --- equivalences -------------------------------------------------------------------------------------------------


def test_one_local_step_is_gradient_descent() -> None:
    problem = ToyProblem(3, batch=8)
    step = {"step_size": 0.3, **EXACT}
    gd = iterates({"name": "gd", **step}, problem, 30)
    assert_close(iterates({"name": "local_sgd", "local_steps": 1, **step}, problem, 30), gd)
    fedavg = {"name": "fedavg", "local_steps": 1, "step_size": 0.3, **DENSE}
    assert_close(iterates(fedavg, problem, 30), gd)


def test_fedavg_of_all_clients_is_local_sgd() -> None:
    """Equal n_m and H steps each; E epochs of full batches are E steps."""
    stochastic, full = ToyProblem(3, batch=8), ToyProblem(3)
    for problem, steps in ((stochastic, {"local_steps": 4}), (full, {"epochs": 4})):
        fedavg = iterates({"name": "fedavg", **steps, "step_size": 0.1, **DENSE}, problem, 30)
        assert_close(iterates({"name": "local_sgd", "local_steps": 4, "step_size": 0.1, **EXACT}, problem, 30), fedavg)


def test_local_sgd_is_its_recursion() -> None:
    """With Nesterov momentum that is never reset, weight decay and gamma_t = 1 / (t + 4) by local step."""
    problem, rounds = ToyProblem(2), 6
    rule = {"name": "inverse_round", "a": 1.0, "offset": 4.0}
    keys = {"local_steps": 3, "momentum": 0.5, "nesterov": True, "weight_decay": 0.01, "step_size": rule}
    x, v = problem.start(), np.zeros((2, 12))
    expected, t = [x], 0
    for _ in range(rounds):
        local = np.stack([x, x])
        for h in range(3):
            g = problem.curvature * (local - problem.centres) + 0.01 * local
            v = 0.5 * v + g
            local = local - 1.0 / (t + h + 4) * (0.5 * v + g)
        t += 3
        x = local.mean(axis=0)
        expected.append(x)
    assert_close(iterates({"name": "local_sgd", **keys, **EXACT}, problem, rounds), expected)


# --- clients ------------------------------------------------------------------------------------------------------


def test_clients_are_drawn_uniformly_and_others_are_left_alone() -> None:
    """max(floor(0.4 * 5), 1) = 2 of 5: each is drawn Binomial(n, 0.4) times; |z| > 5 has probability below 3e-6."""
    problem, rounds = ToyProblem(5), 400
    base = scenario({"name": "fedavg", "local_steps": 1, "participation": 0.4}, nodes=5)
    trace = lockstep.run(base, base.algorithms[0], problem, rounds)
    down, up = (
        [(m.round, node) for m in trace.messages if m.kind == kind and m.round < rounds for node in [peer(m)]]
        for kind, peer in (("model", lambda m: m.dst), ("update", lambda m: m.src))
    )
    assert sorted(down) == sorted(up)
    assert set(Counter(round for round, _ in up).values()) == {2}
    counts = Counter(node for _, node in up)
    z = [(counts[n] - 0.4 * rounds) / np.sqrt(rounds * 0.4 * 0.6) for n in range(5)]
    assert max(map(abs, z)) < 5
    pairs = Counter(tuple(n for r, n in up if r == round) for round in range(rounds))
    assert len(pairs) == 10


@pytest.mark.parametrize("name", ["fedavg", "fedprox"])
def test_the_mean_is_weighted_by_samples(name: str) -> None:
    """n = 10, 20, 30: x+ = sum n_m x_m / 60 with x_m = c_m + (1 - gamma a_m)^2 (x - c_m) after two full steps."""
    problem = Unlike(batch=0)
    keys = {"name": name, "local_steps": 2, "step_size": 0.2, **DENSE} | ({"mu": 0.0} if name == "fedprox" else {})
    x = problem.start()
    expected = [x]
    for _ in range(5):
        local = problem.centres + (1 - 0.2 * problem.curvature) ** 2 * (x - problem.centres)
        x = np.array([10, 20, 30]) @ local / 60
        expected.append(x)
    assert_close(iterates(keys, problem, 5), expected)


def test_an_epoch_takes_every_sample_once() -> None:
    """n = 10, 20, 30 in minibatches of 8: 2, 3, 4 steps an epoch, two epochs a round, other cuts every time."""
    problem = Unlike()
    iterates({"name": "fedavg", "epochs": 2, "step_size": 0.1}, problem, 3)
    seen: dict[int, list[tuple[int, ...]]] = {0: [], 1: [], 2: []}
    for call in problem.calls:
        for node, rows in call:
            assert rows is not None
            seen[node].append(rows)
    for node, steps in ((0, 2), (1, 3), (2, 4)):
        samples, batches = 10 * (node + 1), seen[node]
        assert len(batches) == 3 * 2 * steps
        for first in range(0, len(batches), steps):
            one = batches[first : first + steps]
            assert sorted(row for rows in one for row in rows) == list(range(samples))
            assert [len(rows) for rows in one[:-1]] == [8] * (steps - 1)
    assert len(set(seen[2])) == len(seen[2])


def test_either_steps_or_epochs() -> None:
    for keys, got in (({}, "neither"), ({"local_steps": 1, "epochs": 1}, "both")):
        with pytest.raises(ConfigError, match=rf"local_steps: either local_steps or epochs. Got {got}"):
            scenario({"name": "fedavg", **keys})


def test_a_quorum_fits_the_clients_of_a_round() -> None:
    scenario({"name": "fedavg", "local_steps": 1, "participation": 0.7, "quorum": 2})
    for participation, most in ((1.0, 3), (0.7, 2)):
        keys = {"name": "fedavg", "local_steps": 1, "participation": participation, "quorum": most + 1}
        with pytest.raises(ConfigError, match=rf"quorum: at most {most}, the workers of a round. Got {most + 1}"):
            scenario(keys)


# --- FedProx ------------------------------------------------------------------------------------------------------


def test_fedprox_without_its_term_is_fedavg() -> None:
    problem = Unlike()
    keys = {"local_steps": 3, "step_size": 0.1, "participation": 0.67}
    prox = iterates({"name": "fedprox", "mu": 0.0, **keys}, problem, 20)
    for x, y in zip(prox, iterates({"name": "fedavg", **keys}, problem, 20), strict=True):
        np.testing.assert_array_equal(x, y)


def test_many_steps_of_fedprox_end_at_the_proximal_points() -> None:
    """argmin a/2 (y - c)^2 + mu/2 (y - x)^2 = (a c + mu x) / (a + mu), coordinate by coordinate."""
    problem, mu = Unlike(batch=0), 0.7
    xs = iterates({"name": "fedprox", "mu": mu, "local_steps": 200, **DENSE}, problem, 4)
    for x, after in itertools.pairwise(xs):
        local = (problem.curvature * problem.centres + mu * x) / (problem.curvature + mu)
        np.testing.assert_allclose(after, np.array([10, 20, 30]) @ local / 60, rtol=0, atol=1e-12)


# --- FedAdam ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adam", "yogi", "adagrad"])
def test_server_optimisers_are_their_recursions(optimiser: str) -> None:
    problem, eta, beta1, beta2, tau = Unlike(batch=0), 0.3, 0.6, 0.8, 0.05
    keys = {"name": "fedadam", "optimiser": optimiser, "server_step": eta, "beta1": beta1, "beta2": beta2, "tau": tau}
    x, m, v = problem.start(), np.zeros(12), np.full(12, tau**2)
    expected = [x]
    for _ in range(12):
        local = problem.centres + (1 - 0.2 * problem.curvature) * (x - problem.centres)
        delta = np.array([10, 20, 30]) @ (local - x) / 60
        m = beta1 * m + (1 - beta1) * delta
        v = {
            "adam": beta2 * v + (1 - beta2) * delta**2,
            "yogi": v - (1 - beta2) * delta**2 * np.sign(v - delta**2),
            "adagrad": v + delta**2,
        }[optimiser]
        x = x + eta * m / (np.sqrt(v) + tau)
        expected.append(x)
    assert_close(iterates({**keys, "local_steps": 1, "step_size": 0.2, **DENSE}, problem, 12), expected)


def test_fedadagrad_that_hardly_adapts_is_fedavg() -> None:
    """sqrt(v) + tau -> 2 tau for tau >> |Delta|: the step eta = 2 tau without momentum is the mean itself."""
    problem = Unlike()
    keys = {"local_steps": 3, "step_size": 0.1, **DENSE}
    slow = {"name": "fedadam", "optimiser": "adagrad", "tau": 1e9, "server_step": 2e9, "beta1": 0.0}
    assert_close(iterates({**slow, **keys}, problem, 20), iterates({"name": "fedavg", **keys}, problem, 20), 1e-9)


# --- SCAFFOLD -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressor", ["identity", {"name": "qsgd", "levels": 3}])
def test_scaffold_keeps_the_mean_of_the_control_variates(compressor: Any) -> None:
    """c = (1/M) sum c_m after every round, whatever codes the changes and whoever is drawn."""
    problem = Unlike(5)
    keys = {"local_steps": 3, "step_size": 0.1, "participation": 0.6, "compressor": compressor, "model_bit": 64}
    base = scenario({"name": "scaffold", **keys}, nodes=5, compute={"gradient_s": 1.0})
    compared = []

    def look(engine: Any) -> None:
        if engine.recorder.rounds != len(compared):
            mean = np.mean([engine.agent(m).c_m for m in range(5)], axis=0)
            np.testing.assert_allclose(engine.agent(5).c, mean, rtol=0, atol=1e-13)
            compared.append(np.abs(mean).max())

    watch(base, problem, look)
    assert len(compared) >= 19
    assert compared[-1] > 1e-3


def test_scaffold_by_one_step_is_gradient_descent() -> None:
    """(1/M) sum (g_m - c_m + c) = (1/M) sum g_m."""
    problem = ToyProblem(3, batch=8)
    scaffold = iterates({"name": "scaffold", "local_steps": 1, "step_size": 0.3, **DENSE}, problem, 30)
    assert_close(scaffold, iterates({"name": "gd", "step_size": 0.3, **EXACT}, problem, 30))


def test_scaffold_is_its_recursion() -> None:
    problem, rounds = Unlike(batch=0), 8
    x, c, own = problem.start(), np.zeros(12), np.zeros((3, 12))
    expected = [x]
    for _ in range(rounds):
        y = np.stack([x] * 3)
        for _ in range(4):
            y = y - 0.2 * (problem.curvature * (y - problem.centres) - own + c)
        new = own - c + (x - y) / (4 * 0.2)
        x, c = x + 0.5 * (y - x).mean(axis=0), c + (new - own).mean(axis=0)
        own = new
        expected.append(x)
    keys = {"name": "scaffold", "local_steps": 4, "step_size": 0.2, "server_step": 0.5}
    assert_close(iterates({**keys, **DENSE}, problem, rounds), expected)


def test_scaffold_finds_the_minimiser_where_fedavg_stalls() -> None:
    """Equal n_m, so that both minimise F, ten full local steps, and clients with other curvatures and centres."""
    problem = ToyProblem(3)
    problem.centres = Unlike().centres
    keys = {"local_steps": 10, "step_size": 0.2, **DENSE}
    gaps = {}
    for name in ("fedavg", "scaffold"):
        xs = iterates({"name": name, **keys}, problem, 200)
        gaps[name] = problem.loss(xs[-1]) - problem.optimum().value
    assert gaps["scaffold"] < 1e-12
    assert gaps["fedavg"] > 1e-3


def test_a_gradient_of_the_toy_is_what_the_recursions_take() -> None:
    problem = Unlike(batch=0)
    (g,) = problem.gradients([GradientRequest(1, np.ones(12))])
    np.testing.assert_array_equal(g, problem.curvature[1] * (1 - problem.centres[1]))
