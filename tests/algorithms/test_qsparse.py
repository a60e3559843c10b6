"""Qsparse-local-SGD: what its identities say, and that nothing is lost at any instant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario
from tests.support.watched import SLOW, WIRES, Books, iterates, reported, watch

IDENTITY = {"name": "identity", "float_bit": 64}
RULE = {"name": "inverse_round", "a": 1.0, "offset": 10.0}
TOP = {"name": "top_k", "k": 3}
SIGN = {"name": "sign_top_k", "k": 3}


def qsparse(**keys: Any) -> dict[str, Any]:
    return {"name": "qsparse_local_sgd", "compressor": TOP, "local_steps": 3, "step_size": RULE, **keys}


def assert_close(xs: list[Array], ys: list[Array]) -> None:
    assert len(xs) == len(ys) > 2
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


# --- Q1 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_with_identity_it_is_sgd_or_local_sgd(mode: str) -> None:
    problem, keys = ToyProblem(3, batch=8), {"step_size": 0.1, "model_bit": 64}
    for steps in (1, 4):
        mine = qsparse(compressor=IDENTITY, local_steps=steps, mode=mode, **keys)
        other = {"name": "gd"} if steps == 1 else {"name": "local_sgd", "local_steps": steps}
        assert_close(iterates(mine, problem, 30), iterates({**other, "float_bit": 64, **keys}, problem, 30))


def test_with_momentum_and_weight_decay_it_is_local_sgd_too() -> None:
    problem = ToyProblem(3, batch=8)
    keys = {"local_steps": 3, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-2, "step_size": 0.02}
    local = {"name": "local_sgd", "float_bit": 64, "model_bit": 64, **keys}
    assert_close(
        iterates(qsparse(compressor=IDENTITY, model_bit=64, **keys), problem, 30), iterates(local, problem, 30)
    )


def test_one_worker_and_one_step_is_error_feedback_sgd() -> None:
    problem, keys = ToyProblem(1, batch=8), {"compressor": TOP, "step_size": 0.1, "model_bit": 64}
    mine, other = (iterates(a, problem, 60) for a in (qsparse(local_steps=1, **keys), {"name": "ef_sgd", **keys}))
    assert_close(mine, other)


# --- Q2 and Q4 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressor", [TOP, SIGN], ids=["top_k", "sign_top_k"])
def test_asynchronous_with_equal_gaps_is_synchronous(compressor: dict[str, Any]) -> None:
    """Bitwise, over 320 local steps of 6 workers in lockstep, and where all compute and links are equally slow."""
    problem = ToyProblem(6, batch=8)
    runs = []
    for mode in ("synchronous", "asynchronous"):
        algorithm = qsparse(local_steps=4, compressor=compressor, mode=mode)
        runs.append(iterates(algorithm, problem, 80))
        base = scenario(
            algorithm, nodes=6, network={"link": {"name": "ideal", "delay_s": 0.25}}, compute={"gradient_s": 0.125},
            stop={"rounds": 80},
        )  # fmt: skip
        runs.append(reported(base, problem))
    for found in runs[1:]:
        for x, y in zip(runs[0], found, strict=True):
            np.testing.assert_array_equal(x, y)


def test_asynchronous_runs_are_reproducible_and_feel_delays() -> None:
    algorithm = qsparse(mode="asynchronous", gap="uniform", compressor={"name": "qtop_k", "k": 4, "levels": 7})
    base = scenario(algorithm, compute=SLOW, network=WIRES, stop={"rounds": 60})
    first, second, third = (
        simulate(base, base.algorithms[0], replication, ToyProblem(batch=8)).tables["rounds"]
        for replication in (0, 0, 1)
    )
    assert first.to_pandas().equals(second.to_pandas())
    assert first["loss"].to_pylist() != third["loss"].to_pylist()
    assert len(set(first["staleness"].to_pylist()[1:])) > 3


# --- Q3 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressor", [TOP, SIGN, {"name": "qtop_k", "k": 4, "levels": 7}], ids=lambda c: c["name"])
@pytest.mark.parametrize(
    "keys", [{"mode": "synchronous"}, {"mode": "asynchronous"}, {"mode": "asynchronous", "gap": "uniform"}], ids=str
)
def test_nothing_is_lost_at_any_instant(keys: dict[str, Any], compressor: dict[str, Any]) -> None:
    """Conservation under random compute times, slow links and float32 payloads, after every event."""
    problem = ToyProblem(4, batch=8)
    base = scenario(qsparse(compressor=compressor, **keys), nodes=4, compute=SLOW, network=WIRES, stop={"rounds": 60})
    books: list[Books] = []
    gaps, flying, computing = [], 0, 0

    def look(engine: Any) -> None:
        nonlocal flying, computing
        if not books:
            books.append(Books(engine, 4))
        if engine.stopped:
            return
        gaps.append(books[0].gap())
        flying += any(f.message.kind == "update" for f in engine.traffic.under_way())
        computing += any(engine.actors[n].waiting is None for n in range(4))

    watch(base, problem, look)
    assert max(gaps) < 1e-13
    assert len(gaps) > 150
    assert flying > 30
    assert computing > 30


def test_the_server_divides_by_all_workers_and_answers_the_senders_alone() -> None:
    """Two workers, one ten times faster: its uploads alone move the server by half of what they say."""
    problem = ToyProblem(2)
    base = scenario(
        qsparse(compressor=IDENTITY, local_steps=1, mode="asynchronous", step_size=0.1, model_bit=64),
        nodes=2, compute={"gradient_s": [0.1, 1.05]}, stop={"rounds": 6},
    )  # fmt: skip
    x = x0 = problem.start()
    for found in reported(base, problem):
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-14)
        x = x - 0.1 * problem.curvature[0] * (x - problem.centres[0]) / 2
    trace = simulate(scenario(
        qsparse(mode="asynchronous", local_steps=1), nodes=2, compute={"gradient_s": [0.1, 1.05]},
        record={"messages": True}, stop={"rounds": 6},
    ), base.algorithms[0], 0, problem).messages().to_pydict()  # fmt: skip
    answers = [d for d, k, r in zip(trace["dst"], trace["kind"], trace["round"], strict=True) if k == "model" and r]
    assert set(answers) == {0}
    assert not np.array_equal(x, x0)


# --- bounds, wiping, bad input ------------------------------------------------------------------------------------


def test_memory_stays_below_its_bound() -> None:
    """||e||^2 <= 4 (1 - w^2) / w^2 gamma^2 H^2 G^2, w = k/d, at every commit."""
    problem, gamma, steps, w = ToyProblem(3), 0.05, 3, 3 / 12
    base = scenario(qsparse(step_size=gamma, local_steps=steps), compute={"gradient_s": 1.0}, stop={"rounds": 100})
    largest, norm = 0.0, 0.0

    def look(engine: Any) -> None:
        nonlocal largest, norm
        for node in range(3):
            agent = engine.agent(node)
            largest = max(largest, 0.0 if agent.memory is None else float(agent.memory.error @ agent.memory.error))
            g = problem.curvature[node] * (agent.x - problem.centres[node])
            norm = max(norm, float(g @ g))

    watch(base, problem, look)
    assert 0 < largest <= 4 * (1 - w**2) / w**2 * gamma**2 * steps**2 * norm


def test_memory_is_wiped_at_the_message_before_a_drop() -> None:
    """Steps of 0.1, from local step 7 on 0.05: with H = 3 the round that begins at step 6 begins with e = 0."""
    rule = {"name": "piecewise", "start": 0.1, "boundaries": [7], "factor": 0.5}
    zero: dict[bool, list[bool]] = {}
    for wipes in (False, True):
        base = scenario(qsparse(step_size=rule, wipe_memory=wipes), compute={"gradient_s": 1.0}, stop={"rounds": 4})
        seen: dict[int, bool] = {}

        def look(engine: Any, seen: dict[int, bool] = seen) -> None:
            agent = engine.agent(0)
            if agent.memory is not None and engine.actors[0].waiting is None:
                seen.setdefault(agent.steps, not agent.memory.error.any())

        watch(base, ToyProblem(3), look)
        zero[wipes] = [seen[steps] for steps in (6, 9, 12)]
    assert zero == {False: [False, False, False], True: [False, True, False]}


def test_changes_of_every_second_step_are_no_drop() -> None:
    problem = ToyProblem(3)
    for wipes in (False, True):
        assert len(iterates(qsparse(wipe_memory=wipes), problem, 10)) == 11
    plain, wiped = (iterates(qsparse(wipe_memory=wipes), problem, 10) for wipes in (False, True))
    for x, y in zip(plain, wiped, strict=True):
        np.testing.assert_array_equal(x, y)


def test_gaps_are_uniform_on_1_to_h() -> None:
    """400 gaps of 1 .. 4: each comes Binomial(400, 1/4) times; |z| > 5 has probability below 3e-6 for all four."""
    problem, gaps = ToyProblem(1), []
    base = scenario(qsparse(mode="asynchronous", gap="uniform", local_steps=4), nodes=1, compute={"gradient_s": 1.0},
                    stop={"rounds": 400})  # fmt: skip
    steps = simulate(base, base.algorithms[0], 0, problem).tables["rounds"]["gradients"].to_pylist()
    gaps = np.diff(steps)
    assert set(gaps.tolist()) == {1, 2, 3, 4}
    counts = np.bincount(gaps)[1:]
    assert (np.abs(counts - 100) < 5 * np.sqrt(400 * 0.25 * 0.75)).all()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"gap": "uniform"}, "gap: fixed, as synchronous workers share their gaps. Got uniform"),
        ({"compressor": {"name": "error_feedback", "part": TOP}}, "compressor: the code inside"),
        ({"mode": "async"}, "mode"),
        ({"local_steps": 0}, "local_steps"),
    ],
)
def test_keys_that_do_not_fit(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scenario(qsparse(**keys))


# --- L1 -----------------------------------------------------------------------------------------------------------


def test_rounds_take_what_the_closed_form_says() -> None:
    """max_m [H tau_m + l + bits_up / b] + max_m [l + bits_down / b], to the nanosecond, in every round.

    A packet of at most 1000 bytes carries each message; sign_top_k of k = 3 of 12 is 4 + 32 + 3 * 4 + 3 bits = 7 bytes
    in whole bytes, the model 48, and a header of 8 and 28 bytes of packet go with each.
    """
    tau, steps, problem = (0.011, 0.017, 0.013), 4, ToyProblem(3)
    link = {"name": "packet", "payload_max_bytes": 1000, "header_bytes": 28, "fixed_size": False, "rate_bps": 1e6}
    link["delay_s"] = 0.003
    base = scenario(
        qsparse(compressor=SIGN, local_steps=steps, broadcast="dense"), compute={"gradient_s": list(tau)},
        network={"uplink": link, "downlink": link}, stop={"rounds": 5},
    )  # fmt: skip
    rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"].to_pydict()
    up_s, down_s = 0.003 + 8 * (7 + 8 + 28) / 1e6, 0.003 + 8 * (48 + 8 + 28) / 1e6
    round_s = max(steps * t + up_s for t in tau) + down_s
    assert [round(1e9 * s) for s in rows["sim_time_s"]] == [round(1e9 * r * round_s) for r in range(6)]


def test_traces_carry_the_codec_alone() -> None:
    """Up: sign_top_k's bits, 32 + k lg d + k; down: 32 d."""
    problem = ToyProblem(3)
    base = scenario(qsparse(compressor=SIGN))
    messages = lockstep.run(base, base.algorithms[0], problem, 5).messages
    assert {m.payload.paper_bit for m in messages if m.kind == "update"} == {32 + 3 * 4 + 3}
