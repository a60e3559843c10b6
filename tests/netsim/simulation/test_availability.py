"""Nodes that go off and come back: rounds, losses, computing and joules by hand, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from netsim import rng
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import Command, Context, Gradient, GradientRequest, Payload, Receive, Report, Send, Silent, Wait
from netsim.scenario import Entry, check_data, parse_text
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult, simulate
from netsim.simulation.replay import can_replay, is_timing_free
from netsim.units import NS_PER_S, seconds_to_ns
from tests.support.toys import ToyProblem, scenario

GD = {"name": "gd", "deadline_s": 2, "step_size": 0.1, "model_bit": 64}
LINK = {"name": "ideal", "delay_s": 0.1}
Program = Callable[[Context], Coroutine[Command[Any], Any, None]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def network(**availability: Any) -> dict[str, Any]:
    return {"link": LINK, "silence": "free", "availability": availability}


def run(
    lines: str, rounds: int = 3, nodes: int = 3, compute: Mapping[str, Any] | None = None, **keys: Any
) -> RunResult:
    """Simulate gradient descent: a round in which all take part is 0.1 s down, 1 s of computing, 0.1 s up."""
    Path("trace.csv").write_text(f"node,from_s,to_s\n{lines}")
    given = compute or {"gradient_s": [1] * nodes}
    base = scenario(GD, nodes=nodes, stop={"rounds": rounds}, network=network(path="trace.csv"), compute=given, **keys)
    return simulate(base, base.algorithms[0], 0, ToyProblem(nodes))


class Script:
    """An algorithm of a worker's and a server's function."""

    tolerates: ClassVar[frozenset[str]] = frozenset({"late", "loss"})
    name: ClassVar[str] = "script"

    def __init__(self, worker: Program, server: Program) -> None:
        self.server, self.worker = lambda ctx: _Runs(server(ctx)), lambda ctx: _Runs(worker(ctx))


class _Runs:
    def __init__(self, program: Coroutine[Command[Any], Any, None]) -> None:
        self.program = program

    def run(self) -> Coroutine[Command[Any], Any, None]:
        return self.program


def scripted(worker: Program, server: Program, nodes: int = 1, **keys: Any) -> tuple[Engine, RunResult]:
    base = scenario(GD, nodes=nodes, **keys)
    engine = Engine(base, Entry("script", Script(worker, server)), 0, ToyProblem(nodes))
    return engine, engine.run()


def processor(result: RunResult, node: int) -> dict[str, tuple[float, float]]:
    """State to seconds and joules of a node's processor."""
    table = result.tables["energy"].to_pandas()
    rows = table[(table.node == node) & (table.interface == "processor")]
    return {row.state: (row.time_s, row.energy_j) for row in rows.itertuples()}


# --- missing and late ------------------------------------------------------------------------------------------------


def test_a_node_that_is_off_when_the_model_comes_is_missing() -> None:
    """Node 2 goes off at 0.05 s, before the model of round 0 is there at 0.1 s, and comes back at 4 s.

    Rounds 0 and 1 end at the deadline of 2 s with the uploads of two; the models for node 2 are lost. The model of
    round 2 is sent at 4 s, the very instant at which node 2 is on again: all answer, and the round takes 1.2 s.
    """
    result = run("2,0,0.05\n2,4,100\n", record={"messages": True})
    rows = result.tables["rounds"].to_pydict()
    assert rows["sim_time_s"] == [0.0, 2.0, 4.0, 5.2]
    assert rows["uploads"] == [0, 2, 4, 7]
    messages = result.messages().to_pandas()
    assert messages[messages.dst == 2].ok.tolist() == [False, False, True]
    assert messages[messages.dst != 2].ok.all()
    assert processor(result, 2)["off"] == (3.95, 0.0)


def test_the_step_is_along_the_mean_of_those_that_were_heard() -> None:
    """x^1 = x^0 - 0.1 (g_0 + g_1) / 2 where node 2 is off, the mean of three where it is on; uploads have 32 bits."""
    problem, losses = ToyProblem(3), {}
    for name, lines in {"two": "2,0,0.05\n", "three": "2,0,100\n"}.items():
        losses[name] = run(lines, rounds=1).tables["rounds"]["loss"].to_pylist()[-1]
    x = problem.start()
    g = [np.asarray(problem.gradients([GradientRequest(n, x)])[0]) for n in range(3)]
    for name, heard in (("two", g[:2]), ("three", g)):
        expected = problem.metrics(x - 0.1 * np.mean(heard, axis=0))["loss"]
        assert losses[name] == pytest.approx(expected, rel=1e-7)
    assert losses["two"] != losses["three"]


def test_a_node_that_goes_off_while_it_computes_is_late() -> None:
    """Node 2 is off from 0.5 s to 3 s, 0.4 s into its gradient: the other 0.6 s are from 3 s to 3.6 s.

    Its upload of round 0 is there at 3.7 s, in round 1 (2 s to 4 s), whose model it has not got. From 4 s on
    all answer. Node 2 computes 2 s with 2 W, is off for 2.5 s, and waits 5.2 - 2.5 - 2 = 0.7 s with 0.5 W.
    """
    compute = {"gradient_s": [1, 1, 1], "power_w": [2, 2, 2], "idle_w": [0.5, 0.5, 0.5]}
    result = run("2,0,0.5\n2,3,100\n", compute=compute, record={"messages": True})
    rows = result.tables["rounds"].to_pandas()
    assert rows.sim_time_s.tolist() == [0.0, 2.0, 4.0, 5.2]
    assert rows.uploads.tolist() == [0, 2, 5, 8]
    messages = result.messages().to_pandas()
    late = messages[(messages.src == 2) & (messages["round"] == 0)]
    assert late.delivered_s.tolist() == [3.7]
    assert late.ok.all()
    found = processor(result, 2)
    assert {state: time_s for state, (time_s, _) in found.items()} == pytest.approx(
        {"compute": 2, "waiting": 0.7, "off": 2.5}
    )
    assert {state: spent_j for state, (_, spent_j) in found.items()} == pytest.approx(
        {"compute": 4, "waiting": 0.35, "off": 0}
    )
    assert processor(result, 3).keys() == {"compute", "waiting"}
    # Nodes 0 and 1 compute 3 s each and wait for the other 2.2 s.
    last = rows.iloc[-1]
    assert last.energy_compute_j == pytest.approx(4 + 2 * 3 * 2)
    assert last.energy_waiting_j == pytest.approx(0.35 + 2 * 2.2 * 0.5)
    assert last.worker_energy_j == last.energy_j == pytest.approx(16 + 2.55)


def test_a_late_message_comes_as_late() -> None:
    """The server's `Receive` of round 1 has the upload of round 0 in `late`."""
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,0.5\n0,3,100\n")
    seen = list[tuple[int, list[int], list[int], bool]]()

    async def worker(ctx: Context) -> None:
        for round in range(2):
            await Gradient(at=ctx.facts.start)
            await Send(ctx.server, Payload(b"x", 8.0), round)

    async def server(ctx: Context) -> None:
        for round in range(2):
            inbox = await Receive(1, round=round, deadline_s=2.0)
            late = [message.round for message in inbox.late]
            seen.append((round, [message.round for message in inbox.messages], late, inbox.timed_out))
        await Report(0, ctx.facts.start)

    # Computing 0 .. 0.5 and 3 .. 3.5: the first upload is there at 3.6 s, the second at 4.6 s, after the deadlines.
    scripted(worker, server, network=network(path="trace.csv"), compute={"gradient_s": [1.0]})
    assert seen == [(0, [], [], True), (1, [], [0], True)]


def test_an_upload_under_way_is_lost() -> None:
    """It is sent at 1.1 s and there at 1.2 s: a node that goes off at 1.15 s loses it, one at 1.2 s does not."""
    for to_s, ok in ((1.15, False), (1.2, True)):
        result = run(f"2,0,{to_s}\n", rounds=1, record={"messages": True})
        messages = result.messages().to_pandas()
        assert messages[messages.src == 2].ok.tolist() == [ok]
        assert result.tables["rounds"]["sim_time_s"].to_pylist()[-1] == (1.2 if ok else 2.0)


def test_deadlines_and_waits_go_on_while_a_node_is_off() -> None:
    """Off from 1 s to 5 s: a wait to 2 s and then a deadline of 1 s end at 5 s and 6 s; one to 7 s at 7 s."""
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,1\n0,5,100\n")
    times = list[float]()

    async def worker(ctx: Context) -> None:
        await Wait(2.0)
        times.append(engines[0].now_ns / NS_PER_S)
        await Receive(deadline_s=1.0)
        times.append(engines[0].now_ns / NS_PER_S)
        await Wait(1.0)
        times.append(engines[0].now_ns / NS_PER_S)

    async def server(ctx: Context) -> None:
        await Report(0, ctx.facts.start)
        await Wait(10.0)

    base = scenario(GD, nodes=1, network=network(path="trace.csv"))
    engines = [Engine(base, Entry("script", Script(worker, server)), 0, ToyProblem(1))]
    engines[0].run()
    assert times == [5.0, 6.0, 7.0]


def test_a_notice_of_silence_does_not_reach_a_node_that_is_off() -> None:
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,1\n0,3,100\n")
    heard = list[frozenset[int]]()

    async def worker(ctx: Context) -> None:
        heard.append((await Receive(1, "model", 0, deadline_s=4.0)).silent)

    async def server(ctx: Context) -> None:
        await Report(0, ctx.facts.start)
        await Wait(2.0)
        await Silent(0, 0, "model")
        await Wait(10.0)

    scripted(worker, server, network=network(path="trace.csv"))
    assert heard == [frozenset()]


# --- the end ---------------------------------------------------------------------------------------------------------


async def waits_for_ever(ctx: Context) -> None:
    await Report(0, ctx.facts.start)
    await Receive()


async def returns(ctx: Context) -> None:
    await Wait(0.5)


async def sends_at_2_s(ctx: Context) -> None:
    await Wait(2.0)
    await Send(ctx.server, Payload(b"x", 8.0), 0)


def test_a_node_that_never_comes_back_stalls_a_run_that_waits_for_it() -> None:
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,1\n")
    _, result = scripted(sends_at_2_s, waits_for_ever, network=network(path="trace.csv"))
    assert result.status == "stalled"
    assert result.sentence.endswith("; 0 is off")


def test_nodes_that_come_and_go_without_end_do_not_keep_a_stalled_run_going() -> None:
    law = {"distribution": "exponential", "mean_s": 0.1}
    _, result = scripted(returns, waits_for_ever, network=network(up=law, down=law))
    assert result.status == "stalled"


def test_a_battery_is_not_drained_while_its_node_is_off() -> None:
    """1 J at 0.5 W are 2 s on: 1 s before the node is off from 1 s to 3 s, and the second from 3 s to 4 s."""
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,1\n0,3,100\n")

    async def server(ctx: Context) -> None:
        await Report(0, ctx.facts.start)
        await Wait(10.0)

    keys = network(path="trace.csv") | {"battery": {"capacity_j": 1.0}}
    _, result = scripted(server_like_idle, server, network=keys, compute={"idle_w": 0.5, "power_w": 0.5})
    assert result.deaths_s == {0: 4.0}
    assert processor(result, 0)["waiting"] == pytest.approx((2.0, 1.0))
    assert processor(result, 0)["off"] == (2.0, 0.0)


async def server_like_idle(ctx: Context) -> None:
    await Wait(100.0)


# --- draws -----------------------------------------------------------------------------------------------------------

UP = {"distribution": "uniform", "low_s": 1, "high_s": 3}
DOWN = {"distribution": "exponential", "mean_s": 0.5}


def test_times_on_and_off_are_drawn_from_each_nodes_stream() -> None:
    """In turn from the stream of the node's availability, each rounded to a nanosecond; node 0 is not named."""
    base = scenario(GD, stop={"sim_time_s": 20}, network=network(up=UP, down=DOWN, nodes=[1, 2]), replications=2)
    for replication in range(2):
        result = simulate(base, base.algorithms[0], replication, ToyProblem(3))
        assert "off" not in processor(result, 0)
        for node in (1, 2):
            draws, now, off = rng.stream(0, replication, node, "availability"), 0, 0
            while now < 20 * NS_PER_S:
                up = now + seconds_to_ns(draws.uniform(1, 3))
                now = up + seconds_to_ns(draws.exponential(0.5))
                off += max(0, min(now, 20 * NS_PER_S) - up)
            assert processor(result, node)["off"][0] == pytest.approx(off / NS_PER_S, abs=1e-9)


def test_another_replication_has_other_times_unless_the_channel_does_not_vary() -> None:
    base = scenario(GD, stop={"sim_time_s": 20}, network=network(up=UP, down=DOWN), replications=2)
    same = scenario(GD, stop={"sim_time_s": 20}, network=network(up=UP, down=DOWN), replications=2, vary="batch")
    off = [
        [processor(simulate(one, one.algorithms[0], replication, ToyProblem(3)), 0)["off"] for replication in range(2)]
        for one in (base, same)
    ]
    assert off[0][0] == off[1][0] == off[1][1] != off[0][1]


# --- what is refused -------------------------------------------------------------------------------------------------


def test_no_replay_and_no_lockstep() -> None:
    base = scenario(GD, network=network(up=UP, down=DOWN), vary="channel")
    assert not can_replay(base, base.algorithms[0])
    assert not is_timing_free(base.algorithms[0].algorithm, base.network)
    with pytest.raises(SimulationError, match=r"network\.availability is in seconds, and lockstep has no clock"):
        lockstep.run(base, base.algorithms[0], ToyProblem(3), rounds=1)


TEXT = """
name: off
problem: {{name: quadratic, dim: 3, nodes: 2}}
network: {{link: ideal, silence: free, availability: {}}}
algorithms: [{}]
stop: {{rounds: 2}}
"""


@pytest.mark.parametrize(
    ("availability", "algorithm", "sentence"),
    [
        ("{path: trace.csv}", "{name: lag, step_size: 0.1, xi: 0.1, window: 3}",
         "algorithms[0].name: network.availability takes nodes off, and what is under way then is lost; an algorithm "
         "that tolerates loss is needed, such as "),
        ("{path: trace.csv}", "{name: gd}",
         "algorithms[0].deadline_s: a number of seconds, as network.availability takes nodes off, and what is under "
         "way then is lost. Got nothing."),
        ("{}", "{name: gd, deadline_s: 1}", "network.availability.path: path, or up and down, is needed. Got nothing."),
        ("{up: {distribution: exponential, mean_s: 1}}", "{name: gd, deadline_s: 1}",
         "network.availability.up: path, or up and down, is needed. Got up alone."),
        ("{path: a, down: {distribution: exponential, mean_s: 1}}", "{name: gd, deadline_s: 1}",
         "network.availability.path: either path, or up and down. Got path and down."),
        ("{path: a, nodes: [0]}", "{name: gd, deadline_s: 1}",
         "network.availability.nodes: workers, as the file says which nodes. Got a list."),
        ("{up: &a {distribution: exponential, mean_s: 1}, down: *a, nodes: [0, 2, 0]}", "{name: gd, deadline_s: 1}",
         "network.availability.nodes[2]: each node once. Got 0."),
        ("{up: &a {distribution: exponential, mean_s: 1}, down: *a, nodes: [2]}", "{name: gd, deadline_s: 1}",
         "network.availability.nodes[0]: a node of 0 .. 1, which learn; a server is always on. Got 2."),
        ("{up: &a {distribution: exponential, low_s: 1}, down: *a}", "{name: gd, deadline_s: 1}",
         "network.availability.up.low_s: the exponential distribution takes mean_s. Got 'low_s'."),
        ("{path: none.csv}", "{name: gd, deadline_s: 1}",
         "off.yaml:4: network.availability: availability: the file none.csv is needed, with the columns "
         "node, from_s, to_s. Got no such file."),
    ],
)  # fmt: skip
def test_what_does_not_fit(availability: str, algorithm: str, sentence: str) -> None:
    Path("trace.csv").write_text("node,from_s,to_s\n0,0,1\n")
    text = TEXT.format(availability, algorithm)
    if "&a" in text:
        law = text.partition("&a ")[2].partition("}")[0] + "}"
        text = text.replace("&a ", "").replace("*a", law)
    with pytest.raises(ConfigError) as caught:
        check_data(parse_text(text, "off.yaml"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "trace.csv: a CSV file with a first line of column names. Got an empty file."),
        ("node,from,to\n", "trace.csv:1: a first line with the columns node, from_s, to_s. Got 'node,from,to', "),
        ("node,from_s,to_s,why\n0,0,1,x\n", "trace.csv:1: the columns node, from_s, to_s alone are needed. Got node, "),
        ("node,from_s,to_s\n", "trace.csv: at least one line is needed. Got none."),
        ("node,from_s,to_s\n0,0,1\n0,2\n", "trace.csv:3: 3 cells, as in the first line. Got 2: '0,2'."),
        ("node,from_s,to_s\n0,0,1\n2,0,1\n",
         "trace.csv:3: node: one of 0 .. 1 is needed, a node that learns. Got '2'."),
        ("node,from_s,to_s\n-1,0,1\n", "trace.csv:2: node: one of 0 .. 1 is needed"),
        ("node,from_s,to_s\n0,1,1\n", "trace.csv:2: seconds with 0 <= from_s < to_s <= 1e+09"),
        ("node,from_s,to_s\n0,0,inf\n", "trace.csv:2: to_s: a number >= 0, finite. Got 'inf'."),
        ("node,from_s,to_s\n0,zero,1\n", "trace.csv:2: from_s: a number >= 0. Got 'zero'."),
        ("node,from_s,to_s\n0,nan,1\n", "trace.csv:2: from_s: a number >= 0, finite. Got 'nan'."),
        ("node,from_s,to_s\n0,4,6\n1,0,9\n0,1,5\n",
         "trace.csv:2: times of node 0 that do not overlap are needed. Got one that begins within that of line 4."),
        ("node,from_s,to_s\n0,0,\xff\n", "trace.csv: a CSV file of UTF-8 text. Got the byte 0xff."),
    ],
)  # fmt: skip
def test_files_that_are_none(text: str, sentence: str) -> None:
    Path("trace.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        check_data(parse_text(TEXT.format("{path: trace.csv}", "{name: gd, deadline_s: 1}"), "off.yaml"))
    assert sentence in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_spans_that_touch_are_one_and_their_order_does_not_matter() -> None:
    """On from 1 s to 3 s in two lines, the later one first; a span from 0 to the end of the run changes nothing."""
    result = run("0,2,3\n0,1,2\n1,0,1e9\n", rounds=2)
    assert processor(result, 0)["off"] == (2.0, 0.0)
    assert processor(result, 1)["off"] == (0.0, 0.0)
