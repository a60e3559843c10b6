"""FedBuff: its buffer, its weights, who trains, and that nothing is lost at any instant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from netsim.interfaces import Array
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario
from tests.support.watched import SLOW, WIRES, Books, iterates, watch

DENSE = {"model_bit": 64, "compressor": {"name": "identity", "float_bit": 64}}


def fedbuff(**keys: Any) -> dict[str, Any]:
    return {"name": "fedbuff", "buffer_size": 2, "local_steps": 3, "step_size": 0.1, **keys}


def test_a_buffer_for_all_of_equal_pace_is_local_sgd() -> None:
    """K = M and everybody starts from the newest model: s = 1, whatever the weights."""
    problem = ToyProblem(3, batch=8)
    local = {"name": "local_sgd", "local_steps": 3, "step_size": 0.1, "model_bit": 64, "float_bit": 64}
    expected = iterates(local, problem, 30)
    for staleness in ("none", "sqrt"):
        found = iterates(fedbuff(buffer_size=3, staleness=staleness, **DENSE), problem, 30)
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("staleness", ["none", "sqrt"])
def test_two_clients_by_hand(staleness: str) -> None:
    """Gradients of 1 s and 2.5 s, K = 1, eta = 0.5: commits at 1, 2, 2.5 (one and two steps old), 3, 4, 5 s ...

    Client 0 starts anew at each whole second, client 1 at 0 and 2.5. At 2.5 client 1's update is of version 0 and two
    commits have passed; at 3 client 0's is of version 2 and one has passed.
    """
    problem, gamma, eta = ToyProblem(2), 0.2, 0.5

    def update(node: int, x: Array) -> Array:
        return gamma * problem.curvature[node] * (x - problem.centres[node])

    x = [problem.start()]
    for node, version in ((0, 0), (0, 1), (1, 0), (0, 2), (0, 4)):
        age = len(x) - 1 - version
        s = (1 + age) ** -0.5 if staleness == "sqrt" else 1.0
        x.append(x[-1] - eta * s * update(node, x[version]))
    algorithm = fedbuff(buffer_size=1, local_steps=1, server_step=eta, staleness=staleness, **DENSE)
    base = scenario({**algorithm, "step_size": gamma}, nodes=2, compute={"gradient_s": [1.0, 2.5]}, stop={"rounds": 5})
    seen: list[Array] = []

    def look(engine: Any) -> None:
        if engine.recorder.rounds + 1 != len(seen):
            seen.append(engine.agent(2).x)

    rows = watch(base, problem, look).tables["rounds"].to_pydict()
    assert rows["sim_time_s"] == [0.0, 1.0, 2.0, 2.5, 3.0, 4.0]
    assert rows["staleness"][1:] == [0.0, 0.0, 2.0, 1.0, 0.0]
    for found, expected in zip(seen, x, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("keys", [{}, {"participation": 0.5}, {"buffer_size": 5, "server_step": 0.7}], ids=str)
def test_nothing_is_lost_at_any_instant(keys: dict[str, Any]) -> None:
    """x - (eta/K) (buffer + under way + in progress) = x^0 - (eta/K) sum gamma g, after every event, s = 1."""
    problem = ToyProblem(4, batch=8)
    base = scenario(
        fedbuff(**DENSE, staleness="none", **keys), nodes=4, compute=SLOW, network=WIRES, stop={"rounds": 40}
    )
    scale = keys.get("server_step", 1.0) / keys.get("buffer_size", 2)
    books: list[Books] = []
    gaps = []

    def look(engine: Any) -> None:
        if not books:
            books.append(Books(engine, 4))
        if engine.stopped:
            return
        server = engine.agent(4)
        open_ends = server.buffer.copy()
        for flight in engine.traffic.under_way():
            if flight.message.kind == "update":
                open_ends += server.codec.decode(flight.message.data, 12)
        for node in range(4):
            if engine.actors[node].waiting is None:
                open_ends += engine.agent(node).x - books[0].at[node]
        gaps.append(np.abs(server.x - server.ctx.facts.start - scale * (open_ends - books[0].total.sum(axis=0))).max())

    watch(base, problem, look)
    assert max(gaps) < 1e-12
    assert len(gaps) > 150


def test_clients_that_train_are_drawn_uniformly_from_the_idle() -> None:
    """Two of four train; who follows is one of three (all but the other one that trains), each with 1/3.

    A false alarm under other seeds needs |z| > 5 for one of twelve counts, below 7e-6.
    """
    base = scenario(
        fedbuff(participation=0.5, local_steps=1, buffer_size=1), nodes=4, compute=SLOW, stop={"rounds": 900}
    )
    chosen = Counter[tuple[int, int]]()
    watched: list[Any] = []

    def look(engine: Any) -> None:
        server = engine.agent(4)
        assert len(server.training) == 2
        if watched:
            return
        watched.append(server)
        inner = server.next_ones

        def spy(messages: Any) -> Any:
            (message,) = messages
            (other,) = server.training - {message.src}
            (dst,) = found = inner(messages)
            assert server.training == {other, dst}
            chosen[other, dst] += 1
            return found

        server.next_ones = spy

    watch(base, ToyProblem(4), look)
    assert sum(chosen.values()) >= 899
    for other in range(4):
        total = sum(n for (o, _), n in chosen.items() if o == other)
        for dst in {0, 1, 2, 3} - {other}:
            assert abs(chosen[other, dst] - total / 3) < 5 * np.sqrt(total * 2 / 9)


def test_one_seed_gives_one_run() -> None:
    base = scenario(
        fedbuff(participation=0.5, compressor={"name": "qsgd", "levels": 4}), nodes=4, compute=SLOW, network=WIRES
    )
    first, second = (
        simulate(base, base.algorithms[0], 0, ToyProblem(4, batch=8)).tables["rounds"].to_pandas() for _ in range(2)
    )
    assert first.equals(second)
