"""Batteries: the nanosecond of a death against hand calculations, and what a death does to a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from channels.media.lrwpan.backoff import backoffs
from netsim import registry, rng, study
from netsim.errors import ConfigError
from netsim.interfaces import Command, Context, Gradient, Node, Payload, Receive, Report, Send, Wait
from netsim.scenario import Entry, parse_text
from netsim.scenario.parts import Battery
from netsim.simulation.engine import Engine, RunResult, simulate
from netsim.testing.scripts import FrameLog
from tests.support.toys import ToyProblem, scenario

MS, S = 1_000_000, 1_000_000_000
Program = Callable[[Context], Coroutine[Command[Any], Any, None]]


class Script:
    """An algorithm of a server's and a worker's function, or of a peer's alone."""

    tolerates: ClassVar[frozenset[str]] = frozenset({"late", "loss"})
    name: ClassVar[str] = "script"

    def __init__(self, worker: Program, server: Program | None = None) -> None:
        if server is None:
            self.peer = lambda ctx: _Runs(worker(ctx))
        else:
            self.server, self.worker = lambda ctx: _Runs(server(ctx)), lambda ctx: _Runs(worker(ctx))


class _Runs:
    def __init__(self, program: Coroutine[Command[Any], Any, None]) -> None:
        self.program = program

    def run(self) -> Coroutine[Command[Any], Any, None]:
        return self.program


def cell(**keys: Any) -> dict[str, Any]:
    return {"name": "ieee802154", **keys}


async def idle(ctx: Context) -> None:
    await Wait(100.0)


async def report_and_wait(ctx: Context) -> None:
    await Report(0, ctx.facts.start)
    await Wait(100.0)


def battery_run(
    link: Mapping[str, Any],
    battery: Mapping[str, Any],
    worker: Program = idle,
    server: Program = report_and_wait,
    nodes: int = 2,
    **keys: Any,
) -> tuple[Engine, RunResult]:
    base = scenario({"name": "gd"}, nodes=nodes, network={"link": dict(link), "battery": dict(battery)}, **keys)
    engine = Engine(base, Entry("script", Script(worker, server)), 0, ToyProblem(nodes))
    return engine, engine.run()


def spent_j(result: RunResult, node: int) -> float:
    table = result.tables["energy"].to_pydict()
    return math.fsum(j for n, j in zip(table["node"], table["energy_j"], strict=True) if n == node)


def deaths_ns(engine: Engine) -> Mapping[int, int]:
    assert engine._batteries is not None
    return engine._batteries.died_ns


# --- when --------------------------------------------------------------------------------------------------------


def test_listening_until_the_battery_is_empty() -> None:
    """CC2420 at 3 V listens with 56.4 mW: 1 J lasts 1 / 0.0564 s = 17 730 496 453.9 ns, so it dies 1 ns later."""
    engine, result = battery_run(cell(), {"capacity_j": 1.0, "nodes": [0]})
    assert deaths_ns(engine) == {0: 17_730_496_454}
    assert result.deaths_s == {0: 17.730496454}
    assert spent_j(result, 0) == pytest.approx(1.0, abs=0.0564e-9)
    assert spent_j(result, 0) >= 1.0 - 1e-15
    assert spent_j(result, 1) == pytest.approx(0.0564 * result.sim_time_s, rel=1e-12)
    assert result.sim_time_s == 100.0


def test_a_charge_at_its_voltage_is_an_energy() -> None:
    """2400 mAh at 3 V are 2.4 * 3600 * 3 = 25 920 J; 0.25 mAh at 2 V = 1.8 J, at 56.4 mW 31.915 s."""
    assert Battery(capacity="2400 mAh", voltage_v=3.0).capacities((0, 1), 2) == {0: 25_920.0, 1: 25_920.0}
    assert Battery(capacity=("1 Ah", "7.2 kC"), voltage_v=1.5).capacities((0, 1), 2) == {0: 5400.0, 1: 10_800.0}
    engine, _ = battery_run(cell(), {"capacity": "0.25 mAh", "voltage_v": "2 V", "nodes": [0]})
    assert deaths_ns(engine) == {0: math.ceil(1.8 / 0.0564 * S)}


def test_each_battery_has_its_own_end() -> None:
    """0.564 J and 1.128 J at 56.4 mW: 10 s and 20 s, to the nanosecond; the server's 100 J are enough."""
    engine, result = battery_run(cell(), {"capacity_j": [0.564, 1.128, 100.0], "nodes": "all"})
    assert deaths_ns(engine) == {0: 10 * S, 1: 20 * S}
    rows = result.tables["energy"].to_pydict()
    days = {n: d * 86_400 for n, d in zip(rows["node"], rows["lifetime_days"], strict=True)}
    # A dead node's lifetime is when it died; 100 J at 56.4 mW last 1773 s.
    assert days == pytest.approx({0: 10.0, 1: 20.0, 2: 100 / 0.0564}, rel=1e-9)


def test_a_battery_that_ends_in_the_middle_of_a_frame_ends_it_there() -> None:
    """b periods of listening, then the frame: the rest of the capacity is for 1 ms and 1 ns of sending.

    Listening (320 b + 320) us at 56.4 mW, then 52.2 mW: the capacity is that and what 1.000 000 5 ms of sending take,
    so the last nanosecond of it begins at 1 ms.
    """
    key = int(rng.stream(0, 0, 0, "channel").integers(1 << 64, dtype=np.uint64))
    before_ns = (320 * int(backoffs(key, 0, 1)[0]) + 320) * 1000
    capacity_j = 0.0564 * before_ns / S + 0.0522 * 1_000_000.5 / S

    async def worker(ctx: Context) -> None:
        if ctx.node == 0:
            await Send(ctx.server, Payload(b"x" * 90, 720.0), 0)
        await Wait(10.0)

    engine, result = battery_run(cell(), {"capacity_j": capacity_j, "nodes": [0]}, worker, record={"messages": True})
    assert deaths_ns(engine) == {0: before_ns + 1_000_001}
    assert spent_j(result, 0) == pytest.approx(capacity_j, abs=0.0522e-9)
    messages = result.messages().to_pydict()
    assert messages["ok"] == [False]
    assert messages["delivered_s"] == [(before_ns + 1_000_001) / S]
    # 1 ms of the frame went on the air, and was received for as long.
    assert messages["airtime_s"] == [1_000_001 / S]
    table = result.tables["energy"].to_pydict()
    state = {
        (n, s): t for n, i, s, t in zip(*(table[k] for k in ("node", "interface", "state", "time_s")), strict=True)
        if i == "link.radio"
    }  # fmt: skip
    assert state[0, "tx"] == state[2, "rx"] == 1_000_001 / S
    assert state[0, "sleep"] == pytest.approx(result.sim_time_s - (before_ns + 1_000_001) / S, rel=1e-12)


def test_a_battery_ends_in_the_middle_of_a_frame_of_a_contended_cell() -> None:
    """As above, among three that contend: node 0 dies when 1 ms of its first frame of three is on the air.

    Without batteries it has the same frames until then: all that it spends before is listening, sending and receiving,
    which on this radio cost 56.4, 52.2 and 56.4 mW.
    """

    async def worker(ctx: Context) -> None:
        await Send(ctx.server, Payload(b"x" * 292, 720.0), 0)
        await Wait(10.0)

    link: Any = registry.build("channel", cell(mac="csma_ca"))
    log = FrameLog()
    medium = link.open([Node(0), Node(1), Node(2), Node(3, True)], rng.stream(0, 0, 0, "channel"), frames=log)
    for node in range(3):
        medium.submit(0, node, (3,), 300)
    medium.advance(S)
    begun_ns = next(frame[0] for frame in log.frames if frame[1] == 0 and frame[7] == "data")
    capacity_j = 0.0564 * begun_ns / S + 0.0522 * 1_000_000.5 / S
    battery = {"capacity_j": capacity_j, "nodes": [0]}
    engine, result = battery_run(cell(mac="csma_ca"), battery, worker, nodes=3, record={"messages": True})
    assert engine.world.media[0].max_power_w(0) == pytest.approx(0.0564)  # type: ignore[attr-defined]
    assert deaths_ns(engine) == {0: begun_ns + 1_000_001}
    assert spent_j(result, 0) == pytest.approx(capacity_j, abs=0.0522e-9)
    messages = result.messages().to_pydict()
    rows = {src: i for i, src in enumerate(messages["src"])}
    lost = rows[0]
    assert (messages["ok"][lost], messages["delivered_s"][lost]) == (False, (begun_ns + 1_000_001) / S)
    assert messages["airtime_s"][lost] == 1_000_001 / S
    assert [messages["ok"][rows[node]] for node in (1, 2)] == [True, True]
    table = result.tables["energy"].to_pydict()
    sent_s = [t for n, s, t in zip(table["node"], table["state"], table["time_s"], strict=True) if (n, s) == (0, "tx")]
    assert sent_s == [1_000_001 / S]


def test_a_frame_that_ends_at_the_very_instant_has_arrived() -> None:
    """The capacity is exactly what the sender has spent when its last byte is there."""
    key = int(rng.stream(0, 0, 0, "channel").integers(1 << 64, dtype=np.uint64))
    before_ns, data_ns = (320 * int(backoffs(key, 0, 1)[0]) + 320) * 1000, 32_000 * (98 + 17)
    got = []

    async def worker(ctx: Context) -> None:
        if ctx.node == 0:
            await Send(ctx.server, Payload(b"x" * 90, 720.0), 0)
        await Wait(10.0)

    async def server(ctx: Context) -> None:
        got.append(await Receive(1, "update", 0, deadline_s=5.0))
        await Report(0, ctx.facts.start)

    for extra_ns, arrives in ((-0.4, True), (-1.4, False)):
        got.clear()
        capacity_j = 0.0564 * before_ns / S + 0.0522 * (data_ns + extra_ns) / S
        engine, _ = battery_run(cell(), {"capacity_j": capacity_j, "nodes": [0]}, worker, server)
        assert deaths_ns(engine) == {0: before_ns + data_ns - (not arrives)}
        assert [len(inbox.messages) for inbox in got] == [int(arrives)]


def test_computing_drains_while_it_lasts() -> None:
    """2 W beside 56.4 mW from the start on: 1 J lasts 1 / 2.0564 s, in the middle of a gradient of 3 s."""

    async def worker(ctx: Context) -> None:
        await Gradient(at=ctx.facts.start)
        raise AssertionError("it is dead by then")

    compute = {"gradient_s": 3.0, "power_w": 2.0}
    engine, result = battery_run(cell(), {"capacity_j": 1.0, "nodes": "workers"}, worker, compute=compute)
    assert deaths_ns(engine) == dict.fromkeys((0, 1), math.ceil(S / 2.0564))
    table = result.tables["energy"].to_pydict()
    at = [i for i, (n, s) in enumerate(zip(table["node"], table["state"], strict=True)) if (n, s) == (0, "compute")]
    assert table["time_s"][at[0]] == math.ceil(S / 2.0564) / S
    assert spent_j(result, 0) == spent_j(result, 1) == pytest.approx(1.0, abs=3e-9)


@pytest.mark.parametrize("link", [
    cell(),
    cell(radio_policy={"name": "sleep_when_idle", "wake_s": 1e-3, "wake_j": 1e-3}, radio="nrf52840"),
    cell(radio_policy={"name": "duty_cycle", "period_s": 0.05, "on_s": 0.01, "wake_s": 1e-3}),
    {"name": "packet", "rate_bps": 1e5, "power": {"name": "ethernet", "active_w": 0.5, "idle_w": 0.01}},
    {"name": "ethernet_udp", "rate_bps": 1e5, "server_rate_bps": 2e5, "power": "wifi"},
    cell(mac="csma_ca"),
    cell(mac="csma_ca", radio_policy={"name": "duty_cycle", "period_s": 0.05, "on_s": 0.01, "wake_s": 1e-3}),
    cell(mac={"name": "tsch", "server_cells": 1},
         radio_policy={"name": "sleep_when_idle", "wake_s": 8e-4, "wake_j": 1e-4}),
], ids=["always_on", "sleep_when_idle", "duty_cycle", "packet", "ethernet_udp", "csma_ca", "csma_ca_duty", "tsch"],
)  # fmt: skip
def test_the_instant_is_the_first_at_which_the_integral_reaches_the_capacity(link: dict[str, Any]) -> None:
    """On every channel: what a run without batteries has spent a nanosecond before is less, and then it is not."""
    keys: dict[str, Any] = {"compute": {"gradient_s": 0.02, "power_w": 0.05}, "nodes": 3, "stop": {"rounds": 8}}
    whole = scenario({"name": "gd", "float_bit": 64}, network={"link": link}, **keys)
    free = simulate(whole, whole.algorithms[0], 0, ToyProblem())
    for share in (0.31, 0.77):
        capacity_j = share * min(spent_j(free, node) for node in range(3))
        battery = {"capacity_j": capacity_j, "nodes": "workers"}
        base = scenario({"name": "gd", "float_bit": 64}, network={"link": link, "battery": battery}, **keys)
        engine = Engine(base, base.algorithms[0], 0, ToyProblem())
        result = engine.run()
        first = min(deaths_ns(engine).values())
        until = []
        for at in (first - 1, first):
            # The same run without batteries, stopped there.
            cut = scenario({"name": "gd", "float_bit": 64}, network={"link": link}, **{
                **keys, "stop": {"rounds": 8, "sim_time_s": at / S},
            })  # fmt: skip
            other = Engine(cut, cut.algorithms[0], 0, ToyProblem())
            ended = other.run()
            assert other.now_ns == at
            until.append(max(spent_j(ended, node) for node in range(3)))
        assert until[0] < capacity_j * (1 + 1e-14)
        assert until[1] >= capacity_j * (1 - 1e-14)
        for node in deaths_ns(engine):
            assert spent_j(result, node) == pytest.approx(capacity_j, rel=1e-6)


def test_looking_rarely_finds_the_same_instant_as_looking_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bound on the power every event looks at every battery; with it few do."""
    looks = []
    for bounded in (True, False):
        battery = {"capacity_j": [0.3, 0.31, 5.0]}
        base = scenario(
            {"name": "gd"}, network={"link": cell(), "battery": battery}, compute={"gradient_s": 0.01},
            stop={"sim_time_s": 8, "rounds": 9999},
        )  # fmt: skip
        engine = Engine(base, base.algorithms[0], 0, ToyProblem())
        batteries = engine._batteries
        assert batteries is not None
        if not bounded:
            batteries._max_w = dict.fromkeys(batteries._max_w, math.inf)
        count = 0
        inner = batteries._spent_j

        def counting(*args: Any, inner: Any = inner) -> Any:
            nonlocal count
            count += 1
            return inner(*args)

        monkeypatch.setattr(batteries, "_spent_j", counting)
        engine.run()
        looks.append((dict(deaths_ns(engine)), count))
    assert looks[0][0] == looks[1][0] != {}
    assert looks[0][1] < looks[1][1] / 2


# --- what then --------------------------------------------------------------------------------------------------------


def test_a_run_that_needs_everyone_stalls_and_says_who_died() -> None:
    battery = {"capacity_j": 0.5, "nodes": [1]}
    base = scenario({"name": "gd"}, network={"link": cell(), "battery": battery}, compute={"gradient_s": 1.0})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    assert result.status == "stalled"
    at = result.deaths_s[1]
    assert at == pytest.approx(0.5 / 0.0564, rel=1e-3)
    assert "the server waits for 3 'update' messages of round 8" in result.sentence
    assert result.sentence.endswith(f"; node 1 had an empty battery at {at:.6g} s")
    rows = result.tables["rounds"].to_pydict()
    assert set(rows["nodes_alive"]) == {4}
    assert rows["lifetime_days"][-1] * 86_400 == pytest.approx(0.5 / 0.0564, rel=1e-2)


def test_a_run_that_tolerates_loss_goes_on() -> None:
    """Node 0 dies after 5 s; the server stops waiting for it after a second and hears the others to the end."""
    heard = []

    async def server(ctx: Context) -> None:
        for round in range(10):
            await Report(round, ctx.facts.start)
            await Send(ctx.workers, Payload(b"m", 8.0), round, "model")
            inbox = await Receive(2, "update", round, deadline_s=1.0)
            heard.append([m.src for m in inbox.messages])
        await Report(20, ctx.facts.start)

    async def worker(ctx: Context) -> None:
        while True:
            (model,) = (await Receive(kind="model")).messages
            await Wait(0.9)
            await Send(ctx.server, Payload(b"u", 8.0), model.round)

    engine, result = battery_run(cell(), {"capacity_j": 0.0564 * 5, "nodes": [0]}, worker, server)
    assert result.status == "done"
    assert result.sentence.endswith(f"all rounds done; node 0 had an empty battery at {result.deaths_s[0]:.6g} s")
    assert heard == [[0, 1]] * 5 + [[1]] * 5
    assert result.tables["rounds"].to_pydict()["nodes_alive"] == [3] * 6 + [2] * 5
    assert deaths_ns(engine)[0] == pytest.approx(5 * S, abs=0.01 * S)


def test_a_dead_agent_does_not_act() -> None:
    """Its timers pass and its gradient comes due after it died: it is not woken."""
    woken = []

    async def worker(ctx: Context) -> None:
        await Wait(2.0)
        woken.append(ctx.node)
        await Gradient(at=ctx.facts.start)
        woken.append(ctx.node)

    compute = {"gradient_s": 1.0}
    for capacity_s, expected in ((1.0, [1, 1]), (2.5, [0, 1, 1]), (3.5, [0, 1, 0, 1])):
        woken.clear()
        battery = {"capacity_j": 0.0564 * capacity_s, "nodes": [0]}
        battery_run(cell(), battery, worker, compute=compute)
        assert woken == expected


def test_a_server_without_power_ends_the_run() -> None:
    _, result = battery_run(cell(), {"capacity_j": 0.0564, "nodes": [2]})
    assert result.status == "stalled"
    assert result.sentence == "stalled at 1 s in round 0: nobody is left; the server had an empty battery at 1 s"


def test_peers_go_on_without_the_dead() -> None:
    """Rows wait for those who are left; the mean is theirs, but where the dead one had reported that round already."""

    async def peer(ctx: Context) -> None:
        for round in range(6):
            await Report(round, np.full(ctx.facts.dim, float(ctx.node)))
            await Wait(1.0 if ctx.node else 0.75)
        await Wait(1.0)

    battery = {"capacity_j": 0.0564 * 2, "nodes": [0]}
    network = {"topology": {"name": "complete"}, "link": cell(), "battery": battery}
    base = scenario({"name": "dgd_like", "step_size": 0.1}, network=network, stop={"rounds": 5})
    problem = ToyProblem()
    engine = Engine(base, Entry("script", Script(peer)), 0, problem)
    result = engine.run()
    assert deaths_ns(engine) == {0: 2 * S}
    rows = result.tables["rounds"].to_pydict()
    assert rows["round"] == list(range(6))
    # Node 0 reported rounds 0, 1, 2 at 0, 0.75 and 1.5 s.
    assert rows["sim_time_s"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    means = [1.0] * 3 + [1.5] * 3
    assert rows["loss"] == pytest.approx([problem.loss(np.full(12, m)) for m in means])
    assert result.status == "done"
    assert rows["nodes_alive"][-1] == 2


def test_a_peer_that_dies_first_does_not_keep_a_row_waiting() -> None:
    """The others have reported round 1 when it dies: the row is written then."""

    async def peer(ctx: Context) -> None:
        await Report(0, ctx.facts.start)
        await Wait(10.0 if ctx.node == 0 else 1.0)
        await Report(1, ctx.facts.start)
        await Wait(5.0)

    battery = {"capacity_j": 0.0564 * 2, "nodes": [0]}
    network = {"topology": {"name": "complete"}, "link": cell(), "battery": battery}
    base = scenario({"name": "dgd_like", "step_size": 0.1}, network=network, stop={"rounds": 1})
    result = Engine(base, Entry("script", Script(peer)), 0, ToyProblem()).run()
    assert result.tables["rounds"].to_pydict()["sim_time_s"] == [0.0, 2.0]
    assert (result.status, result.sim_time_s) == ("done", 2.0)


def test_a_battery_without_end_changes_nothing() -> None:
    """The same rounds, bit for bit, but for the columns that say how long it lasts."""
    plain = scenario({"name": "gd"}, network={"link": cell()}, compute={"gradient_s": 0.1, "power_w": 1.0})
    rich = scenario(
        {"name": "gd"}, network={"link": cell(), "battery": {"capacity_j": 1e9}},
        compute={"gradient_s": 0.1, "power_w": 1.0},
    )  # fmt: skip
    a, b = (simulate(s, s.algorithms[0], 0, ToyProblem()).tables["rounds"].to_pydict() for s in (plain, rich))
    assert set(b) - set(a) == {"lifetime_days", "nodes_alive"}
    np.testing.assert_equal({name: b[name] for name in a}, a)


@pytest.mark.parametrize("radio_policy", [
    "always_on", {"name": "sleep_when_idle", "wake_s": 1e-3, "wake_j": 1e-4},
    {"name": "duty_cycle", "period_s": 0.1, "on_s": 0.01, "wake_s": 1e-3},
], ids=lambda policy: policy if isinstance(policy, str) else policy["name"])  # fmt: skip
def test_totals_are_the_sums_of_their_parts(radio_policy: Any) -> None:
    """Rows, nodes, interfaces and states agree, with a death on the way, and time is filled to the nanosecond."""

    async def server(ctx: Context) -> None:
        for round in range(30):
            await Report(round, ctx.facts.start)
            await Send(ctx.workers, Payload(b"m" * 300, 2400.0), round, "model")
            await Receive(3, "update", round, deadline_s=0.5)
        await Report(30, ctx.facts.start)

    async def worker(ctx: Context) -> None:
        while True:
            (model,) = (await Receive(kind="model")).messages
            await Gradient(at=ctx.facts.start)
            await Send(ctx.server, Payload(b"u" * 100, 800.0), model.round)

    battery = {"capacity_j": [0.02, 50.0, 40.0]}
    compute = {"gradient_s": 0.05, "power_w": 0.02}
    engine, result = battery_run(
        cell(radio_policy=radio_policy), battery, worker, server, 3, compute=compute, stop={"rounds": 30}
    )
    assert list(deaths_ns(engine)) == [0]
    rows, energy = result.tables["rounds"].to_pydict(), result.tables["energy"].to_pydict()
    states = ("tx", "rx", "listen", "idle", "sleep", "compute")
    for i, total in enumerate(rows["energy_j"]):
        assert math.fsum(rows[f"energy_{s}_j"][i] for s in states) == pytest.approx(total, rel=1e-12)
    for s in states:
        here = math.fsum(j for j, of in zip(energy["energy_j"], energy["state"], strict=True) if of == s)
        assert here == pytest.approx(rows[f"energy_{s}_j"][-1], rel=1e-12, abs=1e-15)
    assert spent_j(result, 0) == pytest.approx(0.02, rel=1e-7)
    assert math.fsum(spent_j(result, n) for n in range(4)) == pytest.approx(rows["energy_j"][-1], rel=1e-12)
    filled = dict.fromkeys(range(4), 0)
    for node, interface, time_s in zip(energy["node"], energy["interface"], energy["time_s"], strict=True):
        filled[node] += round(time_s * S) if interface != "processor" else 0
    assert set(filled.values()) == {engine.now_ns}


# --- what is said of it -----------------------------------------------------------------------------------------------


STUDY = """\
name: mortal
problem: {name: quadratic, dim: 12, nodes: 3}
network:
  link: ieee802154
  battery: {capacity_j: 500 mJ, nodes: [1]}
compute: {gradient_s: 1.0}
algorithms: [gd]
stop: {rounds: 5}
"""


def test_summary_page_and_manifest(tmp_path: Path) -> None:
    """Joules a delivered bit and days by hand from the rounds; who died when."""
    results = study.run(parse_text(STUDY), tmp_path / "lives")
    (row,) = results.summary_rows
    last = results.rounds.iloc[-1]
    # 5 rounds: the model of 12 floats of 32 bits to 3 nodes, and as many back.
    assert last["delivered_bytes"] == 5 * 2 * 3 * 48
    assert row["j_per_bit_mean"] == pytest.approx(last["energy_j"] / (8 * 5 * 2 * 3 * 48), rel=1e-12)
    assert row["lifetime_days_mean"] == last["lifetime_days"]
    assert row["lifetime_days_mean"] * 86_400 == pytest.approx(0.5 / 0.0564, rel=1e-2)
    assert results.runs[0]["deaths_s"] == {}
    page = (tmp_path / "lives" / "report.html").read_text()
    assert "Per delivered bit" in page
    assert "Battery that lasts least" in page
    scenario_text = STUDY.replace("rounds: 5", "rounds: 50")
    results = study.run(parse_text(scenario_text), tmp_path / "dies")
    (run,) = json.loads((tmp_path / "dies" / "manifest.json").read_text())["runs"]
    assert run["status"] == "stalled"
    assert run["deaths_s"] == {"1": pytest.approx(0.5 / 0.0564, rel=1e-3)}
    assert f"node 1 had an empty battery at {run['deaths_s']['1']:.6g} s" in run["sentence"]
    again = study.run(parse_text(scenario_text), tmp_path / "dies")
    assert again.runs[0]["deaths_s"] == run["deaths_s"]


def test_without_batteries_no_lifetime_is_said(tmp_path: Path) -> None:
    text = STUDY.replace("  battery: {capacity_j: 500 mJ, nodes: [1]}\n", "")
    results = study.run(parse_text(text), tmp_path / "out")
    assert math.isnan(results.summary_rows[0]["lifetime_days_mean"])
    assert results.summary_rows[0]["j_per_bit_mean"] > 0
    assert "Battery that lasts least" not in (tmp_path / "out" / "report.html").read_text()


def test_lost_bits_are_not_delivered() -> None:
    """A broadcast counts at each of its two receivers, what is lost nowhere."""

    async def server(ctx: Context) -> None:
        await Send(ctx.workers, Payload(b"m" * 10, 80.0), 0, "model")
        await Wait(3.0)
        await Send(ctx.workers, Payload(b"m" * 7, 56.0), 1, "model")
        await Wait(1.0)
        await Report(0, ctx.facts.start)

    _, result = battery_run(cell(), {"capacity_j": 0.0564, "nodes": [1]}, idle, server)
    assert result.tables["rounds"].to_pydict()["delivered_bytes"] == [2 * 10 + 7]


@pytest.mark.parametrize(("battery", "sentence"), [
    ({}, r"network\.battery\.capacity_j: either capacity_j or capacity is needed"),
    ({"capacity_j": 0}, r"network\.battery\.capacity_j: a number > 0"),
    ({"capacity_j": "3 V"}, r"network\.battery\.capacity_j"),
    ({"capacity_j": 1, "nodes": [0, 9]}, r"network\.battery\.nodes\[1\]: a node of 0 \.\. 3\. Got 9"),
    ({"capacity_j": 1, "nodes": [2, 2]}, r"network\.battery\.nodes\[1\]: each node once\. Got 2"),
    ({"capacity_j": 1, "nodes": []}, r"network\.battery\.nodes: at least one node\. Got an empty list"),
    ({"capacity_j": [1, 2]}, r"network\.battery\.capacity_j: a capacity for each of 3 nodes\. Got 2"),
    ({"capacity_j": 1, "nodes": "server"}, r"network\.battery\.nodes: one of workers, all"),
    ({"capacity_wh": 1}, r"capacity_wh: no such key"),
])  # fmt: skip
def test_refusals(battery: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scenario({"name": "gd"}, network={"link": cell(), "battery": battery})


def test_a_battery_of_peers_has_no_server() -> None:
    network = {"topology": {"name": "ring"}, "link": cell(), "battery": {"capacity_j": 1, "nodes": [3]}}
    with pytest.raises(ConfigError, match=r"a node of 0 \.\. 2\. Got 3"):
        scenario({"name": "dgd_like", "step_size": 0.1}, network=network)
    network["battery"] = {"capacity_j": "1 Wh", "nodes": "all"}
    base = scenario({"name": "dgd_like", "step_size": 0.1}, network=network)
    assert base.network.battery is not None
    assert base.network.battery.capacities(range(3), -1) == dict.fromkeys(range(3), 3600.0)


def test_nobody_looks_at_what_cannot_be_drained() -> None:
    """Ideal links and no computing: no power, and the run goes on for ever without dying."""
    base = scenario({"name": "gd"}, network={"battery": {"capacity_j": 1e-9}})
    result = simulate(base, base.algorithms[0], 0, ToyProblem())
    assert (result.status, result.deaths_s) == ("done", {})
    assert np.isnan(result.tables["rounds"].to_pydict()["lifetime_days"]).all()
