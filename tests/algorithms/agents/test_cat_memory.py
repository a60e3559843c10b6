"""CAT's open problems: memories of biased variants, a sample of the workers, and local steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array, GradientRequest
from netsim.registry import build
from tests.support.toys import ToyProblem
from tests.support.watch import LoggedProblem, iterates, trace, uploaders, watch

DIM, ROUNDS = 12, 40
EXACT = {"float_bit": 64, "model_bit": 64}
AFFINE = {"name": "affine", "c0": 200.0, "c_bit": 1.0}
ALL = {"name": "affine", "c0": 1e15, "c_bit": 1.0}  # what the first bit costs makes CAT send all
ONE = {"name": "count"}  # progress(T) / T is largest at T = 1


def unlike() -> ToyProblem:
    """Nodes whose gradients do not vanish at the minimiser."""
    problem = ToyProblem(4, DIM)
    problem.centres = problem.centres + np.random.default_rng(0).standard_normal((4, DIM))
    return problem


def gap(problem: ToyProblem, x: Array) -> float:
    return 0.5 * float(problem.curvature.mean(axis=0) @ (x - problem.optimum().at) ** 2)


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
def test_error_memory(variant: str) -> None:
    """x - gamma mean e moves by -gamma mean g, whatever T: 1e-12."""
    problem, gamma, virtual, budgets = LoggedProblem(3, batch=8), 0.1, [], set()

    def look(round: int, server: Any, workers: list[Any]) -> None:
        virtual.append(server.x - gamma * np.mean([worker.compensation.e for worker in workers], axis=0))

    keys = {"name": "cat", "variant": variant, "cost": AFFINE, "memory": "ef", "step_size": gamma, **EXACT}
    watch(keys, problem, ROUNDS, look)
    for t in range(ROUNDS):
        step = gamma * np.mean([problem.log[m][t] for m in range(3)], axis=0)
        np.testing.assert_allclose(virtual[t + 1], virtual[t] - step, rtol=0, atol=1e-12)
    budgets = {m.payload.paper_bit for m in trace(keys, ToyProblem(3, batch=8), ROUNDS).messages if m.kind == "update"}
    assert len(budgets) > 2  # T is tuned


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
def test_estimates_of_both_ends_agree(variant: str) -> None:
    def look(round: int, server: Any, workers: list[Any]) -> None:
        held = np.array([worker.compensation.h for worker in workers])
        np.testing.assert_allclose(server.h, held.mean(axis=0), rtol=0, atol=1e-13 * (1 + np.abs(held).max()))

    keys = {"name": "cat", "variant": variant, "cost": AFFINE, "memory": "ef21", "participation": 0.5}
    watch({**keys, "step_size": 0.1}, ToyProblem(4, batch=8), ROUNDS, look)


@pytest.mark.parametrize("memory", ["ef", "ef21"])
def test_with_one_entry_it_is_top_1(memory: str) -> None:
    """T = 1 always, so that CAT S with memory is EF or EF21 with top_k."""
    keys = {"step_size": 0.05, "model_bit": 64}
    top = {"name": "top_k", "k": 1, "float_bit": 64}
    other = {
        "ef": {"name": "dcgd", "compressor": {"name": "error_feedback", "part": top}},
        "ef21": {"name": "ef21", "compressor": top},
    }[memory]
    expected = iterates({**other, **keys}, ToyProblem(3, batch=8), ROUNDS)
    cat = {"name": "cat", "variant": "sparsify", "cost": ONE, "memory": memory, "float_bit": 64, **keys}
    np.testing.assert_array_equal(iterates(cat, ToyProblem(3, batch=8), ROUNDS), expected)


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
def test_floors_on_unlike_nodes(variant: str) -> None:
    """At one step: none above EF above EF21, which has none (F - F* of about 1e-20 is rounding)."""
    keys = {"name": "cat", "variant": variant, "cost": AFFINE, "step_size": 0.1, **EXACT}
    gaps = {m: gap(unlike(), iterates({**keys, "memory": m}, unlike(), 250)[-1]) for m in ("none", "ef", "ef21")}
    assert gaps["none"] > 1e-3
    assert gaps["ef"] < 0.1 * gaps["none"]
    assert gaps["ef21"] < 1e-9


def test_error_memorys_floor_shrinks_with_the_step() -> None:
    """The memory's floor is of order gamma^2 (Stich, Karimireddy 2020), so that half the step leaves a quarter."""
    keys = {"name": "cat", "variant": "sparsify", "cost": AFFINE, "memory": "ef", **EXACT}
    ends = [
        np.mean([gap(unlike(), x) for x in iterates({**keys, "step_size": s}, unlike(), 700)[-200:]])
        for s in (0.1, 0.05)
    ]
    assert 2.5 < ends[0] / ends[1] < 6.0


@pytest.mark.parametrize(("participation", "asked"), [(0.5, 2), (0.3, 1), (1.0, 4)])
def test_a_sample_of_the_workers(participation: float, asked: int) -> None:
    """Only these get the model, and the step is along their mean upload."""
    problem = unlike()
    keys = {"name": "cat", "variant": "sparsify", "cost": ALL, "participation": participation, "step_size": 0.1}
    seen = trace({**keys, **EXACT}, problem, ROUNDS)
    sent = uploaders(seen, ROUNDS)
    assert [{m.dst for m in seen.messages if m.kind == "model" and m.round == t} for t in range(ROUNDS)] == sent
    assert {len(who) for who in sent} == {asked}
    xs = [x for _, _, x in seen.reports]
    for t in range(10):  # CAT leaves out what is below rounding later on
        g = np.mean(problem.gradients([GradientRequest(m, xs[t]) for m in sorted(sent[t])]), axis=0)
        np.testing.assert_allclose(xs[t + 1], xs[t] - 0.1 * g, rtol=0, atol=1e-6)


def test_local_steps() -> None:
    """With T = d and three steps the upload is the sum of three gradients; the model moves by gamma times its mean."""
    problem, gamma = unlike(), 0.05
    keys = {"name": "cat", "variant": "sparsify", "cost": ALL, "local_steps": 3, "step_size": gamma, **EXACT}
    found, x = iterates(keys, problem, 10), problem.start()
    for t in range(10):
        ends = []
        for m in range(4):
            y = x
            for _ in range(3):
                y = y - gamma * problem.gradients([GradientRequest(m, y)])[0]
            ends.append(y)
        x = np.mean(ends, axis=0)
        np.testing.assert_allclose(found[t + 1], x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("memory", ["ef", "ef21"])
def test_the_unbiased_variant_has_no_memory(memory: str) -> None:
    with pytest.raises(ConfigError, match=f"memory: none, as the stochastic variant is unbiased.*Got {memory}"):
        build("algorithm", {"name": "cat", "variant": "stochastic", "cost": "bit", "memory": memory})


@pytest.mark.parametrize("waits", [{"quorum": 2}, {"deadline_s": 1.0}])
def test_a_memory_counts_on_every_upload(waits: dict[str, Any]) -> None:
    keys = {"name": "cat", "variant": "sparsify", "cost": "bit", **waits}
    assert build("algorithm", keys).tolerates == {"late", "loss"}
    assert build("algorithm", {**keys, "memory": "ef21"}).tolerates == {"late", "known_loss"}
