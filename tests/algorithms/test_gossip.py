"""Algorithms between peers against their matrix forms, against each other, and what theory says of them."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from algorithms.roles.gossip import consensus_step
from netsim.errors import SimulationError
from netsim.interfaces import GradientRequest, Spectrum
from netsim.registry import build
from netsim.rng import stream
from netsim.scenario import Topology
from netsim.scenario.mixing import Peers
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine
from tests.support.toys import ToyProblem, scenario

DIM, PEERS = 12, 8
Floats = npt.NDArray[np.float64]
EXACT = {"name": "identity", "float_bit": 64}
CODECS = [
    EXACT,
    {"name": "top_k", "k": 3},
    {"name": "sign_top_k", "k": 3},
    {"name": "scaled_sign"},
    {"name": "sign_rand_k", "k": 4},
]


def of(algorithm: dict[str, Any], topology: Any = "ring", nodes: int = PEERS, **keys: Any) -> Any:
    keys = {"network": {"topology": topology, "link": "ideal"}, **keys}
    return scenario(algorithm, nodes=nodes, **keys)


def run(algorithm: dict[str, Any], rounds: int, topology: Any = "ring", problem: ToyProblem | None = None) -> Floats:
    """The nodes' models of every round, shape (rounds + 1, M, d), in lockstep."""
    problem = problem or ToyProblem(PEERS, DIM)
    base = of(algorithm, topology, problem.num_nodes)
    trace = lockstep.run(base, base.algorithms[0], problem, rounds)
    out = np.full((rounds + 1, problem.num_nodes, DIM), np.nan)
    for node, round, estimate in trace.reports:
        if round <= rounds:
            out[round, node] = estimate
    return out


def unlike(nodes: int = PEERS, hessian: float | None = None) -> ToyProblem:
    """Nodes whose minimisers lie apart, with one Hessian where it is given."""
    problem = ToyProblem(nodes, DIM)
    problem.centres = problem.centres + np.random.default_rng(1).normal(size=(nodes, DIM))
    if hessian is not None:
        problem.curvature[:] = hessian
    return problem


def grads(problem: ToyProblem, x: Floats) -> Floats:
    return np.stack(problem.gradients([GradientRequest(m, x[m]) for m in range(len(x))]))


def weights(topology: Any = "ring", nodes: int = PEERS, round: int = 0) -> Floats:
    keys = {"name": topology} if isinstance(topology, str) else topology
    return Peers(Topology(**keys), nodes, partial(stream, 0, 0, -1)).mixing(round).matrix()


CIRCLES = {"name": "edges", "edges": [(0, 1), (1, 2), (2, 0), (2, 3), (3, 0), (3, 4), (4, 0)], "directed": True}


@pytest.mark.parametrize("topology", ["ring", "complete", {"name": "complete", "schedule": "random_matching"},
                                      {"name": "complete", "schedule": "one_peer_exponential"}])  # fmt: skip
@pytest.mark.parametrize("name", ["dpsgd", "dgd", "gradient_tracking", "dsgd_momentum", "push_sum"])
def test_dense_algorithms_are_their_matrix_forms(name: str, topology: Any) -> None:
    problem, eta, rounds = unlike(), 0.05, 12
    found = run({"name": name, "step_size": eta, "float_bit": 64}, rounds, topology, problem)
    x = found[0]
    g = grads(problem, x)
    y, v, push, w = g, np.zeros_like(x), x, np.ones(PEERS)
    for r in range(rounds):
        mix = weights(topology, round=r)
        g = grads(problem, x)
        if name == "dpsgd":
            x = mix @ (x - eta * g)
        elif name == "dgd":
            x = mix @ x - eta * g
        elif name == "gradient_tracking":
            x = mix @ x - eta * y
            y = mix @ y + grads(problem, x) - g
        elif name == "dsgd_momentum":
            v = 0.9 * v + g
            x = mix @ (x - eta * v)
        else:
            there = (mix > 0) | np.eye(PEERS, dtype=bool)
            columns = there / there.sum(axis=0)
            push, w = columns @ (push - eta * g), columns @ w
            x = push / w[:, None]
        np.testing.assert_allclose(found[r + 1], x, rtol=0, atol=1e-12)


def test_momentum_that_is_mixed_and_nesterovs() -> None:
    problem, mix = unlike(), weights()
    keys = {"name": "dsgd_momentum", "step_size": 0.02, "momentum": 0.8, "nesterov": True, "mix_momentum": True}
    found = run({**keys, "float_bit": 64}, 10, problem=problem)
    x, v = found[0], np.zeros((PEERS, DIM))
    for r in range(10):
        g = grads(problem, x)
        v = 0.8 * v + g
        x, v = mix @ (x - 0.02 * (0.8 * v + g)), mix @ v
        np.testing.assert_allclose(found[r + 1], x, rtol=0, atol=1e-12)


def test_push_sum_averages_where_columns_alone_sum_to_one() -> None:
    """With a step that vanishes x / w is the mean of the models, although nodes hear unlike numbers of peers."""
    problem = unlike(5, hessian=1.0)
    found = run({"name": "push_sum", "step_size": {"name": "power", "a": 1.0, "exponent": -1.0}, "float_bit": 64},
                2000, CIRCLES, problem)  # fmt: skip
    best = problem.centres.mean(axis=0)
    assert np.abs(found[-1] - best).max() < 0.05
    assert np.abs(found[-1] - best).max() < 0.15 * np.abs(found[200] - best).max()


def test_a_directed_graph_is_refused_for_what_needs_more() -> None:
    from netsim.errors import ConfigError

    keys = {"step_size": 0.1}
    choco = {"name": "choco_sgd", "compressor": EXACT, "gamma": 0.5, **keys}
    for algorithm, topology, sentence in (
        ({"name": "dpsgd", **keys}, CIRCLES, "a peer hears more or fewer than hear it"),
        (choco, {"name": "ring", "directed": True}, "is a directed graph"),
        (choco, {"name": "ring", "schedule": "random_matching"}, "changes from round to round"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            of(algorithm, topology, 5 if topology is CIRCLES else PEERS)
    assert of({"name": "dpsgd", **keys}, {"name": "ring", "directed": True})


# --- public copies -------------------------------------------------------------------------------------------


def copies_form(algorithm: dict[str, Any], problem: ToyProblem, rounds: int) -> Floats:
    """CHOCO-SGD and its kin as the papers write them: every node keeps a copy of every neighbour."""
    mix, n = weights(), PEERS
    code, gamma, eta = build("compressor", algorithm["compressor"]), algorithm["gamma"], algorithm["step_size"]
    beta, local = algorithm.get("momentum", 0.0), algorithm.get("local_steps", 1)
    c, order = algorithm.get("threshold", 0.0), algorithm.get("order", "grad_compress_mix")
    x, hats, v = np.zeros((n, DIM)), np.zeros((n, DIM)), np.zeros((n, DIM))
    out = [x]

    def step(x: Floats) -> Floats:
        nonlocal v
        g = grads(problem, x)
        v = beta * v + g
        return x - eta * (beta * v + g)

    for _ in range(rounds):
        if order == "mix_compress_grad":
            x = x + gamma * (mix @ hats - hats)
            hats = hats + np.stack([code.decode(code.encode(d, np.random.default_rng(0)).data, DIM) for d in x - hats])
            x = step(x)
        else:
            for _ in range(local):
                x = step(x)
            for i, d in enumerate(x - hats):
                if d @ d > c * eta**2:
                    hats[i] += code.decode(code.encode(d, np.random.default_rng(0)).data, DIM)
            x = x + gamma * (mix @ hats - hats)
        out.append(x)
    return np.stack(out)


@pytest.mark.parametrize("compressor", CODECS[:4], ids=lambda c: c["name"])
@pytest.mark.parametrize(
    "keys",
    [
        {"name": "choco_sgd"},
        {"name": "choco_sgd", "momentum": 0.7},
        {"name": "choco_sgd", "order": "mix_compress_grad", "momentum": 0.4},
        {"name": "sparq_sgd", "threshold": 30.0, "local_steps": 3},
        {"name": "squarm_sgd", "threshold": 30.0, "local_steps": 3, "momentum": 0.9, "step_size": 0.01},
    ],
    ids=lambda k: "-".join(map(str, k.values())),
)
def test_public_copies_are_the_papers(keys: dict[str, Any], compressor: dict[str, Any]) -> None:
    algorithm = {"gamma": 0.2, "step_size": 0.1, "compressor": compressor, **keys}
    problem, rounds = unlike(), 40
    np.testing.assert_allclose(
        run(algorithm, rounds, problem=problem), copies_form(algorithm, problem, rounds), atol=1e-9
    )


@pytest.mark.parametrize("compressor", CODECS, ids=lambda c: c["name"])
def test_sparq_without_a_trigger_is_choco_and_squarm_without_momentum_is_sparq(compressor: dict[str, Any]) -> None:
    problem = ToyProblem(PEERS, DIM, batch=8)
    keys = {"compressor": compressor, "gamma": 0.2, "step_size": 0.1}
    choco, sparq, squarm, other = (
        run({**keys, **own}, 30, problem=problem)
        for own in (
            {"name": "choco_sgd"},
            {"name": "sparq_sgd", "threshold": 0, "local_steps": 1},
            {"name": "squarm_sgd", "threshold": 0, "local_steps": 1, "momentum": 0},
            {"name": "choco_sgd", "order": "mix_compress_grad"},
        )
    )
    np.testing.assert_array_equal(choco, sparq)
    np.testing.assert_array_equal(sparq, squarm)
    assert np.abs(choco - other).max() > 1e-3


def test_identity_and_gamma_one_are_the_uncompressed_methods() -> None:
    """G2 and G3: X <- W (X - eta G), which on a complete graph is averaging; in the other order X <- W X - eta G."""
    problem, keys = unlike(), {"compressor": EXACT, "gamma": 1.0, "step_size": 0.1}
    dense = {"step_size": 0.1, "float_bit": 64}
    choco, dpsgd = (
        run({**own}, 20, problem=problem) for own in ({"name": "choco_sgd", **keys}, {"name": "dpsgd", **dense})
    )
    np.testing.assert_allclose(choco, dpsgd, atol=1e-12)
    first = {"name": "choco_sgd", "order": "mix_compress_grad", "hat_init": "x0", **keys}
    public = run({"name": "dgd", **dense}, 20, problem=problem)  # what is published; the models are a step ahead
    ahead = np.stack([x - 0.1 * grads(problem, x) for x in public[:-1]])
    np.testing.assert_allclose(run(first, 20, problem=problem)[1:], ahead, atol=1e-12)
    averaged = run({"name": "choco_sgd", **keys}, 5, "complete", problem)
    assert np.ptp(averaged[1:], axis=1).max() < 1e-13


@pytest.mark.parametrize(
    "name", ["choco_sgd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sparq_sgd", "squarm_sgd"))]
)
def test_the_mean_trajectory_of_equal_hessians_depends_on_nothing(name: str) -> None:
    """G1 and G4: the mean follows (Nesterov's) gradient descent on F whatever graph, code, gamma, trigger."""
    problem, eta, beta = unlike(hessian=1.0), 0.05, 0.9 if name == "squarm_sgd" else 0.0
    x, v, steps = np.zeros(DIM), np.zeros(DIM), []
    for _ in range(61):
        steps.append(x)
        g = x - problem.centres.mean(axis=0)
        v = beta * v + g
        x = x - eta * (beta * v + g)
    triggers: list[dict[str, Any]] = (
        [{}] if name == "choco_sgd" else [{"threshold": c, "local_steps": 3} for c in (0, 50)]
    )
    for own, compressor, (topology, gamma) in itertools.product(
        triggers, CODECS[1:], (("ring", 0.1), ("complete", 0.5), ({"name": "grid", "rows": 2}, 0.3))
    ):
        every = own.get("local_steps", 1)
        found = run({"name": name, "compressor": compressor, "gamma": gamma, "step_size": eta, **own},
                    60 // every, topology, problem)  # fmt: skip
        np.testing.assert_allclose(found.mean(axis=1), np.stack(steps[::every]), rtol=0, atol=1e-12)


def test_a_threshold_that_nothing_reaches_isolates_the_nodes() -> None:
    problem, keys = unlike(), {"compressor": CODECS[1], "gamma": 0.3, "step_size": 0.1, "local_steps": 5}
    alone = run({"name": "sparq_sgd", "threshold": 1e12, **keys}, 10, problem=problem)
    x = np.zeros((PEERS, DIM))
    for r in range(10):
        for _ in range(5):
            x = x - 0.1 * grads(problem, x)
        np.testing.assert_array_equal(alone[r + 1], x)


def test_messages_of_the_trigger_are_counted() -> None:
    """With c = 0 every node sends every H steps: n floor(T/H) payloads; silence costs a header and no paper bits."""
    problem, sent = unlike(), {}
    for threshold in (0.0, 100.0, 1000.0, 1e12):
        base = of({"name": "sparq_sgd", "compressor": CODECS[2], "gamma": 0.2, "step_size": 0.05, "local_steps": 5,
                   "threshold": threshold}, stop={"rounds": 20},
                  network={"topology": "ring", "link": {"name": "ethernet_udp", "rate_bps": 1e6}})  # fmt: skip
        rows = Engine(base, base.algorithms[0], 0, problem).run().tables["rounds"].to_pydict()
        payload_bit = 32 + 3 * (1 + 4)
        sent[threshold] = rows["peer_paper_bit"][-1] / payload_bit / 2  # two neighbours each
        assert rows["peer_messages"][-1] == PEERS * 2 * 20
        assert sum(t for t in rows["triggered"] if t == t) * PEERS == pytest.approx(sent[threshold])
    assert sent[0.0] == PEERS * 20 > sent[100.0] > sent[1000.0] > sent[1e12] == 0


def test_a_lone_node_does_nesterovs_sgd() -> None:
    problem = ToyProblem(1, DIM)
    found = run({"name": "squarm_sgd", "compressor": CODECS[1], "gamma": 0.3, "step_size": 0.02}, 25, problem=problem)
    x, v = np.zeros((1, DIM)), np.zeros((1, DIM))
    for r in range(25):
        g = grads(problem, x)
        v = 0.9 * v + g
        x = x - 0.02 * (g + 0.9 * v)
        np.testing.assert_array_equal(found[r + 1], x)


def test_choco_gossip_shrinks_as_its_theorem_says() -> None:
    """Ring of 8, top 3 of 12: sum ||x_i - mean||^2 + ||x_i - xh_i||^2 <= (1 - delta^2 omega / 82)^t of its start."""
    problem, rounds = unlike(hessian=1.0), 600
    base = of({"name": "choco_gossip", "compressor": {"name": "top_k", "k": 3, "float_bit": 64}, "gamma": "choco"})
    engine = Engine(base, base.algorithms[0], 0, problem)
    agents = [actor.agent for actor in engine.actors.values()]
    seen: list[float] = []
    inner = engine.recorder.report

    def watch(node: int, report: Any, *rest: Any) -> bool:
        if node == PEERS - 1:
            x, hat = (np.stack([getattr(a, name) for a in agents]) for name in ("x", "hat"))
            seen.append(float(((x - x.mean(axis=0)) ** 2).sum() + ((x - hat) ** 2).sum()))
        return inner(node, report, *rest)

    engine.recorder.report = watch  # type: ignore[method-assign]
    engine.recorder.stop = base.stop.__class__(rounds=rounds)
    engine.run()
    gap, omega = 0.195262, 3 / DIM
    x0 = problem.centres
    first = float(((x0 - x0.mean(axis=0)) ** 2).sum() + (x0**2).sum())
    bounds = first * (1 - gap**2 * omega / 82) ** np.arange(1, rounds + 1)
    assert len(seen) >= rounds
    assert (np.array(seen[1 : rounds + 1]) <= bounds).all()
    assert seen[rounds] < seen[1]


@pytest.mark.parametrize(("gamma", "omega", "n", "value"), [
    ("choco", 0.01, 8, 3.5e-5), ("sparq", 0.01, 8, 8.9e-5),
    ("choco", 10 / 7840, 60, 2.4e-9), ("sparq", 10 / 7840, 60, 3.2e-7),
])  # fmt: skip
def test_consensus_steps_of_theory(gamma: Any, omega: float, n: int, value: float) -> None:
    class Code:
        def contraction(self, dim: int) -> float:
            return omega

    class Ctx:
        spectrum = Spectrum({8: 0.195262, 60: 0.003651}[n], 4 / 3)

        class facts:
            dim = 7840

    assert consensus_step(gamma, Code(), Ctx()) == pytest.approx(value, rel=0.02)  # type: ignore[arg-type]


def test_a_code_that_is_no_contraction_has_no_consensus_step_of_theory() -> None:
    with pytest.raises(
        SimulationError, match="gamma: choco needs a compressor that is a contraction, which rand_k is not"
    ):
        run({"name": "choco_sgd", "compressor": {"name": "rand_k", "k": 3}, "gamma": "choco"}, 1)


@pytest.mark.slow
def test_gradient_tracking_reaches_the_minimiser_where_dgd_stalls() -> None:
    problem = unlike()
    best = problem.optimum()
    dgd, tracking = (
        run({"name": name, "step_size": 0.1, "float_bit": 64}, 1500, problem=problem)
        for name in ("dgd", "gradient_tracking")
    )
    assert problem.loss(tracking[-1].mean(axis=0)) - best.value < 1e-20 + 1e-14 * abs(best.value)
    assert np.abs(tracking[-1] - best.at).max() < 1e-10
    still = np.abs(dgd[-1] - dgd[-2]).max()
    assert still < 1e-12
    assert np.abs(dgd[-1] - best.at).max() > 0.05
    half = run({"name": "dgd", "step_size": 0.05, "float_bit": 64}, 3000, problem=problem)
    ratio = np.linalg.norm(half[-1] - best.at) / np.linalg.norm(dgd[-1] - best.at)
    assert 0.4 < ratio < 0.75  # the floor is of the order of the step


def test_tracked_gradients_have_the_mean_of_the_gradients() -> None:
    problem = unlike()
    base = of({"name": "gradient_tracking", "float_bit": 64, "step_size": 0.1}, stop={"rounds": 30})
    engine = Engine(base, base.algorithms[0], 0, problem)
    engine.run()
    agents: list[Any] = [actor.agent for actor in engine.actors.values()]
    y, g = (np.mean([getattr(a, name) for a in agents], axis=0) for name in ("y", "g"))
    np.testing.assert_allclose(y, g, atol=1e-13)


@pytest.mark.parametrize("algorithm", [
    {"name": "choco_sgd", "compressor": CODECS[2], "gamma": 0.2, "order": "mix_compress_grad"},
    {"name": "squarm_sgd", "compressor": CODECS[4], "gamma": 0.2, "threshold": 3.0, "local_steps": 2},
    {"name": "gradient_tracking"},
], ids=lambda a: str(a["name"]))  # fmt: skip
@pytest.mark.parametrize("topology", ["ring", {"name": "watts_strogatz", "degree": 4, "probability": 0.3}])
def test_speeds_and_delays_change_the_clock_alone_and_nobody_is_more_than_a_round_ahead(
    algorithm: dict[str, Any], topology: Any
) -> None:
    """G6 on a graph of diameter above one; the five peers of the contract tests are a ring."""
    problem = ToyProblem(PEERS, DIM, batch=8)
    link = {"name": "wan", "rate_bps": 1e6, "rtt_s": [0.01 * (1 + i % 3) for i in range(PEERS)]}
    base = of(algorithm, topology, network={"topology": topology, "link": link}, stop={"rounds": 25},
              compute={"gradient_s": {"distribution": "exponential", "mean_s": 0.05}})  # fmt: skip
    expected = lockstep.run(base, base.algorithms[0], problem, 25)
    engine = Engine(base, base.algorithms[0], 0, problem)
    rounds, seen, apart = [0] * PEERS, {}, list[int]()
    inner = engine.recorder.report

    def watch(node: int, report: Any, *rest: Any) -> bool:
        rounds[node] = report.round
        seen[node, report.round] = report.estimate.copy()
        near = engine.world.peers.mixing(0).neighbours(node)
        assert all(report.round - rounds[j] <= 1 for j in near)
        apart.append(report.round - min(rounds))
        return inner(node, report, *rest)

    engine.recorder.report = watch  # type: ignore[method-assign]
    engine.run()
    assert max(apart) > (topology == "ring")
    for node, round, estimate in expected.reports:
        np.testing.assert_array_equal(seen.get((node, round), estimate), estimate)
    assert sum(key[1] == 25 for key in seen) == PEERS
