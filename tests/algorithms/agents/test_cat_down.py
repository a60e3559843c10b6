"""CAT in both directions: the server sends the changes that pay, and remembers the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.registry import build
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario
from tests.support.watch import LoggedProblem, watch

AFFINE = {"name": "affine", "c0": 200, "c_bit": 1}
UP = {"name": "cat", "variant": "sparsify", "cost": AFFINE, "step_size": 0.1}


@pytest.mark.parametrize("memory", ["none", "ef", "ef21"])
@pytest.mark.parametrize("model_bit", [32, 64])
def test_both_ends_have_the_model(memory: str, model_bit: Any) -> None:
    """x is the same, bit for bit, at all ends; x + e moves by the whole step; T is the argmax over all T.

    An entry takes its float and lg 12 = 4 bits of its position.
    """
    seen: list[int] = []
    state: dict[str, Any] = {}

    def look(round: int, server: Any, workers: list[Any]) -> None:
        assert all(round == 0 or (worker.heard.x == state["x"]).all() for worker in workers)
        if round:
            s = state["e"] + state["step"]
            assert np.abs(server.x + server.tuned.e - state["x"] - s).max() < 1e-12
            moved = np.flatnonzero(server.x != state["x"])
            seen.append(moved.size)
            order = np.sort(s * s)[::-1].cumsum()
            t = np.arange(1, s.size + 1)
            best = int(np.argmax(order / (200 + t * (model_bit + 4)))) + 1
            assert set(moved) <= set(np.argsort(-np.abs(s), kind="stable")[:best].tolist())
            assert moved.size >= best - (model_bit == 32)  # a change may be lost in rounding
        state.update(x=server.x, e=server.tuned.e)
        if not hasattr(server, "inner"):
            server.inner = server.direction

            async def direction(updates: Any) -> Any:
                found = await server.inner(updates)
                state["step"] = -0.1 * found
                return found

            server.direction = direction

    algorithm = {**UP, "memory": memory, "down": AFFINE, "model_bit": model_bit, "float_bit": 64}
    watch(algorithm, LoggedProblem(3, batch=8), 30, look)
    assert {0 < n < 12 for n in seen} == {True}


@pytest.mark.parametrize("keys", [{}, {"variant": "sign"}, {"variant": "stochastic"}, {"tune": "shared"}])
def test_it_saves_the_downlink(keys: dict[str, Any]) -> None:
    """On 802.15.4 with d = 400: fewer bytes down than with all changes sent, and the loss falls as well."""
    link = {"network": {"link": {"name": "ieee802154"}}, "stop": {"rounds": 25}}
    cost = {"name": "from_channel", "quantity": "j"}
    spent, gaps = [], []
    for down in ({}, {"down": cost}):
        base = scenario({**UP, "cost": cost, "step_size": 0.2, **keys, **down}, **link)
        rows = simulate(base, base.algorithms[0], 0, ToyProblem(3, dim=400)).tables["rounds"].to_pydict()
        spent.append(rows["downlink_payload_bytes"][-1])
        gaps.append(rows["loss_gap"][-1] / rows["loss_gap"][0])
    assert spent[1] < 0.8 * spent[0]
    assert gaps[1] < 0.3


@pytest.mark.parametrize("keys", [{"quorum": 2}, {"deadline_s": 1.0}, {"participation": 0.5}, {"broadcast": "dense"}])
def test_models_that_travel_whole_have_no_budget(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"down: nothing with quorum, deadline_s.*models travel whole. Got affine"):
        build("algorithm", {**UP, **keys, "down": AFFINE})
