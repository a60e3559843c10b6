"""Scenarios from a few words, beside the small worlds of `netsim.testing.worlds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from netsim.scenario import Scenario, parse_text
from netsim.testing.worlds import Jitter as Jitter
from netsim.testing.worlds import ToyProblem as ToyProblem
from tests.plugins import dgd_like as dgd_like  # registers the algorithm of peers


def scenario(
    *algorithms: Mapping[str, Any], nodes: int = 3, stop: Mapping[str, Any] | None = None, **keys: Any
) -> Scenario:
    """A checked scenario of these algorithms; the problem is a stand-in for a `ToyProblem` given to the run."""
    plain = {
        "name": "toy",
        "problem": {"name": "quadratic", "dim": 12, "nodes": nodes},
        "algorithms": [dict(a) for a in algorithms],
        "stop": dict(stop or {"rounds": 20}),
        **keys,
    }
    return parse_text(yaml.safe_dump(plain), "toy.yaml")
