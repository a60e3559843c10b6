"""Clocks that cannot move, or would run over: refused, or ended with a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netsim.scenario import parse_text
from netsim.simulation.engine import simulate
from netsim.study.check import check, in_words

STAR = """\
name: kind
problem: {name: quadratic, nodes: 3, dim: 4}
network: {link: ideal}
compute: {gradient_s: 0}
algorithms: [gd]
stop: {rounds: 2}
"""
RING = {"{link: ideal}": "{topology: ring, link: ideal}", "nodes: 3": "nodes: 4"}
PEERS = {
    "dpsgd": "dpsgd",
    "push_sum": "push_sum",
    "gossip in turn": "ad_psgd",
    "compressed gossip": "{name: choco_sgd, compressor: {name: top_k, k: 2}, gamma: 0.1}",
    "event-triggered": "{name: sparq_sgd, compressor: {name: top_k, k: 1}, gamma: 0.1}",
}
SERVERS = {
    "synchronous": "gd",
    "asynchronous": "{name: fedbuff, buffer_size: 2, local_steps: 1}",
    "lazy": "{name: lag, xi: 1e50}",
    "event-triggered": "{name: lena, beta: 1e50}",
    "signs": "{name: signsgd, step_size: 0.1}",
    "one machine": "single_machine",
}


@pytest.mark.parametrize("algorithm", SERVERS.values(), ids=SERVERS)
def test_time_alone_ends_no_run_of_a_server_whose_clock_stands(algorithm: str, refused: Callable[..., str]) -> None:
    changes = {"[gd]": f"[{algorithm}]", "{rounds: 2}": "{sim_time_s: 1}"}
    assert "stop.sim_time_s: rounds is needed" in refused("validate", "kind.yaml", text=STAR, **changes)


@pytest.mark.parametrize("algorithm", PEERS.values(), ids=PEERS)
def test_time_alone_ends_no_run_of_peers_whose_clock_stands(algorithm: str, refused: Callable[..., str]) -> None:
    changes = {"[gd]": f"[{algorithm}]", "{rounds: 2}": "{sim_time_s: 1}", **RING}
    assert "stop.sim_time_s: rounds is needed" in refused("validate", "kind.yaml", text=STAR, **changes)


SILENT = [
    ("single_machine", "uploads", "0"), ("single_machine", "messages", "1 s"),
    ("{name: lag, xi: 1e50}", "uploads", "0"),
    ("{name: lag, xi: 1e50}", "uploads", "1 s"), ("{name: lena, beta: 1e50}", "uploads", "1 s"),
    ("{name: lena, beta: 1e50}", "uploads", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "limit", "gradient"), SILENT)
def test_a_count_that_silent_agents_never_reach(
    algorithm: str, limit: str, gradient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the clock standing and with the clock moving; three workers' first uploads may count, 500 never come."""
    monkeypatch.setattr("netsim.simulation.standstill.QUIET_ROUNDS", 100)
    text = STAR.replace("[gd]", f"[{algorithm}]").replace("gradient_s: 0", f"gradient_s: {gradient}")
    scenario = parse_text(text.replace("rounds: 2", f"{limit}: 500"))
    result = simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem())
    assert result.status in ("stalled", "diverged"), result.sentence
    assert f"stop.{limit}" in result.sentence or result.status == "diverged"


def test_no_gradient_is_ever_counted_where_none_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.simulation.standstill.QUIET_ROUNDS", 100)
    algorithm = "{name: choco_gossip, compressor: {name: top_k, k: 1}, gamma: 0.1, local_steps: 0}"
    text = STAR.replace("[gd]", f"[{algorithm}]").replace("rounds: 2", "gradients: 5")
    for old, new in RING.items():
        text = text.replace(old, new)
    scenario = parse_text(text)
    result = simulate(scenario, scenario.algorithms[0], 0, scenario.open_problem())
    assert (result.status, result.rounds) == ("stalled", 100)


PRODUCTS = [
    ({"{rounds: 2}": "{rounds: 1000000000}", "gradient_s: 0": "gradient_s: 10"}, "stop.rounds"),
    ({"{rounds: 2}": "{rounds: 100}", "gradient_s: 0": "interval_s: 1e8"}, "stop.rounds"),
    ({"{rounds: 2}": "{rounds: 10}", "link: ideal": "link: {name: ideal, delay_s: 1e9}"}, "stop.rounds"),
    ({"{rounds: 2}": "{rounds: 4611686018427387904}", "link: ideal": "link: {name: ideal, delay_s: 1}"}, "stop.rounds"),
    ({"{rounds: 2}": "{sim_time_s: 1e10}"}, "stop.sim_time_s"),
    ({"{rounds: 2}": "{sim_time_s: 300 years}"}, "stop.sim_time_s"),
    ({"gradient_s: 0": "gradient_s: 0.9 ns"}, "compute.gradient_s"),
    ({"gradient_s: 0": "gradient_s: [1, 1e-10, 1]"}, "compute.gradient_s"),
    ({"gradient_s: 0": "flop_per_s: 1e22"}, "compute.flop_per_s"),
    ({"gradient_s: 0": "interval_s: 1e10"}, "compute.interval_s"),
    ({"link: ideal": "link: {name: ideal, delay_s: 1 ps}"}, "network.link.delay_s"),
    ({"link: ideal": "uplink: {name: wan, rate_bps: 1e-4}"}, "network.uplink.rate_bps"),
    ({"link: ideal": "uplink: {name: wan, rate_bps: 1e6, rtt_s: 1e12}"}, "network.uplink.rtt_s"),
    ({"{rounds: 2}": "{sim_time_s: 1}", "gradient_s: 0": "flop_per_s: 1e21"}, "stop.sim_time_s"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key"), PRODUCTS)
def test_a_time_that_leaves_the_clock(changes: dict[str, str], key: str, refused: Callable[..., str]) -> None:
    assert key in refused("validate", "kind.yaml", text=STAR, **changes)


def test_a_long_run_says_so() -> None:
    """A nanosecond a round over a second: the clock moves, and the estimate says that it takes days."""
    text = STAR.replace("rounds: 2", "sim_time_s: 1").replace("gradient_s: 0", "interval_s: 1e-9")
    scenario = parse_text(text)
    (outlook,) = check(scenario)
    assert outlook.host_s > 86_400
    assert "core" in in_words(scenario, [outlook])


STEPS = [
    "{name: fedavg, local_steps: 2147483648}",
    "{name: cat, variant: sparsify, cost: bit, local_steps: 4611686018427387904}",
    "{name: fedavg, epochs: 101}", "{name: fedbuff, buffer_size: 2147483648, local_steps: 1}",
    "{name: local_sgd, local_steps: 20001}", "{name: scaffold, local_steps: 99999999}",
    "{name: ssgd_top_k, fraction: 0.5, local_steps: 30000}", "{name: fedprox, mu: 0.1, local_steps: 1000000}",
]  # fmt: skip


@pytest.mark.parametrize("algorithm", STEPS)
def test_more_work_in_a_round_than_ever_ends(algorithm: str, refused: Callable[..., str]) -> None:
    said = refused("validate", "kind.yaml", text=STAR, **{"[gd]": f"[{algorithm}]"})
    assert ".local_steps: " in said or ".epochs: " in said or ".buffer_size: " in said


SIZES = [
    {"nodes: 3": "nodes: 2147483648"},
    {"nodes: 3": "nodes: 4611686018427387904", "[gd]": "[{name: feature_quantization, bits: 2}]"},
    {"nodes: 3": "nodes: 2147483648", "{link: ideal}": "{link: ideal, battery: {capacity_j: 1}}"},
    {"dim: 4": "dim: 4611686018427387904"},
    {"name: quadratic, nodes: 3, dim: 4": "name: pretrained, nodes: 2147483648, dataset: breast_cancer"},
    {"name: quadratic, nodes: 3, dim: 4": "name: pretrained, nodes: 3, dataset: breast_cancer, test_fraction: 0.9999"},
    {
        "name: quadratic, nodes: 3, dim: 4":
        "name: logistic_regression, nodes: 2, dataset: {name: synthetic_sparse, num_rows: 4611686018427387904}"
    },
    {
        "name: quadratic, nodes: 3, dim: 4":
        "name: logistic_regression, nodes: 2, dataset: {name: synthetic_sparse, num_features: 2147483647}"
    },
    {"{rounds: 2}": "{rounds: 2}\nreplications: 2147483648"},
]  # fmt: skip


@pytest.mark.parametrize("changes", SIZES)
def test_a_size_that_no_memory_holds(changes: dict[str, str], netsim: Callable[..., tuple[int, str, str]]) -> None:
    code, _, said = netsim("validate", "kind.yaml", text=STAR, **changes)
    assert code == 2, said
    assert "kind.yaml:" in said
