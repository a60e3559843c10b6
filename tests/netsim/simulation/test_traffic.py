"""Messages on their way, against what their rows say; deadlines that are over; the clock's order of calls."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from netsim.interfaces import HEADER_BYTES, Context, Inbox, Payload, Receive, Report, Send, Silent
from netsim.scenario import Entry, Network
from netsim.simulation.clock import Clock
from netsim.simulation.engine import Engine
from netsim.units import NS_PER_S
from tests.netsim.simulation.test_engine import STAR, Script, play
from tests.support.toys import Jitter, ToyProblem, scenario

SENT = 40


async def gathers(ctx: Context) -> None:
    for round in range(SENT):
        await Send(ctx.workers, Payload(bytes(3), 24.0), round, "model")
    await Receive(SENT * len(ctx.workers), "update")
    await Report(1, np.zeros(12))


async def answers(ctx: Context) -> None:
    for round in range(SENT):
        await Receive(kind="model")
        await Send(ctx.server, Payload(bytes(2 + round), 16.0), round, "update")


def test_sums_and_phases_are_those_of_the_messages() -> None:
    """The twin: sums over the table of messages, and the union of their intervals; messages overtake each other."""
    base = scenario({"name": "gd"}, nodes=3, stop={"rounds": 1}, record={"messages": True})
    base = dataclasses.replace(base, network=Network(uplink=Jitter(), downlink=Jitter()))
    engine = Engine(base, Entry("script", Script(gathers, answers)), 0, ToyProblem(3))
    result = engine.run()
    rows, messages = result.tables["rounds"].to_pydict(), result.messages().to_pylist()
    for way, kind, end in (("uplink", "update", "src"), ("downlink", "model", "dst")):
        mine = [m for m in messages if m["kind"] == kind]
        assert rows[f"{way}_messages"][-1] == len(mine) == 3 * SENT
        assert rows[f"{way}_message_bytes"][-1] == sum(m["payload_bytes"] + HEADER_BYTES for m in mine)
        for column in ("paper_bit", "payload_bytes", "wire_bytes", "packets"):
            assert rows[f"{way}_{column}"][-1] == sum(m[column] for m in mine)
        total_ns = each_ns = 0
        for node in range(3):
            of_node = [m for m in mine if m[end] == node]
            spans = [(round(m["sent_s"] * NS_PER_S), round(m["delivered_s"] * NS_PER_S)) for m in of_node]
            total_ns += union_ns(spans)
            each_ns += sum(end_ns - begin_ns for begin_ns, end_ns in spans)
        assert rows[f"time_{way}_s"][-1] == pytest.approx(total_ns / 3 / NS_PER_S, rel=1e-12)
        assert total_ns < each_ns / 2
    assert not list(engine.traffic.under_way())


def union_ns(spans: list[tuple[int, int]]) -> int:
    total = covered = 0
    for begin, end in sorted(spans):
        total += max(end - max(begin, covered), 0)
        covered = max(covered, end)
    return total


def test_a_deadline_that_is_over_does_not_end_a_later_wait() -> None:
    heard: list[Inbox] = []

    async def waits(ctx: Context) -> None:
        heard.append(await Receive(kind="first", deadline_s=1.0))  # there after 0.5 s
        heard.append(await Receive(kind="third", round=3))  # there after 1.5 s, past the old deadline
        await Report(1, np.zeros(12))

    async def sends(ctx: Context) -> None:
        await Send(ctx.server, Payload(b"1", 8.0), 0, "first")
        await Receive(kind="never", deadline_s=1.0)
        await Send(ctx.server, Payload(b"3", 8.0), 3, "third")

    _, result = play(waits, sends, nodes=1, network=STAR, stop={"rounds": 1})
    assert result.sim_time_s == 1.5
    assert [(inbox.timed_out, inbox.messages[0].data) for inbox in heard] == [(False, b"1"), (False, b"3")]


def test_silence_as_a_flag_is_a_message_without_payload() -> None:
    async def hears(ctx: Context) -> None:
        inbox = await Receive(len(ctx.workers), "update", 4)
        assert (inbox.messages, inbox.silent) == ((), {0, 1})
        await Report(1, np.zeros(12))

    async def is_silent(ctx: Context) -> None:
        await Silent(ctx.server, 4)

    engine, result = play(hears, is_silent, network={**STAR, "silence": "flag"}, stop={"rounds": 1})
    counter = engine.recorder.tally.counters["uplink"]
    assert result.status == "done"
    assert (counter.messages, counter.payload_bytes, counter.message_bytes) == (2, 0, 16)
    assert engine.recorder.tally.uploads == 0


def test_the_clock_calls_in_order_of_time_then_of_setting() -> None:
    clock, called = Clock(), list[str]()

    def again() -> None:
        called.append("a")
        clock.after(0, lambda: called.append("d"))

    clock.after(5, again)
    clock.after(3, lambda: called.append("b"))
    clock.after(5, lambda: called.append("c"))
    for at_ns in (3, 5):
        assert clock.next_ns == at_ns
        clock.now_ns = at_ns
        clock.ring()
    assert called == ["b", "a", "c", "d"]
    assert clock.next_ns == float("inf")
