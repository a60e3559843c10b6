"""What agents may ask of the world beyond a gradient and a message, each by a small agent that asks for it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError, SimulationError
from netsim.interfaces import (
    ALL,
    Agent,
    Array,
    Context,
    Decode,
    Encode,
    Gradient,
    GradientRequest,
    NodeId,
    Payload,
    Receive,
    Report,
    Send,
    Silent,
    Value,
)
from netsim.scenario import Entry, Network
from netsim.scenario.checks import problem_faults
from netsim.scenario.parsing import parse
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, RunResult, simulate
from tests.netsim.simulation.test_engine import Script, _Scripted
from tests.plugins import dgd_like, lena_like, sparq_like
from tests.support import PLUGINS
from tests.support.toys import ToyProblem, scenario

PLUGGED = (dgd_like, lena_like, sparq_like)  # known to the registry once they are imported


def play(server: Any, worker: Any, nodes: int = 2, problem: Any = None, **keys: Any) -> RunResult:
    base = scenario({"name": "gd"}, nodes=nodes, **keys)
    return simulate(base, Entry("script", Script(server, worker)), 0, problem or ToyProblem(nodes))


def rows(result: RunResult) -> dict[str, list[Any]]:
    return result.tables["rounds"].to_pydict()


async def _server(ctx: Context, rounds: int = 3) -> None:
    for round in range(rounds + 1):
        await Report(round, np.zeros(12))
        await Receive(len(ctx.workers), "update", round)


# --- minibatches ------------------------------------------------------------------------------------------


def test_two_evaluations_on_the_same_minibatch_and_the_next_one_where_none_is_given() -> None:
    """Batches 1 and 2 are drawn in order; Gradient and Value without a batch take the next, ALL takes all samples."""
    problem = ToyProblem(1, batch=4)
    found: list[Any] = []

    async def worker(ctx: Context) -> None:
        batch = ctx.next_batch()
        a, b = await Gradient(np.zeros(12), batch), await Gradient(np.ones(12), batch)
        await Gradient(np.zeros(12))
        await Value(np.zeros(12))
        await Gradient(np.zeros(12), ALL)
        found.extend([batch.rows, b - a])
        await Send(ctx.server, Payload(b"", 0.0), 0)

    play(_server, worker, nodes=1, problem=problem)
    (first,), (second,), (third,), (whole,) = ([call[0][1]] for call in problem.calls)
    assert first == second == tuple(found[0])
    assert third is not None
    assert third != first
    assert whole is None
    np.testing.assert_allclose(found[1], problem.curvature[0], rtol=1e-12)


# --- silence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silence", ["free", "flag"])
def test_a_round_of_two_exchanges_can_be_silent_in_both(silence: str) -> None:
    """Node 0 votes and sends no values, node 1 the other way round, node 2 says neither; three rounds."""
    heard: list[tuple[int, ...]] = []

    async def server(ctx: Context) -> None:
        for round in range(3):
            await Report(round, np.zeros(12))
            await Send(ctx.workers, Payload(b"m", 8.0), round, "model")
            for kind in ("vote", "values"):
                inbox = await Receive(3, kind, round)
                heard.append(tuple(m.src for m in inbox.messages))
        await Report(3, np.zeros(12))

    async def worker(ctx: Context) -> None:
        for round in range(3):
            await Receive(1, "model", round)
            for node, kind in ((0, "vote"), (1, "values")):
                if ctx.node == node:
                    await Send(ctx.server, Payload(b"x", 8.0), round, kind)
                else:
                    await Silent(ctx.server, round, kind)

    result = play(server, worker, nodes=3, network={"silence": silence})
    assert result.status == "done"
    assert heard == [(0,), (1,)] * 3


# --- measures -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drifting:
    """Peers that add their id + 1 to their model in place, in every round."""

    rounds: int = 4
    tolerates: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str] = "drifting"

    def peer(self, ctx: Context) -> Agent:
        return _Scripted(self.run, ctx)

    async def run(self, ctx: Context) -> None:
        x = np.zeros(12)
        for round in range(self.rounds):
            await Report(round, x)
            if ctx.node == 0:
                await Gradient(x)  # the others are done with the round before node 0 reports it
            x += ctx.node + 1.0


PEERS: dict[str, Any] = {"topology": "complete", "link": {"name": "ideal", "delay_s": 0.01}}
RING = {**PEERS, "topology": "ring"}


def drift(**keys: Any) -> RunResult:
    base = scenario({"name": "dgd_like", "step_size": 0.1}, nodes=3, network=PEERS, compute={"gradient_s": 1.0}, **keys)
    return simulate(base, Entry("drifting", Drifting()), 0, ToyProblem(3))


def test_estimates_are_copied_so_that_agents_may_update_in_place() -> None:
    """In round r node i stands at r (i + 1): their mean is 2 r, the root mean square distance r sqrt(12 * 2 / 3)."""
    problem, found = ToyProblem(3), rows(drift(stop={"rounds": 3}))
    assert found["loss"] == [problem.loss(np.full(12, 2.0 * r)) for r in range(4)]
    assert found["consensus_distance"] == pytest.approx([r * math.sqrt(12 * 2 / 3) for r in range(4)])


def test_measures_of_all_models() -> None:
    """worst_loss is max_i F(x_i), local_loss the mean of f_i(x_i)."""
    problem, found = ToyProblem(3), rows(drift(stop={"rounds": 3}, record={"measures": ["worst_loss", "local_loss"]}))
    models = [[np.full(12, r * (i + 1.0)) for i in range(3)] for r in range(4)]
    assert found["worst_loss"] == [max(problem.loss(x) for x in each) for each in models]
    local = [np.mean(problem.values([GradientRequest(i, x) for i, x in enumerate(each)])) for each in models]
    assert found["local_loss"] == pytest.approx(local, rel=1e-14)


def test_a_measure_of_all_models_stops_a_run() -> None:
    """Both targets have to hold, the worst model's loss and the mean model's."""
    base = scenario(
        {"name": "dgd_like", "step_size": 0.1}, network=RING, stop={"target": {"worst_loss": 1.0, "loss": 0.9}}
    )
    found = rows(simulate(base, base.algorithms[0], 0, ToyProblem(3, isotropic=True)))
    assert found["worst_loss"][-1] <= 1.0 < found["worst_loss"][-2] or found["loss"][-2] > 0.9
    assert found["loss"][-1] <= 0.9


def test_a_measure_of_peers_is_no_target_of_a_star() -> None:
    with pytest.raises(ConfigError, match=r"stop\.target\.consensus_distance: no metric of this problem"):
        scenario({"name": "gd"}, stop={"target": {"consensus_distance": 1.0}})


class _Joint(ToyProblem):
    joint_metric_names = frozenset({"spread"})

    def joint_metrics(self, models: Mapping[NodeId, Array]) -> Mapping[str, float]:
        first, *_, last = models.values()
        return {"spread": float(last[0] - first[0])}


def test_a_problem_measures_all_models_together() -> None:
    base = scenario({"name": "dgd_like", "step_size": 0.1}, nodes=3, network=PEERS, compute={"gradient_s": 1.0},
                    stop={"rounds": 3})  # fmt: skip
    found = rows(simulate(base, Entry("drifting", Drifting()), 0, _Joint(3)))
    assert found["spread"] == [0.0, 2.0, 4.0, 6.0]


# --- stops ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "rounds"),
    [({"uploads": 7}, 3), ({"gradients": 7}, 3), ({"messages": 13}, 3), ({"uploads": 1000, "rounds": 5}, 5)],
)
def test_stops_by_what_was_spent(stop: dict[str, int], rounds: int) -> None:
    """GD with three workers sends 3 up and 3 down a round; a stop is looked for at reports."""
    base = scenario({"name": "gd"}, stop=stop)
    result = simulate(base, base.algorithms[0], 0, ToyProblem(3))
    assert (result.status, result.rounds) == ("done", rounds)
    found = rows(result)
    assert found["gradients"] == [3 * r for r in range(rounds + 1)]


def test_commits_of_an_asynchronous_server_are_its_rounds() -> None:
    """Worker 0 takes 1 s a gradient, worker 1 takes 2.5 s; every upload is a commit, at 5 s the older one first."""

    async def server(ctx: Context) -> None:
        await Report(0, np.zeros(12))
        commits, last = 0, dict.fromkeys(ctx.workers, 0)
        await Send(ctx.workers, Payload(b"m", 8.0), 0, "model")
        while True:
            for message in (await Receive(kind="update", take="all")).messages:
                commits += 1
                staleness, last[message.src] = commits - last[message.src] - 1, commits
                await Report(commits, np.zeros(12), {"staleness": float(staleness)})
                await Send(message.src, Payload(b"m", 8.0), commits, "model")

    async def worker(ctx: Context) -> None:
        while True:
            (model,) = (await Receive(kind="model")).messages
            await Gradient(np.zeros(12))
            await Send(ctx.server, Payload(b"x", 8.0), model.round)

    found = rows(play(server, worker, nodes=2, stop={"rounds": 6}, compute={"gradient_s": [1.0, 2.5]}))
    assert found["round"] == list(range(7))
    assert found["sim_time_s"] == [0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0]
    assert found["staleness"][1:] == [0, 0, 2, 1, 0, 2]
    assert found["uploads"] == [0, 1, 2, 3, 4, 5, 7]  # both of 5 s have arrived when the first is committed


# --- problems that offer less, or more ----------------------------------------------------------------------------


class _Bare:
    """A problem with nothing but a loss."""

    dim, num_nodes, layout = 12, 2, ((12,),)
    metric_names = frozenset({"loss"})

    def start(self) -> Array:
        return np.zeros(12)

    def metrics(self, w: Array) -> Mapping[str, float]:
        return {"loss": float(w @ w)}

    def num_samples(self, node: NodeId) -> int:
        return 1


def test_a_problem_without_gradients_runs_and_refuses_those_who_ask_for_them() -> None:
    async def worker(ctx: Context) -> None:
        for round in range(4):
            await Send(ctx.server, Payload(b"x", 8.0), round)

    base = scenario({"name": "gd", "step_size": 0.1}, nodes=2, stop={"rounds": 3})
    result = simulate(base, Entry("script", Script(_server, worker)), 0, _Bare())  # type: ignore[arg-type]
    assert rows(result)["loss"] == [0.0] * 4
    assert np.isnan(rows(result)["loss_gap"]).all()
    with pytest.raises(SimulationError, match="gd needs a problem with gradients"):
        simulate(base, base.algorithms[0], 0, _Bare())  # type: ignore[arg-type]


def test_the_automatic_step_needs_a_smoothness() -> None:
    base = scenario({"name": "gd"}, {"name": "gd", "label": "b", "step_size": 0.1})
    (fault,) = problem_faults(_Bare(), base.algorithms)  # type: ignore[arg-type]
    assert fault.path == ("algorithms", 0, "step_size")
    assert "the smoothness of this problem is not known" in fault.allowed
    with pytest.raises(SimulationError, match="give step_size as a number or a rule"):
        simulate(base, base.algorithms[0], 0, _Bare())  # type: ignore[arg-type]


class _Open(ToyProblem):
    def samples(self, node: NodeId) -> Any:
        return self.shifts[node::3]


def test_a_node_reads_its_own_samples_where_the_problem_shows_them() -> None:
    seen: dict[int, Any] = {}

    async def worker(ctx: Context) -> None:
        seen[ctx.node] = ctx.samples()
        for round in range(4):
            await Send(ctx.server, Payload(b"x", 8.0), round)

    problem = _Open(3)
    play(_server, worker, nodes=3, problem=problem)
    assert [seen[node].tolist() for node in range(3)] == [problem.shifts[node::3].tolist() for node in range(3)]
    with pytest.raises(SimulationError, match="shows nodes their samples"):
        play(_server, worker, nodes=3)


# --- float32 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gd", "cat", "ef_sgd", "sparq_like"])
def test_float32_state_of_agents(name: str) -> None:
    """Models are float32 on the engine and in lockstep, and the losses are near those of float64."""
    more: dict[str, Any] = {
        "gd": {}, "cat": {"variant": "sign", "cost": {"name": "bit"}},
        "ef_sgd": {"compressor": {"name": "top_k", "k": 3}, "step_size": 0.1},
        "sparq_like": {"compressor": {"name": "top_k", "k": 3}},
    }  # fmt: skip
    network = {"network": RING} if name == "sparq_like" else {}
    single = scenario({"name": name, **more[name]}, dtype="float32", stop={"rounds": 8}, **network)
    engine = Engine(single, single.algorithms[0], 0, ToyProblem(3))
    found = rows(engine.run())
    assert {getattr(a.agent, "x", np.float32(0)).dtype for a in engine.actors.values()} == {np.dtype(np.float32)}
    trace = lockstep.run(single, single.algorithms[0], ToyProblem(3), 8)
    assert {estimate.dtype for _, _, estimate in trace.reports} == {np.dtype(np.float32)}
    double = scenario({"name": name, **more[name]}, stop={"rounds": 8}, **network)
    assert found["loss"] == pytest.approx(
        rows(simulate(double, double.algorithms[0], 0, ToyProblem(3)))["loss"], rel=1e-3
    )


# --- two tiers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tiers:
    """Aggregators add up their workers' ids and pass the sum on; the server reports the sum of all."""

    tolerates: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str] = "tiers"

    def server(self, ctx: Context) -> Agent:
        return _Scripted(partial(self.gather, top=True), ctx)

    def aggregator(self, ctx: Context) -> Agent:
        return _Scripted(partial(self.gather, top=False), ctx)

    def worker(self, ctx: Context) -> Agent:
        return _Scripted(self.tell, ctx)

    async def tell(self, ctx: Context) -> None:
        code = registry.build("compressor", {"name": "identity", "float_bit": 64})
        for round in range(3):
            sent = await Encode(code, np.full(12, float(ctx.node)), round)
            await Send(ctx.server, sent.payload, round)

    async def gather(self, ctx: Context, top: bool) -> None:
        code = registry.build("compressor", {"name": "identity", "float_bit": 64})
        for round in range(3):
            messages = (await Receive(len(ctx.workers), "update", round)).messages
            assert [m.src for m in messages] == list(ctx.workers)
            total = sum([await Decode(code, m) for m in messages])
            if top:
                await Report(round, total)
            else:
                await Send(ctx.server, (await Encode(code, total, round)).payload, round)


@pytest.mark.parametrize("network", [{}, {"link": "ieee802154"}, {"uplink": "ieee802154"}])
def test_two_tiers_over_two_links(network: dict[str, Any]) -> None:
    """Five workers at two aggregators, 0 .. 1 and 2 .. 4: sums arrive, and each tier has media of its own."""
    base = scenario({"name": "gd"}, nodes=5, stop={"rounds": 2})
    backbone = {"backbone": {"name": "ethernet_udp", "rate_bps": 1e6}}
    with pytest.raises(ConfigError, match="aggregators need an algorithm of two tiers"):
        scenario({"name": "gd"}, nodes=5, network={"topology": {"name": "star", "aggregators": 2}})
    plain = {"topology": {"name": "star", "aggregators": 2}, **network, **backbone}
    two = dataclasses.replace(base, algorithms=(Entry("tiers", Tiers()),), network=parse(Network, plain))
    engine = Engine(two, two.algorithms[0], 0, ToyProblem(5))
    seen: list[Array] = []
    report = engine.recorder.report

    def watch(node: NodeId, said: Report, *rest: Any) -> bool:
        if said.estimate is not None:
            seen.append(said.estimate)
        return report(node, said, *rest)

    engine.recorder.report = watch  # type: ignore[method-assign]
    found = rows(engine.run())
    assert [x.tolist() for x in seen] == [[10.0] * 12] * 3
    assert (engine.world.aggregators, engine.world.server) == ((5, 6), 7)
    assert found["uplink_messages"][-1] == 3 * (5 + 2)
    assert len(engine.world.media) == (3 if "link" in network else 5)
    assert engine.world.contexts[3].server == 6
    assert engine.world.contexts[6].workers == (2, 3, 4)


def test_a_backbone_needs_aggregators() -> None:
    with pytest.raises(ConfigError, match="as a backbone joins aggregators and the server"):
        scenario({"name": "gd"}, network={"backbone": "ideal"})


# --- plugins that read like their papers --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lena_like", "sparq_like"])
def test_algorithms_of_papers_take_at_most_60_lines(name: str) -> None:
    assert len((PLUGINS / f"{name}.py").read_text().splitlines()) <= 60


def test_lena_like_moves_its_virtual_iterate_as_gradient_descent() -> None:
    """x~ = x - mean e obeys x~+ = x~ - alpha mean g at the models that were sent, and nodes are silent at times."""
    base = scenario({"name": "lena_like", "step_size": 0.05, "model_bit": 64}, stop={"rounds": 30})
    problem = ToyProblem(3)
    engine = Engine(base, base.algorithms[0], 0, problem)
    report, virtual, models = engine.recorder.report, list[Array](), list[Array]()

    def watch(node: NodeId, said: Report, *rest: Any) -> bool:
        if said.estimate is not None:
            models.append(said.estimate)
            workers: Sequence[Any] = [engine.actors[n].agent for n in range(3)]
            virtual.append(said.estimate - np.mean([w.e for w in workers], axis=0))
        return report(node, said, *rest)

    engine.recorder.report = watch  # type: ignore[method-assign]
    result = engine.run()
    for x, now, after in zip(models, virtual, virtual[1:], strict=False):
        np.testing.assert_allclose(after, now - 0.05 * problem.full_gradient(x), rtol=0, atol=1e-8)
    assert 3 < rows(result)["uploads"][-1] < 3 * 30


def test_sparq_like_keeps_the_mean(tmp_path: Path) -> None:
    """Mixing does not move the mean: equal Hessians, so it goes as one node's descent, whatever the trigger."""
    base = scenario(
        {"name": "sparq_like", "compressor": {"name": "top_k", "k": 2}, "threshold": 5.0, "eta": 0.05},
        nodes=5, network=RING, stop={"rounds": 40},
    )  # fmt: skip
    problem = ToyProblem(5, isotropic=True)
    result = simulate(base, base.algorithms[0], 0, problem)
    x = np.zeros(12)
    for loss in rows(result)["loss"]:
        assert loss == pytest.approx(problem.loss(x), rel=1e-9)
        x = x - 0.05 * problem.full_gradient(x)
    assert rows(result)["uploads"][-1] < 5 * 2 * 40
