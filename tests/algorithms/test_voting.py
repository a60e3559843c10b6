"""Sparse SGD by top-K and by majority voting: the paper's identities, its sets, its bits."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from algorithms.coding.index_changes import IndexChanges, SetChanges
from algorithms.coding.index_set import IndexSet
from algorithms.coding.masked_values import MaskedValues
from algorithms.compressors.fractional import Fractional
from algorithms.compressors.identity import Identity
from algorithms.compressors.top_k import TopK
from algorithms.roles.voting import Layers, layers, most_voted, sampled
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Array, Indices, Key
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario
from tests.support.watched import SLOW, WIRES, iterates, reported, watch

EXACT = {"model_bit": 64, "quantiser": {"name": "identity", "float_bit": 64}}
FRACTIONAL = {"name": "fractional", "bits": 3}
DIM = 12


def mv(**keys: Any) -> dict[str, Any]:
    return {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 2, "step_size": 0.1, **keys}


def add_drop(change: float = 0.1, **keys: Any) -> dict[str, Any]:
    return mv(mask="add_drop", change_fraction=change, tie_break="low_index", **keys)


def apart(nodes: int = 4, dim: int = DIM, batch: int = 8) -> ToyProblem:
    """Nodes whose largest coordinates differ."""
    problem = ToyProblem(nodes, dim, batch=batch)
    problem.centres = problem.centres + np.random.default_rng(2).standard_normal((nodes, dim))
    return problem


def largest(x: Array, k: int) -> Indices:
    """The k largest |x_i|, ties to the lowest index, as the specification writes it."""
    return np.sort(np.lexsort((np.arange(x.size), -np.abs(x)))[:k])


# --- the algorithm against itself written out ---------------------------------------------------------------------


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_majority_voting_is_its_recursion(aggregate: str) -> None:
    """40 rounds of two full steps, K = 3 of 12, ties to the lowest index."""
    problem, rounds, gamma = apart(batch=0), 40, 0.02
    x, e = problem.start(), np.zeros((4, DIM))
    expected = [x]
    for _ in range(rounds):
        y = np.stack([x] * 4)
        for _ in range(2):
            y = y - gamma * problem.curvature * (y - problem.centres)
        d = y - x + e
        votes = np.bincount(np.concatenate([largest(row, 3) for row in d]), minlength=DIM)
        assert votes.sum() == 4 * 3
        mask = np.lexsort((np.arange(DIM), -votes))[:3]
        sent = np.zeros_like(d)
        sent[:, mask] = d[:, mask]
        e = d - sent
        x = x + (sent.mean(axis=0) if aggregate == "mean" else sent.sum(axis=0))
        expected.append(x)
    keys = mv(step_size=gamma, aggregate=aggregate, tie_break="low_index", **EXACT)
    for found, y in zip(iterates(keys, problem, rounds), expected, strict=True):
        np.testing.assert_allclose(found, y, rtol=0, atol=1e-12)


def test_top_k_is_its_recursion() -> None:
    problem, rounds, gamma = apart(batch=0), 40, 0.05
    x, e = problem.start(), np.zeros((4, DIM))
    expected = [x]
    for _ in range(rounds):
        d = -gamma * problem.curvature * (x - problem.centres) + e
        sent = np.zeros_like(d)
        for row, one in zip(d, sent, strict=True):
            one[largest(row, 3)] = row[largest(row, 3)]
        e, x = d - sent, x + sent.mean(axis=0)
        expected.append(x)
    keys = {
        "name": "ssgd_top_k",
        "fraction": 0.25,
        "local_steps": 1,
        "step_size": gamma,
        "float_bit": 64,
        "model_bit": 64,
    }
    for found, y in zip(iterates(keys, problem, rounds), expected, strict=True):
        np.testing.assert_allclose(found, y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("init_vote", ["full", "empty"])
def test_add_drop_of_all_is_majority_voting(init_vote: str) -> None:
    """M1: with K_ad = K every A_n is the top K at once: models and masks are the same, bitwise, from round 1 on."""
    problem, rounds = apart(), 100
    plain = mv(tie_break="low_index")
    changed = add_drop(0.25, init_vote=init_vote)
    traces = []
    for algorithm in (plain, changed):
        base = scenario(algorithm, nodes=4)
        traces.append(lockstep.run(base, base.algorithms[0], problem, rounds))
    for (_, _, x), (_, _, y) in zip(*(t.reports for t in traces), strict=True):
        np.testing.assert_array_equal(x, y)
    codes = IndexSet(DIM, 3, "block_paper"), IndexSet(DIM, None if init_vote == "empty" else 3, "block_paper")
    masks = [
        [tuple(code.decode(m.payload.data, DIM)) for m in t.messages if m.kind == "mask"]
        for t, code in zip(traces, codes, strict=True)
    ]
    assert masks[0] == masks[1]
    assert len(set(masks[0])) > 10


def test_all_coordinates_are_local_sgd() -> None:
    problem = apart()
    local = {"name": "local_sgd", "local_steps": 2, "step_size": 0.1, "float_bit": 64, "model_bit": 64}
    expected = iterates(local, problem, 30)
    top = {"name": "ssgd_top_k", "fraction": 1.0, "local_steps": 2, "step_size": 0.1, "float_bit": 64, "model_bit": 64}
    for algorithm in (mv(fraction=1.0, **EXACT), top):
        for x, y in zip(iterates(algorithm, problem, 30), expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


def test_one_worker_is_top_k_with_error_feedback() -> None:
    problem = ToyProblem(1, batch=8)
    top = {"name": "ssgd_top_k", "fraction": 0.25, "local_steps": 2, "step_size": 0.1, "float_bit": 64, "model_bit": 64}
    feedback = {"name": "ef_sgd", "compressor": {"name": "top_k", "k": 3, "float_bit": 64}, "step_size": 0.1}
    xs = [iterates(a, problem, 40) for a in (mv(**EXACT), top)]
    one = [iterates(a, problem, 40) for a in ({**top, "local_steps": 1}, {**feedback, "model_bit": 64})]
    for x, y in (*zip(*xs, strict=True), *zip(*one, strict=True)):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


# --- what holds at every instant ----------------------------------------------------------------------------------


def taken(engine: Any, nodes: int) -> Array:
    """A running sum of gamma g by node, from now on."""
    total = np.zeros((nodes, DIM))
    for node in range(nodes):
        agent, steps = engine.agent(node), itertools.count()

        def changed(x: Array, g: Array, agent: Any = agent, node: int = node, steps: Any = steps) -> Array:
            total[node] += agent.gamma(next(steps)) * g
            return g

        agent.changed = changed
    return total


ALL = [
    mv(), mv(mask="sampled"), add_drop(), add_drop(init_vote="empty"), mv(quantiser=FRACTIONAL), mv(warm_up_rounds=4),
    mv(aggregate="sum", step_size=0.02), mv(momentum=0.5, layer_wise=True),
    {"name": "ssgd_top_k", "fraction": 0.25, "local_steps": 2, "step_size": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALL, ids=str)
def test_nothing_is_lost(algorithm: dict[str, Any]) -> None:
    """theta + mean e = theta_0 - mean sum gamma g after every round (aggregate sum: both without the mean).

    Whatever is chosen and quantised; the aggregate is rounded to 64 bits here.
    """
    problem, mean = apart(), np.sum if algorithm.get("aggregate") == "sum" else np.mean
    keys = {**algorithm, "model_bit": 64, "momentum": 0.0}
    base = scenario(keys, nodes=4, compute={"gradient_s": 1.0}, stop={"rounds": 40})
    totals: list[Array] = []
    gaps: list[float] = []

    def look(engine: Any) -> None:
        if engine.recorder.rounds > len(gaps) and not engine.stopped:
            agents = [engine.agent(n) for n in range(4)]
            e = [a.memory.error if a.memory is not None else a.e for a in agents]
            left = engine.agent(4).x + mean(e, axis=0) - problem.start() + mean(totals[0], axis=0)
            gaps.append(float(np.abs(left).max()))

    watch(base, problem, look, begin=lambda engine: totals.append(taken(engine, 4)))
    assert len(gaps) == 39
    assert max(gaps) < 1e-12


@pytest.mark.parametrize("algorithm", ALL, ids=str)
def test_all_copies_of_the_model_are_equal_whatever_the_delays(algorithm: dict[str, Any]) -> None:
    """Each worker holds, bit for bit, what the server held after some round, and never goes back; as in lockstep."""
    problem = apart()
    base = scenario(algorithm, nodes=4, compute=SLOW, network=WIRES, stop={"rounds": 12})
    history: dict[bytes, int] = {}
    newest = [0] * 4

    def look(engine: Any) -> None:
        history.setdefault(engine.agent(4).x.tobytes(), len(history))
        for node in range(4):
            age = history[engine.agent(node).x.tobytes()]
            assert newest[node] <= age <= newest[node] + 1
            newest[node] = age

    watch(base, problem, look)
    assert min(newest) == len(history) - 2 == 11
    for x, y in zip(iterates(algorithm, problem, 12), reported(base, problem), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("init_vote", ["full", "empty"])
def test_sets_of_add_drop(init_vote: str) -> None:
    """M1: |A_n| <= K, once K always K and then as many adds as drops, at most K_ad; the counts are the sets' sum."""
    problem, keep, change = apart(4, 60), 15, 3
    algorithm = add_drop(change / 60, fraction=keep / 60, init_vote=init_vote)
    base = scenario(algorithm, nodes=4, compute={"gradient_s": 1.0}, stop={"rounds": 60})
    sizes: list[list[int]] = []
    before: list[set[int]] = [set() for _ in range(4)]

    def look(engine: Any) -> None:
        nonlocal before
        own = [set(engine.agent(n).own.tolist()) for n in range(4)]
        counts = np.zeros(60)
        for one in own:
            counts[list(one)] += 1
        np.testing.assert_array_equal(engine.agent(4).votes, counts)
        if engine.recorder.rounds == len(sizes) + 1:
            sizes.append([len(one) for one in own])
            for one, last in zip(own, before, strict=True):
                adds, drops = one - last, last - one
                if len(sizes) > 1 or init_vote == "empty":
                    assert len(adds) <= change
                    assert len(drops) <= change
                if len(last) == keep:
                    assert len(adds) == len(drops)
        before = own

    watch(base, problem, look)
    assert max(map(max, sizes)) <= keep
    if init_vote == "full":
        assert sizes == [[keep] * 4] * 60
    else:
        assert max(sizes[0]) == change
        assert max(sizes[2]) < keep


def test_what_is_added_and_dropped() -> None:
    """A = {0, 1, 2}, the top three of |x| are {1, 4, 5}: the largest of 4, 5 comes in, the smallest of 0, 2 goes."""
    x = np.array([0.5, -3.0, 0.2, 0.0, 2.0, -4.0])
    one = Layers((0, 6), (1,))
    adds, drops = one.changes(np.array([0, 1, 2]), Layers((0, 6), (3,)).largest(x), x)
    assert (adds.tolist(), drops.tolist()) == ([5], [2])
    tied = np.ones(6)
    adds, drops = one.changes(np.array([2, 3, 5]), np.array([0, 1, 2]), tied)
    assert (adds.tolist(), drops.tolist()) == ([0], [3])


def test_equal_workers_vote_for_the_mask() -> None:
    problem = ToyProblem(4)
    problem.curvature[:], problem.centres[:] = problem.curvature[0], problem.centres[0]
    base = scenario(mv(), nodes=4)
    trace = lockstep.run(base, base.algorithms[0], problem, 20)
    votes, masks = ([m.payload.data for m in trace.messages if m.kind == kind] for kind in ("vote", "mask"))
    assert set(votes) == set(masks)
    assert len(votes) == len(masks) == 80


# --- layers, warm-up ----------------------------------------------------------------------------------------------


def test_each_layer_keeps_its_own_share() -> None:
    """Layers of 8 and 4 at phi = 1/4: two and one coordinate of every mask, and of every vote."""
    problem = apart()
    problem.layout = ((2, 4), (4,))
    base = scenario(mv(layer_wise=True, quantiser=FRACTIONAL), nodes=4)
    trace = lockstep.run(base, base.algorithms[0], problem, 30)
    code = IndexSet(DIM, 3, "block_paper")
    sets = [code.decode(m.payload.data, DIM) for m in trace.messages if m.kind in ("vote", "mask")]
    assert {tuple(s < 8) for s in sets} == {(True, True, False)}
    assert len({tuple(s) for s in sets}) > 5
    # Two quantisers of 3 bits, 4 means of 32 bits each.
    assert {m.payload.paper_bit for m in trace.messages if m.kind == "values"} == {3 * 3 + 2 * 4 * 32}


def test_layers_of_a_layout() -> None:
    assert layers(10, None, 0.3) == Layers((0, 10), (3,))
    assert layers(10, ((2, 3), (1,), (3,)), 0.4) == Layers((0, 6, 7, 10), (2, 1, 1))
    assert Layers((0, 6, 10), (1, 1)).largest(np.arange(10.0)).tolist() == [5, 9]
    assert Layers((0, 4, 10), (2, 3)).largest(np.zeros(10)).tolist() == [0, 1, 4, 5, 6]
    assert Layers((0, 4, 10), (1, 1)).sizes(np.array([5, 7])) == ((2,),)


@pytest.mark.parametrize("algorithm", [mv(), add_drop()], ids=["votes", "add_drop"])
def test_warm_up_is_sgd_without_votes(algorithm: dict[str, Any]) -> None:
    """Four rounds of one step with dense messages; then the votes begin, those of AD with the whole set."""
    problem = apart()
    keys = {**algorithm, **EXACT, "warm_up_rounds": 4}
    base = scenario(keys, nodes=4)
    trace = lockstep.run(base, base.algorithms[0], problem, 10)
    gd = iterates({"name": "gd", "step_size": 0.1, "float_bit": 64, "model_bit": 64}, problem, 4)
    for (_, _, x), y in zip(trace.reports[:5], gd, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)
    kinds = Counter((m.round >= 4, m.kind) for m in trace.messages if m.round < 9)
    assert kinds == {(False, "values"): 16, (False, "aggregate"): 16} | {
        (True, kind): 20 for kind in ("vote", "mask", "values", "aggregate")
    }
    votes = {m.round: m.payload for m in trace.messages if m.kind == "vote"}
    assert votes[4].paper_bit == 3 * (1 + 2) + 3  # B = 4, w = 2, three blocks
    later = IndexChanges(DIM, "block_paper") if "change_fraction" in algorithm else IndexSet(DIM, 3, "block_paper")
    assert len(later.decode(votes[5].data, DIM)) == (2 if "change_fraction" in algorithm else 3)


# --- masks --------------------------------------------------------------------------------------------------------


def test_sampled_masks_have_the_probabilities_of_drawing_one_after_the_other() -> None:
    """Votes 3, 1, 0, 2, 5 and K = 2, by hand; 20,000 draws, |z| > 5 for one of six pairs has probability below 4e-6."""
    votes, rng, draws = np.array([3.0, 1.0, 0.0, 2.0, 5.0]), np.random.default_rng(3), 20_000
    found = Counter(tuple(sampled(votes, 2, rng).tolist()) for _ in range(draws))
    assert {a for pair in found for a in pair} == {0, 1, 3, 4}
    for (a, b), seen in found.items():
        p, q = votes[a] / 11, votes[b] / 11
        chance = p * q / (1 - p) + q * p / (1 - q)
        assert abs(seen - draws * chance) < 5 * np.sqrt(draws * chance * (1 - chance))
    assert found[0, 4] / draws == pytest.approx(0.3977, abs=0.02)


def test_ties_are_broken_uniformly_or_by_index() -> None:
    """Counts 2, 1, 1, 1, 0 and K = 3: 0 is in; two of 1, 2, 3, each pair in a third of 6000 draws (|z| < 5)."""
    votes, rng = np.array([2.0, 1.0, 1.0, 1.0, 0.0]), np.random.default_rng(4)
    assert most_voted(votes, 3, rng, "low_index").tolist() == [0, 1, 2]
    found = Counter(tuple(most_voted(votes, 3, rng, "random").tolist()) for _ in range(6000))
    assert set(found) == {(0, 1, 2), (0, 1, 3), (0, 2, 3)}
    assert all(abs(n - 2000) < 5 * np.sqrt(6000 * 2 / 9) for n in found.values())
    assert most_voted(votes, 5, rng, "random").tolist() == [0, 1, 2, 3]


def test_ties_are_drawn_anew_in_every_round() -> None:
    """One round differs between low_index and random, and two replications differ."""
    problem = apart()
    masks = []
    for tie_break, replication in (("low_index", 0), ("random", 0), ("random", 1)):
        base = scenario(mv(tie_break=tie_break, fraction=0.5), nodes=4)
        trace = lockstep.run(base, base.algorithms[0], problem, 6, replication)
        masks.append([m.payload.data for m in trace.messages if m.kind == "mask"])
    assert masks[0] != masks[1] != masks[2]


# --- bits ---------------------------------------------------------------------------------------------------------


def test_sets_and_changes_round_trip() -> None:
    rng, key = np.random.default_rng(5), Key(0, 0)
    for dim in (1, 2, 16, 333):
        for _ in range(20):
            order = rng.permutation(dim)
            a, b = sorted(rng.integers(0, dim + 1, 2))
            adds, drops = np.sort(order[:a]), np.sort(order[a:b])
            code = IndexChanges(dim, "block_paper")
            payload = code.encode_keyed(SetChanges(adds, drops), key)
            found = code.decode(payload.data, dim)
            assert [part.tolist() for part in found] == [adds.tolist(), drops.tolist()]
            votes = np.zeros(dim)
            code.add_to(payload.data, votes, 2.0)
            assert votes.sum() == 2 * (adds.size - drops.size)
            assert len(payload.data) == -(-(2 * dim.bit_length() + payload.index_bit) // 8)


def test_hostile_changes_are_refused() -> None:
    code, key = IndexChanges(16), Key(0, 0)
    both = code.encode_keyed(SetChanges(np.array([3]), np.array([3])), key)
    for data in (both.data, b"", b"\xff" * 40, both.data[:-1]):
        with pytest.raises(DecodeError):
            code.decode(data, 16)
    with pytest.raises(EncodeError, match="ascend"):
        code.encode_keyed(SetChanges(np.array([3, 2]), np.array([4])), key)


def test_messages_are_as_long_as_their_formulas() -> None:
    """W1, d = 300, K = 30, K_ad = 3: B = 10 and 4 bits, B' = 100 and 7 bits; counts of 9 bits with changes alone."""
    problem = apart(3, 300)
    vote, change = 30 * (1 + 4) + 30, 3 * (1 + 7) + 3
    values, fractional, dense = 30 * 32, 30 * 3 + 4 * 32, 300 * 32
    cases = [
        (mv(fraction=0.1), {"vote": vote, "mask": vote, "values": values, "aggregate": values}),
        (mv(fraction=0.1, mask="sampled", quantiser=FRACTIONAL), {"values": fractional, "aggregate": values}),
        (add_drop(0.01, fraction=0.1), {"vote": 2 * change, "mask": vote, "values": values}),
        (mv(fraction=0.1, warm_up_rounds=99), {"values": dense, "aggregate": dense}),
        ({"name": "ssgd_top_k", "fraction": 0.1, "local_steps": 1, "step_size": 0.1}, {"update": vote + values}),
    ]
    for algorithm, bits in cases:
        base = scenario(algorithm)
        sent = [m for m in lockstep.run(base, base.algorithms[0], problem, 8).messages if 4 <= m.round < 8]
        for kind, bit in bits.items():
            found = [m.payload for m in sent if m.kind == kind]
            assert {p.paper_bit for p in found} == {bit}, (algorithm, kind)
            counts = {"vote": 18 if "change_fraction" in algorithm else 0, "update": 9}.get(kind, 0)
            assert {len(p.data) for p in found} == {-(-(bit + counts) // 8)}, (algorithm, kind)


def test_the_mean_of_top_k_travels_sparse() -> None:
    problem = apart(3, 300)
    base = scenario({"name": "ssgd_top_k", "fraction": 0.1, "local_steps": 1, "step_size": 0.1})
    trace = lockstep.run(base, base.algorithms[0], problem, 8)
    down = [m.payload for m in trace.messages if m.kind == "aggregate" and m.dst == 0]
    up = [m for m in trace.messages if m.kind == "update"]
    code = TopK(fraction=1.0, index="block_paper")
    for round, payload in enumerate(down):
        supports = [set(np.flatnonzero(code.decode(m.payload.data, 300)).tolist()) for m in up if m.round == round]
        union = set().union(*supports)
        assert set(np.flatnonzero(code.decode(payload.data, 300)).tolist()) == union
        block = max(1, int(300 / len(union) + 0.5))
        section = len(union) * (1 + (block - 1).bit_length()) + -(-300 // block)
        assert payload.paper_bit == section + 32 * len(union)


RESNET18 = 11_173_962
TABLE = [  # row, H, q, change fraction, computed up, computed down, printed up, printed down
    ("MV", 1, 32, None, 78.05, 78.05, 78, 78),
    ("MV-L2", 2, 32, None, 156.10, 156.10, 156, 156),
    ("MV-L4", 4, 32, None, 312.20, 312.20, 312, 312),
    ("MV-L8", 8, 32, None, 624.39, 624.39, 624, 624),
    ("MV-L8-Q", 8, 4, None, 1969.2, 624.39, 2000, 624),
    ("AD", 1, 32, 1e-3, 93.02, 78.05, 93, 78),
    ("AD-L2", 2, 32, 1e-3, 186.05, 156.10, 186, 156),
    ("AD-L4", 4, 32, 1e-3, 372.09, 312.20, 372, 312),
    ("AD-L4-Q", 4, 4, 1e-3, 2000.0, 312.20, 2000, 312),
    ("AD-L8", 8, 32, 1e-3, 744.19, 624.39, 745, 624),
    ("AD-L8-Q", 8, 4, 1e-3, 4000.0, 624.39, 4000, 624),
]


@pytest.fixture(scope="module")
def lengths() -> dict[str, int]:
    """Measured payload bytes at d = 11,173,962, phi = 1e-2 and phi_ad = 1e-3, by kind."""
    rng, key = np.random.default_rng(6), Key(0, 0)
    d, keep, change = RESNET18, 111_739, 11_173
    mask = np.sort(rng.choice(d, keep, replace=False))
    sets = np.sort(rng.choice(d, 2 * change, replace=False))
    values = rng.standard_normal(d)
    found = {
        "set": IndexSet(d, keep, "block_paper").encode_keyed(mask, key),
        "changes": IndexChanges(d, "block_paper").encode_keyed(SetChanges(sets[::2], sets[1::2]), key),
        "values": MaskedValues(Identity(), mask, d).encode_keyed(values, key),
        "fractional": MaskedValues(Fractional(bits=4), mask, d).encode_keyed(values, key),
    }
    assert 8 * len(found["set"].data) == 1_005_656 == -(-1_005_652 // 8) * 8
    assert found["changes"].paper_bit == 268_154
    return {name: len(payload.data) for name, payload in found.items()}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_table_1_from_measured_bytes(row: Any, lengths: dict[str, int]) -> None:
    """M4: 32 d H / measured bits of a round, within what counts, means and floors add to the computed column.

    K and K_ad are floors, the changes carry two counts of 24 bits, the quantiser 8 means of 32 bits: below 0.05 %.
    """
    _, steps, q, change, up, down, printed_up, printed_down = row
    bits = 8 * (lengths["set" if change is None else "changes"] + lengths["values" if q == 32 else "fractional"])
    assert 32 * RESNET18 * steps / bits == pytest.approx(up, rel=5e-4)
    assert 32 * RESNET18 * steps / (8 * (lengths["set"] + lengths["values"])) == pytest.approx(down, rel=5e-4)
    assert up == pytest.approx(printed_up, rel=0.016)
    assert down == pytest.approx(printed_down, rel=0.001)


def test_table_1_to_the_second_decimal(lengths: dict[str, int]) -> None:
    """x78.05; with the 8 means L8-Q x1968.9, AD-L4-Q x1999.4, AD-L8-Q x3998.7."""
    paper = {"set": 1_005_652, "changes": 268_154, "values": 32 * 111_739, "fractional": 4 * 111_739 + 8 * 32}
    for name, bit in paper.items():
        counts = 48 if name == "changes" else 0
        assert lengths[name] == -(-(bit + counts) // 8)
    rates = [
        32 * RESNET18 * h / (paper[positions] + paper[values])
        for h, positions, values in ((1, "set", "values"), (8, "set", "fractional"), (4, "changes", "fractional"),
                                     (8, "changes", "fractional"))
    ]  # fmt: skip
    assert rates == pytest.approx([78.05, 1968.9, 1999.4, 3998.7], abs=0.06)


# --- time ---------------------------------------------------------------------------------------------------------


def test_rounds_take_what_the_closed_form_says() -> None:
    """L1: H tau + up(vote) + down(mask) + up(values) + down(mean), each the latency and bits over the rate.

    The server reports when it has the mean, so a row holds the mean's way down of the round before.
    """
    tau, problem = (0.011, 0.017, 0.013), apart(3, 300)
    link = {"name": "packet", "payload_max_bytes": 9000, "header_bytes": 28, "fixed_size": False, "rate_bps": 1e6}
    link["delay_s"] = 0.003
    base = scenario(
        mv(fraction=0.1), compute={"gradient_s": list(tau)}, network={"uplink": link, "downlink": link},
        stop={"rounds": 5},
    )  # fmt: skip
    rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"].to_pydict()
    set_s, values_s = (0.003 + 8 * (size + 8 + 28) / 1e6 for size in (-(-180 // 8), 120))
    first_s = 2 * 0.017 + 2 * set_s + values_s
    expected = [0.0, *(first_s + r * (first_s + values_s) for r in range(5))]
    assert [round(1e9 * s) for s in rows["sim_time_s"]] == [round(1e9 * s) for s in expected]


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        (mv(mask="add_drop"), "change_fraction: a share of the coordinates goes with mask: add_drop"),
        (mv(change_fraction=0.1), "change_fraction: a share of the coordinates goes with mask: add_drop"),
        (mv(fraction=0.0), "fraction"),
        (mv(fraction=1.1), "fraction"),
        (mv(mask="vote"), "mask"),
        (mv(quantiser={"name": "error_feedback", "part": "sign"}), "quantiser: a code without memory"),
        (mv(collective="over_the_air", quorum=2), "quorum: none with collective: over_the_air"),
        (mv(collective="all_reduce", deadline_s=0.5), "deadline_s: none with collective: all_reduce"),
        ({"name": "ssgd_top_k", "local_steps": 1}, "fraction: a value is needed"),
    ],
    ids=str,
)
def test_keys_that_do_not_fit(algorithm: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scenario(algorithm)
