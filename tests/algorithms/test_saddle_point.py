"""The saddle-point method against closed forms, and the problem it solves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from algorithms.agents.saddle_point import SaddlePointPeer
from algorithms.problems.multitask import Multitask, MultitaskProblem
from algorithms.problems.quadratic import Quadratic, QuadraticProblem
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import GradientRequest
from netsim.registry import build
from netsim.scenario import Scenario, parse_text
from netsim.simulation.engine import Engine
from tests.support.toys import scenario

Floats = npt.NDArray[np.float64]
EXACT = {"name": "identity", "float_bit": 64}
CODES = [EXACT, {"name": "top_k", "k": 2}, {"name": "sign_top_k", "k": 2}]


def problem(centres: Any, **keys: Any) -> MultitaskProblem:
    """f_i = 0.5 ||x - a_i||^2."""
    at = np.array(centres, np.float64)
    config = Multitask(costs=Quadratic(nodes=len(at)), **keys)
    return MultitaskProblem(QuadraticProblem(np.ones((len(at), 1, 1)), at), config)


def play(live: MultitaskProblem, rounds: int, topology: Any = "ring", **keys: Any) -> tuple[Engine, Any]:
    algorithm = {"name": "saddle_point", "compressor": EXACT, **keys}
    base = scenario(algorithm, nodes=live.num_nodes, stop={"rounds": rounds}, record={"every": max(rounds // 4, 1)},
                    network={"topology": topology, "link": "ideal"})  # fmt: skip
    engine = Engine(base, base.algorithms[0], 0, live)
    return engine, engine.run()


def agents(engine: Engine) -> list[SaddlePointPeer]:
    return [actor.agent for actor in engine.actors.values()]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("compressor", "eta", "delta", "s", "lam"),
    [
        (EXACT, 0.02, 4.0, 1.01108185, 0.27858130),
        *(pytest.param(code, 0.02, 4.0, 1.01108185, 0.27858130, marks=pytest.mark.slow) for code in CODES[1:]),
        pytest.param(CODES[-1], 0.05, 1.0, 1.00699372, 0.28072720, marks=pytest.mark.slow),
    ],
)
def test_fixed_point(compressor: dict[str, Any], eta: float, delta: float, s: float, lam: float) -> None:
    """Distance s and multiplier: s^2 - b^2 = delta eta lam with lam = (D - s) / (4 s), solved here again."""
    centres = [[1, 0.5, -0.2, 0], [-1, 0.1, 0.3, 0.4]]
    engine, _ = play(problem(centres), 2500, compressor=compressor, eta=eta, delta=delta)
    first, second = agents(engine)
    apart = float(np.linalg.norm(np.subtract(*centres)))
    low, high = 1.0, apart
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if middle**2 - 1 < delta * eta * (apart - middle) / (4 * middle) else (low, middle)
    assert low == pytest.approx(s, abs=2e-8)
    assert np.linalg.norm(first.x - second.x) == pytest.approx(low, abs=1e-7)
    assert first.lam[1] == second.lam[0] == pytest.approx((apart - low) / (4 * low), abs=1e-7)
    assert first.lam[1] == pytest.approx(lam, abs=2e-8)


def test_optimum_of_two_nodes_and_of_an_inactive_constraint() -> None:
    """D = 2, b = 1: f* = (D - b)^2 / 4 = 1/4; D <= b: x_i = a_i, and the multiplier stays 0 to the bit."""
    live = problem([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]).coupled([(0, 1)])
    assert live.best[1] + 2 * 0.5 == pytest.approx(0.25, abs=1e-8)  # the problem leaves ||a_i||^2 / 2 out
    np.testing.assert_allclose(live.best[0][:, 0], [0.5, -0.5], atol=1e-6)
    engine, _ = play(problem([[0.2, 0.1], [0.0, -0.1]]), 2000, eta=0.05)
    for agent in agents(engine):
        assert list(agent.lam.values()) == [0.0]
        np.testing.assert_allclose(agent.x, engine.world.problem.costs.centres[agent.ctx.node], atol=1e-12)  # type: ignore[attr-defined]


@pytest.mark.parametrize("compressor", [{"name": "top_k", "k": 1}, {"name": "scaled_sign"}])
@pytest.mark.parametrize("feedback", ["sample", "bandit"])
def test_multipliers_are_equal_at_both_ends_after_every_round(compressor: dict[str, Any], feedback: str) -> None:
    rng = np.random.default_rng(3)
    live = problem(rng.normal(size=(5, 4)), noise=0.1, bound=0.3)
    algorithm = {"name": "saddle_point", "compressor": compressor, "eta": 0.03, "feedback": feedback}
    link = {"name": "wan", "rate_bps": 1e6, "rtt_s": 0.01}
    base = scenario(algorithm, nodes=5, stop={"rounds": 60}, network={"topology": "complete", "link": link},
                    compute={"gradient_s": {"distribution": "exponential", "mean_s": 0.02}})  # fmt: skip
    engine = Engine(base, base.algorithms[0], 0, live)
    seen: dict[tuple[int, int, int], float] = {}
    inner = engine.recorder.report

    def watch(node: int, report: Any, *rest: Any) -> bool:
        agent: Any = engine.actors[node].agent
        for other, lam in agent.lam.items():
            key = (report.round, min(node, other), max(node, other))
            assert seen.setdefault(key, lam) == lam
        return inner(node, report, *rest)

    engine.recorder.report = watch  # type: ignore[method-assign]
    engine.run()
    assert max(seen.values()) > 0


@pytest.mark.parametrize(
    ("compressor", "tolerance", "most"),
    [(EXACT, 0.05, 1000), (CODES[1], 0.08, 1000), pytest.param(EXACT, 0.05, 4000, marks=pytest.mark.slow)],
)
def test_violation_and_gap_shrink_with_the_number_of_rounds(
    compressor: dict[str, Any], tolerance: float, most: int
) -> None:
    """Noise 0.1, delta 4, eta = 1 / sqrt(T), a = (+-1, 0, 0, 0): 0.0153 and -0.0038 at T = 1e3, then about half.

    An independent program's table, within 5 % (8 % with a code). The seed is fixed; over seeds the standard deviation
    of the violation is 2.5 % of it.
    """
    for rounds, violation, gap in ((1000, 0.0153, -0.0038), (4000, 0.0082, -0.0020))[: 1 if most == 1000 else 2]:
        live = problem([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]], noise=0.1)
        _, result = play(live, rounds, compressor=compressor, eta=rounds**-0.5)
        rows = result.tables["rounds"].to_pydict()
        assert rows["violation"][-1] == pytest.approx(violation, rel=tolerance)
        assert rows["cost_gap"][-1] == pytest.approx(gap, rel=2 * tolerance)


@pytest.mark.slow
def test_larger_rows_of_the_table_and_the_exponent() -> None:
    """T = 16e3 and 64e3: 0.0044 and 0.0023, gaps -0.0011 and -0.0006, within 5 % and the table's last digit.

    The violation falls faster than its bound of T^(-1/4): what stays is delta eta lam, and eta = 1 / sqrt(T).
    """
    found = {}
    for rounds, violation, gap in ((16_000, 0.0044, -0.0011), (64_000, 0.0023, -0.0006)):
        live = problem([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]], noise=0.1)
        rows = play(live, rounds, eta=rounds**-0.5)[1].tables["rounds"].to_pydict()
        found[rounds] = rows["violation"][-1]
        assert rows["violation"][-1] == pytest.approx(violation, abs=0.05 * violation + 5e-5)
        assert rows["cost_gap"][-1] == pytest.approx(gap, abs=0.1 * abs(gap) + 5e-5)
    exponent = np.log(found[64_000] / found[16_000]) / np.log(4)
    assert -0.6 < exponent < -0.4


def test_bandit_estimate_is_exact_on_quadratics() -> None:
    """G = d (u'grad F) u for every z: here by one step of a lone node from x = 0, where grad F = -a."""
    live = problem([[1.0, 2.0, -1.0, 0.5]])
    for z in (1e-3, 0.5):
        engine, _ = play(live, 1, eta=0.1, feedback="bandit", query_radius=z)
        (agent,) = agents(engine)
        u = engine.world.stream(0, "bandit").standard_normal(4)
        u /= np.linalg.norm(u)
        a = live.costs.centres[0]
        np.testing.assert_allclose(agent.x, 0.1 * 4 * (u @ a) * u, rtol=1e-8)


def test_bandit_estimate_has_the_mean_and_the_second_moment_of_theory() -> None:
    """E G = grad F and E||G||^2 = d ||grad F||^2; 5 standard errors, a false alarm below 1e-5."""
    rng, d = np.random.default_rng(0), 4
    g = np.array([1.0, 2.0, -1.0, 0.5])
    u = rng.standard_normal((20000, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    estimates = d * (u @ g)[:, None] * u
    assert (np.abs(estimates.mean(axis=0) - g) < 5 * estimates.std(axis=0) / np.sqrt(20000)).all()
    squares = (estimates**2).sum(axis=1)
    assert abs(squares.mean() - d * g @ g) < 5 * squares.std() / np.sqrt(20000)


@pytest.mark.parametrize("keys", [{}, {"constraint": "linear", "direction": (1.0, -1.0, 0.5), "bound": 0.2},
                                  {"radius": None, "box": 0.6}, {"radius": 0.8}])  # fmt: skip
def test_the_reference_is_what_slsqp_finds(keys: dict[str, Any]) -> None:
    from scipy.optimize import minimize

    live = problem(np.random.default_rng(5).normal(size=(5, 3)), **{"bound": 0.4, **keys})
    live = live.coupled([(i, (i + 1) % 5) if i < 4 else (0, 4) for i in range(5)])
    at, value = live.best

    def cost(flat: Floats) -> float:
        return float(sum(live.costs.values([GradientRequest(m, x) for m, x in enumerate(flat.reshape(5, 3))])))

    limits: list[Any] = [
        {"type": "ineq", "fun": lambda f, a=a, b=b: -live.constraint(f.reshape(5, 3)[a], f.reshape(5, 3)[b])}
        for a, b in live.pairs
    ]
    if live.config.box is None:
        limits += [
            {"type": "ineq", "fun": lambda f, i=i: live.inner_radius**2 - (f.reshape(5, 3)[i] ** 2).sum()}
            for i in range(5)
        ]
    sides = None if live.config.box is None else [(-live.config.box, live.config.box)] * 15
    other = minimize(
        cost,
        np.zeros(15) + 0.01,
        method="SLSQP",
        constraints=limits,
        bounds=sides,
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert value == pytest.approx(other.fun, abs=1e-6)
    assert live.joint_metrics(dict(enumerate(at)))["violation"] < 1e-8
    assert abs(live.joint_metrics(dict(enumerate(at)))["cost_gap"]) < 1e-12


def test_projections_are_the_nearest_points() -> None:
    ball, box = problem([[0.0, 0.0]], radius=2.0), problem([[0.0, 0.0]], radius=None, box=1.0)
    np.testing.assert_allclose(ball.project(np.array([3.0, 4.0])), [1.2, 1.6])
    np.testing.assert_allclose(ball.project(np.array([3.0, 4.0]), 0.5), [0.6, 0.8])
    np.testing.assert_array_equal(ball.project(np.array([1.0, 1.0])), [1.0, 1.0])
    np.testing.assert_array_equal(box.project(np.array([3.0, -0.4]), 0.5), [0.5, -0.4])


@pytest.mark.slow
def test_real_data_of_users_with_models_of_their_own() -> None:
    """Breast cancer by label: a bound near 0 makes one model of all, a wide one gives every user its own minimum."""
    text = """
name: users
problem: {name: multitask, bound: %s, radius: 50.0,
          costs: {name: logistic_regression, dataset: breast_cancer, l2: 0.1, nodes: 4, partition: by_label}}
network: {topology: ring, link: ideal}
algorithms: [{name: saddle_point, compressor: {name: top_k, k: 10}, eta: 0.02}]
stop: {rounds: 400}
"""
    found = {}
    for bound in (0.01, 20.0):
        base: Scenario = parse_text(text % bound)
        live: Any = base.problem.open(0)
        rows = Engine(base, base.algorithms[0], 0, live).run().tables["rounds"].to_pydict()
        found[bound] = (rows["cost"][-1], rows["cost_gap"][-1], rows["violation"][-1])
    assert found[20.0][0] < found[0.01][0]
    assert found[20.0][2] == 0.0
    assert found[20.0][1] < 0.15 * found[20.0][0]


def test_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="radius or a box"):
        Multitask(costs=Quadratic(), radius=1.0, box=1.0)
    with pytest.raises(ConfigError, match="one number, or one for each of 20 coordinates"):
        build("problem", {"name": "multitask", "costs": "quadratic", "direction": [1, 2]}).open(0)
    with pytest.raises(SimulationError, match=r"query_radius: a number below 0\.5"):
        play(problem([[0.0]] * 3, radius=0.5), 1, eta=0.1, feedback="bandit", query_radius=0.5)
    base = scenario(
        {"name": "saddle_point", "compressor": EXACT, "eta": 0.1},
        nodes=3,
        network={"topology": "ring", "link": "ideal"},
    )
    with pytest.raises(SimulationError, match="saddle_point needs a problem with constraints between nodes"):
        Engine(base, base.algorithms[0], 0, Quadratic(nodes=3).open(0))


def test_noise_has_its_size_and_is_a_function_of_its_number() -> None:
    live = problem([[0.0] * 6], noise=0.5)
    draws = [live.draw_batch(0, np.random.default_rng(s)) for s in range(3000)]
    x = np.zeros(6)
    noise = np.stack(live.gradients([GradientRequest(0, x, batch) for batch in draws]))
    assert np.abs(noise.mean(axis=0)).max() < 5 * 0.5 / np.sqrt(3000)
    assert abs(noise.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * 18000)
    corr = np.corrcoef(noise.T)
    assert max(abs(corr[i, j]) for i, j in itertools.combinations(range(6), 2)) < 5 / np.sqrt(3000)
    again = live.gradients([GradientRequest(0, x, draws[7])])
    np.testing.assert_array_equal(again[0], noise[7])
    np.testing.assert_array_equal(live.gradients([GradientRequest(0, x)])[0], x)
