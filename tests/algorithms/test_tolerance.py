"""Missing and late uploads: what a server at a quorum or a deadline does, written out; and links that lose."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from algorithms.agents.gd import Gd
from algorithms.roles.star import Worker
from netsim.interfaces import Agent, Array, Context, Silent
from netsim.scenario import Entry, Scenario
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario
from tests.support.watched import SLOW, reported

EXACT = {"float_bit": 64, "model_bit": 64}
DENSE = {"model_bit": 64, "compressor": {"name": "identity", "float_bit": 64}}
LOSSY = {"name": "wan", "transport": "plain", "rate_bps": 1e5, "rtt_s": 0.02, "loss": 0.2}
SPARSE = {"name": "stochastic_sparsification", "budget": 6}
BIT = {"name": "bit"}
LOCAL = {"local_steps": 2, "step_size": 0.1}

TOLERANT: list[dict[str, Any]] = [
    {"name": "gd"},
    {"name": "dcgd", "compressor": SPARSE},
    {"name": "alistarh", "step_size": 0.1},
    {"name": "fixed_budget", "variant": "sign", "budget": 6},
    {"name": "cat", "variant": "sparsify", "cost": BIT},
    {"name": "cat", "variant": "stochastic", "cost": BIT},
    {"name": "cat", "variant": "stochastic", "cost": BIT, "tune": "shared"},
    {"name": "local_sgd", **LOCAL},
    {"name": "fedavg", **LOCAL, "participation": 0.7},
    {"name": "fedprox", **LOCAL, "mu": 0.1},
    {"name": "fedadam", **LOCAL, "server_step": 0.3},
    {"name": "signsgd", "step_size": 0.3},
    {"name": "fedbuff", **LOCAL, "buffer_size": 2},
    {"name": "fedbuff", **LOCAL, "buffer_size": 2, "participation": 0.7},
]


def of(algorithm: dict[str, Any], **keys: Any) -> Scenario:
    return scenario(algorithm, **keys)


def gradient(problem: ToyProblem, node: int, x: Array) -> Array:
    g: Array = problem.curvature[node] * (x - problem.centres[node])
    return g


# --- a quorum and a deadline, by hand -----------------------------------------------------------------------------


def test_a_quorum_goes_on_without_the_slowest() -> None:
    """Gradients of 1, 2 and 5 s, quorum 2: rounds of 2 s with the mean of the first two.

    The third's answer to round 0 is late in round 2 and dropped. It then takes the newest model, of round 2, which has
    been there since 4 s, and is late again.
    """
    problem = ToyProblem(3)
    algorithm = {"name": "gd", "step_size": 0.3, "quorum": 2, **EXACT}
    base = of(algorithm, compute={"gradient_s": [1.0, 2.0, 5.0]}, stop={"rounds": 6}, record={"messages": True})
    x = problem.start()
    for found in reported(base, problem):
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-14)
        x = x - 0.3 * (gradient(problem, 0, x) + gradient(problem, 1, x)) / 2
    result = simulate(base, base.algorithms[0], 0, problem)
    assert result.tables["rounds"]["sim_time_s"].to_pylist() == [2.0 * r for r in range(7)]
    messages = result.messages().to_pydict()
    rows = zip(messages["src"], messages["kind"], messages["round"], messages["sent_s"], strict=True)
    assert [(r, s) for src, kind, r, s in rows if src == 2 and kind == "update"] == [(0, 5.0), (2, 10.0)]


def test_a_deadline_takes_what_has_come() -> None:
    """Gradients of 1, 2 and 5 s and some patience: the round lasts as long, and takes the mean of what has come."""
    problem = ToyProblem(3)
    for deadline_s, heard in ((3.0, (0, 1)), (1.5, (0,))):
        algorithm = {"name": "gd", "step_size": 0.3, "deadline_s": deadline_s, **EXACT}
        base = of(algorithm, compute={"gradient_s": [1.0, 2.0, 5.0]}, stop={"rounds": 1})
        x = problem.start()
        expected = x - 0.3 * sum(gradient(problem, n, x) for n in heard) / len(heard)
        np.testing.assert_allclose(reported(base, problem)[1], expected, rtol=0, atol=1e-14)
        rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"]
        assert rows["sim_time_s"].to_pylist() == [0.0, deadline_s]


def test_nobody_in_time_changes_nothing() -> None:
    for algorithm in TOLERANT:
        if algorithm["name"] != "fedbuff":
            base = of({**algorithm, "deadline_s": 1.0}, compute={"gradient_s": 9.0}, stop={"rounds": 5})
            rows = simulate(base, base.algorithms[0], 0, ToyProblem(3)).tables["rounds"].to_pydict()
            assert rows["sim_time_s"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
            assert set(rows["loss"]) == {rows["loss"][0]}, algorithm


def test_samples_weigh_among_the_clients_heard() -> None:
    """FedAvg with a quorum of 2: n_m / (n_0 + n_1)."""
    from tests.algorithms.test_federated import Unlike

    problem = Unlike(batch=0)
    algorithm = {"name": "fedavg", "local_steps": 1, "step_size": 0.2, "quorum": 2, **DENSE}
    base = of(algorithm, compute={"gradient_s": [1.0, 2.0, 5.0]}, stop={"rounds": 4})
    x = problem.start()
    for found in reported(base, problem):
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-14)
        x = x - 0.2 * (10 * gradient(problem, 0, x) + 20 * gradient(problem, 1, x)) / 30


def test_a_patient_server_is_the_plain_one() -> None:
    """Where all answer in time, quorum M and a long deadline change no bit, and lockstep lets none pass."""
    problem = ToyProblem(3, batch=8)
    for algorithm in TOLERANT:
        if algorithm["name"] == "fedbuff":
            continue
        plain = of(algorithm, compute=SLOW)
        waits = {"deadline_s": 1e3} if "participation" in algorithm else {"quorum": 3, "deadline_s": 1e3}
        patient = of({**algorithm, **waits}, compute=SLOW)
        runs = [reported(base, problem) for base in (plain, patient)]
        runs.append([x for _, _, x in lockstep.run(patient, patient.algorithms[0], problem, 20).reports])
        for x, y, z in zip(*runs, strict=True):
            np.testing.assert_array_equal(x, y)
            np.testing.assert_array_equal(x, z)


# --- links that lose ----------------------------------------------------------------------------------------------


def test_a_lost_message_is_a_silent_worker() -> None:
    """GD over a link that loses a fifth of all messages, both ways: every step is that of what was delivered."""
    problem = ToyProblem(3)
    algorithm = {"name": "gd", "step_size": 0.3, "deadline_s": 1.0, **EXACT}
    base = of(algorithm, network={"link": LOSSY}, stop={"rounds": 60}, record={"messages": True})
    messages = simulate(base, base.algorithms[0], 0, problem).messages().to_pydict()
    rows = zip(messages["src"], messages["kind"], messages["round"], messages["ok"], strict=True)
    heard: dict[int, list[int]] = {}
    for src, kind, round, ok in rows:
        if kind == "update" and ok:
            heard.setdefault(round, []).append(src)
    assert {len(nodes) for nodes in heard.values()} >= {1, 2, 3}
    x = problem.start()
    for round, found in enumerate(reported(base, problem)):
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-13)
        nodes = heard.get(round, [])
        if nodes:
            x = x - 0.3 * sum(gradient(problem, n, x) for n in nodes) / len(nodes)


@pytest.mark.parametrize("algorithm", TOLERANT, ids=str)
def test_it_learns_over_links_that_lose(algorithm: dict[str, Any]) -> None:
    """A fifth of all messages are lost both ways, and speeds are random: all rounds come, and the loss falls."""
    base = of({**algorithm, "deadline_s": 0.8}, network={"link": LOSSY}, compute=SLOW, stop={"rounds": 50})
    result = simulate(base, base.algorithms[0], 0, ToyProblem(3, batch=8))
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert result.status == "done"
    assert len(gaps) == 51
    assert gaps[-1] < 0.3 * gaps[0]
    again = simulate(base, base.algorithms[0], 0, ToyProblem(3, batch=8))
    assert again.tables["rounds"]["loss_gap"].to_pylist() == gaps


@pytest.mark.parametrize(
    "network",
    [
        {"link": {"name": "ieee802154", "mac": "csma_ca", "reliable": False}},
        {"link": {"name": "lora"}},
        {
            "link": {
                "name": "wan",
                "transport": "plain",
                "rate_bps": 1e5,
                "rtt_s": 0.01,
                "sharing": "fifo",
                "server_bps": 2e4,
                "queue_bytes": 200,
            }
        },
        {"uplink": LOSSY},
        {"downlink": LOSSY},
    ],
    ids=lambda n: str(n)[:70],
)
@pytest.mark.parametrize("algorithm", [TOLERANT[i] for i in (0, 4, 8, 11, 12)], ids=str)
def test_it_ends_on_every_link_that_loses(algorithm: dict[str, Any], network: dict[str, Any]) -> None:
    deadline_s = 60.0 if network.get("link", {}).get("name") == "lora" else 2.0
    base = of({**algorithm, "deadline_s": deadline_s}, network=network, compute=SLOW, stop={"rounds": 6})
    result = simulate(base, base.algorithms[0], 0, ToyProblem(3, batch=8))
    assert result.status == "done"
    assert result.rounds == 6


def test_nodes_out_of_range_are_silent() -> None:
    """20 nodes scattered over a field of 60 m around the server, reach 25 m: those within it learn, the others wait."""
    rng = np.random.default_rng(8)
    places = [*map(tuple, rng.uniform(-30.0, 30.0, (20, 2)).round(3).tolist()), (0.0, 0.0)]
    link = {"name": "ieee802154", "mac": "csma_ca", "reliable": True, "path_loss": {"name": "disc", "range_m": 25.0}}
    near = {n for n, (a, b) in enumerate(places[:-1]) if np.hypot(a, b) <= 25.0}
    assert 5 < len(near) < 20
    base = of(
        {"name": "gd", "deadline_s": 3.0}, nodes=20, stop={"rounds": 15}, record={"messages": True},
        network={"link": link, "topology": {"name": "star", "positions_m": [list(p) for p in places]}},
    )  # fmt: skip
    problem = ToyProblem(20)
    result = simulate(base, base.algorithms[0], 0, problem)
    messages = result.messages().to_pydict()
    rows = zip(messages["src"], messages["kind"], messages["ok"], strict=True)
    assert {src for src, kind, ok in rows if kind == "update" and ok} == near
    gaps = result.tables["rounds"]["loss_gap"].to_pylist()
    assert result.status == "done"
    assert gaps[-1] < 0.1 * gaps[0]


# --- silence by deadline ------------------------------------------------------------------------------------------


class Lazy(Worker):
    """Node 1 is silent in every second round."""

    async def upload(self, round: int, g: Array) -> None:
        if self.ctx.node == 1 and round % 2:
            await Silent(self.ctx.server, round)
        else:
            await super().upload(round, g)


@dataclasses.dataclass(frozen=True)
class LazyGd(Gd):
    """GD with it."""

    name = "gd"

    def worker(self, ctx: Context) -> Agent:
        return Lazy(ctx, self)


@pytest.mark.parametrize("silence", ["free", "flag", "deadline"])
def test_silence_by_deadline_takes_the_deadline(silence: str) -> None:
    """The models are the same however silence is told; a round in which a worker is silent then takes 5 s, not 1."""
    problem = ToyProblem(3)
    algorithm = LazyGd(step_size=0.3, deadline_s=5.0, float_bit=64, model_bit=64)
    base = of({"name": "gd", "deadline_s": 5.0}, network={"silence": silence}, compute={"gradient_s": 1.0})
    base = dataclasses.replace(base, algorithms=(Entry("lazy", algorithm),))
    x, seconds = problem.start(), [0.0]
    for round, found in enumerate(reported(base, problem)):
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-13)
        nodes = (0, 2) if round % 2 else (0, 1, 2)
        x = x - 0.3 * sum(gradient(problem, n, x) for n in nodes) / len(nodes)
        seconds.append(seconds[-1] + (5.0 if round % 2 and silence == "deadline" else 1.0))
    rows = simulate(base, base.algorithms[0], 0, problem).tables["rounds"]
    assert rows["sim_time_s"].to_pylist() == seconds[:-1]


def test_lockstep_lets_a_deadline_pass_where_nothing_else_can_happen() -> None:
    """FedBuff with one client that trains at a time and a buffer of 1: nobody waits long enough to ask."""
    base = of({"name": "fedbuff", **LOCAL, "buffer_size": 1, "participation": 0.34, "deadline_s": 1.0})
    trace = lockstep.run(base, base.algorithms[0], ToyProblem(3), 10)
    assert {m.kind for m in trace.messages} == {"model", "update"}
