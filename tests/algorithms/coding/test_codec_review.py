"""Codecs as a user meets them: memory kept by an algorithm, refusals that name the way out, tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.agents.ef_sgd import EfSgd
from algorithms.coding.memory import step
from algorithms.compressors import spherical
from netsim import registry
from netsim.errors import ConfigError, DecodeError
from netsim.interfaces import Array, GradientRequest, Key
from netsim.registry import build
from netsim.rng import shared_key
from netsim.simulation import lockstep
from netsim.tools import codec_limits
from tests.support.toys import ToyProblem, scenario

DIM = 12
TOP = {"name": "top_k", "k": 2, "float_bit": 64}


def trace_of(algorithm: dict[str, Any], problem: ToyProblem, rounds: int) -> lockstep.Trace:
    base = scenario({"model_bit": 64, **algorithm}, nodes=problem.num_nodes)
    return lockstep.run(base, base.algorithms[0], problem, rounds)


def iterates(algorithm: dict[str, Any], problem: ToyProblem, rounds: int) -> list[Array]:
    return [x for _, _, x in trace_of(algorithm, problem, rounds).reports]


# --- error feedback in algorithms ---------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, 8])
def test_ef_sgd_with_identity_is_gradient_descent(batch: int) -> None:
    identity = {"name": "identity", "float_bit": 64}
    for size in (0.25, {"name": "inverse_round", "a": 0.5}):
        feedback = {"name": "ef_sgd", "compressor": identity, "step_size": size}
        gd = {"name": "gd", "float_bit": 64, "step_size": size}
        ours, theirs = (iterates(a, ToyProblem(3, DIM, batch=batch), 40) for a in (feedback, gd))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def errors_of(trace: lockstep.Trace, codec: Any, problem: ToyProblem, gamma: float) -> list[Array]:
    """mean e after each round, from gradients at the reported models; every payload is C(e + gamma g)."""
    x = [estimate for _, _, estimate in trace.reports]
    e, means = np.zeros((problem.num_nodes, DIM)), list[Array]([np.zeros(DIM)])
    memories: list[Any] = [None] * problem.num_nodes
    for r in range(len(x) - 1):
        for m in (m for m in trace.messages if m.kind == "update" and m.round == r):
            (g,) = problem.gradients([GradientRequest(m.src, x[r])])
            e[m.src] += gamma * g
            sent, decoded, memories[m.src] = step(codec, memories[m.src], e[m.src], shared_key(0, 0, r, m.src))
            assert m.payload == sent
            e[m.src] -= decoded
        means.append(e.mean(axis=0))
    return means


@pytest.mark.parametrize(
    "compressor",
    [
        TOP,
        {"name": "scaled_sign"},
        {"name": "sign_rand_k", "fraction": 0.3, "shared_seed": True},
        {"name": "low_rank", "rank": 1, "fold": True},
        {"name": "hadamard", "part": {"name": "top_k", "k": 4}, "shared_seed": True},
    ],
    ids=lambda c: c["name"],
)
def test_virtual_iterate_moves_as_gradient_descent(compressor: dict[str, Any]) -> None:
    """x~ = x - mean e has x~^{k+1} = x~^k - gamma mean grad f_m(x^k), whatever C loses."""
    gamma, problem = 0.1, ToyProblem(3, DIM)
    trace = trace_of({"name": "ef_sgd", "compressor": compressor, "step_size": gamma}, problem, 30)
    codec = build("compressor", compressor).bind(problem.layout)
    x = [estimate for _, _, estimate in trace.reports]
    virtual = np.array(x) - errors_of(trace, codec, problem, gamma)
    for r in range(30):
        np.testing.assert_allclose(virtual[r + 1], virtual[r] - gamma * problem.full_gradient(x[r]), atol=1e-13)
    assert np.abs(virtual[-1] - x[-1]).max() > 1e-6  # C did lose something


def test_dcgd_keeps_the_memory_of_error_feedback() -> None:
    """With a constant step and a code that scales with its vector it is `ef_sgd`; without feedback it stalls."""
    problem, gamma, rounds = ToyProblem(3, DIM), 0.125, 400
    kept = iterates(
        {"name": "dcgd", "compressor": {"name": "error_feedback", "part": TOP}, "step_size": gamma}, problem, rounds
    )
    inside = iterates({"name": "ef_sgd", "compressor": TOP, "step_size": gamma}, problem, rounds)
    lost = iterates({"name": "dcgd", "compressor": TOP, "step_size": gamma}, problem, rounds)
    np.testing.assert_allclose(kept, inside, rtol=1e-9, atol=1e-12)
    best = problem.optimum().value
    assert problem.loss(kept[-1]) - best < 0.1 * (problem.loss(lost[-1]) - best)


def test_dcgd_warms_low_rank_up() -> None:
    """The second message starts from the first one's factors: another payload than a cold start's."""
    problem = ToyProblem(1, DIM)
    compressor = {"name": "low_rank", "rank": 1, "fold": True}
    trace = trace_of({"name": "dcgd", "compressor": compressor, "step_size": 0.25}, problem, 2)
    codec, memory = build("compressor", compressor).bind(problem.layout), None
    for r, (_, _, x) in enumerate(trace.reports[:2]):
        (g,) = problem.gradients([GradientRequest(0, x)])
        payload, _, memory = codec.step(memory, g, shared_key(0, 0, r, 0))
        (sent,) = [m.payload for m in trace.messages if m.kind == "update" and m.round == r]
        assert sent == payload
        assert (r == 1) == (sent.data != codec.encode_keyed(g, shared_key(0, 0, r, 0)).data)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"name": "hadamard", "part": {"name": "error_feedback", "part": "sign"}}, "part"),
        ({"name": "piecewise", "part": {"name": "error_feedback", "part": "sign"}}, "part"),
        ({"name": "piecewise", "part": "sign", "vectors": {"name": "error_feedback", "part": "sign"}}, "vectors"),
        ({"name": "compose", "outer": {"name": "error_feedback", "part": "sign"}, "inner": "sign"}, "outer"),
        ({"name": "compose", "outer": "sign", "inner": {"name": "error_feedback", "part": "sign"}}, "inner"),
        ({"name": "to_contraction", "part": {"name": "error_feedback", "part": "sign"}}, "part"),
    ],
)
def test_no_code_holds_one_whose_memory_it_would_lose(config: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: .*Got error_feedback"):
        build("compressor", config)


def test_feedback_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"compressor: the code inside.*Got error_feedback"):
        EfSgd(build("compressor", {"name": "error_feedback", "part": "sign"}))


# --- payloads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"name": "top_k", "k": 3, "index": "enumerative"},
        {"name": "hadamard", "part": {"name": "top_k", "k": 3, "index": "enumerative"}},
        {"name": "compose", "form": "kept", "outer": "natural", "inner": TOP, "index": "enumerative"},
    ],
    ids=lambda c: c["name"],
)
def test_ranks_of_long_vectors_are_refused_as_payloads_and_never_computed(config: dict[str, Any]) -> None:
    """A reader raises DecodeError as for any bytes, and a bound takes no binomial of a million."""
    codec = build("compressor", config)
    with pytest.raises(DecodeError, match="a dimension of at most 1024 is needed"):
        codec.decode(b"\x01\x00\x00\x00" * 20, 10**6)
    assert codec.max_size_bytes(10**6) < 10**6


@pytest.mark.parametrize("sizes", [(128, 0), (16, 2), (2048, 0)])
def test_points_of_the_sphere_do_not_depend_on_how_many_are_drawn_together(
    sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, key = np.random.default_rng(3).standard_normal(70), Key(5, 6)
    codecs = [
        build("compressor", {"name": "spherical", **keys})
        for keys in ({"error": 0.2}, {"error": 0.6, "block": 16, "unbiased": True})
    ]
    payloads = [codec.encode_keyed(x, key) for codec in codecs]
    monkeypatch.setattr(spherical, "_WINDOW", sizes[0])
    monkeypatch.setattr(spherical, "_DOUBLINGS", sizes[1])
    monkeypatch.setattr(spherical, "_public_windows", lambda dim: spherical._Windows(spherical._PUBLIC, dim))
    assert [codec.encode_keyed(x, key) for codec in codecs] == payloads


@pytest.mark.parametrize("name", registry.names("compressor"))
def test_every_setting_of_the_tables_is_measured(name: str) -> None:
    """None is refused or beats the bound by more than five vectors' luck, and long tables show different codes."""
    found = [codec_limits.measure(codec.bind(((8, 8),)), 64, 5) for _, codec in codec_limits.settings(name)]
    assert found
    assert all(m.best_error <= 1 + 1e-9 and m.excess >= 0.9 for m in found)
    if len(found) > 4:
        assert len({(m.payload_bit, m.error) for m in found}) > 3
