"""Three ways down: the models are the same bit for bit, and messages are as long as the formulas say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.coding.changes import Changes, changes_bit, differing
from algorithms.coding.indices import index_bit
from algorithms.coding.sizes import lg
from algorithms.coding.uploads import Uploads
from algorithms.compressors.identity import Identity
from netsim.errors import ConfigError, DecodeError, SimulationError
from netsim.interfaces import Key
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario

ALGORITHMS: tuple[dict[str, Any], ...] = (
    {"name": "gd"},
    {"name": "gd", "model_bit": 64},
    {"name": "alistarh"},
    {"name": "dcgd", "compressor": {"name": "sign_top_k", "k": 2}, "step_size": 0.05},
    {"name": "dcgd", "compressor": {"name": "rand_k", "k": 2, "shared_seed": True}, "step_size": 0.05},
    {"name": "ef_sgd", "compressor": {"name": "top_k", "k": 1}, "step_size": 0.05},
    {"name": "fixed_budget", "variant": "sparsify", "budget": 1},
    {"name": "fixed_budget", "variant": "stochastic", "budget": 2},
    {"name": "cat", "variant": "sign", "cost": "bit"},
    {"name": "cat", "variant": "sign", "cost": "bit", "tune": "shared"},
    {"name": "cat", "variant": "stochastic", "cost": "bit", "tune": "shared"},
    {"name": "grid_search", "variant": "sparsify", "cost": "bit", "budgets": [1, 2], "trial_rounds": 2},
)
DIM = 200
ETHERNET = {"name": "ethernet_udp", "rate_bps": 1e7, "delay_s": 1e-3}


def trace_of(algorithm: dict[str, Any], broadcast: str, **keys: Any) -> lockstep.Trace:
    base = scenario(algorithm | {"broadcast": broadcast}, **keys)
    return lockstep.run(base, base.algorithms[0], ToyProblem(dim=DIM), rounds=12)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: "-".join(map(str, a.values()))[:40])
def test_all_ways_give_the_same_models_and_uploads(algorithm: dict[str, Any]) -> None:
    dense = trace_of(algorithm, "dense")
    for way in ("auto", "changes", "relay"):
        other = trace_of(algorithm, way)
        assert [x.tobytes() for *_, x in other.reports] == [x.tobytes() for *_, x in dense.reports]
        for kind in ("update", "loss"):
            sent = [(m.src, m.round, m.payload.data) for m in other.messages if m.kind == kind]
            assert sent == [(m.src, m.round, m.payload.data) for m in dense.messages if m.kind == kind]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: "-".join(map(str, a.values()))[:40])
def test_auto_takes_the_shortest_of_the_three(algorithm: dict[str, Any]) -> None:
    """Round by round, as all trajectories are equal."""
    sizes = {way: model_bytes(trace_of(algorithm, way)) for way in ("auto", "dense", "changes", "relay")}
    least = np.minimum(np.minimum(sizes["dense"], sizes["changes"]), sizes["relay"])
    assert sizes["auto"].tolist() == least.tolist()
    assert sizes["dense"].tolist() == [sizes["dense"][0]] * least.size


def model_bytes(trace: lockstep.Trace) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([len(m.payload.data) for m in trace.messages if m.kind == "model" and m.dst == 0])


def test_lengths_follow_the_formulas() -> None:
    """Changes: lg(d + 1) + positions + 32 T bits; a relay: 6 + M w bits of lengths, and the uploads."""
    algorithm = {"name": "fixed_budget", "variant": "sparsify", "budget": 2}
    changes = trace_of(algorithm, "changes")
    xs = [x for *_, x in changes.reports]
    for round, size in enumerate(model_bytes(changes)[1:12], 1):
        moved = np.flatnonzero(xs[round] != xs[round - 1])
        bit = lg(DIM + 1) + index_bit(moved, DIM, "auto") + 32 * moved.size
        assert size == math.ceil(bit / 8)
    relay = trace_of(algorithm, "relay")
    for round, size in enumerate(model_bytes(relay)[1:12], 1):
        lengths = [len(m.payload.data) for m in relay.messages if m.kind == "update" and m.round == round - 1]
        width = (max(lengths) + 1).bit_length()
        assert size == math.ceil((6 + 3 * width) / 8) + sum(lengths)


@pytest.mark.parametrize("network", [{"link": {"name": "ieee802154", "mac": "csma_ca"}}, {"link": ETHERNET}])
def test_the_engine_repeats_lockstep_and_counts_the_ways(network: dict[str, Any]) -> None:
    algorithm = {"name": "cat", "variant": "sign", "cost": "bit"}
    base = scenario(algorithm, network=network, stop={"rounds": 5})
    rows = simulate(base, base.algorithms[0], 0, ToyProblem(dim=DIM)).tables["rounds"].to_pydict()
    dense = scenario(algorithm | {"broadcast": "dense"}, network=network, stop={"rounds": 5})
    plain = simulate(dense, dense.algorithms[0], 0, ToyProblem(dim=DIM)).tables["rounds"].to_pydict()
    assert rows["loss"] == plain["loss"]
    assert rows["uplink_payload_bytes"] == plain["uplink_payload_bytes"]
    assert rows["downlink_wire_bytes"][-1] < plain["downlink_wire_bytes"][-1]
    ways = [rows[f"{way}_broadcasts"] for way in ("dense", "changes", "relay")]
    assert np.sum(ways, axis=0).tolist() == list(range(6))
    assert rows["dense_broadcasts"][1:] == [1] * 5
    assert plain["dense_broadcasts"] == list(range(6))


def test_times_of_nodes_change_nothing() -> None:
    """Jittered delays and compute times, engine against lockstep."""
    base = scenario(
        {"name": "cat", "variant": "sparsify", "cost": "bit"},
        network={"link": ETHERNET},
        compute={"gradient_s": {"distribution": "exponential", "mean_s": 0.1}},
        stop={"rounds": 12},
    )
    engine = simulate(base, base.algorithms[0], 0, ToyProblem(dim=DIM)).tables["rounds"].to_pydict()
    trace = trace_of({"name": "cat", "variant": "sparsify", "cost": "bit"}, "auto")
    problem = ToyProblem(dim=DIM)
    assert engine["loss"] == [problem.metrics(x)["loss"] for *_, x in trace.reports]


@pytest.mark.parametrize(("link", "is_reliable"), [("ideal", True), ({"name": "ieee802154", "mac": "csma_ca"}, None)])
def test_the_context_says_whether_every_message_arrives(link: Any, is_reliable: bool | None) -> None:
    base = scenario({"name": "gd"}, network={"uplink": link})
    world = lockstep.World(base, base.algorithms[0], 0, ToyProblem())
    expected = base.network.channels["uplink"].reliable_delivery if is_reliable is None else is_reliable
    assert {world.contexts[node].is_reliable for node in range(4)} == {expected}


def test_a_relay_needs_a_step_of_the_uploads_alone() -> None:
    class Ctx:
        is_reliable = False

    from algorithms.agents.gd import Gd
    from algorithms.roles.broadcast import Broadcaster
    from algorithms.roles.star import Star

    with pytest.raises(ConfigError, match=r"broadcast: auto, dense or changes, .* Got relay\."):
        Star(broadcast="relay")
    for way in ("changes", "relay"):
        with pytest.raises(SimulationError, match="take broadcast: dense"):
            Broadcaster(Ctx(), Gd(broadcast=way), (0, 1))  # type: ignore[arg-type]
    assert Broadcaster(Ctx(), Gd(), (0, 1)).allowed == (False, False)  # type: ignore[arg-type]


@given(st.integers(1, 300), st.integers(0, 300), st.sampled_from([32, 64]), st.integers(0, 99))
def test_changes_are_exact(dim: int, count: int, float_bit: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.standard_normal(dim).astype(np.float32).astype(np.float64)
    after = before.copy()
    moved = rng.choice(dim, min(count, dim), replace=False)
    after[moved] = rng.standard_normal(moved.size).astype(np.float32)
    after[moved[:1]] = -0.0
    code = Changes(before, float_bit)
    payload = code.encode_keyed(after, Key(0, 0))
    assert code.decode(payload.data, dim).tobytes() == after.tobytes()
    assert len(payload.data) == -(-changes_bit(before, after, float_bit, 1 << 62) // 8) <= code.max_size_bytes(dim)
    assert payload.index_bit + payload.value_bit == payload.paper_bit <= 8 * len(payload.data)
    least = changes_bit(before, after, float_bit, 1)
    assert 1 <= least <= changes_bit(before, after, float_bit, 1 << 62) + 3


def test_a_sign_of_zero_is_a_change() -> None:
    assert differing(np.array([0.0, 1.0]), np.array([-0.0, 1.0])).tolist() == [0]
    a = np.array([1.0, np.nan], np.float32)
    assert differing(a, a.copy()).size == 0


@given(st.lists(st.none() | st.binary(max_size=70), min_size=1, max_size=9))
def test_uploads_come_back_as_they_were(uploads: list[bytes | None]) -> None:
    code = Uploads(len(uploads))
    payload = code.encode_keyed(uploads, Key(0, 0))
    assert code.decode(payload.data, 1) == tuple(uploads)
    assert len(payload.data) == code.size_bytes([None if u is None else len(u) for u in uploads])
    for damaged in (payload.data + b"\0", payload.data[:-1]):
        with pytest.raises(DecodeError):
            code.decode(damaged, 1)
    with pytest.raises(TypeError, match="step"):
        code.add_to(payload.data, np.zeros(1))


def test_codes_are_equal_where_they_start_from_one_array() -> None:
    """So that the driver decodes one broadcast once."""
    x = np.zeros(3)
    assert Changes(x, 32) == Changes(x, 32) != Changes(x.copy(), 32)
    assert hash(Changes(x, 32)) == hash(Changes(x, 32))
    assert Changes(x, 32) != Changes(x, 64)
    assert Changes(x, 32) != Identity()
