"""Every synchronous algorithm with a server, on every kind of link that it admits: the engine's bits are lockstep's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.scenario import Network
from netsim.simulation import lockstep
from netsim.simulation.engine import simulate
from netsim.testing.agents import is_timing_free
from tests.support.toys import ToyProblem, scenario

LINKS = [
    {"name": "ideal", "delay_s": 0.01},
    {"name": "ethernet_udp", "rate_bps": 1e6},
    {"name": "packet", "payload_max_bytes": 64, "header_bytes": 8, "rate_bps": 1e5},
    {"name": "ieee802154"},
    {"name": "ieee802154", "mac": "csma_ca"},
    {"name": "ieee802154", "mac": "slotted"},
    {"name": "ieee802154", "mac": {"name": "tsch", "server_cells": 1}},
    {"name": "wan", "rate_bps": 1e6, "rtt_s": 0.05},
    {"name": "tdma", "rate_bps": 1e6},
    {"name": "lora", "collisions": False},
]
ROUNDS = 4


def first_examples() -> list[dict[str, Any]]:
    found = []
    for name in registry.names("algorithm"):
        kind = registry.get("algorithm", name)
        if kind.__module__.startswith("algorithms.") and hasattr(kind, "server"):
            example = {**kind.examples[0], "name": name}
            made = registry.build("algorithm", example)
            # The sensors of feature quantization need a classifier, which no toy has.
            if name != "feature_quantization" and is_timing_free(made, Network()):
                found.append(example)
    return found


@pytest.mark.parametrize("algorithm", first_examples(), ids=lambda a: str(a["name"]))
@pytest.mark.parametrize("link", LINKS, ids=lambda link: "-".join(map(str, link.values()))[:24])
def test_engine_and_lockstep_agree(algorithm: dict[str, Any], link: dict[str, Any]) -> None:
    keys = {"network": {"link": link}, "stop": {"rounds": ROUNDS}}
    base = scenario(algorithm, **keys)
    rows = simulate(base, base.algorithms[0], 0, ToyProblem(batch=8)).tables["rounds"].to_pydict()
    trace = lockstep.run(base, base.algorithms[0], ToyProblem(batch=8), ROUNDS)
    losses = [ToyProblem().loss(x) for _, _, x in trace.reports]
    assert rows["loss"] == losses
    assert np.isfinite(losses).all()
    assert len(losses) == ROUNDS + 1
