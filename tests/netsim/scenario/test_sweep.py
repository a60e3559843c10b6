"""Points of a sweep, their names, and a look at each point's data."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import ConfigError
from netsim.scenario import Scenario, check_data, parse_text, points
from tests.netsim.scenario.test_scenario import MINIMAL, WHOLE, sentences
from tests.support.with_parts import parts


@pytest.fixture(autouse=True, scope="module")
def _parts() -> Iterator[None]:
    with parts():
        yield


def test_points_are_the_product_in_order_each_checked_and_without_sweep() -> None:
    made = parse_text(WHOLE)
    found = points(made)
    assert [p.name for p in found] == [
        "rate_bps=1e+06, nodes=2",
        "rate_bps=1e+06, nodes=4",
        "rate_bps=10 Mbit/s, nodes=2",
        "rate_bps=10 Mbit/s, nodes=4",
    ]
    for point, (rate, nodes) in zip(found, itertools.product((1e6, 1e7), (2, 4)), strict=True):
        expected = parse_text(
            WHOLE, overrides=[f"network.uplink.rate_bps={rate}", f"problem.nodes={nodes}", "sweep={}"]
        )
        assert point.scenario == expected
        assert points(point.scenario) == [dataclasses.replace(point, name="", swept={})]


def test_without_sweep_there_is_one_point_without_name() -> None:
    made = parse_text(MINIMAL)
    (only,) = points(made)
    assert only.name == ""
    assert only.scenario is made


@pytest.mark.parametrize(
    ("sweep", "names"),
    [
        ("network.uplink: [ideal, {name: ethernet_udp, rate_bps: 1e6}]", ["uplink=ideal", "uplink=ethernet_udp"]),
        ("network.uplink: [{name: ideal, label: none}, {name: ethernet_udp, rate_bps: 1e6, label: LAN}]",
         ["uplink=none", "uplink=LAN"]),
        ("network.uplink: [{name: ethernet_udp, rate_bps: 1e6}, {name: ethernet_udp, rate_bps: 1e7}]",
         ["uplink=ethernet_udp (rate_bps=1e+06)", "uplink=ethernet_udp (rate_bps=1e+07)"]),
        ("'algorithms[0].step_size': [auto, 0.5]", ["step_size=auto", "step_size=0.5"]),
        ("'algorithms[0]': [gd, {name: gd, label: other}]", ["algorithms[0]=gd", "algorithms[0]=other"]),
        ("seed: [1, 2, 3]", ["seed=1", "seed=2", "seed=3"]),
        ("compute.gradient_s: [0, [1, 2, 3]]", ["gradient_s=0", "gradient_s=[1 2 3]"]),
        ("problem.batch: [1, 1.0]", ["batch=1", "batch=1 #2"]),
        ("problem.dataset: [null, digits]", ["dataset=none", "dataset=digits"]),
        ("problem.dataset: [digits, {name: digits, interactions: true}]",
         ["dataset=digits", "dataset=digits (interactions=true)"]),
    ],
)  # fmt: skip
def test_points_have_readable_names(sweep: str, names: list[str]) -> None:
    assert [p.name for p in points(parse_text(f"{MINIMAL}sweep: {{{sweep}}}"))] == names


def test_keys_of_one_name_are_told_apart() -> None:
    text = MINIMAL.replace("[gd]", "[{name: gd, label: A}, {name: gd, label: B}]")
    found = points(parse_text(text + "sweep: {'algorithms[0].step_size': [1, 2], 'algorithms[1].step_size': [3]}"))
    assert [p.name for p in found] == [
        "algorithms[0].step_size=1, algorithms[1].step_size=3",
        "algorithms[0].step_size=2, algorithms[1].step_size=3",
    ]
    assert [e.algorithm.step_size for e in found[1].scenario.algorithms] == [2.0, 3.0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 5), st.floats(0.1, 0.3), st.sampled_from(["full", "2", "0.25"])),
                min_size=1, max_size=6, unique_by=repr))  # fmt: skip
def test_point_names_are_unique(values: list[Any]) -> None:
    made = dataclasses.replace(parse_text(MINIMAL), sweep={"problem.batch": tuple(values)})
    names = [p.name for p in points(made)]
    assert len(set(names)) == len(values)


def test_a_sweep_of_ten_thousand_points_is_no_trouble_and_of_a_million_is_refused() -> None:
    made = parse_text(f"{MINIMAL}sweep: {{seed: [{', '.join(map(str, range(2500)))}]}}")
    assert len(points(made)) == 2500
    thousand = f"[{', '.join(map(str, range(1, 1001)))}]"
    text = f"{MINIMAL}sweep: {{seed: {thousand}, problem.rows: {thousand}}}"
    assert sentences(text) == ["s.yaml:6: sweep: at most 100000 points. Got 1000000."]


# --- data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "more", "expected"),
    [
        ("{name: parts, damage: data}", "", ["s.yaml:3: problem.dataset: tiny: numbers are needed. Got NaN in row 3."]),
        ("\n  name: parts\n  dataset: digits\n  damage: data", "",
         ["s.yaml:5: problem.dataset: tiny: numbers are needed. Got NaN in row 3."]),
        ("{name: parts, damage: file}", "",
         ["s.yaml:3: problem.dataset: [Errno 2] No such file or directory: '/no/such/file'."]),
        ("{name: parts, damage: config}", "", ["s.yaml:3: problem.l2: l2 > 0 with these data. Got 0."]),
        ("{name: parts, nodes: 20}", "", ["s.yaml:3: problem.nodes: at most 10 nodes, one per sample. Got 20."]),
        ("{name: parts}", "sweep:\n  problem.nodes: [2,\n    20]",
         ["s.yaml:8: problem.nodes: at most 10 nodes, one per sample. Got 20."]),
        ("{name: parts}", "  \nsweep: {stop.target: [{loss: 1}, {loss_gap: 1}]}",
         ["s.yaml:7: stop.target.loss_gap: no metric of this problem; there are grad_norm, loss. Got 'loss_gap'. "
          "Nearest: loss."]),
        ("{name: parts, l2: 1}", "sweep: {stop.target: [{loss: 1}, {loss_gap: 1}]}", []),
    ],
)  # fmt: skip
def test_data_are_looked_at_before_anything_runs(problem: str, more: str, expected: list[str]) -> None:
    made = parse_text(MINIMAL.replace("parts", problem, 1) + more, "s.yaml")
    if not expected:
        check_data(made)
        return
    with pytest.raises(ConfigError) as caught:
        check_data(made)
    assert [str(fault) for fault in caught.value.faults] == expected


def test_each_distinct_problem_is_opened_once() -> None:
    opened = []

    def opener(scenario: Scenario) -> Any:
        opened.append((scenario.problem.nodes, scenario.seed))
        return scenario.problem.open(scenario.seed)

    sweep = "sweep: {problem.nodes: [1, 2], network.silence: [free, flag], seed: [0, 1]}"
    check_data(parse_text(MINIMAL + sweep), opener)
    assert opened == [(1, 0), (1, 1), (2, 0), (2, 1)]


@pytest.mark.parametrize(
    ("sweep", "column"),
    [
        ("network.uplink.rate_bps: [1 Mbit/s, 2.5e5, 100 kbit/s]", [1e6, 2.5e5, 1e5]),
        ("problem.nodes: [2, 4]", [2, 4]),
        ("'algorithms[0].step_size': [auto, 0.5]", ["auto", "0.5"]),
        ("network.uplink: [ideal, {name: ethernet_udp, rate_bps: 1e6}]", ["ideal", "ethernet_udp"]),
        ("seed: [1, 2]", [1, 2]),
    ],
)  # fmt: skip
def test_swept_values_are_columns_with_units_read(sweep: str, column: list[Any]) -> None:
    text = MINIMAL + "network: {uplink: {name: ethernet_udp, rate_bps: 1e6}}\n" * ("rate_bps: [" in sweep)
    found = points(parse_text(f"{text}sweep: {{{sweep}}}\n"))
    (values,) = zip(*(point.swept.values() for point in found), strict=True)
    assert list(values) == column
    assert [type(value) for value in values] == [type(value) for value in column]
