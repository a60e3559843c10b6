"""What every algorithm promises, as functions of one configuration; plugin authors can call them too.

`check_all` runs the lot, on a star of three workers and a server, or on a ring of five peers.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.interfaces import HEADER_BYTES, NodeId, Report, StarAlgorithm
from netsim.scenario import Entry, Scenario, Topology, parsing
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult, simulate
from netsim.simulation.recorder import COUNTERS, DIRECTIONS
from tests.support.toys import Jitter, ToyProblem, scenario

ROUNDS = 20
DIM = 12
SLOW = {"gradient_s": {"distribution": "exponential", "mean_s": 0.2}}

Estimates = dict[tuple[NodeId, int], bytes]


def world(algorithm: Any, link: Any = "ideal", **keys: Any) -> Scenario:
    """A scenario of this algorithm alone, on `link` in every direction."""
    base = scenario({"name": "gd"}, nodes=nodes_of(algorithm), stop={"rounds": ROUNDS}, **keys)
    built = registry.build("channel", link) if isinstance(link, str | dict) else link
    shape = Topology(name="star" if isinstance(algorithm, StarAlgorithm) else "ring")
    network = dataclasses.replace(base.network, uplink=None, downlink=None, link=built, topology=shape)
    return dataclasses.replace(base, algorithms=(Entry("algorithm", algorithm),), network=network)


def nodes_of(algorithm: Any) -> int:
    """Learning nodes of the worlds here."""
    return 3 if isinstance(algorithm, StarAlgorithm) else 5


def problem_for(algorithm: Any) -> ToyProblem:
    """Nodes that differ, and minibatches."""
    return ToyProblem(nodes_of(algorithm), DIM, batch=8)


def in_lockstep(base: Scenario, replication: int = 0) -> Estimates:
    """What every node reports without clock and network, bit by bit."""
    entry = base.algorithms[0]
    trace = lockstep.run(base, entry, problem_for(entry.algorithm), ROUNDS, replication)
    return {(node, round): estimate.tobytes() for node, round, estimate in trace.reports}


def in_the_engine(base: Scenario, replication: int = 0) -> tuple[Estimates, RunResult]:
    """What every node reports on the scenario's network up to the last round, bit by bit."""
    entry = base.algorithms[0]
    engine = Engine(base, entry, replication, problem_for(entry.algorithm))
    seen: Estimates = {}
    inner = engine.recorder.report

    def watch(node: NodeId, report: Report, *rest: Any) -> bool:
        if report.estimate is not None and report.round <= ROUNDS:
            assert (node, report.round) not in seen, "a node reports each round once"
            seen[node, report.round] = report.estimate.tobytes()
        return inner(node, report, *rest)

    engine.recorder.report = watch  # type: ignore[assignment, method-assign]
    result = engine.run()
    assert result.status == "done", result.sentence
    return seen, result


def check_shape(algorithm: Any) -> None:
    """A star's or peers' algorithm, and what it says of late and lost messages."""
    is_star = hasattr(algorithm, "server") and hasattr(algorithm, "worker")
    assert is_star != hasattr(algorithm, "peer")
    assert isinstance(algorithm.tolerates, frozenset)
    assert algorithm.tolerates <= {"late", "loss"}


def check_configuration(algorithm: Any) -> None:
    """Plain data and pickle give the same algorithm; it is frozen and hashable."""
    plain = parsing.dump(algorithm)
    assert json.loads(json.dumps(plain)) == plain
    assert registry.build("algorithm", plain) == algorithm
    assert parsing.dump(registry.build("algorithm", plain)) == plain
    assert pickle.loads(pickle.dumps(algorithm)) == algorithm
    hash(algorithm)
    with pytest.raises(dataclasses.FrozenInstanceError):
        algorithm.anything = 1


def check_lockstep(algorithm: Any) -> None:
    """On ideal links and with equal compute times every node reports, in every round, what it does in lockstep."""
    base = world(algorithm)
    engine, result = in_the_engine(base)
    assert engine == in_lockstep(base)
    reporters = {node for node, _ in engine}
    assert reporters == ({3} if isinstance(algorithm, StarAlgorithm) else set(range(5)))
    assert set(engine) == {(node, round) for node in reporters for round in range(ROUNDS + 1)}
    assert result.tables["rounds"]["round"].to_pylist() == list(range(ROUNDS + 1))
    for estimate in engine.values():
        assert np.frombuffer(estimate).shape == (DIM,)
        assert np.isfinite(np.frombuffer(estimate)).all()


def check_delays(algorithm: Any) -> None:
    """A synchronous algorithm does not feel random speeds and delays, in any order of arrival.

    Lockstep prices messages on the same links, for algorithms that ask what a message costs.
    """
    if "late" in algorithm.tolerates:
        return
    base, problem = world(algorithm, Jitter(), compute=SLOW), problem_for(algorithm)
    for replication in range(3):
        plain = in_lockstep(base, replication)
        engine, result = in_the_engine(base, replication)
        assert engine == plain
        reporters = sorted({node for node, _ in plain})
        losses = []
        for round in range(ROUNDS + 1):
            estimates = [np.frombuffer(plain[node, round]) for node in reporters]
            losses.append(problem.loss(np.mean(estimates, axis=0) if len(estimates) > 1 else estimates[0]))
        # An estimate that its agent still writes to would be measured wrong here.
        assert result.tables["rounds"]["loss"].to_pylist() == losses


def check_seed(algorithm: Any) -> None:
    """Equal seeds give equal tables, cell by cell, clock and joules included."""
    base = world(algorithm, Jitter(), compute=SLOW, record={"messages": True}, seed=3)
    first, second = (simulate(base, base.algorithms[0], 0, problem_for(algorithm)).tables for _ in range(2))
    assert set(first) == set(second)
    for name, table in first.items():
        assert table.schema == second[name].schema
        for column in table.column_names:
            np.testing.assert_array_equal(table[column].to_numpy(), second[name][column].to_numpy(), err_msg=column)


def check_counters(algorithm: Any) -> None:
    """Counters are the sums over messages that ended; each is as long as its payload; nothing is counted back."""
    base = world(algorithm, {"name": "ethernet_udp", "rate_bps": 1e6}, record={"messages": True})
    engine = Engine(base, base.algorithms[0], 0, problem_for(algorithm))
    sent = Counter[tuple[NodeId, NodeId, int]]()
    (medium,) = engine.world.media
    inner = medium.submit

    def watch(now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> int:
        sent.update((src, to, size_bytes - HEADER_BYTES) for to in dst)
        return inner(now_ns, src, dst, size_bytes)

    medium.submit = watch  # type: ignore[method-assign]
    tables = engine.run().tables
    rows, messages = tables["rounds"].to_pydict(), tables["messages"].to_pydict()
    ended = Counter(zip(messages["src"], messages["dst"], messages["payload_bytes"], strict=True))
    assert ended <= sent
    for direction in DIRECTIONS:
        mine = [
            i
            for i, (src, dst) in enumerate(zip(messages["src"], messages["dst"], strict=True))
            if engine.world.way(src, dst)[0] == direction
        ]
        last = {counter: rows[f"{direction}_{counter}"][-1] for counter in COUNTERS}
        assert last["messages"] == len(mine)
        for counter in ("paper_bit", "payload_bytes", "wire_bytes", "packets"):
            assert last[counter] == pytest.approx(sum(messages[counter][i] for i in mine), rel=1e-12)
            assert (np.diff(rows[f"{direction}_{counter}"]) >= 0).all()
        payload, wire, count = (np.array(rows[f"{direction}_{c}"]) for c in ("payload_bytes", "wire_bytes", "messages"))
        assert (wire >= payload + HEADER_BYTES * count).all()
    up = "uplink" if isinstance(algorithm, StarAlgorithm) else "peer"
    assert rows[f"{up}_payload_bytes"][-1] > 0


def check_all(algorithm: Any) -> None:
    """Every check of this module."""
    for check in CHECKS:
        check(algorithm)


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_shape,
    check_configuration,
    check_lockstep,
    check_delays,
    check_seed,
    check_counters,
)
