"""Every numeric key of the bundled scenarios at its bounds ends, is refused, or goes on with a clock that moves.

The rule and the process that tries the cases are in `tests/support/bounds.py`. A key of a component is tried in the
first scenario that has it, with data cut small and two rounds; keys of `stop` are tried alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from netsim.scenario import bundled, load, points, yaml_lines
from netsim.scenario import sweep as sweep_module
from netsim.scenario.scenario import Scenario, _plain
from tests.project.test_scenarios import SMALL
from tests.support.bounds import Case, Trier, cases

PARTS = ("problem", "network", "compute", "stop", "record")
TOP = tuple(Case("Scenario", (key,), value) for key in ("seed", "replications") for value in (0, 1, 2**31, 2**62, -1))


def small(name: str) -> Scenario:
    """The first point of a bundled scenario with little data."""
    scenario: Any = points(load(name, ["replications=1"]))[0].scenario
    dataset = getattr(scenario.problem, "dataset", None)
    if dataset is not None and dataset.wants() and dataset.found() is None:
        pytest.skip("its file is missing")
    cut = dict(SMALL.get(getattr(dataset, "name", ""), {}))
    cut |= {"num_features": 3000} if "num_features" in cut else {}
    if getattr(dataset, "name", "") in ("digits", "breast_cancer") and dataset.subsample is None:
        cut |= {"subsample": 300}
    if cut:
        problem = dataclasses.replace(scenario.problem, dataset=dataclasses.replace(dataset, **cut))
        scenario = dataclasses.replace(scenario, problem=problem, claims=())
    return scenario


def every_case(scenario: Scenario) -> Iterator[tuple[Case, int]]:
    """The cases of a scenario, and which algorithm to run."""
    plain = _plain(scenario)
    yield from ((case, 0) for case in TOP)
    for part in PARTS:
        yield from ((case, 0) for case in cases(plain, getattr(scenario, part), (part,)))
    for i, entry in enumerate(scenario.algorithms):
        yield from ((case, i) for case in cases(plain, entry.algorithm, ("algorithms", i)))


def changed(plain: dict[str, Any], case: Case) -> str:
    """The YAML of a scenario with one key changed."""
    if case.path[0] == "stop":
        key = str(case.path[-1])
        more = {"rounds": 2, "target": {"grad_norm": 1e-9}} if key == "every" else {}
        return yaml_lines.write({**plain, "stop": {**more, key: case.value}})
    return yaml_lines.write(sweep_module.put(plain, case.path, case.value))


@pytest.fixture(scope="module")
def trier() -> Iterator[Trier]:
    one = Trier()
    yield one
    one.close()


_seen = set[str]()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in bundled() if "resnet" not in name])
def test_no_bound_of_a_key_hangs(name: str, trier: Trier) -> None:
    scenario = small(name)
    plain = {**yaml_lines.read(yaml_lines.write(_plain(scenario)), name).data, "claims": [], "stop": {"rounds": 2}}
    base = trier.outcome(yaml_lines.write(plain), limit_s=120.0)
    if "PyTorch is needed" in base:
        pytest.skip("PyTorch is not installed")
    assert base.startswith(("done", "reached")), base
    found = list[str]()
    for case, index in every_case(scenario):
        if case.name not in _seen:
            _seen.add(case.name)
            outcome = trier.outcome(changed(plain, case), index, 5.0 if case.path[0] == "stop" else 20.0)
            if outcome.split(":")[0] in ("HANGS", "DIES", "TRACEBACK"):
                found.append(f"{case.name}: {outcome}")
    assert not found, "\n".join(found)


KEPT = [
    ("problem.l2", 1e-300), ("problem.nodes", 2**31), ("problem.nodes", 2**62), ("compute.gradient_s", 1e-9),
    ("compute.gradient_s", 1e9), ("compute.interval_s", 1e-9), ("compute.power_w", 1e100), ("seed", 2**62),
    ("network.uplink.rate_bps", 1e-3), ("network.uplink.rate_bps", 1e12), ("network.uplink.rate_bps", 1e308),
    ("record.every", 2**62), ("replications", 2**31), ("stop.sim_time_s", 1e-9), ("stop.rounds", 1),
]  # fmt: skip


def test_some_bounds_at_once(trier: Trier) -> None:
    """A few rows in every run of the tests; the slow test above has all."""
    text = """{name: b, problem: {name: logistic_regression, dataset: breast_cancer, nodes: 2}, algorithms: [gd],
        network: {uplink: {name: ethernet_udp, rate_bps: 1e6}}, stop: {rounds: 2}}"""
    plain = yaml_lines.read(text, "b.yaml").data
    for key, value in KEPT:
        outcome = trier.outcome(changed(plain, Case("", tuple(key.split(".")), value)), limit_s=60.0)
        assert outcome.startswith(("done", "refused")), f"{key} = {value}: {outcome}"
