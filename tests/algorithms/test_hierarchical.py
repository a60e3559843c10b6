"""Hierarchical FedAvg over two tiers: what it is with one kind of tier, and the numbers it weighs by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array
from netsim.scenario import Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.algorithms.test_federated import Unlike
from tests.support.toys import scenario
from tests.support.watched import SLOW, WIRES, reported

DENSE = {"model_bit": 64, "compressor": {"name": "identity", "float_bit": 64}, "step_size": 0.1}
WIRE = WIRES["link"]


def two_tiers(aggregators: int, nodes: int = 6, network: dict[str, Any] | None = None, **keys: Any) -> Scenario:
    """A scenario of hierarchical FedAvg."""
    algorithm = {"name": "hierarchical_fedavg", **DENSE, "local_steps": 2, "edge_rounds": 3, **keys}
    topology = {"name": "star", "aggregators": aggregators}
    return scenario(algorithm, nodes=nodes, network={"topology": topology, **(network or {})}, stop={"rounds": 12})


def models(base: Scenario, problem: Unlike, rounds: int = 12) -> list[Array]:
    return [x for _, _, x in lockstep.run(base, base.algorithms[0], problem, rounds).reports]


def assert_close(xs: list[Array], ys: list[Array]) -> None:
    assert len(xs) == len(ys) > 2
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


def fedavg(problem: Unlike, rounds: int, **keys: Any) -> list[Array]:
    return models(scenario({"name": "fedavg", **DENSE, **keys}, nodes=problem.num_nodes), problem, rounds)


def test_one_edge_round_is_fedavg() -> None:
    """The weighted mean of weighted means, n = 10, 20, .. 60 in clusters of two and three."""
    problem = Unlike(6)
    for aggregators in (2, 3):
        assert_close(models(two_tiers(aggregators, edge_rounds=1), problem), fedavg(problem, 12, local_steps=2))


def test_one_aggregator_is_fedavg_seen_now_and_then() -> None:
    problem = Unlike(6)
    assert_close(models(two_tiers(1), problem), fedavg(problem, 36, local_steps=2)[::3])


def test_aggregators_with_one_client_make_its_steps_more() -> None:
    problem = Unlike(6)
    assert_close(models(two_tiers(6), problem), fedavg(problem, 12, local_steps=6))


def test_without_aggregators_it_is_fedavg() -> None:
    problem = Unlike(3)
    base = scenario({"name": "hierarchical_fedavg", **DENSE, "local_steps": 2, "edge_rounds": 3})
    assert_close(models(base, problem), fedavg(problem, 12, local_steps=2))


def test_clusters_by_hand() -> None:
    """Clusters {0, 1} and {2, 3, 4} with n = 10 .. 50, two edge rounds of one full step."""
    problem, n = Unlike(5, batch=0), 10.0 * np.arange(1, 6)
    base = two_tiers(2, 5, local_steps=1, edge_rounds=2, step_size=0.2)
    x = problem.start()
    expected = [x]
    for _ in range(5):
        total = np.zeros(12)
        for cluster in ([0, 1], [2, 3, 4]):
            y, weight = x, n[cluster]
            for _ in range(2):
                y = y - 0.2 * weight @ (problem.curvature[cluster] * (y - problem.centres[cluster])) / weight.sum()
            total += weight.sum() * y
        x = total / n.sum()
        expected.append(x)
    assert_close(models(base, problem, 5), expected)


def test_who_is_too_slow_is_not_part_of_the_means() -> None:
    """Clusters {0, 1}, {2, 3} and {4, 5}; 3 is late by a round, 4 and 5 by many: weights are of the samples heard."""
    problem, n = Unlike(6, batch=0), 10.0 * np.arange(1, 7)
    keys = {"local_steps": 1, "edge_rounds": 2, "step_size": 0.2, "deadline_s": 5.0, "quorum": 3}
    algorithm = {"name": "hierarchical_fedavg", **DENSE, **keys}
    topology = {"name": "star", "aggregators": 3}
    seconds = [1.0, 2.0, 3.0, 7.0, 1000.0, 1000.0]
    base = scenario(
        algorithm, nodes=6, network={"topology": topology}, compute={"gradient_s": seconds}, stop={"rounds": 4}
    )
    x, found = problem.start(), reported(base, problem, server=9)
    assert len(found) > 4
    for got in found:
        np.testing.assert_allclose(got, x, rtol=0, atol=1e-12)
        total, heard = np.zeros(12), 0.0
        for cluster in ([0, 1], [2]):
            y, weight = x, n[cluster]
            for _ in range(2):
                y = y - 0.2 * weight @ (problem.curvature[cluster] * (y - problem.centres[cluster])) / weight.sum()
            total, heard = total + weight.sum() * y, heard + weight.sum()
        x = total / heard


def test_it_learns_where_both_tiers_lose() -> None:
    """A quarter of all messages are lost, up and down, and speeds are random: all rounds come, and the loss falls."""
    lossy = {"name": "wan", "transport": "plain", "rate_bps": 1e5, "rtt_s": 0.02, "loss": 0.25}
    keys = {"name": "hierarchical_fedavg", **DENSE, "local_steps": 1, "edge_rounds": 2, "deadline_s": 0.8}
    network = {"topology": {"name": "star", "aggregators": 2}, "link": lossy, "backbone": lossy}
    base = scenario(keys, nodes=6, network=network, compute=SLOW, stop={"rounds": 50})
    result = simulate(base, base.algorithms[0], 0, Unlike(6))
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert (result.status, len(gaps)) == ("done", 51)
    assert gaps[-1] < 0.3 * gaps[0]


@pytest.mark.parametrize(
    "lower", [{"link": WIRE}, {"uplink": WIRE, "downlink": WIRE}, {"link": {"name": "ieee802154"}}]
)
def test_it_feels_no_delay_on_any_of_two_links(lower: dict[str, Any]) -> None:
    """Bitwise as in lockstep, with compressed uploads on both tiers; each link carries its own tier's messages."""
    problem = Unlike(6)
    keys = {"compressor": {"name": "qsgd", "levels": 4}, "model_bit": 32}
    network = {**lower, "backbone": {"name": "ethernet_udp", "rate_bps": 1e6}}
    base = two_tiers(2, network=network, **keys)
    slow = scenario(
        {"name": "hierarchical_fedavg", **DENSE, "local_steps": 2, "edge_rounds": 3, **keys}, nodes=6,
        network={"topology": {"name": "star", "aggregators": 2}, **network}, compute=SLOW, stop={"rounds": 12},
        record={"messages": True},
    )  # fmt: skip
    for x, y in zip(models(base, problem), reported(slow, problem, server=8), strict=True):
        np.testing.assert_array_equal(x, y)
    table = simulate(slow, slow.algorithms[0], 0, problem).messages().to_pydict()
    up = [(s, d) for s, d, k in zip(table["src"], table["dst"], table["kind"], strict=True) if k == "update"]
    assert up.count((0, 6)) == 3 * 12
    assert up.count((6, 8)) == up.count((7, 8)) == 12


def test_counts_of_samples_travel_with_uploads() -> None:
    """32 bits each: 48 + 4 bytes of an upload in float32, and the sums arrive at the server."""
    base = two_tiers(2, compressor="identity", network={"backbone": "ideal"})
    trace = lockstep.run(base, base.algorithms[0], Unlike(6), 2)
    uploads = [m for m in trace.messages if m.kind == "update"]
    assert {len(m.payload.data) for m in uploads} == {52}
    counts = {m.src: float(np.frombuffer(m.payload.data[:4], np.float32)[0]) for m in uploads}
    assert counts == {0: 10, 1: 20, 2: 30, 3: 40, 4: 50, 5: 60, 6: 60, 7: 150}


def test_a_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match="compressor: a code without memory"):
        two_tiers(2, compressor={"name": "error_feedback", "part": {"name": "top_k", "k": 3}})
