"""Collective operations: sums, bits and times against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from algorithms.coding.counts import Counts
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Array, Key
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine
from tests.support.toys import ToyProblem, scenario

DIM = 12
RATE_BPS, DELAY_S, HEADER = 1e6, 0.01, 8


def of(nodes: int, link: Any = "ideal", **keys: Any) -> Any:
    algorithm = {"name": "all_reduce_sgd", "step_size": 0.1, "float_bit": 64, **keys}
    return scenario(algorithm, nodes=nodes, stop={"rounds": 4}, network={"topology": "complete", "link": link})


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("how", ["ring", "tree", "all_gather"])
def test_every_node_has_gradient_descents_model(how: str, nodes: int) -> None:
    """The same bits at all nodes; gradient descent to the rounding of another order of sums; more nodes than d, too."""
    problem = ToyProblem(nodes, DIM)
    base = of(nodes, collective=how)
    trace = lockstep.run(base, base.algorithms[0], problem, 4)
    x = np.zeros(DIM)
    for round in range(1, 5):
        x = x - 0.1 * problem.full_gradient(x)
        models = [estimate for _, r, estimate in trace.reports if r == round]
        assert len({model.tobytes() for model in models}) == 1
        np.testing.assert_allclose(models[0], x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("nodes", [2, 4, 6])
@pytest.mark.parametrize("how", ["ring", "tree", "all_gather"])
def test_bits_are_the_closed_forms(how: str, nodes: int) -> None:
    base = of(nodes, collective=how)
    rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
    floats = {"ring": 2 * (nodes - 1) * DIM, "tree": 2 * (nodes - 1) * DIM, "all_gather": nodes * (nodes - 1) * DIM}
    assert rows["peer_paper_bit"][-1] >= 64 * 4 * floats[how]
    messages = {"ring": 2 * nodes * (nodes - 1), "tree": 2 * (nodes - 1), "all_gather": nodes * (nodes - 1)}
    # A row stands when the last node has finished; others may have begun the next round.
    assert messages[how] * 4 <= rows["peer_messages"][-1] <= messages[how] * 5


@pytest.mark.parametrize("nodes", [2, 3, 4, 6])
def test_time_of_a_ring_and_of_a_gathering_to_the_nanosecond(nodes: int) -> None:
    """2 (M - 1), or M - 1, messages one after the other: each its bits at the rate, and the delay."""
    link = {"name": "wan", "transport": "plain", "rate_bps": RATE_BPS, "rtt_s": 2 * DELAY_S}
    for how, hops, size in (("ring", 2 * (nodes - 1), DIM // nodes), ("all_gather", nodes - 1, DIM)):
        base = of(nodes, link, collective=how)
        rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
        hop_s = DELAY_S + 8 * (HEADER + 8 * size) / RATE_BPS
        assert rows["sim_time_s"] == pytest.approx([r * hops * hop_s for r in range(5)], abs=1e-9)


@pytest.mark.parametrize(("nodes", "hops", "bodies"), [(2, 2, 2), (3, 2, 4), (4, 4, 5), (7, 4, 8), (15, 6, 12)])
def test_time_of_a_tree_to_the_nanosecond(nodes: int, hops: int, bodies: int) -> None:
    """Hops one after the other on the longest way, and messages' times on the links.

    Two children share their parent's link, up and down, so a level with both takes two messages' time. A full tree of
    n levels has 2 (n - 1) hops and 4 (n - 1) bodies. With four nodes, up: node 3 to 1 and, meanwhile, 2 to 0, then 1 to
    0: two bodies; down: 0 to 1 and 2 share, then 1 to 3: three.
    """
    link = {"name": "wan", "transport": "plain", "rate_bps": RATE_BPS, "rtt_s": 2 * DELAY_S}
    base = of(nodes, link, collective="tree")
    rows = Engine(base, base.algorithms[0], 0, ToyProblem(nodes, DIM)).run().tables["rounds"].to_pydict()
    round_s = hops * DELAY_S + bodies * 8 * (HEADER + 8 * DIM) / RATE_BPS
    assert rows["sim_time_s"] == pytest.approx([r * round_s for r in range(5)], abs=2e-9)


# --- majority voting without a server -----------------------------------------------------------------------------

VOTES = {"name": "ssgd_mv", "fraction": 0.25, "local_steps": 2, "step_size": 0.1, "model_bit": 64}


def apart(nodes: int, dim: int = DIM) -> ToyProblem:
    """Nodes whose largest coordinates differ."""
    problem = ToyProblem(nodes, dim, batch=8)
    problem.centres = problem.centres + np.random.default_rng(2).standard_normal((nodes, dim))
    return problem


def models(nodes: int, problem: ToyProblem, rounds: int, **keys: Any) -> list[list[Array]]:
    """Every reporter's models, round by round, in lockstep."""
    is_ring = keys.get("collective") == "all_reduce"
    network = {"topology": "complete", "link": "ideal"} if is_ring else {"link": keys.pop("link", "ideal")}
    base = scenario({**VOTES, "quantiser": {"name": "identity", "float_bit": 64}, **keys}, nodes=nodes, network=network)
    trace = lockstep.run(base, base.algorithms[0], problem, rounds)
    return [[x for _, r, x in trace.reports if r == round] for round in range(rounds + 1)]


@pytest.mark.parametrize(
    ("nodes", "keys"),
    [
        (1, {}),
        (2, {"warm_up_rounds": 3}),
        (5, {"aggregate": "sum", "step_size": 0.02}),
        (5, {}),
        pytest.param(14, {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_votes_by_all_reduce_are_the_servers(nodes: int, keys: dict[str, Any]) -> None:
    """The same masks and models as with a server, ties to the lowest index, to another order of the sums."""
    problem = apart(nodes)
    star = models(nodes, problem, 20, tie_break="low_index", **keys)
    ring = models(nodes, problem, 20, tie_break="low_index", collective="all_reduce", **keys)
    for (one,), many in zip(star, ring, strict=True):
        assert len(many) == nodes
        assert len({x.tobytes() for x in many}) == 1
        np.testing.assert_allclose(many[0], one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("keys", [{}, {"mask": "sampled"}, {"layer_wise": True, "model_bit": 32}], ids=str)
def test_peers_agree_on_ties_and_samples(keys: dict[str, Any]) -> None:
    """All draw alike, so all hold the same model bit for bit; and drawn ties differ from those to the lowest index."""
    found = models(6, apart(6), 30, collective="all_reduce", **keys)
    assert all(len({x.tobytes() for x in many}) == 1 for many in found)
    low = models(6, apart(6), 30, collective="all_reduce", tie_break="low_index", **keys)
    assert any(a[0].tobytes() != b[0].tobytes() for a, b in zip(found, low, strict=True)) or "mask" in keys


def test_bits_of_votes_and_values_round_the_ring() -> None:
    """Values: 2 (M - 1) K floats in all; no vote is longer than lg(most + 1) bits a coordinate and one more."""
    nodes, dim, keep = 4, 64, 16
    network = {"topology": "ring", "link": "ideal"}
    base = scenario({**VOTES, "model_bit": 32, "collective": "all_reduce"}, nodes=nodes, network=network)
    trace = lockstep.run(base, base.algorithms[0], apart(nodes, dim), 1)
    sent = {kind: [m for m in trace.messages if m.round == 0 and m.kind.startswith(kind)] for kind in ("vote", "value")}
    assert [len(messages) for messages in sent.values()] == [2 * nodes * (nodes - 1)] * 2
    assert sum(m.payload.paper_bit for m in sent["value"]) == 2 * (nodes - 1) * keep * 32
    for message in sent["vote"]:
        most = min(int(message.kind.rpartition(" ")[2]) + 1, nodes)
        assert 8 * len(message.payload.data) <= 1 + dim // nodes * math.ceil(math.log2(most + 1)) + 7


def test_what_does_not_go_with_all_reduce_is_said() -> None:
    for keys, sentence in (
        ({"mask": "add_drop", "change_fraction": 0.1}, "votes or sampled with collective: all_reduce"),
        ({"quantiser": {"name": "fractional", "bits": 3}}, "identity with collective: all_reduce"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            scenario({**VOTES, "collective": "all_reduce", **keys}, network={"topology": "ring", "link": "ideal"})
    with pytest.raises(ConfigError, match="topology star needs an algorithm of a server and workers"):
        scenario({**VOTES, "collective": "all_reduce"})
    with pytest.raises(ConfigError, match="topology ring needs an algorithm between peers"):
        scenario(VOTES, network={"topology": "ring", "link": "ideal"})


@pytest.mark.parametrize("most", [1, 2, 5, 60])
def test_counts_are_exact_and_take_the_shorter_form(most: int) -> None:
    """Dense: lg(most + 1) bits a coordinate; sparse: the set, and lg(most) bits a coordinate that is in it."""
    rng, dim = np.random.default_rng(most), 200
    for named in (0, 1, 20, 200):
        counts = np.zeros(dim)
        counts[rng.choice(dim, named, replace=False)] = rng.integers(1, most + 1, named)
        code = Counts(dim, most)
        payload = code.encode_keyed(counts, Key(0, 0))
        np.testing.assert_array_equal(code.decode(payload.data, dim), counts)
        dense = dim * math.ceil(math.log2(most + 1))
        block = min(named * (1 + w) + math.ceil(dim / 2**w) for w in range(9))
        sparse = 8 + block + named * math.ceil(math.log2(most))
        assert len(payload.data) == math.ceil((1 + min(dense, sparse)) / 8)


def test_counts_that_are_none_are_refused() -> None:
    for wrong in ([0.0, 3.0], [0.5, 1.0], [-1.0, 0.0], [1.0]):
        with pytest.raises(EncodeError, match=r"2 whole numbers of 0 \.\. 2 are needed"):
            Counts(2, 2).encode_keyed(np.array(wrong), Key(0, 0))
    with pytest.raises(DecodeError, match=r"a count is at most 2\. Got 3"):
        Counts(2, 2).decode(bytes([0b11110]), 2)
