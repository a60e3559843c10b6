"""What every algorithm promises: on a star of three workers and a server, or on a ring of five peers."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netsim import registry
from netsim.errors import SimulationError
from netsim.interfaces import HEADER_BYTES, NodeId, Report
from netsim.scenario import ComputeModel, Distribution, Record, Scenario
from netsim.scenario.parts import COUNTERS, DIRECTIONS
from netsim.simulation import lockstep
from netsim.simulation.ending import RunResult
from netsim.simulation.engine import Engine, simulate
from netsim.simulation.replay import is_timing_free
from netsim.testing.bounded import Bounded
from netsim.testing.contract import ContractError, broken, on, on_smallest, require
from netsim.testing.worlds import Jitter, SampledToy, ToyProblem, is_star, nodes_of, world

ROUNDS = 12
DIM = 12
COMMANDS_PER_ROUND = 1000
SLOW = ComputeModel(gradient_s=Distribution("exponential", mean_s=0.2))

Estimates = dict[tuple[NodeId, int], bytes]


def problem_for(algorithm: Any) -> ToyProblem:
    """Return a problem whose nodes differ, with minibatches."""
    return SampledToy(nodes_of(algorithm), DIM, batch=8)


def reporters_of(algorithm: Any) -> tuple[NodeId, ...]:
    """Return the nodes that must report every round: the server, or all peers."""
    return (nodes_of(algorithm),) if is_star(algorithm) else tuple(range(nodes_of(algorithm)))


def place_of(algorithm: Any, rounds: int) -> str:
    """Return the world of a check as text."""
    shape = "a star of 3 workers and a server" if is_star(algorithm) else "a ring of 5 peers"
    return f"{shape}, d = {DIM}, {rounds} round{'' if rounds == 1 else 's'}"


def contract_world(algorithm: Any, link: Any = "ideal", rounds: int = ROUNDS, **parts: Any) -> Scenario:
    """Return a scenario of the algorithm alone, with agents that end after so many commands."""
    built = registry.build("channel", link) if isinstance(link, str | dict) else link
    return world(Bounded(algorithm, COMMANDS_PER_ROUND * (rounds + 1)), built, rounds, **parts)


def in_lockstep(base: Scenario, replication: int = 0) -> Estimates:
    """Return what every node reports without clock and network, bit by bit."""
    entry = base.algorithms[0]
    trace = lockstep.run(base, entry, problem_for(entry.algorithm), _rounds(base), replication)
    return {(node, round): estimate.tobytes() for node, round, estimate in trace.reports}


def in_the_engine(base: Scenario, replication: int = 0) -> tuple[Estimates, RunResult]:
    """Return what every node reports on the scenario's network up to the last round, bit by bit, and the result."""
    entry, rounds = base.algorithms[0], _rounds(base)
    engine = Engine(base, entry, replication, problem_for(entry.algorithm))
    seen: Estimates = {}
    inner = engine.recorder.report

    def watch(node: NodeId, report: Report, *rest: Any) -> bool:
        if report.estimate is not None and report.round <= rounds:
            require((node, report.round) not in seen, f"node {node} reports round {report.round} twice")
            seen[node, report.round] = report.estimate.tobytes()
        return inner(node, report, *rest)

    engine.recorder.report = watch  # type: ignore[assignment, method-assign]
    result = engine.run()
    require(result.status == "done", f"the run does not end by itself: {result.sentence}")
    return seen, result


def check_interface(algorithm: Any) -> None:
    """Check that it makes a server and workers, or peers, and says what it tolerates of late and lost messages."""
    star = [name for name in ("server", "worker") if callable(getattr(algorithm, name, None))]
    peer = callable(getattr(algorithm, "peer", None))
    got = ", ".join([*star, *(["peer"] if peer else [])]) or "none of them"
    one_kind = peer if not star else len(star) == 2 and (not peer or hasattr(algorithm, "between_peers"))
    require(one_kind, f"methods server(ctx) and worker(ctx), or peer(ctx), make the agents. Got {got}")
    tolerates = getattr(algorithm, "tolerates", None)
    known = isinstance(tolerates, frozenset) and tolerates <= {"late", "loss", "known_loss"}
    require(known, f"tolerates is a frozenset of 'late', 'loss' and 'known_loss'. Got {tolerates!r}")


def check_reports(algorithm: Any) -> None:
    """Check that the server, or every peer, reports a finite estimate of every round in order, without a network."""
    on_smallest(functools.partial(_reports, algorithm), range(1, ROUNDS + 1), lambda r: place_of(algorithm, len(r)))


def _reports(algorithm: Any, rounds: Sequence[int]) -> None:
    base = contract_world(algorithm, rounds=len(rounds))
    entry = base.algorithms[0]
    try:
        trace = lockstep.run(base, entry, problem_for(algorithm), len(rounds))
    except SimulationError as error:
        silent = [node for node in reporters_of(algorithm) if node not in entry.algorithm.reported]
        is_own = error.__cause__ is not None and not isinstance(error.__cause__, ContractError)
        if is_own or not silent:
            raise
        who = "the server never reports" if is_star(algorithm) else f"peer {silent[0]} never reports"
        raise ContractError(f"{who} an estimate: {broken(error, '').sentence}") from error
    for node in reporters_of(algorithm):
        reports = [(round, estimate) for n, round, estimate in trace.reports if n == node]
        seen = [round for round, _ in reports]
        text = f"node {node} must report rounds 0, 1, 2, ... once each, in order. Got {seen}"
        require(seen == list(range(len(rounds) + 1)), text)
        for round, estimate in reports:
            text = f"node {node}, round {round}: an estimate is a float64 vector of {DIM} finite entries. Got"
            require(estimate.shape == (DIM,), f"{text} shape {estimate.shape}")
            require(estimate.dtype == np.float64, f"{text} {estimate.dtype}")
            require(np.isfinite(estimate).all(), f"{text} {estimate}")


def check_lockstep(algorithm: Any) -> None:
    """Check that with ideal links and equal compute times every node reports in every round what lockstep does."""
    base = contract_world(algorithm, compute=ComputeModel(gradient_s=1.0))
    with on(place_of(algorithm, ROUNDS)):
        engine, result = in_the_engine(base)
        _compare(algorithm, engine, in_lockstep(base), "on ideal links with equal compute times")
        rounds = result.tables["rounds"]["round"].to_pylist()
        require(rounds == list(range(ROUNDS + 1)), f"the run's table must have each round once. Got {rounds}")


def check_delays(algorithm: Any) -> None:
    """Check that random speeds, delays and orders of arrival do not change a synchronous algorithm.

    Lockstep prices messages on the same links, for algorithms that ask what a message costs.
    """
    base = contract_world(algorithm, Jitter(), compute=SLOW)
    if not is_timing_free(algorithm, base.network):
        return
    for replication in range(3):
        with on(f"{place_of(algorithm, ROUNDS)}, random delays, replication {replication}"):
            _check_delays(algorithm, base, replication)


def _check_delays(algorithm: Any, base: Scenario, replication: int) -> None:
    problem = problem_for(algorithm)
    plain = in_lockstep(base, replication)
    engine, result = in_the_engine(base, replication)
    _compare(algorithm, engine, plain, "with random delays")
    losses = []
    for round in range(ROUNDS + 1):
        estimates = [np.frombuffer(plain[node, round]) for node in reporters_of(algorithm)]
        losses.append(problem.loss(np.mean(estimates, axis=0) if len(estimates) > 1 else estimates[0]))
    measured = result.tables["rounds"]["loss"].to_pylist()
    wrong = [round for round, (a, b) in enumerate(zip(measured, losses, strict=True)) if a != b]
    sentence = (
        "the loss measured is not that of the estimate reported: an agent goes on writing to an array it reported"
    )
    require(not wrong, f"{sentence}, in round {wrong[0] if wrong else ''}")


def _compare(algorithm: Any, engine: Estimates, plain: Estimates, where: str) -> None:
    """Raise unless both have every reporter's estimate of every round, with the same bits."""
    for round in range(ROUNDS + 1):
        for node in reporters_of(algorithm):
            case = place_of(algorithm, max(round, 1))
            for estimates, how in ((engine, where), (plain, "in lockstep")):
                if (node, round) not in estimates:
                    raise ContractError(f"node {node} does not report round {round} {how}", case)
            if engine[node, round] != plain[node, round]:
                a, b = np.frombuffer(engine[node, round]), np.frombuffer(plain[node, round])
                size = f"by up to {np.abs(a - b).max():.3g}" if a.shape == b.shape else f"of shape {a.shape}"
                sentence = f"node {node} reports another estimate of round {round} {where} than in lockstep, {size}"
                raise ContractError(sentence, case)
    others = sorted({node for node, _ in engine} - set(reporters_of(algorithm)))
    require(not others, f"only the server reports estimates; nodes {others} do, too")


def check_seed(algorithm: Any) -> None:
    """Check that equal seeds give equal tables, cell by cell, clock and joules included."""
    base = contract_world(algorithm, Jitter(), compute=SLOW, record=Record(messages=True), seed=3)
    with on(place_of(algorithm, ROUNDS)):
        first, second = (simulate(base, base.algorithms[0], 0, problem_for(algorithm)).tables for _ in range(2))
        require(set(first) == set(second), "two runs of one seed leave other tables")
        for name, table in first.items():
            require(table.schema == second[name].schema, f"two runs of one seed leave other columns in {name}")
            for column in table.column_names:
                a, b = table[column].to_numpy(), second[name][column].to_numpy()
                same = a.shape == b.shape and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))
                require(same, f"two runs of one seed differ in column {column} of {name}")


def check_counters(algorithm: Any) -> None:
    """Check that counters are sums over messages that ended, each as long as its payload, and never fall."""
    link = {"name": "ethernet_udp", "rate_bps": 1e6}
    base = contract_world(algorithm, link, record=Record(messages=True))
    with on(place_of(algorithm, ROUNDS)):
        _check_counters(algorithm, base)


def _check_counters(algorithm: Any, base: Scenario) -> None:
    engine = Engine(base, base.algorithms[0], 0, problem_for(algorithm))
    sent = Counter[tuple[NodeId, NodeId, int]]()
    (medium,) = engine.world.media
    inner = medium.submit

    def watch(now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> int:
        sent.update((src, to, size_bytes - HEADER_BYTES) for to in dst)
        return inner(now_ns, src, dst, size_bytes)

    medium.submit = watch  # type: ignore[method-assign]
    result = engine.run()
    require(result.status == "done", f"the run does not end by itself: {result.sentence}")
    rows, messages = result.tables["rounds"].to_pydict(), result.messages().to_pydict()
    ended = Counter(zip(messages["src"], messages["dst"], messages["payload_bytes"], strict=True))
    require(ended <= sent, f"messages ended that were never sent, as (src, dst, payload bytes): {ended - sent}")
    for direction in DIRECTIONS:
        _check_direction(engine, direction, rows, messages)
    if getattr(algorithm, "is_alone", False):
        require(not sent, f"is_alone is True, and messages are sent, as (src, dst, payload bytes): {dict(sent)}")
        return
    up = "uplink" if is_star(algorithm) else "peer"
    require(rows[f"{up}_payload_bytes"][-1] > 0, "no node ever sends a payload")


_OF_MESSAGES = ("paper_bit", "payload_bytes", "wire_bytes", "packets", "attempts")


def _check_direction(
    engine: Engine, direction: str, rows: Mapping[str, list[float]], messages: Mapping[str, list[Any]]
) -> None:
    ways = enumerate(zip(messages["src"], messages["dst"], strict=True))
    mine = [i for i, (src, dst) in ways if engine.world.way(src, dst)[0] == direction]
    mine = [i for i in mine if messages["packets"][i]]
    sums = {name: sum(values[i] for i in mine) for name, values in messages.items() if name in _OF_MESSAGES}
    sums["message_bytes"] = sums["payload_bytes"] + HEADER_BYTES * len(mine)
    sums |= {"messages": len(mine), "transmissions": sums["attempts"]}
    for counter in COUNTERS:
        counts, total = rows[f"{direction}_{counter}"], sums[counter]
        close = abs(counts[-1] - total) <= 1e-12 * abs(total)
        require(close, f"{direction}_{counter} ends at {counts[-1]}; the messages sum up to {total}")
        require((np.diff(counts) >= 0).all(), f"{direction}_{counter} is counted back")
    payload, wire, count = (np.array(rows[f"{direction}_{c}"]) for c in ("payload_bytes", "wire_bytes", "messages"))
    full = (wire >= payload + HEADER_BYTES * count).all()
    require(full, f"{direction}_wire_bytes is less than payloads and headers together")


def _rounds(base: Scenario) -> int:
    return base.stop.rounds or ROUNDS
