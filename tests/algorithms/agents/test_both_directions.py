"""Compression both ways, signs, and what is sent late: virtual iterates and recursions by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array, GradientRequest
from netsim.registry import build
from netsim.rng import stream
from tests.support.toys import ToyProblem
from tests.support.watch import LoggedProblem, iterates, trace, uploaders, watch

DIM, ROUNDS = 12, 30
FLOAT64 = {"name": "identity", "float_bit": 64}
TOP_2 = {"name": "top_k", "k": 2}


def error(agent: Any) -> Array:
    return np.zeros(DIM) if agent.memory is None else agent.memory.error


def gradients(problem: ToyProblem, x: Array) -> Array:
    return np.array(problem.gradients([GradientRequest(m, x) for m in range(problem.num_nodes)]))


# --- error memories at both ends ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "double_squeeze", "compressor": TOP_2},
        {"name": "double_squeeze", "compressor": "scaled_sign", "server_compressor": {"name": "qsgd", "levels": 4}},
        {"name": "one_bit_sgd"},
        {"name": "dist_ef_blockwise", "compressor": {"name": "block_sign", "block": 5}},
    ],
    ids=str,
)
def test_virtual_iterate_of_two_memories(algorithm: dict[str, Any]) -> None:
    """x - gamma (mean e + E) moves by -gamma mean g; for dist_ef_blockwise e and E hold gamma already. 1e-12."""
    problem, gamma, virtual = LoggedProblem(3, batch=8), 0.05, []
    factor = 1.0 if algorithm["name"] == "dist_ef_blockwise" else gamma

    def look(round: int, server: Any, workers: list[Any]) -> None:
        left = np.mean([error(worker) for worker in workers], axis=0) if round else np.zeros(DIM)
        virtual.append(server.x - factor * (left + error(server)))

    watch({**algorithm, "step_size": gamma}, problem, ROUNDS, look)
    for t in range(ROUNDS):
        step = gamma * np.mean([problem.log[m][t] for m in range(3)], axis=0)
        np.testing.assert_allclose(virtual[t + 1], virtual[t] - step, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["double_squeeze", "one_bit_sgd", "dist_ef_blockwise", "signsgd", "gtop_k"])
def test_all_nodes_keep_the_same_model(name: str) -> None:
    """O12: when the server has made a step, its workers still have the model before, bit for bit."""
    before: list[Array] = []

    def look(round: int, server: Any, workers: list[Any]) -> None:
        if round:
            assert all(worker.x.tobytes() == before[-1].tobytes() for worker in workers)
        before.append(server.x)

    more = {"double_squeeze": {"compressor": TOP_2}, "gtop_k": {"k": 3}}.get(name, {})
    watch({"name": name, "step_size": 0.05, **more}, ToyProblem(3, batch=8), ROUNDS, look)
    assert len(before) == ROUNDS + 1


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "double_squeeze", "compressor": FLOAT64},
        {"name": "dist_ef_blockwise", "compressor": FLOAT64},
        {"name": "gtop_k", "k": DIM, "float_bit": 64},
        {"name": "gaia", "threshold": 0.0, "float_bit": 64, "model_bit": 64},
        {"name": "deep_gradient_compression", "fraction": 1.0, "float_bit": 64, "model_bit": 64},
    ],
    ids=str,
)
def test_without_compression_it_is_sgd(algorithm: dict[str, Any]) -> None:
    """Momentum of deep_gradient_compression, too, ends with each entry sent, and all are."""
    expected = iterates({"name": "gd", "step_size": 0.3, "float_bit": 64, "model_bit": 64}, ToyProblem(3, batch=8), 30)
    found = iterates({**algorithm, "step_size": 0.3}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_one_bit_sgd_is_double_squeeze() -> None:
    one = iterates({"name": "one_bit_sgd", "step_size": 0.1}, ToyProblem(3, batch=8), ROUNDS)
    two = iterates({"name": "double_squeeze", "compressor": "one_bit", "step_size": 0.1}, ToyProblem(3, batch=8), 30)
    np.testing.assert_array_equal(one, two)


def block_sign(x: Array, block: int) -> Array:
    parts = [x[i : i + block] for i in range(0, x.size, block)]
    return np.concatenate([np.abs(part).mean() * np.where(part < 0, -1.0, 1.0) for part in parts])


def test_dist_ef_blockwise_is_the_papers_recursion() -> None:
    """p = g' + (gamma_{k-1} / gamma_k) e in units of gradients, g' = b v + g; steps 1/(k+1) shrink by half at first."""
    problem, b, block = ToyProblem(3), 0.6, 5
    coded = {"name": "block_sign", "block": block, "float_bit": 64}
    rule = {"name": "inverse_round", "a": 0.5}
    found = iterates({"name": "dist_ef_blockwise", "compressor": coded, "momentum": b, "step_size": rule}, problem, 30)
    x, v, e, back = problem.start(), np.zeros((3, DIM)), np.zeros((3, DIM)), np.zeros(DIM)
    for k in range(ROUNDS):
        gamma, last = 0.5 / (k + 1), 0.5 / max(k, 1)
        g = gradients(problem, x)
        v = b * v + g
        p = b * v + g + last / gamma * e
        sent = np.array([block_sign(row, block) for row in p])
        e = p - sent
        total = sent.mean(axis=0) + last / gamma * back
        step = block_sign(total, block)
        back = total - step
        x = x - gamma * step
        np.testing.assert_allclose(found[k + 1], x, rtol=0, atol=1e-11)


def test_one_bit_sgd_knows_the_tensors() -> None:
    """Four columns have two means each."""
    problem = ToyProblem()
    problem.layout = ((3, 4),)
    seen = trace({"name": "one_bit_sgd", "step_size": 0.1}, problem, 3).messages
    assert {m.payload.paper_bit for m in seen} == {2 * 32 * 4 + 12}


def test_bits_both_ways() -> None:
    """Of d = 12: k (lg d + 32) of each sparse message, d + 32 of scaled signs, d of signs."""
    for algorithm, up, down in (
        ({"name": "double_squeeze", "compressor": TOP_2}, 2 * 36, 2 * 36),
        ({"name": "double_squeeze", "compressor": TOP_2, "server_compressor": "scaled_sign"}, 2 * 36, 44),
        ({"name": "signsgd"}, 12, 12),
        ({"name": "one_bit_sgd"}, 64 + 12, 64 + 12),
        ({"name": "gtop_k", "k": 3}, 3 * 36, 3 * 36),
        ({"name": "dist_ef_blockwise", "compressor": {"name": "block_sign", "block": 4}}, 3 * 32 + 12, 3 * 32 + 12),
    ):
        seen = trace({"step_size": 0.05, **algorithm}, ToyProblem(), 5).messages
        assert {m.payload.paper_bit for m in seen if m.kind == "update"} == {up}
        assert {m.payload.paper_bit for m in seen if m.kind == "step"} == {down}
        assert {m.kind for m in seen} == {"update", "step"}


# --- signs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 3, 4])
def test_signsgd_by_hand(nodes: int) -> None:
    """The majority of signs with momentum; of four votes two are a tie, which counts as +1."""
    problem, b = ToyProblem(nodes), 0.5
    found = iterates({"name": "signsgd", "step_size": 0.03, "momentum": b}, problem, 60)
    x, v, ties = problem.start(), np.zeros((nodes, DIM)), 0
    for k in range(60):
        v = b * v + gradients(problem, x)
        votes = np.where(v < 0, -1.0, 1.0).sum(axis=0)
        ties += np.count_nonzero(votes == 0)
        x = x - 0.03 * np.where(votes < 0, -1.0, 1.0)
        np.testing.assert_array_equal(found[k + 1], x)
    assert (ties > 0) == (nodes == 4)


def test_equal_nodes_vote_like_one() -> None:
    alone, many = (iterates({"name": "signsgd", "step_size": 0.1}, ToyProblem(n, isotropic=True), 20) for n in (1, 4))
    np.testing.assert_array_equal(alone, many)


# --- sent late ----------------------------------------------------------------------------------------------


def test_deep_gradient_compression_by_hand() -> None:
    """Clipping to c / sqrt(M), momentum before accumulation, masks on both, and the sparsity of each quarter."""
    problem, b, gamma, clip = ToyProblem(3), 0.7, 0.05, 10.0
    keys = {"fraction": 0.1, "momentum": b, "clip_norm": clip, "warmup_rounds": 16, "step_size": gamma}
    exact = {"float_bit": 64, "model_bit": 64}
    found = iterates({"name": "deep_gradient_compression", **keys, **exact}, problem, 40)
    x, u, v = problem.start(), np.zeros((3, DIM)), np.zeros((3, DIM))
    clipped = 0
    for t in range(40):
        kept = max(int(DIM * (max(0.1, 0.25 ** (1 + t // 4)) if t < 16 else 0.1)), 1)
        sent = np.zeros((3, DIM))
        for m, g in enumerate(gradients(problem, x)):
            norm = np.linalg.norm(g)
            clipped += norm > clip / np.sqrt(3)
            u[m] = b * u[m] + g * min(1.0, clip / np.sqrt(3) / norm)
            v[m] += u[m]
            where = np.argsort(-np.abs(v[m]), kind="stable")[:kept]
            sent[m, where] = v[m, where]
            u[m, where] = v[m, where] = 0.0
        x = x - gamma * sent.mean(axis=0)
        np.testing.assert_allclose(found[t + 1], x, rtol=0, atol=1e-12)
    assert 0 < clipped < 3 * 40


def test_deep_gradient_compression_without_momentum_is_error_feedback() -> None:
    keys = {"step_size": 0.1, "model_bit": 64}
    feedback = {"name": "error_feedback", "part": {"name": "top_k", "k": 2}}
    expected = iterates({"name": "dcgd", "compressor": feedback, **keys}, ToyProblem(3, batch=8), ROUNDS)
    found = iterates({"name": "deep_gradient_compression", "fraction": 0.17, "momentum": 0.0, **keys},
                     ToyProblem(3, batch=8), ROUNDS)  # fmt: skip
    np.testing.assert_array_equal(found, expected)


def test_global_top_k_gives_back_what_it_leaves_out() -> None:
    """x - gamma mean e moves by -gamma mean g: seen when the workers have taken the step, a round later."""
    problem, gamma, k = LoggedProblem(3, batch=8), 0.1, 3
    models, steps, memories = [], [], []

    def look(round: int, server: Any, workers: list[Any]) -> None:
        # e + sent is g + e before the upload: what the memory would be had nothing been sent.
        memories.append(np.mean([worker.e + worker.sent for worker in workers], axis=0))
        models.append(server.x)
        steps.append(np.count_nonzero(models[-1] - models[-2]) if round else 0)

    watch({"name": "gtop_k", "k": k, "float_bit": 64, "step_size": gamma}, problem, ROUNDS, look)
    assert max(steps) == k
    for t in range(1, ROUNDS):
        g = np.mean([problem.log[m][t] for m in range(3)], axis=0)
        # memory after round t's step = memories[t] - (what round t - 1 applied), in units of gradients
        applied = (models[t - 1] - models[t]) / gamma
        np.testing.assert_allclose(memories[t + 1], memories[t] - applied + g, rtol=0, atol=1e-12)


@pytest.mark.parametrize("decay", ["root", "none"])
def test_gaia_by_hand(decay: str) -> None:
    """Gradients at the copies x - a, and of a exactly those entries sent that are significant."""
    problem, gamma, v = ToyProblem(3), 0.05, 0.3
    keys = {"threshold": v, "decay": decay, "step_size": gamma, "float_bit": 64, "model_bit": 64}
    found, sizes = iterates({"name": "gaia", **keys}, problem, ROUNDS), set()
    x, a = problem.start(), np.zeros((3, DIM))
    for t in range(ROUNDS):
        for m in range(3):
            (g,) = problem.gradients([GradientRequest(m, x - a[m])])
            a[m] += gamma * g
        is_sent = np.abs(a) >= v / (np.sqrt(t + 1) if decay == "root" else 1) * np.abs(x)
        sizes |= set(is_sent.sum(axis=1))
        x = x - np.where(is_sent, a, 0.0).mean(axis=0)
        a[is_sent] = 0.0
        np.testing.assert_allclose(found[t + 1], x, rtol=0, atol=1e-12)
    assert len(sizes) > 2


# --- dynamic averaging --------------------------------------------------------------------------------------


def test_without_tolerance_it_is_local_sgd() -> None:
    keys = {"local_steps": 3, "momentum": 0.4, "step_size": 0.05, "model_bit": 64}
    sgd = {"name": "local_sgd", **keys, "float_bit": 64}
    expected = iterates({k: v for k, v in sgd.items() if k != "float_bit"}, ToyProblem(3, batch=8), ROUNDS)
    found = iterates({"name": "dynamic_averaging", "divergence": 0.0, **keys}, ToyProblem(3, batch=8), ROUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # local_sgd uploads floats of 32 bits


@pytest.mark.parametrize("divergence", [0.03, 0.3, 3.0])
def test_dynamic_averaging_by_hand(divergence: float) -> None:
    """Who sends, who is asked (the server's stream), what is averaged, and when there is a new reference."""
    problem, gamma, steps, rounds = ToyProblem(5), 0.02, 2, 60
    keys = {"divergence": divergence, "local_steps": steps, "step_size": gamma, "model_bit": 64}
    seen = trace({"name": "dynamic_averaging", **keys}, problem, rounds)
    rng, reference = stream(0, 0, 5, "balancing"), problem.start()
    x = dict.fromkeys(range(5), reference)
    known, sizes = dict(x), set()
    for t in range(rounds):
        for m in range(5):
            for _ in range(steps):
                x[m] = x[m] - gamma * problem.gradients([GradientRequest(m, x[m])])[0]
        inside = [m for m in range(5) if np.sum((x[m] - reference) ** 2) > divergence]
        mine = [m for m in seen.messages if m.round == t]
        assert [m.src for m in mine if m.kind == "update"] == inside
        others = [int(m) for m in rng.permutation(5) if m not in inside]
        while inside and others and np.sum((np.mean([x[m] for m in inside], axis=0) - reference) ** 2) > divergence:
            inside.append(others.pop())
        assert {m.dst for m in mine if m.kind in ("some", "all")} == set(inside)
        mean = np.mean([x[m] for m in sorted(inside)], axis=0) if inside else None
        x |= dict.fromkeys(inside, mean)
        known |= dict.fromkeys(inside, mean)
        reference = reference if others else mean
        sizes.add(len(inside))
        np.testing.assert_allclose(seen.reports[t + 1][2], np.mean(list(known.values()), axis=0), rtol=0, atol=1e-12)
    assert len(sizes) > 2


def test_nothing_is_sent_while_nobody_diverges() -> None:
    seen = trace({"name": "dynamic_averaging", "divergence": 1e9, "local_steps": 1, "step_size": 0.1}, ToyProblem(), 9)
    assert not seen.messages
    assert not any(uploaders(seen, 9))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "signsgd"}, "step_size: "),
        ({"name": "signsgd", "step_size": "auto"}, "step_size.*Got 'auto'"),
        ({"name": "signsgd", "step_size": 0.1, "broadcast": "dense"}, "broadcast: auto, as steps are sent.*Got dense"),
        ({"name": "gtop_k", "k": 0, "step_size": 0.1}, "k: .*>= 1"),
        ({"name": "deep_gradient_compression", "fraction": 1.5}, "fraction: .*<= 1"),
        ({"name": "double_squeeze", "compressor": "sign",
          "server_compressor": {"name": "error_feedback", "part": "sign"}}, "server_compressor: the code inside"),
        ({"name": "dynamic_averaging", "divergence": -1, "local_steps": 1}, "divergence: .*>= 0"),
    ],
)  # fmt: skip
def test_bad_keys(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("algorithm", keys)
