"""DCGD against gradient descent, its expectation and its variance; and the work of codecs in clock and joules."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from algorithms.agents.dcgd import Dcgd
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from algorithms.coding.draws import uniforms
from algorithms.compressors.identity import Identity
from algorithms.compressors.stochastic_sparsification import StochasticSparsification, optimal_level, probabilities
from algorithms.compressors.top_k import TopK
from netsim.errors import ConfigError, DecodeError
from netsim.interfaces import Array, Compute, GradientRequest, Key
from netsim.rng import shared_key
from netsim.scenario import Entry, Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult
from tests.support.toys import ToyProblem, scenario

DIM = 12
SPARSE = {"name": "stochastic_sparsification", "budget": 3, "float_bit": 64}


def of(algorithm: Any, nodes: int = 3, **keys: Any) -> Scenario:
    """A scenario of one algorithm, given as an object or as its YAML."""
    if isinstance(algorithm, dict):
        return scenario(algorithm, nodes=nodes, **keys)
    return dataclasses.replace(scenario({"name": "gd"}, nodes=nodes, **keys), algorithms=(Entry("a", algorithm),))


def trace_of(base: Scenario, problem: ToyProblem, rounds: int, replication: int = 0) -> lockstep.Trace:
    return lockstep.run(base, base.algorithms[0], problem, rounds, replication)


def iterates(algorithm: Any, problem: ToyProblem, rounds: int, replication: int = 0) -> list[Array]:
    trace = trace_of(of(algorithm, problem.num_nodes), problem, rounds, replication)
    return [estimate for _, _, estimate in trace.reports]


@dataclass(frozen=True)
class SharedHalf(Codec):
    """2 x on the coordinates whose shared draw is below 1/2; sends their values and no index. A codec for tests.

    With `layout` it has been bound. Its counts of operations differ from all others here.
    """

    layout: tuple[tuple[int, ...], ...] = ()
    name = "shared_half"

    is_unbiased: ClassVar[bool] = True
    shares_randomness: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def bind(self, layout: Sequence[tuple[int, ...]]) -> Self:
        return dataclasses.replace(self, layout=tuple(layout))

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        assert self.layout == ((x.size,),)
        kept = uniforms(key, np.arange(x.size)) < 0.5
        out.floats(2 * x[kept], 64)
        return PaperBits(value_bit=64.0 * np.count_nonzero(kept))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        if key is None:
            raise DecodeError("payload: the sender's key is needed")
        kept = uniforms(key, np.arange(dim)) < 0.5
        x = np.zeros(dim)
        x[kept] = src.floats(int(np.count_nonzero(kept)), 64)
        return x

    def max_size_bytes(self, dim: int) -> int:
        return 8 * dim

    def variance_bound(self, dim: int) -> float:
        return 1.0

    def encode_flop(self, dim: int) -> float:
        return 100.0 * dim

    def decode_flop(self, dim: int) -> float:
        return 1000.0 * dim


@pytest.mark.parametrize("nodes", [1, 4])
@pytest.mark.parametrize("bit", [32, 64])
def test_with_identity_it_is_gradient_descent(nodes: int, bit: int) -> None:
    """The same bytes both ways and the same models, bit for bit."""
    step = {"step_size": 0.3, "model_bit": bit}
    problem = ToyProblem(nodes, DIM, batch=8)
    dcgd, gd = (
        trace_of(of(algorithm, nodes), problem, 30)
        for algorithm in (
            {"name": "dcgd", "compressor": {"name": "identity", "float_bit": bit}, **step},
            {"name": "gd", "float_bit": bit, **step},
        )
    )
    assert [m.payload for m in dcgd.messages] == [m.payload for m in gd.messages]
    for (_, _, x), (_, _, y) in zip(dcgd.reports, gd.reports, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("compressor", "w"),
    [
        (SPARSE, DIM / 3 - 1),
        ({"name": "identity", "float_bit": 64}, 0.0),
        ({"name": "top_k", "k": 2, "float_bit": 64}, 0.0),
    ],
)
def test_automatic_step(compressor: dict[str, Any], w: float) -> None:
    """gamma = 1 / ((1 + 2 w / M) max L_m); a biased code states no w and counts as w = 0."""
    problem = ToyProblem(3, DIM)
    base = of({"name": "dcgd", "compressor": compressor, "model_bit": 64})
    trace = trace_of(base, problem, 3)
    codec = base.algorithms[0].algorithm.compressor
    gamma = 1 / ((1 + 2 * w / 3) * problem.curvature.max())
    x = [estimate for _, _, estimate in trace.reports]
    for r in range(3):
        uploads = [m.payload.data for m in trace.messages if m.kind == "update" and m.round == r]
        mean = sum(codec.decode(data, DIM) for data in uploads) / 3
        np.testing.assert_allclose(x[r + 1], x[r] - gamma * mean, rtol=1e-14, atol=1e-15)


def test_expected_step_and_its_variance() -> None:
    """E x^1 is gradient descent's, and E||mean Q - mean g||^2 = (1/M^2) sum_m sum_i g_mi^2 (1/p_mi - 1).

    800 replications; a false alarm under other seeds needs |z| > 5 in one of 12 coordinates or of the mean error,
    below 1e-5.
    """
    problem, gamma, draws = ToyProblem(3, DIM), 0.25, 800
    algorithm = {"name": "dcgd", "compressor": SPARSE, "step_size": gamma, "model_bit": 64}
    base = of(algorithm)
    start = problem.start()
    gradients = [problem.gradients([GradientRequest(m, start)])[0] for m in range(3)]
    variance = 0.0
    for g in gradients:
        p = probabilities(g, optimal_level(g, 3.0))
        variance += float(np.sum(g**2 * (1 / p - 1))) / 9
    after = np.stack([trace_of(base, problem, 1, r).reports[-1][2] for r in range(draws)])
    errors = (start - after) / gamma - np.mean(gradients, axis=0)
    spread = errors.std(axis=0, ddof=1) / np.sqrt(draws)
    assert (np.abs(errors.mean(axis=0)) <= 5 * spread + 1e-12).all()
    squared = np.square(errors).sum(axis=1)
    assert abs(squared.mean() - variance) <= 5 * squared.std(ddof=1) / np.sqrt(draws)


def test_draws_depend_on_seed_replication_round_and_sender_alone() -> None:
    codec = StochasticSparsification(budget=3, float_bit=64)
    problem = ToyProblem(3, DIM)
    base = of({"name": "dcgd", "compressor": SPARSE, "model_bit": 64}, seed=5)
    for vary, counted in (("all", 4), ("channel", 0)):
        trace = trace_of(dataclasses.replace(base, vary=vary), problem, 4, replication=4)
        x = [estimate for _, _, estimate in trace.reports]
        for m in (m for m in trace.messages if m.kind == "update"):
            (g,) = problem.gradients([GradientRequest(m.src, x[m.round])])
            assert m.payload == codec.encode_keyed(g, shared_key(5, counted, m.round, m.src))


def test_shared_keys_differ_in_every_name() -> None:
    names = [(s, r, k, m) for s in (0, 1, 2**40) for r in (0, 1) for k in (0, 1, 9) for m in (0, 1, 9)]
    keys = [shared_key(*name) for name in names]
    assert len(set(keys)) == len(names)
    assert len({key.key for key in keys} | {key.counter for key in keys}) == 2 * len(names)
    assert all(0 <= word < 2**64 for key in keys for word in key)


def test_the_server_repeats_the_draws_of_a_code_with_shared_randomness() -> None:
    """And a code that works per tensor gets the problem's layout, at both ends."""
    problem = ToyProblem(3, DIM)
    x = iterates(Dcgd(SharedHalf(), step_size=0.25, model_bit=64), problem, 5)
    for r in range(5):
        step = np.zeros(DIM)
        for m in range(3):
            (g,) = problem.gradients([GradientRequest(m, x[r])])
            step += np.where(uniforms(shared_key(0, 0, r, m), np.arange(DIM)) < 0.5, 2 * g, 0.0)
        np.testing.assert_array_equal(x[r + 1], x[r] - 0.25 * (step / 3))


def test_it_stalls_at_a_floor_unless_all_gradients_vanish_at_the_minimiser() -> None:
    """Full batches: like centres converge linearly although what Q loses is never made up; unlike ones stall."""
    rounds = 500
    algorithm = {"name": "dcgd", "compressor": SPARSE, "model_bit": 64}
    alike, unlike = ToyProblem(3, DIM, isotropic=True), ToyProblem(3, DIM)
    unlike.centres = unlike.centres + np.random.default_rng(1).standard_normal((3, DIM))
    gap = {}
    for name, problem in (("alike", alike), ("unlike", unlike)):
        best = problem.optimum().value
        gap[name] = [problem.loss(x) - best for x in iterates(algorithm, problem, rounds)]
    assert gap["alike"][-1] < 1e-20 * gap["alike"][0]
    assert min(gap["unlike"]) > 1e-6 * gap["unlike"][0]
    assert np.mean(gap["unlike"][-200:]) == pytest.approx(np.mean(gap["unlike"][-400:-200]), rel=0.5)
    exact = iterates(
        {"name": "dcgd", "compressor": {"name": "identity", "float_bit": 64}, "model_bit": 64}, unlike, rounds
    )
    assert unlike.loss(exact[-1]) - unlike.optimum().value < 1e-12 * gap["unlike"][0]


# --- the work of codecs ---------------------------------------------------------------------------------


RATE, POWER_W = 1000.0, 2.0


@dataclass
class Spent:
    """Seconds of a run at each row, and joules of computing at its end, by node."""

    time_s: list[float]
    compute_s: list[float]
    energy_j: dict[int, float] = field(default_factory=dict)


def spent(algorithm: Any, nodes: int, rounds: int = 4, **compute: Any) -> Spent:
    base = of(algorithm, nodes, stop={"rounds": rounds}, compute={"power_w": POWER_W, **compute})
    result: RunResult = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run()
    rows, energy = result.tables["rounds"].to_pydict(), result.tables["energy"].to_pydict()
    out = Spent(rows["sim_time_s"], rows["time_compute_s"])
    for node, state, joules in zip(energy["node"], energy["state"], energy["energy_j"], strict=True):
        if state == "compute":
            out.energy_j[node] = joules
    return out


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("gradient_s", [None, 0.05])
def test_codec_work_in_clock_and_joules(nodes: int, gradient_s: float | None) -> None:
    """A round is: encode the model, decode it, gradient, encode, and the server decodes M uploads one after another.

    A gradient of the toy takes 3 d operations, SharedHalf 100 d to encode and 1000 d to decode.
    """
    algorithm, model = Dcgd(SharedHalf(), step_size=0.25), Identity()
    keys = {"flop_per_s": RATE} | ({} if gradient_s is None else {"gradient_s": gradient_s})
    gradient = 3 * DIM / RATE if gradient_s is None else gradient_s
    charged = spent(algorithm, nodes, codec_flop=True, **keys)
    worker = gradient + (model.decode_flop(DIM) + 100 * DIM) / RATE
    server = (model.encode_flop(DIM) + nodes * 1000 * DIM) / RATE
    assert charged.time_s == pytest.approx([r * (worker + server) for r in range(5)], rel=1e-9)
    assert charged.compute_s == pytest.approx([r * worker for r in range(5)], rel=1e-9)
    joules = dict.fromkeys(range(nodes), POWER_W * 4 * worker) | {nodes: POWER_W * 4 * server}
    assert charged.energy_j == pytest.approx(joules, rel=1e-9)


EVERYTHING = {"name": "affine", "c0": 1e15, "c_bit": 1.0}  # what the first bit costs makes CAT send all


@pytest.mark.parametrize(
    ("algorithm", "codec"),
    [
        ({"name": "gd"}, {"name": "identity"}),
        ({"name": "alistarh"}, {"name": "alistarh"}),
        ({"name": "fixed_budget", "variant": "sparsify", "budget": 2}, {"name": "top_k", "k": 2}),
        ({"name": "cat", "variant": "sparsify", "cost": EVERYTHING}, {"name": "top_k", "k": DIM}),
        ({"name": "dcgd", "compressor": SPARSE}, SPARSE),
    ],
    ids=lambda value: value["name"],
)
def test_every_algorithm_charges_its_codecs(algorithm: dict[str, Any], codec: dict[str, Any]) -> None:
    from netsim.registry import build

    code, model, nodes = build("compressor", codec), Identity(), 2
    with_codec = spent(algorithm, nodes, flop_per_s=RATE, codec_flop=True).time_s
    without = spent(algorithm, nodes, flop_per_s=RATE).time_s
    more = np.diff(np.array(with_codec) - without)
    base = of(algorithm, nodes)
    trace = lockstep.run(base, base.algorithms[0], ToyProblem(nodes, DIM), rounds=4)
    decoded = np.zeros(4)
    for message in trace.messages:
        if message.kind == "update" and message.round < 4:
            decoded[message.round] += code.decode_flop_of(message.payload.data, DIM)
    flop = model.encode_flop(DIM) + model.decode_flop(DIM) + code.encode_flop(DIM) + decoded
    assert more == pytest.approx(flop / RATE, rel=1e-9)


def test_grid_search_charges_its_trials_too() -> None:
    """Two budgets, two trial rounds each, then 2: 3 questions for the loss encode and decode a model, too."""
    algorithm = {"name": "grid_search", "variant": "sparsify", "cost": "bit", "budgets": [1, 2], "trial_rounds": 2}
    algorithm["broadcast"] = "dense"
    keys = {"rounds": 6, "flop_per_s": RATE}
    more = np.array(spent(algorithm, 1, codec_flop=True, **keys).time_s) - spent(algorithm, 1, **keys).time_s
    model = Identity().encode_flop(DIM) + Identity().decode_flop(DIM)
    best = 1  # on this problem: one entry costs half the bits and lets the loss fall by more than half
    codes = [TopK(k=k).encode_flop(DIM) + TopK(k=k).decode_flop(DIM) for k in (1, 1, 2, 2, best, best)]
    asked = np.array([0, 1, 1, 2, 2, 3, 3])
    note = Identity().encode_flop(1) + Identity().decode_flop(1)  # of the budget with a model, and of a loss
    expected = (model + note) * (np.arange(7) + asked) + np.cumsum([0, *codes])
    assert more * RATE == pytest.approx(expected, rel=1e-9)


def test_uncharged_codecs_ask_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    base = of({"name": "dcgd", "compressor": SPARSE}, compute={"flop_per_s": RATE, "codec_flop": False})
    engine = Engine(base, base.algorithms[0], 0, ToyProblem())
    monkeypatch.delitem(engine._handlers, Compute)
    assert engine.run().status == "done"


def test_a_rate_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"toy.yaml:\d+: compute.codec_flop: flop_per_s is needed"):
        scenario({"name": "gd"}, compute={"codec_flop": True, "gradient_s": 1.0})
    with pytest.raises(ConfigError, match="either gradient_s or flop_per_s"):
        scenario({"name": "gd"}, compute={"flop_per_s": RATE, "gradient_s": 1.0})
