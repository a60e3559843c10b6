"""What a mutant survived before these tests were there; see `tests.mutations`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from algorithms.compressors.alistarh import Alistarh
from algorithms.compressors.identity import Identity
from algorithms.compressors.stochastic_sparsification import StochasticSparsification
from algorithms.roles.star import noted
from netsim.interfaces import (
    HEADER_BYTES,
    Context,
    FrameSink,
    Medium,
    Node,
    NodeId,
    Payload,
    Receive,
    Report,
    Send,
    TransferId,
    Wait,
)
from netsim.rng import stream
from netsim.scenario import Entry, Network
from netsim.simulation import lockstep
from netsim.simulation.engine import Engine, simulate
from tests.netsim.simulation.test_engine import Script, play
from tests.plugins.pigeon import Coop
from tests.support.toys import ToyProblem, scenario

# --- agents -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "gd"},
        {"name": "alistarh"},
        {"name": "fixed_budget", "variant": "sparsify", "budget": 3},
        {"name": "cat", "variant": "sign", "cost": "bit", "tune": "shared"},
    ],
    ids=lambda a: str(a["name"]),
)
def test_server_and_workers_hold_the_same_model(algorithm: dict[str, Any]) -> None:
    """O12: the server's estimate of a round is, bit for bit, what that round's broadcast decodes to.

    The dense broadcast has 12 floats of 32 bits, 48 bytes; a shared budget comes before them.
    """
    base = scenario(algorithm | {"broadcast": "dense"})
    trace = lockstep.run(base, base.algorithms[0], ToyProblem(), rounds=10)
    models = {m.round: Identity(32).decode(m.payload.data[-48:], 12) for m in trace.messages if m.kind == "model"}
    for _, round, estimate in trace.reports[:10]:
        assert estimate.tobytes() == models[round].tobytes()


@pytest.mark.parametrize("nodes", [2, 5])
def test_stochastic_step_of_many_workers(nodes: int) -> None:
    """The step of SS minimises the descent bound -gamma <g, E q> + (L/2) gamma^2 E||q||^2 of q = mean_m Q(g_m).

    With equal gradients and independent unbiased Q, E q = g and E||q||^2 = (M ||g||^2/omega + M(M-1) ||g||^2) / M^2, so
    gamma = ||g||^2 / (L E||q||^2) = M / (L (1/omega + M - 1)). omega travels as a float32.
    """
    problem = ToyProblem(nodes, isotropic=True)
    algorithm = {"name": "fixed_budget", "variant": "stochastic", "budget": 3, "float_bit": 64, "model_bit": 64}
    base = scenario(algorithm, nodes=nodes)
    trace = lockstep.run(base, base.algorithms[0], problem, rounds=4)
    xs = [estimate for _, _, estimate in trace.reports]
    code = noted(StochasticSparsification(budget=3.0, float_bit=64), 1)
    for round in range(4):
        uploads = [m.payload.data for m in trace.messages if m.kind == "update" and m.round == round]
        q = np.zeros(12)
        for data in uploads:
            code.add_to(data, q, 1 / nodes)
        g = problem.full_gradient(xs[round])
        omega = float(np.float32(_omega(g, 3.0)))
        step = nodes / (problem.smoothness() * (1 / omega + nodes - 1))
        assert xs[round + 1] == pytest.approx(xs[round] - step * q, rel=1e-12, abs=1e-14)


def _omega(g: Any, budget: float) -> float:
    """||g||^2 / sum g_i^2 / p_i, with p_i = min(1, |g_i| / level) and a level found by bisection."""
    low, high = 1e-12, float(np.abs(g).sum())
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.minimum(np.abs(g) / level, 1).sum() > budget else (low, level)
    p = np.minimum(np.abs(g) / high, 1)
    return float(g @ g) / float((g**2 / p).sum())


@pytest.mark.parametrize(("ones", "dim"), [(4, 9), (9, 16), (16, 36)])
def test_alistarh_stops_where_the_sum_equals_the_norm(ones: int, dim: int) -> None:
    """n^2 ones among zeros: ||x|| = n = S(n), so T_A = n, where S(T) > ||x|| would take n + 1 <= ceil(sqrt d)."""
    x = np.zeros(dim)
    x[:ones] = 1.0
    codec = Alistarh()
    y = codec.decode(codec.encode(x, np.random.default_rng(0)).data, dim)
    n = math.isqrt(ones)
    assert n < codec.max_entries(dim)
    assert y.tolist() == [1.0] * n + [0.0] * (dim - n)


# --- the engine ----------------------------------------------------------------------------------------------


def test_agents_of_one_instant_run_in_id_order_with_the_server_last() -> None:
    """Timers are set in the order 2, 1, 0, server at 0.25, 0.5, 0.75 s and 0; all of them end at 1 s."""
    order: list[int] = []

    async def server(ctx: Context) -> None:
        await Wait(1.0)
        order.append(ctx.node)
        await Report(0, np.zeros(12))

    async def worker(ctx: Context) -> None:
        begin_s = 0.25 * (3 - ctx.node)
        await Wait(begin_s)
        await Wait(1.0 - begin_s)
        order.append(ctx.node)

    play(server, worker, nodes=3)
    assert order == [0, 1, 2, 3]


@pytest.mark.parametrize("with_clock", [True, False])
def test_minibatches_come_from_the_stream_of_the_data(with_clock: bool) -> None:
    """Node m's k-th batch of 8 in 64 is the k-th draw of the stream (seed, replication, m, "data"), nobody else's."""
    problem = ToyProblem(batch=8)
    base = scenario({"name": "gd"}, seed=5, stop={"rounds": 9})
    if with_clock:
        simulate(base, base.algorithms[0], 2, problem)
    else:
        lockstep.run(base, base.algorithms[0], problem, 9, replication=2)
    drawn = [request for call in problem.calls for request in call]
    for node in range(3):
        rng = stream(5, 2, node, "data")
        expected = [tuple(map(int, np.sort(rng.choice(64, 8, replace=False)))) for _ in range(9)]
        assert [batch for who, batch in drawn if who == node][:9] == expected


def test_a_broadcast_counts_once() -> None:
    """Over a shared medium a model of 48 bytes goes to three workers in one frame: 48 + 8 of header + 17 on the air."""
    base = scenario({"name": "gd", "broadcast": "dense"}, network={"link": {"name": "ieee802154"}}, stop={"rounds": 3})
    rows = simulate(base, base.algorithms[0], 0, ToyProblem()).tables["rounds"].to_pydict()
    assert rows["downlink_messages"] == rows["downlink_packets"] == [0, 1, 2, 3]
    assert rows["downlink_payload_bytes"] == [0, 48, 96, 144]
    assert rows["downlink_wire_bytes"] == [0, 73, 146, 219]
    assert rows["downlink_paper_bit"] == [0, 384, 768, 1152]


@dataclass(frozen=True)
class Hawk:
    """A channel on which no message of node 1 arrives."""

    reliable_delivery: ClassVar[bool] = False

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        return _Hunted(nodes, 0.5, frames)


class _Hunted(Coop):
    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        transfer = super().submit(now_ns, src, dst, size_bytes)
        self.flying = [bird._replace(ok=bird.src != 1) for bird in self.flying]
        return transfer


@dataclass(frozen=True)
class _Tolerant(Script):
    tolerates: ClassVar[frozenset[str]] = frozenset({"loss"})


def test_lost_messages_count() -> None:
    """Two messages of 4 bytes, one of which is lost: both were sent, so both count, on the wire with their header."""
    heard: list[int] = []

    async def server(ctx: Context) -> None:
        inbox = await Receive(2, "update", 0, deadline_s=2.0)
        heard.extend(m.src for m in inbox.messages)
        await Report(0, np.zeros(12))

    async def worker(ctx: Context) -> None:
        await Send(ctx.server, Payload(b"four", 30.0), 0)

    base = scenario({"name": "gd"}, nodes=2, record={"messages": True})
    entry = Entry("script", _Tolerant(server, worker))
    base = dataclasses.replace(base, algorithms=(entry,), network=Network(link=Hawk(), silence="free"))
    result = Engine(base, entry, 0, ToyProblem(2)).run()
    rows, messages = result.tables["rounds"].to_pydict(), result.messages().to_pydict()
    assert heard == [0]
    assert messages["ok"] == [True, False]
    assert rows["uplink_messages"] == rows["uplink_packets"] == [2]
    assert rows["uplink_payload_bytes"] == [8]
    assert rows["uplink_wire_bytes"] == [2 * (4 + HEADER_BYTES)]
    assert rows["uplink_paper_bit"] == [60]
