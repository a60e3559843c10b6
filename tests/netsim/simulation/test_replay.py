"""Replays of a trace against the runs that train beside the network: every table, cell by cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from channels.media.flows.lone import LoneFlows
from netsim.errors import SimulationError
from netsim.interfaces import Problem
from netsim.scenario import Scenario, parse_text
from netsim.simulation.engine import RunResult, simulate
from netsim.simulation.replay import Replay, Replications, can_replay
from netsim.simulation.trace import Evaluated, Trace
from netsim.study import execute
from netsim.study.plan import plan

TEXT = """
name: replayed
seed: 3
replications: 3
vary: [channel]
problem:
  name: logistic_regression
  dataset: {{name: synthetic_sparse, num_rows: 60, num_features: 20, nonzeros_per_row: 5}}
  nodes: 4
  batch: 4
  l2: 0.1
network: {network}
compute: {compute}
algorithms: [{algorithm}]
stop: {stop}
record: {record}
"""
RATES = "rate_bps: {values_bps: [1e5, 1e6], probabilities: [0.5, 0.5]}, rtt_s: 0.01"
WAN = f"{{link: {{name: wan, {RATES}, jitter_s: 0.01}}}}"
PORT = f"{{link: {{name: wan, {RATES}, server_bps: 2e5, outages: {{mean_up_s: 0.1, mean_down_s: 0.02}}}}}}"
PLAIN = f"{{link: {{name: wan, {RATES}, transport: plain}}}}"
UP = f"{{uplink: {{name: wan, {RATES}, transport: plain}}, silence: free}}"
TDMA = "{link: {name: tdma, rate_bps: 1e5}}"
RING = f"{{topology: {{name: ring}}, link: {{name: wan, {RATES}, jitter_s: 0.01}}}}"
SLOW = "{gradient_s: {distribution: exponential, mean_s: 0.1}}"
SPEEDS = "{flop_per_s: {distribution: lognormal, mean_flop_per_s: 1e4, cv: 1}, power_w: 1}"
TIMES = "{gradient_s: {distribution: uniform, low_s: 0.1, high_s: 0.5, per: node}}"
IDLE = "{gradient_s: 0.1, power_w: 2, idle_w: 1}"
WORK = "{flop_per_s: 1e5, codec_flop: true, interval_s: 0.5}"
GD = "{name: gd, step_size: 0.5}"
DCGD = "{name: dcgd, compressor: {name: rand_k, k: 5}, step_size: 0.5}"
LENA = "{name: lena, step_size: 0.1}"
FEDAVG = "{name: fedavg, step_size: 0.1, local_steps: 2, participation: 0.5}"
CAT = "{name: cat, variant: sign, step_size: 0.5, cost: {name: packets, c0: 0, c_packet: 1, payload_max_bit: 100}}"
VOTES = "{name: ssgd_mv, fraction: 0.2, local_steps: 1, step_size: 0.1}"
DGD = "{name: dgd, step_size: 0.1}"
TRACKING = "{name: gradient_tracking, step_size: 0.1}"
ASKS = "{name: cat, variant: sign, step_size: 0.5, cost: {name: from_channel, quantity: s}}"


def scenario(network: str, algorithm: str, compute: str = SLOW, **changes: str) -> Scenario:
    parts = {"stop": "{rounds: 6}", "record": "{messages: true}"} | changes
    return parse_text(TEXT.format(network=network, algorithm=algorithm, compute=compute, **parts))


def opened(given: Scenario) -> Problem:
    return given.open_problem(0)


def differences(one: RunResult, other: RunResult) -> list[str]:
    """Where two results differ: NaN equals NaN, and nothing else is taken for equal."""
    facts = ("status", "sentence", "sim_time_s", "rounds", "graph", "met_at_start", "divergence")
    found = [name for name in facts if getattr(one, name) != getattr(other, name)]
    found += [] if one.tables.keys() == other.tables.keys() else ["tables"]
    for name in one.tables.keys() & other.tables.keys():
        found += [f"{name}.{column}" for column in _columns(one.tables[name], other.tables[name])]
    return found


def _columns(one: pa.Table, other: pa.Table) -> list[str]:
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return ["columns or rows"]
    pairs = ((name, one[name].to_pylist(), other[name].to_pylist()) for name in one.column_names)
    return [n for n, a, b in pairs if any(x != y and (x == x or y == y) for x, y in zip(a, b, strict=True))]


CASES = [
    *((WAN, algorithm, SLOW) for algorithm in (GD, DCGD, LENA, FEDAVG, CAT, VOTES)),
    *((network, DCGD, WORK) for network in (PORT, PLAIN, UP, TDMA)),
    *((network, LENA, SLOW) for network in (PORT, PLAIN, UP, TDMA)),
    (UP, CAT, SLOW), (UP, VOTES, SLOW), (PLAIN, FEDAVG, WORK), (RING, DGD, SLOW), (RING, TRACKING, WORK),
    *((WAN, DCGD, compute) for compute in (SPEEDS, TIMES, "{devices: boards}")),
    *((UP, DCGD, compute) for compute in (SPEEDS, TIMES, IDLE)),
]  # fmt: skip


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize(("network", "algorithm", "compute"), CASES)
def test_a_replay_is_the_coupled_run_in_every_cell(network: str, algorithm: str, compute: str, every: int) -> None:
    given = scenario(network, algorithm, compute, record=f"{{messages: true, every: {every}}}")
    assert can_replay(given, given.algorithms[0])
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(2):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        assert not differences(replications.attempt(replication), coupled)
    assert replications._trace is not None


FLAG = UP.replace("silence: free", "silence: flag")
NO_TICKS = WORK.replace(", interval_s: 0.5", "")
MANY = [
    (UP, LENA, SLOW), (FLAG, LENA, SLOW), (UP, VOTES, "{}"), (UP, CAT, SLOW), (UP, DCGD, NO_TICKS), (PLAIN, GD, SLOW),
    (PLAIN, FEDAVG, "{}"), (FLAG, "{name: lag, step_size: 0.1, xi: 0.1, window: 3}", "{gradient_s: 0.1}"),
]  # fmt: skip


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize(("network", "algorithm", "compute"), MANY)
def test_replays_by_arrays_are_coupled_runs_in_every_cell(
    network: str, algorithm: str, compute: str, every: int
) -> None:
    given = scenario(network, algorithm, compute, record=f"{{every: {every}}}")
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(3):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        assert not differences(replications.attempt(replication), coupled)
    assert replications._has_arrays


@pytest.mark.parametrize("every", [1, 4, 7])
@pytest.mark.parametrize("algorithm", ["{name: lena, step_size: 0.1}", "{name: lag, step_size: 0.1, xi: 1}"])
def test_rounds_that_take_no_time_are_replayed_by_arrays(algorithm: str, every: int) -> None:
    """Nobody uploads in some rounds, nobody computes for long: rounds and broadcasts fall on one instant."""
    given = scenario(UP, algorithm, "{}", stop="{rounds: 40}", record=f"{{every: {every}}}")
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(3):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        times = coupled.tables["rounds"]["sim_time_s"].to_pylist()
        assert every > 1 or len(set(times)) < len(times)
        assert not differences(replications.attempt(replication), coupled)
    assert replications._has_arrays


@pytest.mark.parametrize("late", [lambda ns: (ns[0] + 1, ns[1]), lambda ns: (ns[0], ns[1] + 1)], ids=["link", "there"])
def test_arrays_that_are_a_nanosecond_off_are_not_used(
    monkeypatch: pytest.MonkeyPatch, late: Callable[[tuple[int, int]], tuple[int, int]]
) -> None:
    exact = LoneFlows._time_ns
    monkeypatch.setattr(LoneFlows, "_time_ns", lambda flows, *key: late(exact(flows, *key)))
    given = scenario(UP.replace("transport: plain", "transport: plain, power: {name: ethernet, idle_w: 0.05}"), GD)
    given = dataclasses.replace(given, record=dataclasses.replace(given.record, messages=False))
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(2):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        assert not differences(replications.attempt(replication), coupled)
    assert not replications._has_arrays


def test_a_channel_whose_messages_share_links_is_replayed_in_the_engine() -> None:
    given = scenario(PORT, GD, record="{}")
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(2):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        assert not differences(replications.attempt(replication), coupled)
    assert replications._trace is not None
    assert not replications._has_arrays


def test_training_happens_once() -> None:
    given = scenario(WAN, GD)
    problem: Any = opened(given)
    calls, inner = list[int](), problem.gradients
    problem.gradients = lambda requests: calls.append(len(requests)) or inner(requests)
    replications = Replications(given, given.algorithms[0], problem)
    clocks = [replications.attempt(replication).sim_time_s for replication in range(3)]
    assert len(set(clocks)) == 3, "three networks, three clocks"
    # 4 workers have 6 gradients each for the 6 rounds; nobody goes on without the server.
    assert sum(calls) == 24


def test_a_trace_with_another_size_or_order_is_another_run() -> None:
    given = scenario(PLAIN, DCGD)
    coupled = simulate(given, given.algorithms[0], 0, opened(given))
    for broken in (_lengthened, _worked_twice):
        trace = Trace(given, given.algorithms[0], opened(given))
        assert not differences(Replay(trace, 0).run(), coupled)
        broken(trace)
        assert differences(Replay(trace, 0).run(), coupled)


def _lengthened(trace: Trace) -> None:
    """A byte more in one message."""
    commands = trace.commands[2]
    place = next(i for i, command in enumerate(commands) if hasattr(command, "payload"))
    payload = commands[place].payload  # type: ignore[attr-defined]
    longer = dataclasses.replace(payload, data=bytes(len(payload.data) + 1))
    commands[place] = dataclasses.replace(commands[place], payload=longer)  # type: ignore[type-var]


def _worked_twice(trace: Trace) -> None:
    """One gradient more."""
    commands = trace.commands[1]
    commands.insert(1, next(command for command in commands if isinstance(command, Evaluated)))


@pytest.mark.parametrize(
    ("network", "algorithm", "changes"),
    [
        (WAN, GD, {"stop": "{sim_time_s: 3}"}),
        (WAN, GD, {"stop": "{rounds: 6, messages: 20}"}),
        (WAN, "{name: fedavg, step_size: 0.1, local_steps: 2, quorum: 2}", {}),
        (WAN, "{name: fedbuff, step_size: 0.1, local_steps: 2, buffer_size: 2}", {}),
        (WAN.replace("}}", "}, battery: {capacity_j: 1e3}}"), GD, {}),
        (WAN, GD, {"record": "{pcap: true}"}),
    ],
)
def test_what_depends_on_the_clock_is_never_replayed(network: str, algorithm: str, changes: dict[str, str]) -> None:
    try:
        given = scenario(network, algorithm, **changes)
    except Exception as error:  # a text that does not parse would pass for one that is not replayed
        raise AssertionError(str(error)) from error
    assert not can_replay(given, given.algorithms[0])


def test_what_is_drawn_elsewhere_is_never_replayed() -> None:
    given = scenario(WAN, GD)
    assert can_replay(given, given.algorithms[0])
    assert not can_replay(dataclasses.replace(given, vary=("channel", "batch")), given.algorithms[0])


def test_agents_that_ask_what_their_link_costs_are_coupled() -> None:
    given = scenario(PLAIN, ASKS)
    problem = opened(given)
    replications = Replications(given, given.algorithms[0], problem)
    for replication in range(2):
        coupled = simulate(given, given.algorithms[0], replication, problem)
        assert not differences(replications.attempt(replication), coupled)
    assert replications._trace is None


def test_a_network_that_draws_nothing_is_run_once() -> None:
    given = scenario(TDMA, GD, "{gradient_s: 0.1}")
    replications = Replications(given, given.algorithms[0], opened(given))
    assert replications.attempt(2) is replications.attempt(0)
    assert not differences(replications.attempt(1), simulate(given, given.algorithms[0], 1, opened(given)))
    drawn = scenario(TDMA, GD, SLOW)
    replications = Replications(drawn, drawn.algorithms[0], opened(drawn))
    assert replications.attempt(0).sim_time_s != replications.attempt(1).sim_time_s


def test_a_study_trains_once_and_keeps_the_bytes_of_coupled_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    made, inner = list[Trace](), Trace.__init__

    def counted(trace: Trace, *arguments: Any) -> None:
        made.append(trace)
        inner(trace, *arguments)

    monkeypatch.setattr(Trace, "__init__", counted)
    given = scenario(WAN, DCGD)
    execute.close_problems()
    for run in plan(given, (), lambda point: execute.content(opened(point))):
        record, files = execute.execute(run)
        coupled = simulate(given, run.entry, run.replication, opened(given))
        assert (record.status, record.sentence) == (coupled.status, coupled.sentence)
        tables = {name: pa.ipc.open_file(data).read_all() for name, data in files.items()}
        for name, table in coupled.tables.items():
            assert not _columns(tables[f"{name}.arrow"], table)
    execute.close_problems()
    assert len(made) == 1


def test_a_target_ends_a_replay_in_the_same_round() -> None:
    given = scenario(WAN, GD, stop="{rounds: 50, target: {loss: 0.68}}")
    problem = opened(given)
    result = Replications(given, given.algorithms[0], problem).attempt(1)
    assert result.status == "reached"
    assert not differences(result, simulate(given, given.algorithms[0], 1, problem))


def test_an_agent_that_fails_says_the_same_as_in_a_coupled_run() -> None:
    given = scenario(WAN, "{name: gd, step_size: 1e100}", stop="{rounds: 60}")
    problem = opened(given)
    sentences = []
    for run in (Replications(given, given.algorithms[0], problem).attempt, None):
        try:
            result = run(0) if run else simulate(given, given.algorithms[0], 0, problem)
            sentences.append(result.sentence)
        except SimulationError as error:
            sentences.append(str(error))
    assert sentences[0] == sentences[1]
