"""A clock that cannot move, or would leave its range, ends the run with a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import SimulationError
from netsim.interfaces import Compute, Context, Gradient, Mark, Receive, Report, Wait
from netsim.scenario import Entry
from netsim.simulation.engine import Engine
from netsim.units import MAX_NS, NS_PER_S, seconds_to_ns, to_number
from tests.netsim.simulation.test_engine import Script, play
from tests.support.toys import ToyProblem, scenario


async def idle(ctx: Context) -> None:
    await Receive()


async def marks(ctx: Context) -> None:
    while True:
        await Mark()


async def computes(ctx: Context) -> None:
    while True:
        await Compute(1e9)


async def waits(ctx: Context) -> None:
    while True:
        await Wait(1e-10)


async def differentiates(ctx: Context) -> None:
    while True:
        await Gradient(at=np.zeros(12))


async def reports_one_round(ctx: Context) -> None:
    while True:
        await Report(1, np.zeros(12))


@pytest.mark.parametrize("agent", [marks, computes, waits, differentiates, reports_one_round])
def test_steps_without_end_at_one_instant_are_a_stall(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.simulation.standstill.PATIENCE", (1000, 0))
    stop = {"rounds": 5} if agent is not reports_one_round else {"uploads": 5}
    server, worker = (idle, agent) if agent is differentiates else (agent, idle)
    _, result = play(server, worker, stop=stop, network={"link": "ideal", "silence": "free"})
    assert result.status == "stalled"
    assert "its clock does not move" in result.sentence


def test_many_rounds_at_one_instant_are_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ideal links and no compute are the papers' way to count: rounds go on although no time does."""

    async def server(ctx: Context) -> None:
        for round in range(1, 401):
            await Mark()
            await Report(round, np.zeros(12))

    monkeypatch.setattr("netsim.simulation.standstill.PATIENCE", (100, 0))
    _, result = play(server, idle, stop={"rounds": 400}, network={"link": "ideal"})
    assert (result.status, result.rounds, result.sim_time_s) == ("done", 400, 0.0)


async def reports(ctx: Context) -> None:
    round = 0
    while True:
        round += 1
        await Wait(1.0)
        await Report(round, np.zeros(12))


@pytest.mark.parametrize("limit", ["uploads", "gradients", "messages"])
def test_rounds_without_anything_that_would_end_the_run_are_a_stall(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock moves and rounds go by, and the one count that is limited does not: 146 years of simulated time."""
    monkeypatch.setattr("netsim.simulation.standstill.QUIET_ROUNDS", 50)
    _, result = play(reports, idle, stop={limit: 5}, network={"link": "ideal"})
    assert (result.status, result.rounds) == ("stalled", 50)
    assert f"nothing was counted of stop.{limit}" in result.sentence
    _, result = play(reports, idle, stop={limit: 5, "sim_time_s": 200}, network={"link": "ideal"})
    assert (result.status, result.rounds) == ("done", 200)


def test_the_clock_ends() -> None:
    async def server(ctx: Context) -> None:
        while True:
            await Wait(1e9)

    _, result = play(server, idle, stop={"rounds": 5}, network={"link": "ideal"})
    assert result.status == "stalled"
    assert "the clock ends at 2^62 ns" in result.sentence
    # 4 waits of 1e18 ns fit into 4.6e18.
    assert result.sim_time_s == 4e9


def test_a_time_beyond_the_clock_is_an_error() -> None:
    async def server(ctx: Context) -> None:
        await Wait(1e10)

    with pytest.raises((OverflowError, SimulationError), match="beyond the clock's end"):
        play(server, idle, stop={"rounds": 5}, network={"link": "ideal"})


@pytest.mark.parametrize("time_s", [MAX_NS / NS_PER_S, 1e300, float("inf"), float("nan")])
def test_seconds_beyond_the_clock(time_s: float) -> None:
    with pytest.raises(OverflowError, match="beyond the clock's end"):
        seconds_to_ns(time_s)


def test_the_longest_quantity_is_one_that_the_clock_counts() -> None:
    assert seconds_to_ns(to_number("1e9 s", "s")) == 10**18 < MAX_NS


def test_the_clock_is_seen_to_move_inside_a_round() -> None:
    """300 waits of 1 s before the first report: one in 64 instants is told, at 64, 128, 192 and 256 s."""
    told = list[tuple[int, float]]()

    async def server(ctx: Context) -> None:
        for _ in range(300):
            await Wait(1.0)
        await Report(0, np.zeros(12))

    base = scenario({"name": "gd"}, nodes=2, network={"link": "ideal"})
    entry, problem = Entry("script", Script(server, idle)), ToyProblem(2)
    Engine(base, entry, 0, problem, lambda round, at_s, _: told.append((round, at_s))).run()
    assert told == [(0, 64.0), (0, 128.0), (0, 192.0), (0, 256.0), (0, 300.0)]
