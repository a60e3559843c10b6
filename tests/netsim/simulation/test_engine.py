"""The engine: exact times, order within an instant, stops, stalls, conservation of bytes, joules and time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from netsim.errors import SimulationError
from netsim.interfaces import (
    HEADER_BYTES,
    Agent,
    Array,
    Command,
    Context,
    Gradient,
    Mark,
    Message,
    Payload,
    Receive,
    Report,
    Send,
    Silent,
    Value,
    Wait,
)
from netsim.registry import get, names
from netsim.scenario import Entry, Network, Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult, simulate
from netsim.testing.agents import is_timing_free
from netsim.testing.worlds import SampledToy
from tests.plugins import pigeon as pigeon  # registers the channel
from tests.support.toys import Jitter, ToyProblem, scenario

FLIGHT = {"name": "pigeon", "flight_s": 0.5}
STAR = {"uplink": FLIGHT, "downlink": FLIGHT, "silence": "free"}


def rounds_of(result: RunResult) -> dict[str, list[Any]]:
    return result.tables["rounds"].to_pydict()


@dataclass(frozen=True)
class Script:
    """An algorithm of two functions, for one test each."""

    of_server: Callable[[Context], Coroutine[Command[Any], Any, None]]
    of_worker: Callable[[Context], Coroutine[Command[Any], Any, None]]
    tolerates: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str] = "script"

    def server(self, ctx: Context) -> Agent:
        return _Scripted(self.of_server, ctx)

    def worker(self, ctx: Context) -> Agent:
        return _Scripted(self.of_worker, ctx)


class _Scripted:
    def __init__(self, program: Callable[[Context], Coroutine[Command[Any], Any, None]], ctx: Context) -> None:
        self.program, self.ctx = program, ctx

    def run(self) -> Coroutine[Command[Any], Any, None]:
        return self.program(self.ctx)


def play(
    server: Callable[[Context], Coroutine[Command[Any], Any, None]],
    worker: Callable[[Context], Coroutine[Command[Any], Any, None]],
    nodes: int = 2,
    **keys: Any,
) -> tuple[Engine, RunResult]:
    base = scenario({"name": "gd"}, nodes=nodes, **keys)
    engine = Engine(base, Entry("script", Script(server, worker)), 0, ToyProblem(nodes))
    return engine, engine.run()


def test_times_are_exact_and_counters_add_up() -> None:
    algorithm = {"name": "gd", "float_bit": 64, "broadcast": "dense"}
    base = scenario(algorithm, network=STAR, compute={"gradient_s": 0.25, "power_w": 2.0})
    rows = rounds_of(simulate(base, base.algorithms[0], 0, ToyProblem()))
    # A round: model 0.5 s, gradient 0.25 s, update 0.5 s.
    assert rows["sim_time_s"] == [1.25 * r for r in range(21)]
    # Payloads: 12 floats of 64 bits from 3 workers, 12 of 32 bits to each; the wire adds the header.
    assert rows["uplink_payload_bytes"] == [3 * 96 * r for r in range(21)]
    assert rows["uplink_wire_bytes"] == [3 * (96 + HEADER_BYTES) * r for r in range(21)]
    assert rows["uplink_paper_bit"] == [3 * 768 * r for r in range(21)]
    assert rows["downlink_payload_bytes"] == [3 * 48 * r for r in range(21)]
    assert rows["uploads"] == rows["uplink_messages"] == [3 * r for r in range(21)]
    # 3 workers x 0.25 s x 2 W a round; birds need no electricity.
    assert rows["energy_compute_j"] == rows["energy_j"] == pytest.approx([1.5 * r for r in range(21)], rel=1e-12)
    for phase, each in {"compute": 0.25, "uplink": 0.5, "downlink": 0.5, "waiting": 0.0}.items():
        assert rows[f"time_{phase}_s"] == pytest.approx([each * r for r in range(21)], abs=1e-12)


def test_a_slow_worker_makes_the_others_wait() -> None:
    base = scenario({"name": "gd"}, network=STAR, compute={"gradient_s": [0.1, 0.2, 0.9]})
    rows = rounds_of(simulate(base, base.algorithms[0], 0, ToyProblem()))
    assert rows["sim_time_s"][1] == 1.9
    assert rows["time_compute_s"][1] == pytest.approx((0.1 + 0.2 + 0.9) / 3)
    assert rows["time_waiting_s"][1] == pytest.approx((0.8 + 0.7 + 0.0) / 3)


def _star_algorithms() -> list[dict[str, Any]]:
    """Every example of every registered algorithm of a star."""
    return [
        {"name": name, **example}
        for name in names("algorithm")
        if hasattr(get("algorithm", name), "server")
        for example in get("algorithm", name).examples  # type: ignore[attr-defined]
        if "collective" not in example
    ]


def _estimates(trace: lockstep.Trace, node: int) -> list[Array]:
    return [estimate for who, _, estimate in trace.reports if who == node]


def _watched(base: Scenario, problem: ToyProblem, replication: int = 0) -> list[Array]:
    """Every reported estimate of an engine run, bit by bit."""
    engine = Engine(base, base.algorithms[0], replication, problem)
    seen: list[Array] = []
    inner = engine.recorder.report

    def spy(node: int, report: Report, *rest: Any) -> bool:
        if report.estimate is not None:
            seen.append(report.estimate.copy())
        return inner(node, report, *rest)

    engine.recorder.report = spy  # type: ignore[method-assign]
    assert engine.run().status == "done"
    return seen


@pytest.mark.parametrize("algorithm", _star_algorithms(), ids=str)
def test_engine_on_ideal_links_equals_lockstep_bitwise(algorithm: dict[str, Any]) -> None:
    base = scenario(algorithm, compute={"gradient_s": 1.0})
    trace = lockstep.run(base, base.algorithms[0], SampledToy(batch=8), rounds=20)
    engine = _watched(base, SampledToy(batch=8))
    assert len(engine) == 21
    assert all(np.array_equal(a, b) for a, b in zip(_estimates(trace, 3), engine, strict=True))


@pytest.mark.parametrize("algorithm", _star_algorithms(), ids=str)
def test_synchronous_agents_do_not_feel_speeds_and_delays(algorithm: dict[str, Any]) -> None:
    base = scenario(algorithm)
    if not is_timing_free(base.algorithms[0].algorithm, base.network):
        pytest.skip("what it computes depends on delays")
    trace = lockstep.run(base, base.algorithms[0], SampledToy(batch=8), rounds=20)
    times = {"distribution": "exponential", "mean_s": 0.2}
    slow = scenario(algorithm, compute={"gradient_s": times})
    slow = dataclasses.replace(slow, network=Network(uplink=Jitter(), downlink=Jitter(), silence="free"))
    cost = algorithm.get("cost")
    if not isinstance(cost, dict) or cost.get("name") != "from_channel":
        engine = _watched(slow, SampledToy(batch=8))
        assert all(np.array_equal(a, b) for a, b in zip(_estimates(trace, 3), engine, strict=True))


def test_peers_equal_lockstep_bitwise_whatever_the_delays() -> None:
    keys = {"network": {"topology": {"name": "ring"}, "link": {"name": "ideal"}}}
    base = scenario({"name": "dgd_like", "step_size": 0.1}, nodes=5, **keys)
    trace = lockstep.run(base, base.algorithms[0], ToyProblem(5), rounds=20)
    means = [np.mean([e for _, r, e in trace.reports if r == round], axis=0) for round in range(21)]
    slow = dataclasses.replace(base, network=dataclasses.replace(base.network, link=Jitter()))
    for run in (base, slow):
        problem = ToyProblem(5)
        rows = rounds_of(simulate(run, run.algorithms[0], 0, problem))
        assert rows["round"] == list(range(21))
        assert rows["loss"] == [problem.loss(mean) for mean in means]
    assert rows["peer_messages"][-1] >= 2 * 5 * 20


def test_minibatches_depend_on_neither_compressor_nor_link() -> None:
    draws = []
    for algorithm, uplink in (({"name": "gd"}, FLIGHT), ({"name": "alistarh"}, {"name": "ideal"})):
        problem = ToyProblem(batch=8)
        base = scenario(algorithm, network={"uplink": uplink, "downlink": {"name": "ideal"}})
        simulate(base, base.algorithms[0], 0, problem)
        drawn: dict[int, list[Any]] = {m: [] for m in range(3)}
        for call in problem.calls:
            for node, batch in call:
                drawn[node].append(batch)
        draws.append({m: batches[:20] for m, batches in drawn.items()})
    assert draws[0] == draws[1]
    assert len({batch for batches in draws[0].values() for batch in batches}) == 60


def test_pending_gradients_are_evaluated_in_one_call() -> None:
    problem = ToyProblem()
    base = scenario({"name": "gd"}, network=STAR, compute={"gradient_s": [0.1, 0.2, 0.3]}, stop={"rounds": 1})
    simulate(base, base.algorithms[0], 0, problem)
    assert [len(call) for call in problem.calls] == [3]


def test_a_deadlock_ends_as_stalled_with_who_waits_for_whom() -> None:
    async def server(ctx: Context) -> None:
        await Report(0, np.zeros(12))
        await Send(ctx.workers, Payload(b"x", 8.0), 0, "model")
        await Receive(3, "update", 0)

    async def worker(ctx: Context) -> None:
        await Receive(1, "model", 0)
        if ctx.node == 1:
            await Send(ctx.server, Payload(b"y", 8.0), 0, "update")
        await Receive(1, "model", 1)

    _, result = play(server, worker, network=STAR)
    assert result.status == "stalled"
    assert result.sentence == (
        "stalled at 1 s in round 0: node 0 waits for 1 'model' message of round 1 and has none; "
        "node 1 waits for 1 'model' message of round 1 and has none; "
        "the server waits for 3 'update' messages of round 0 and has 1 (from 1)"
    )
    assert len(rounds_of(result)["round"]) == 1


def test_an_agent_that_awaits_something_else_is_told() -> None:
    async def server(ctx: Context) -> None:
        await _Strange()

    async def worker(ctx: Context) -> None:
        await Wait(1.0)

    class _Strange(Command[None]):
        pass

    with pytest.raises(SimulationError, match="node 2: the engine knows no command _Strange"):
        play(server, worker)


def test_all_is_answered_once_the_instant_is_settled() -> None:
    seen: list[list[int]] = []

    async def server(ctx: Context) -> None:
        await Report(0, np.zeros(12))
        for _ in range(2):
            inbox = await Receive(kind="update", take="all")
            seen.append([m.src for m in inbox.messages])

    async def worker(ctx: Context) -> None:
        await Wait(1.0)
        # Node 0 hears of the instant only through node 1's silence, and still belongs to it.
        if ctx.node == 0:
            await Receive(1, round=0)
        else:
            await Silent(0, 0)
        await Send(ctx.server, Payload(b"", 0.0), 0)
        await Wait(float(ctx.node + 1))
        await Send(ctx.server, Payload(b"", 0.0), 1)

    play(server, worker, nodes=3, network={"silence": "free"})
    assert seen == [[0, 1, 2], [0]]


def test_deadline_answers_with_what_came_in_time() -> None:
    inboxes = []

    async def server(ctx: Context) -> None:
        await Report(0, np.zeros(12))
        inboxes.append(await Receive(2, "update", 0, deadline_s=1.5))
        inboxes.append(await Receive(2, "update", 0, deadline_s=0.5))

    async def worker(ctx: Context) -> None:
        await Wait(1.0 if ctx.node == 0 else 1.25)
        await Send(ctx.server, Payload(b"", 0.0), 0)

    engine, _ = play(server, worker, network=STAR)
    # Node 0 arrives at 1.5 s, the very instant of the first deadline; node 1 at 1.75 s.
    assert [[m.src for m in i.messages] for i in inboxes] == [[0], [1]]
    assert [i.timed_out for i in inboxes] == [True, True]
    assert engine.now_ns == 2_000_000_000


@pytest.mark.parametrize(("silence", "time_s", "messages"), [("free", 0.0, 0), ("flag", 0.5, 2)])
def test_silence_costs_what_the_scenario_says(silence: str, time_s: float, messages: int) -> None:
    async def server(ctx: Context) -> None:
        inbox = await Receive(2, "update", 0)
        assert inbox.silent == {0, 1}
        await Report(0, np.zeros(12))

    async def worker(ctx: Context) -> None:
        await Silent(ctx.server, 0)

    _, result = play(server, worker, network={**STAR, "silence": silence})
    rows = rounds_of(result)
    assert rows["sim_time_s"] == [time_s]
    assert rows["uplink_messages"] == [messages]
    assert rows["uplink_wire_bytes"] == [HEADER_BYTES * messages]
    assert rows["uploads"] == [0]


def test_tokens_measure_and_workers_metrics_are_averaged() -> None:
    async def server(ctx: Context) -> None:
        await Report(0, np.zeros(12))
        token = await Mark()
        await Receive(2, "update", 0)
        await Report(1, np.zeros(12), {"mine": 3.0}, since=token)

    async def worker(ctx: Context) -> None:
        await Report(1, metrics={"budget": 10.0 * ctx.node})
        await Send(ctx.server, Payload(b"", 0.0), 0)

    _, result = play(server, worker, network=STAR)
    rows = rounds_of(result)
    assert rows["elapsed_s"][1] == 0.5
    assert rows["budget"][1] == 5.0
    assert rows["mine"][1] == 3.0
    assert np.isnan(rows["mine"][0])


def test_metrics_that_are_functions_are_asked_where_a_row_is_recorded() -> None:
    asked = list[int]()

    def metric(round: int) -> float:
        asked.append(round)
        return 10.0 * round

    async def server(ctx: Context) -> None:
        for round in range(6):
            await Report(round, np.zeros(12), {"mine": partial(metric, round)})
            asked.append(-1)

    async def worker(ctx: Context) -> None:
        pass

    _, result = play(server, worker, network=STAR, record={"every": 3}, stop={"rounds": 5})
    assert asked == [0, -1, -1, -1, 3, -1, -1, 5]
    assert rounds_of(result)["mine"] == [0.0, 30.0, 50.0]


def test_values_take_time_and_come_from_the_problem() -> None:
    got: list[float] = []

    async def server(ctx: Context) -> None:
        await Receive(2)
        await Report(0, np.zeros(12))

    async def worker(ctx: Context) -> None:
        got.append(await Value(at=np.ones(12)))
        await Send(ctx.server, Payload(b"", 0.0), 0)

    # A value is half of a gradient's 36 flop: 18 flop at 36 flop/s.
    _, result = play(server, worker, network=STAR, compute={"flop_per_s": 36.0})
    assert rounds_of(result)["sim_time_s"] == [1.0]
    assert sorted(got) == sorted(ToyProblem(2).values([_request(0), _request(1)]))


def _request(node: int) -> Any:
    from netsim.interfaces import GradientRequest

    return GradientRequest(node, np.ones(12))


def test_stops() -> None:
    base = scenario({"name": "gd"}, network=STAR, stop={"sim_time_s": 3.1})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    assert (result.status, result.sim_time_s, result.rounds) == ("done", 3.1, 3)
    assert "simulated time is up" in result.sentence
    base = scenario({"name": "gd"}, network=STAR, stop={"target": {"loss_gap": 0.05}, "rounds": 500})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    rows = rounds_of(result)
    assert result.status == "reached"
    assert rows["loss_gap"][-1] <= 0.05 < rows["loss_gap"][-2]


def test_recording_less_often_keeps_the_last_round() -> None:
    base = scenario({"name": "gd"}, record={"every": 8})
    rows = rounds_of(simulate(base, base.algorithms[0], 0, ToyProblem()))
    assert rows["round"] == [0, 8, 16, 20]
    full = scenario({"name": "gd"})
    every = rounds_of(simulate(full, full.algorithms[0], 0, ToyProblem()))
    assert rows["loss"] == [every["loss"][r] for r in rows["round"]]


def test_bytes_submitted_are_booked_or_still_under_way() -> None:
    base = scenario({"name": "gd"}, stop={"sim_time_s": 2.0, "rounds": 999}, record={"messages": True})
    base = dataclasses.replace(base, network=Network(uplink=Jitter(), downlink=Jitter(), silence="free"))
    engine = Engine(base, base.algorithms[0], 0, ToyProblem())
    sent: list[int] = []

    def watch(submit: Callable[..., int]) -> Callable[..., int]:
        def submit_and_note(now_ns: int, src: int, dst: tuple[int, ...], size_bytes: int) -> int:
            sent.append(size_bytes * len(dst))
            return submit(now_ns, src, dst, size_bytes)

        return submit_and_note

    for medium in engine.world.media:
        medium.submit = watch(medium.submit)  # type: ignore[method-assign]
    result = engine.run()
    messages = result.messages().to_pydict()
    pending = sum(len(f.message.data) + HEADER_BYTES for f in engine.traffic.under_way() for _ in range(f.destinations))
    assert sum(messages["wire_bytes"]) + pending == sum(sent)
    assert pending > 0
    booked = engine.recorder.tally.counters
    assert sum(messages["payload_bytes"]) == booked["uplink"].payload_bytes + booked["downlink"].payload_bytes
    assert all(d > s for s, d in zip(messages["sent_s"], messages["delivered_s"], strict=True))


def test_energy_adds_up_and_states_fill_every_nodes_time() -> None:
    network = {"link": {"name": "ieee802154"}, "silence": "free"}
    base = scenario({"name": "gd"}, network=network, compute={"gradient_s": 0.01, "power_w": 0.5}, stop={"rounds": 3})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    rows, energy = rounds_of(result), result.tables["energy"].to_pydict()
    assert sum(energy["energy_j"]) == pytest.approx(rows["energy_j"][-1], rel=1e-12)
    parts = [rows[f"energy_{s}_j"][-1] for s in ("tx", "rx", "listen", "idle", "sleep", "compute")]
    assert sum(parts) == pytest.approx(rows["energy_j"][-1], rel=1e-12)
    filled: dict[tuple[int, str], int] = {}
    for node, interface, time_s in zip(energy["node"], energy["interface"], energy["time_s"], strict=True):
        if interface != "processor":
            filled[node, interface] = filled.get((node, interface), 0) + round(time_s * 1e9)
    assert set(filled.values()) == {round(result.sim_time_s * 1e9)}
    assert len({node for node, _ in filled}) == 4


def test_messages_reach_the_receiver_as_bytes() -> None:
    got: list[Message] = []

    async def server(ctx: Context) -> None:
        got.extend((await Receive(2, "update", 0)).messages)
        await Report(0, np.zeros(12))

    async def worker(ctx: Context) -> None:
        g = await Gradient(at=np.zeros(12))
        await Send(ctx.server, Payload(g.tobytes(), 768.0), 0)

    play(server, worker)
    problem = ToyProblem(2)
    assert [np.frombuffer(m.data).tolist() for m in got] == [problem._gradient(r).tolist() for r in (_at(0), _at(1))]


def _at(node: int) -> Any:
    from netsim.interfaces import GradientRequest

    return GradientRequest(node, np.zeros(12))
