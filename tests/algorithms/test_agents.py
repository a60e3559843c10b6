"""Agents against their papers: equivalences, descent lemmas, and what their messages cost."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from algorithms.agents.cat import Cat
from algorithms.agents.fixed_budget import FixedBudget, one_packet_budget
from algorithms.agents.grid_search import GridSearchServer
from algorithms.coding.sizes import CodeSize
from algorithms.compressors.stochastic_sparsification import StochasticSparsification, optimal_level, probabilities
from algorithms.roles.star import noted
from algorithms.tuners.tune import progress, tune
from channels.costing.models import StructuredCost
from netsim.interfaces import Array, CostStructure, GradientRequest
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, simulate
from tests.support.toys import ToyProblem, scenario

EXACT = {"float_bit": 64, "model_bit": 64}
AFFINE = {"name": "affine", "c0": 50.0, "c_bit": 1.0}


def iterates(algorithm: dict[str, Any], problem: ToyProblem, rounds: int = 30) -> list[Array]:
    base = scenario(algorithm, nodes=problem.num_nodes)
    return [estimate for _, _, estimate in lockstep.run(base, base.algorithms[0], problem, rounds).reports]


def gd_by_hand(problem: ToyProblem, rounds: int = 30) -> list[Array]:
    x = [problem.start()]
    for _ in range(rounds):
        x.append(x[-1] - problem.full_gradient(x[-1]) / problem.smoothness())
    return x


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "gd", **EXACT},
        {"name": "fixed_budget", "variant": "sparsify", "budget": 12, **EXACT},
        {"name": "fixed_budget", "variant": "stochastic", "budget": 12, **EXACT},
        {"name": "cat", "variant": "sparsify", "cost": {"name": "affine", "c0": 1e15, "c_bit": 1.0}, **EXACT},
        {"name": "cat", "variant": "stochastic", "cost": {"name": "affine", "c0": 1e15, "c_bit": 1.0}, **EXACT},
    ],
    ids=lambda a: f"{a['name']} {a.get('variant', '')}",
)
@pytest.mark.parametrize("nodes", [1, 4])
def test_all_coordinates_at_1_over_l_is_gradient_descent(algorithm: dict[str, Any], nodes: int) -> None:
    """O11: with T = d every variant is dense gradient descent; 1e-12 as the specification says.

    CAT keeps all coordinates only while each one's share of the energy is above rounding: 4 rounds here.
    """
    rounds = 4 if algorithm["name"] == "cat" else 30
    pairs = zip(iterates(algorithm, ToyProblem(nodes), rounds), gd_by_hand(ToyProblem(nodes), rounds), strict=True)
    for a, b in pairs:
        assert np.abs(a - b).max() <= 1e-12 * max(np.abs(b).max(), 1.0)


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
@pytest.mark.parametrize("budget", [1, 3, 7])
def test_descent_lemma_is_an_equality_on_the_isotropic_quadratic(variant: str, budget: int) -> None:
    """O6: F(x+) = F(x) - progress(T) / (2L) ||g||^2 for F = (L/2) ||x - c||^2."""
    problem = ToyProblem(1, isotropic=True)
    algorithm = {"name": "fixed_budget", "variant": variant, "budget": budget, **EXACT}
    xs = iterates(algorithm, problem, 10)
    for x, after in itertools.pairwise(xs):
        g = problem.full_gradient(x)
        # Every round of S settles T coordinates for good: fewer may be left than the budget.
        kept = np.array([float(min(budget, np.count_nonzero(g)))])
        if not kept[0]:
            assert np.array_equal(x, after)
            continue
        fall = float(progress(g, variant, kept)[0]) / (2 * problem.smoothness()) * float(g @ g)
        assert problem.loss(after) == pytest.approx(problem.loss(x) - fall, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
def test_descent_lemma_holds_on_other_quadratics(variant: str) -> None:
    """O6: F(x+) <= F(x) - progress / (2L) ||g||^2, and some round is strict."""
    problem = ToyProblem(1, seed=3)
    xs = iterates({"name": "cat", "variant": variant, "cost": AFFINE, **EXACT}, problem)
    size = FixedBudget(variant=variant, budget=1, float_bit=64).size(12)  # type: ignore[arg-type]
    cost = StructuredCost(CostStructure(c0=50.0, c_bit=1.0), "paper", "bit")
    slack = []
    for x, after in itertools.pairwise(xs):
        g = problem.full_gradient(x)
        bound = problem.loss(x) - tune(g, variant, size, cost).progress / (2 * problem.smoothness()) * float(g @ g)
        slack.append(bound - problem.loss(after))
    assert min(slack) >= -1e-13
    assert max(slack) > 1e-4


def test_stochastic_descent_holds_in_exact_expectation() -> None:
    """O6, SS: E F(x+) = F(x) - omega/(2L) ||g||^2 on the isotropic quadratic, over all 2^8 outcomes."""
    rng = np.random.default_rng(4)
    g = rng.normal(size=8) * rng.exponential(size=8)
    smoothness, budget = 2.0, 3.3
    p = probabilities(g, optimal_level(g, budget))
    omega = float(progress(g, "stochastic", np.array([budget]))[0])
    outcomes = (np.arange(256)[:, None] >> np.arange(8)) & 1
    weight = np.where(outcomes, p, 1 - p).prod(axis=1)
    x = g / smoothness  # F = (L/2) ||x||^2 has this gradient there
    after = x - omega / smoothness * outcomes * g / p
    expected = float(weight @ (smoothness / 2 * (after**2).sum(axis=1)))
    before = smoothness / 2 * float(x @ x)
    assert expected == pytest.approx(before - omega / (2 * smoothness) * float(g @ g), rel=1e-12)


def test_stochastic_step_of_one_worker_is_omega_over_l() -> None:
    problem = ToyProblem(1, seed=1)
    algorithm = {"name": "fixed_budget", "variant": "stochastic", "budget": 3, **EXACT}
    base = scenario(algorithm, nodes=1)
    trace = lockstep.run(base, base.algorithms[0], problem, rounds=5)
    uploads = [m for m in trace.messages if m.kind == "update"]
    xs = [estimate for _, _, estimate in trace.reports]
    code = noted(StochasticSparsification(budget=3.0, float_bit=64), 1)
    for x, after, upload in zip(xs, xs[1:], uploads, strict=False):
        omega = float(progress(problem.full_gradient(x), "stochastic", np.array([3.0]))[0])
        assert code.part(0).decode(upload.payload.data, 12) == np.float32(omega)
        q = np.zeros(12)
        code.add_to(upload.payload.data, q)
        assert after == pytest.approx(x - float(np.float32(omega)) / problem.smoothness() * q, rel=1e-12)


def test_uplink_total_is_the_sum_of_payload_lengths() -> None:
    """O14."""
    base = scenario(
        {"name": "cat", "variant": "sign", "cost": AFFINE},
        network={"uplink": {"name": "ethernet_udp", "rate_bps": 1e6}},
        record={"messages": True},
    )
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    messages, rows = result.messages().to_pydict(), result.tables["rounds"].to_pydict()
    up = [i for i, kind in enumerate(messages["kind"]) if kind == "update"]
    assert rows["uplink_payload_bytes"][-1] == sum(messages["payload_bytes"][i] for i in up)
    assert rows["uplink_wire_bytes"][-1] == sum(messages["wire_bytes"][i] for i in up)
    assert rows["uplink_paper_bit"][-1] == sum(messages["paper_bit"][i] for i in up)
    for i in up:
        # Wire length of C5: count of ceil(log2 13) bits, then the formula 32 + T (ceil(log2 12) + 1), to whole bytes.
        assert messages["payload_bytes"][i] == -(-(4 + messages["paper_bit"][i]) // 8)


def test_cat_sends_what_maximises_efficiency_each_round() -> None:
    problem = ToyProblem(2, seed=5)
    xs = iterates({"name": "cat", "variant": "sparsify", "cost": AFFINE, **EXACT}, problem, 8)
    base = scenario({"name": "cat", "variant": "sparsify", "cost": AFFINE, **EXACT}, nodes=2)
    uploads = [m for m in lockstep.run(base, base.algorithms[0], problem, 8).messages if m.kind == "update"]
    for upload in uploads:
        (g,) = problem.gradients([GradientRequest(upload.src, xs[upload.round])])
        a = np.sort(g**2)[::-1].cumsum()
        t = np.arange(1, 13)
        best = int(np.argmax(a / (50.0 + t * (4 + 64)))) + 1
        assert upload.payload.paper_bit == best * (4 + 64)


def test_shared_budget_is_the_mean_of_last_rounds_preferences() -> None:
    problem = ToyProblem(3, seed=7)
    algorithm = {"name": "cat", "variant": "sparsify", "cost": AFFINE, "tune": "shared"}
    base = scenario(algorithm)
    trace = lockstep.run(base, base.algorithms[0], problem, 6)
    sent: dict[int, list[int]] = {}
    preferred: dict[int, list[float]] = {}
    for m in trace.messages:
        if m.kind == "update":
            sent.setdefault(m.round, []).append(round((m.payload.paper_bit - 32) / (4 + 32)))
            preferred.setdefault(m.round, []).append(float(np.frombuffer(m.payload.data[:4], np.float32)[0]))
    assert sent[0] == preferred[0]
    for r in range(1, 6):
        assert sent[r] == [round(np.mean(preferred[r - 1]))] * 3


def test_one_packet_budget_fills_one_packet() -> None:
    size = CodeSize(paper0_bit=32, entry_bit=14, count_bit=13)
    packets = StructuredCost(CostStructure(c_packet=1.0, payload_max_bit=800.0), "message", "packet")
    budget = one_packet_budget(size, packets, 5000)
    # 64 header + 32 scale + 13 count leave 691 bits of 800: 49 entries of 14 bits; 795 bits are 100 bytes.
    assert budget == 49
    base = scenario(
        {"name": "fixed_budget", "variant": "sparsify", "budget": "one_packet"},
        network={"uplink": {"name": "ieee802154", "payload_bytes": 20}},
        record={"messages": True},
    )
    messages = simulate(base, base.algorithms[0], 0, ToyProblem()).messages().to_pydict()
    packets_of = [p for p, kind in zip(messages["packets"], messages["kind"], strict=True) if kind == "update"]
    assert set(packets_of) == {1}
    # 20 bytes less the 8 of the header hold a count of 4 bits and 2 entries of 36.
    assert {b for b, k in zip(messages["paper_bit"], messages["kind"], strict=True) if k == "update"} == {2 * 36.0}


def test_grid_search_picks_the_best_merit_and_pays_for_the_search() -> None:
    cost = {"name": "bit"}
    algorithm = {"name": "grid_search", "variant": "sparsify", "cost": cost, "budgets": [1, 4, 12], "trial_rounds": 3}
    base = scenario({**algorithm, **EXACT}, stop={"rounds": 15}, record={"messages": True})
    problem = ToyProblem()
    engine = Engine(base, base.algorithms[0], 0, problem)
    result = engine.run()
    server = engine.actors[3].agent
    assert isinstance(server, GridSearchServer)
    merits = {}
    for t in (1, 4, 12):
        xs = iterates({"name": "fixed_budget", "variant": "sparsify", "budget": t, **EXACT}, ToyProblem(), 3)
        merits[t] = (problem.loss(xs[0]) - problem.loss(xs[3])) / (3 * 3 * t * (4 + 64))
    assert server.merits == pytest.approx(merits, rel=1e-9)
    assert server.notes[0] == max(merits, key=lambda t: merits[t])
    rows, messages = result.tables["rounds"].to_pydict(), result.messages().to_pydict()
    assert rows["budget"][1:10] == [1] * 3 + [4] * 3 + [12] * 3
    assert set(rows["budget"][10:]) == {server.notes[0]}
    assert messages["kind"].count("loss") == 4 * 3
    trials = 3 * 3 * (1 + 4 + 12) * 68 + 4 * 3 * 64
    assert rows["uplink_paper_bit"][9] == pytest.approx(trials - 3 * 64)
    # Round 10 goes on from where the best trial ended.
    ended = {1: 3, 4: 6, 12: 9}[int(server.notes[0])]
    assert rows["loss"][10] < rows["loss"][ended]


def test_alistarh_budget_and_iterates() -> None:
    problem = ToyProblem(1, seed=2)
    base = scenario({"name": "alistarh", "model_bit": 64}, nodes=1)
    trace = lockstep.run(base, base.algorithms[0], problem, 10)
    xs = [estimate for _, _, estimate in trace.reports]
    for message in (m for m in trace.messages if m.kind == "update"):
        g = np.sort(np.abs(problem.full_gradient(xs[message.round])))[::-1]
        t = int(np.argmax(g.cumsum() >= np.linalg.norm(g))) + 1
        assert message.payload.paper_bit == 32 + t * (4 + 1)


def test_efficiency_curve_marks_the_chosen_budget_as_its_peak() -> None:
    base = scenario({"name": "cat", "variant": "sparsify", "cost": {"name": "from_channel", "quantity": "s"}},
                    network={"uplink": {"name": "ethernet_udp", "rate_bps": 1e6}})  # fmt: skip
    engine = Engine(base, base.algorithms[0], 0, ToyProblem())
    result = engine.run()
    curve = result.tables["efficiency"].to_pydict()
    assert sorted(set(curve["round"])) == [0, 10, 20]
    for r in (0, 10, 20):
        points = [i for i, x in enumerate(curve["round"]) if x == r]
        (chosen,) = [i for i in points if curve["chosen"][i]]
        assert curve["efficiency"][chosen] == max(curve["efficiency"][i] for i in points)
    assert set(curve["quantity"]) == {"s"}


def test_configurations_are_values() -> None:
    from netsim.registry import build

    cat = build("algorithm", {"name": "cat", "variant": "sign", "cost": {"name": "bit"}})
    assert cat == Cat(variant="sign", cost=build("cost", "bit"))
    assert hash(cat) == hash(build("algorithm", {"name": "cat", "variant": "sign", "cost": "bit"}))
    fixed = build("algorithm", {"name": "fixed_budget", "variant": "sign", "budget": "one_packet"})
    assert fixed == FixedBudget(variant="sign", budget="one_packet")
