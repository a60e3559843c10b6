"""Workers that remember what they sent, on links that lose messages and tell the sender.

A quarter of all messages is lost both ways, those that arrive overtake each other, and many come after the deadline. At
every instant a worker that waits for a model has nothing under way, so what it remembers and what the server has of it
must agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netsim.interfaces import Array, Receive
from netsim.scenario import ComputeModel, Distribution, Network
from netsim.simulation.engine import Engine, RunResult
from tests.support.lossy import Lossy
from tests.support.toys import Jitter, scenario
from tests.support.watch import LoggedProblem
from tests.support.watched import watch

ROUNDS = 80
EXACT = {"model_bit": 64, "step_size": 0.1}
IDENTITY = {"name": "identity", "float_bit": 64}
QSGD = {"name": "qsgd", "levels": 2}
TOP = {"name": "top_k", "k": 3}
BIT = {"name": "bit"}
DRIFTS = [0, "g", "v", "m", "avg"]

STATES: list[dict[str, Any]] = [
    {"name": "lag", "xi": 1.0, "window": 3},
    {"name": "lag", "rule": "server", "xi": 1.0, "window": 3, "step_size": 0.04},
    {"name": "laq", "bits": 5, "max_age": 6},
    {"name": "lasg", "rule": "wk1", "max_age": 7},
    {"name": "lasg", "rule": "wk2", "xi": 0.02, "step_size": 0.04},
    {"name": "lasg", "rule": "ps", "xi": 0.2, "step_size": 0.04},
    {"name": "diana", "compressor": QSGD, "momentum": 0.3, "step_size": 0.05},
    {"name": "marina", "compressor": QSGD, "full_probability": 0.3, "float_bit": 64, "step_size": 0.05},
    {"name": "adiana", "compressor": QSGD, "step_size": 0.05},
    {"name": "vr_diana", "compressor": QSGD, "step_size": 0.05},
    {"name": "ef21", "compressor": TOP},
    {"name": "ef21", "compressor": TOP, "participation": 0.67},
]
ERRORS: list[dict[str, Any]] = [
    {"name": "ef_sgd", "compressor": TOP},
    {"name": "dcgd", "compressor": {"name": "error_feedback", "part": TOP}},
    {"name": "cat", "variant": "sparsify", "cost": BIT, "memory": "ef"},
    {"name": "deep_gradient_compression", "fraction": 0.2, "momentum": 0.0},
    {"name": "gaia", "threshold": 0.2},
    {"name": "qsparse_local_sgd", "compressor": TOP, "local_steps": 1},
]


TWO_WAYS: list[dict[str, Any]] = [
    {"name": "double_squeeze", "compressor": TOP},
    {"name": "dist_ef_blockwise", "momentum": 0.0},
    {"name": "one_bit_sgd", "float_bit": 64},
    {"name": "ssgd_top_k", "fraction": 0.25, "local_steps": 1, "float_bit": 64},
]


def network_of(link: Any) -> dict[str, Any]:
    slow = ComputeModel(gradient_s=Distribution("exponential", mean_s=0.1))
    return {"network": Network(link=link, silence="flag"), "compute": slow}


def run(
    algorithm: dict[str, Any],
    problem: Any,
    look: Callable[[Any], None],
    begin: Callable[[Any], None] = lambda _: None,
    link: Any = None,
) -> RunResult:
    """Run with a deadline that about a third of the uploads miss."""
    base = scenario({**EXACT, **algorithm, "deadline_s": 0.4}, stop={"rounds": ROUNDS})
    return watch(dataclasses.replace(base, **network_of(link or Lossy())), problem, look, begin)


def at_rest(engine: Engine, worker: int) -> bool:
    """Whether a worker waits for a model, and all that it sent is taken in or lost."""
    waiting, server = engine.actors[worker].waiting, engine.world.server
    unread = any(m.src == worker for m in engine.actors[server].mailbox.messages)
    flying = any(f.message.src == worker for f in engine.traffic.under_way())
    return isinstance(waiting, Receive) and not unread and not flying


class Copies:
    """What a server knows of h_m, from the uploads that its steps take, with as many of them late."""

    def __init__(self, engine: Any, rate: float = 1.0) -> None:
        self.server = engine.agent(engine.world.server)
        self.h = np.zeros((3, self.server.x.size))
        self.late = self.in_time = 0
        inner, marina = self.server.step, hasattr(self.server, "coins")

        async def step(round: int, updates: Any) -> None:
            for upload in updates.sent:
                codec = self.server.codecs[self.server.coins[upload.round]] if marina else self.server.codec
                found = codec.decode(upload.data, self.server.x.size)
                self.h[upload.src] += rate * (found[1] if isinstance(found, tuple) else found)
                self.late += upload.round < round
                self.in_time += upload.round == round
            await inner(round, updates)

        self.server.step = step


@pytest.mark.parametrize("algorithm", STATES, ids=lambda a: "-".join(map(str, a.values()))[:40])
@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_both_ends_know_the_same(algorithm: dict[str, Any], link: Any) -> None:
    """Every h_m is the same, bit for bit, at the worker and of the uploads that the server took; h is their mean."""
    problem, found, rests = LoggedProblem(3, batch=8), list[Copies](), [0, 0, 0]

    def begin(engine: Any) -> None:
        found.append(Copies(engine, getattr(engine.agent(0), "rate", 1.0)))

    def look(engine: Any) -> None:
        copies = found[0]
        resting = [at_rest(engine, m) for m in range(3)]
        for m in range(3):
            if resting[m]:
                rests[m] += 1
                assert (engine.agent(m).h == copies.h[m]).all()
        if all(resting):
            mean = getattr(copies.server, "h", getattr(copies.server, "g", None))
            np.testing.assert_allclose(mean, copies.h.mean(axis=0), rtol=0, atol=1e-12)

    result = run(algorithm, problem, look, begin, link)
    assert result.status == "done", result.sentence
    assert found[0].late >= 2
    assert found[0].in_time > 2
    assert min(rests) > 5
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert gaps[-1] < 0.3 * gaps[0]


def test_what_marina_knows_is_the_gradient_at_the_last_model_whose_upload_arrived() -> None:
    """With the identity: h_m = grad f_m there, whatever was lost in between."""
    problem, seen = LoggedProblem(3), [0]

    def look(engine: Any) -> None:
        for m in range(3):
            worker = engine.agent(m)
            if at_rest(engine, m) and worker.last is not None:
                expected = problem.curvature[m] * (worker.last[0] - problem.centres[m])
                np.testing.assert_allclose(worker.h, expected, rtol=0, atol=1e-12)
                seen[0] += 1

    keys = {"name": "marina", "compressor": IDENTITY, "full_probability": 0.2, "float_bit": 64, "step_size": 0.05}
    assert run(keys, problem, look, link=Lossy()).status == "done"
    assert seen[0] > 20


@pytest.mark.parametrize("algorithm", ERRORS, ids=lambda a: "-".join(map(str, a.values()))[:40])
@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_what_is_not_delivered_stays_in_the_memory(algorithm: dict[str, Any], link: Any) -> None:
    """x - mean e = x^0 - gamma mean_m sum g_m over all gradients taken, whatever was lost or late."""
    problem, seen = LoggedProblem(3, batch=8), [0]
    in_steps = algorithm["name"] in ("ef_sgd", "gaia", "qsparse_local_sgd")

    def look(engine: Any) -> None:
        if not all(at_rest(engine, m) for m in range(3)):
            return
        left = engine.agent(3).x - problem.start()
        for m in range(3):
            e = error(engine.agent(m))
            total = np.sum(problem.log[m], axis=0) if problem.log[m] else np.zeros_like(e)
            left = left + (0.1 * total - (e if in_steps else 0.1 * e)) / 3
        assert np.abs(left).max() < 1e-9
        seen[0] += 1

    result = run({**algorithm, "float_bit": 64} if "float_bit" in algorithm else algorithm, problem, look, link=link)
    assert result.status == "done"
    assert seen[0] > 5
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert gaps[-1] < 0.3 * gaps[0]


def error(worker: Any) -> Array:
    """The error memory of a worker, wherever it keeps that."""
    if hasattr(worker, "compensation"):
        found: Array = worker.compensation.e
    elif worker.memory is not None:
        found = worker.memory.error
    else:
        found = getattr(worker, "a", getattr(worker, "v", np.zeros(12)))
    return found


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_lena(drift: Any, times: int, link: Any) -> None:
    """Drifts agree bit for bit, and x - mean e moves by -alpha mean g, a drift for every round that a worker missed."""
    problem, alpha, rounds, seen = LoggedProblem(3, batch=8), 0.05, [0], [0]
    keys = {"name": "lena", "beta": 2.0, "drift": drift, "times": times, "compressor": IDENTITY}

    def begin(engine: Any) -> None:
        server = engine.agent(3)
        inner = server.step

        async def step(round: int, updates: Any) -> None:
            await inner(round, updates)
            rounds[0] = round + 1

        server.step = step

    def look(engine: Any) -> None:
        resting = [at_rest(engine, m) for m in range(3)]
        workers, server = [engine.agent(m) for m in range(3)], engine.agent(3)
        for m, worker in enumerate(workers):
            if resting[m]:
                assert (server.q[m] == worker.q).all()
                assert server.last[m] == worker.last
        if all(resting):
            left = server.x - problem.start()
            for m, worker in enumerate(workers):
                total = np.sum(problem.log[m], axis=0) if problem.log[m] else 0.0
                e = worker.e - (rounds[0] - worker.next) * worker.q
                left = left + (alpha * total - e) / 3
            assert np.abs(left).max() < 1e-12 * max(1e3, np.abs(server.x).max())
            seen[0] += 1

    result = run({**keys, "step_size": alpha}, problem, look, begin, link)
    assert result.status == "done"
    assert seen[0] > 5
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    if drift != "v":  # where nobody hears of it, a whole upload again in every round leads far away
        assert gaps[-1] < 0.3 * gaps[0]


@pytest.mark.parametrize("algorithm", [*TWO_WAYS, {"name": "signsgd", "step_size": 0.1}], ids=lambda a: str(a["name"]))
@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_copies_of_the_model_catch_up(algorithm: dict[str, Any], link: Any) -> None:
    """A worker has a model that the server had, bit for bit, and with error memories nothing is lost either way."""
    problem, models, seen, behind = LoggedProblem(3, batch=8), [np.zeros(0)], [0], [0]

    def look(engine: Any) -> None:
        server = engine.agent(3)
        if not (server.x == models[-1]).all():
            models.append(server.x)
        for m in range(3):
            x = engine.agent(m).x
            assert any((x == model).all() for model in models[-8:])
            behind[0] += not (x == server.x).all()
        if all(at_rest(engine, m) for m in range(3)) and algorithm in TWO_WAYS:
            in_steps = algorithm["name"] in ("dist_ef_blockwise", "ssgd_top_k")
            memory = getattr(server, "memory", None)
            left, sign = server.x - problem.start(), -1.0 if algorithm["name"] == "ssgd_top_k" else 1.0
            left = left - (1 if in_steps else 0.05) * (0 if memory is None else memory.error)
            for m in range(3):
                e = error(engine.agent(m))
                total = np.sum(problem.log[m], axis=0) if problem.log[m] else np.zeros_like(e)
                left = left + (0.05 * total - sign * (e if in_steps else 0.05 * e)) / 3
            assert np.abs(left).max() < 1e-9
            seen[0] += 1

    models[0] = problem.start()
    result = run({"step_size": 0.05, **algorithm}, problem, look, link=link)
    assert result.status == "done"
    assert seen[0] > 5 or algorithm not in TWO_WAYS
    assert behind[0] > 20
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert gaps[-1] < 0.5 * gaps[0]


VOTES: list[dict[str, Any]] = [
    {},
    {"mask": "sampled", "aggregate": "sum"},
    {"mask": "add_drop", "change_fraction": 0.1},
    {"mask": "add_drop", "change_fraction": 0.1, "init_vote": "empty", "warm_up_rounds": 5},
    {"layer_wise": True, "local_steps": 2, "quantiser": {"name": "fractional", "bits": 3}},
]


@pytest.mark.parametrize("keys", VOTES, ids=lambda keys: "-".join(map(str, keys.values())) or "votes")
@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_majority_voting(keys: dict[str, Any], link: Any) -> None:
    """A worker has a model that the server had, and votes and values that either end has or waits to send add up.

    Over all workers the sets A_n are, bit for bit, the server's counts; x + mean e, with what came late and waits for
    its mask at the server, is x^0 - gamma mean sum g.
    """
    problem, rests, behind, waited, gamma = LoggedProblem(3, batch=8), [0], [0], [0], 0.02
    models, mean = [problem.start()], np.sum if keys.get("aggregate") == "sum" else np.mean
    steps = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 1, "quantiser": IDENTITY, "step_size": gamma, **keys}

    def look(engine: Any) -> None:
        server, workers = engine.agent(3), [engine.agent(m) for m in range(3)]
        if not (server.x == models[-1]).all():
            models.append(server.x)
        for worker in workers:
            assert any((worker.x == model).all() for model in models[-8:])
            behind[0] += not (worker.x == server.x).all()
        waited[0] += bool(server.late.left.any())
        if all(at_rest(engine, m) for m in range(3)):
            taken = np.array([np.sum(problem.log[m], axis=0) if problem.log[m] else np.zeros(12) for m in range(3)])
            held = np.array([worker.e for worker in workers]) + gamma * taken
            late = server.late.left / (1 if mean is np.sum else 3)
            assert np.abs(server.x - models[0] + mean(held, axis=0) + late).max() < 1e-9
            if keys.get("mask") == "add_drop":
                assert (server.votes == sum(np.isin(np.arange(12), worker.own) for worker in workers)).all()
            rests[0] += 1

    result = run(steps, problem, look, link=link)
    assert result.status == "done", result.sentence
    assert rests[0] > 5
    assert behind[0] > 20
    assert waited[0] > 0
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert gaps[-1] < 0.6 * gaps[0]


@pytest.mark.parametrize("link", [Lossy(), Jitter()], ids=["lossy", "late"])
def test_scaffold(link: Any) -> None:
    """Every c_m is the sum of its changes that the server took, bit for bit, and c is their mean."""
    problem, found, rests = LoggedProblem(3, batch=8), list[Array](), [0]

    def begin(engine: Any) -> None:
        server, sums = engine.agent(3), np.zeros((3, 12))
        inner = server.step

        async def step(round: int, updates: Any) -> None:
            for upload in updates.sent:
                sums[upload.src] += server.codec.decode(upload.data, 12)[1]
            await inner(round, updates)

        server.step = step
        found.append(sums)

    def look(engine: Any) -> None:
        resting = [at_rest(engine, m) for m in range(3)]
        for m in range(3):
            assert not resting[m] or (engine.agent(m).c_m == found[0][m]).all()
        if all(resting):
            np.testing.assert_allclose(engine.agent(3).c, found[0].mean(axis=0), rtol=0, atol=1e-11)
            rests[0] += 1

    keys = {"name": "scaffold", "local_steps": 2, "step_size": 0.05, "compressor": IDENTITY}
    result = run(keys, problem, look, begin, link)
    assert result.status == "done"
    assert rests[0] > 0
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert gaps[-1] < 0.3 * gaps[0]
