"""YAML to a checked, frozen scenario, its sweep points, and back."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netsim.errors import ConfigError, Fault
from netsim.registry import build
from netsim.rng import stream
from netsim.scenario import (
    Claim,
    ComputeModel,
    Distribution,
    Entry,
    Network,
    Record,
    Scenario,
    Stop,
    Topology,
    bundled,
    load,
    parse_text,
    parsing,
    points,
    yaml_lines,
)
from tests.support.with_parts import parts

KEYS = ", ".join(parsing.hints(Scenario))
MINIMAL = """
name: small
problem: parts
algorithms: [gd]
stop: {rounds: 5}
"""
WHOLE = """
name: whole
question: What is it good for?
source: A paper, 2021
finding: Nothing yet.
seed: 7
replications: 3
problem: {name: parts, nodes: 4, l2: 1e-3, batch: 0.5, dataset: {name: digits, interactions: true}}
network:
  topology: star
  uplink: {name: ethernet_udp, rate_bps: 10 Mbit/s, delay_s: 2.5 ms}
  downlink: ideal
  silence: free
compute: {gradient_s: {distribution: lognormal, mean_s: 10 ms, cv: 0.5}, power_w: 100 mW}
algorithms:
  - gd
  - {name: gd, label: "GD, half", step_size: 0.5}
stop: {target: {loss_gap: 1e-2, accuracy: 0.9}, rounds: 50, sim_time_s: 1 h}
record: {every: 5, messages: true, efficiency: false, bounds: true}
sweep:
  network.uplink.rate_bps: [1e6, 10 Mbit/s]
  problem.nodes: [2, 4]
vary: channel
claims: [{text: half as much, label: "GD, half", against: gd, quantity: total_paper_bit, ratio: 2}]
"""


@pytest.fixture(autouse=True, scope="module")
def _parts() -> Iterator[None]:
    with parts():
        yield


def sentences(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_text(text, "s.yaml", overrides)
    return [str(fault) for fault in caught.value.faults]


def refused(text: str) -> tuple[Fault, ...]:
    """The faults of a scenario, none where it is valid."""
    try:
        parse_text(text, "s.yaml")
    except ConfigError as error:
        return error.faults
    return ()


# --- reading ------------------------------------------------------------------------------------------


def test_a_minimal_scenario_has_every_default() -> None:
    problem = build("problem", "parts")
    made = Scenario("small", problem, (Entry("gd", build("algorithm", "gd")),), stop=Stop(rounds=5))
    assert parse_text(MINIMAL) == made
    assert made.network == Network(Topology("star"), silence="flag")
    assert made.compute == ComputeModel(0.0, None, 0.0)
    assert made.record == Record(1, False, True, False)
    assert (made.seed, made.replications, made.vary, made.sweep, made.claims) == (0, 1, "all", {}, ())


def test_every_key_is_read() -> None:
    made = parse_text(WHOLE)
    assert made.problem == build("problem", {"name": "parts", "nodes": 4, "l2": 0.001, "batch": 0.5,
                                             "dataset": {"name": "digits", "interactions": True}})  # fmt: skip
    assert made.network.uplink == build("channel", {"name": "ethernet_udp", "rate_bps": 1e7, "delay_s": 0.0025})
    assert made.network.downlink == build("channel", "ideal")
    assert list(made.network.channels) == ["uplink", "downlink"]
    assert made.compute == ComputeModel(Distribution("lognormal", mean_s=0.01, cv=0.5), power_w=0.1)
    assert [entry.label for entry in made.algorithms] == ["gd", "GD, half"]
    assert made.algorithms[1].algorithm.step_size == 0.5
    assert made.stop == Stop(50, 3600.0, {"loss_gap": 0.01, "accuracy": 0.9})
    assert made.record == Record(5, True, False, True)
    assert made.sweep == {"network.uplink.rate_bps": (1e6, "10 Mbit/s"), "problem.nodes": (2, 4)}
    assert made.claims == (Claim("half as much", "GD, half", "total_paper_bit", "gd", 2.0),)
    assert (made.question, made.source, made.finding) == ("What is it good for?", "A paper, 2021", "Nothing yet.")
    assert (made.seed, made.replications, made.vary) == (7, 3, "channel")


def test_a_scenario_is_frozen_and_travels_between_processes() -> None:
    made = parse_text(WHOLE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.seed = 8  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert [p.name for p in points(again)] == [p.name for p in points(made)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("no", "no"), ("12:30", "12:30"), ("2020-01-01", "2020-01-01"), ("1e-3", 1e-3),
        ("1E5", 1e5), ("0123", 123), ("0x10", "0x10"), ("1_000", "1_000"), ("true", True), ("~", None), ("", None),
        (".5", 0.5), ("-3", -3), ("'5'", "5"), ("!!str 5", "5"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    got = yaml_lines.read(f"a: {text}", "x.yaml").data["a"]
    assert got == value
    assert type(got) is type(value)


def test_windows_lines_and_a_byte_order_mark_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(file) == parse_text(MINIMAL)
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").replace("5", "x").encode())
    with pytest.raises(ConfigError, match=r"s.yaml:5: stop.rounds: a whole number >= 1, or nothing\. Got 'x'\.$"):
        load(file)


def test_an_anchor_may_be_used_again() -> None:
    text = MINIMAL.replace("[gd]", "[&g {name: gd, label: A}]\nnetwork: {uplink: &link {name: ideal}, downlink: *link}")
    made = parse_text(text)
    assert made.network.uplink == made.network.downlink == build("channel", "ideal")


@pytest.mark.parametrize("shape", ["{edges: [[0, 1], [1, 2]]}", "{name: edges, edges: [[0, 1], [1, 2]]}"])
def test_edges_name_their_topology(shape: str) -> None:
    made = parse_text(MINIMAL.replace("[gd]", f"[parts]\nnetwork: {{topology: {shape}, link: ideal}}"))
    assert made.network.topology == Topology("edges", edges=((0, 1), (1, 2)))


def test_peers_and_lossy_links_go_together_where_the_algorithm_tolerates_it() -> None:
    made = parse_text(MINIMAL.replace("[gd]", "[parts]\nnetwork: {topology: ring, link: parts, silence: deadline}"))
    assert made.network.topology == Topology("ring")


def test_a_target_alone_is_given_a_thousand_rounds() -> None:
    assert parse_text(MINIMAL.replace("rounds: 5", "target: {loss: 1}")).stop == Stop(1000, None, {"loss": 1.0})
    assert Stop(sim_time_s=3.0, target={"loss": 1.0}).rounds is None


# --- writing --------------------------------------------------------------------------------------------


def missing(plain: Any, value: Any) -> list[str]:
    """Keys of `value` that the plain data leave out, at any depth."""
    if isinstance(value, Entry):
        return missing(plain, value.algorithm) + ([] if plain["label"] == value.label else ["label"])
    if dataclasses.is_dataclass(value):
        known = parsing.hints(type(value))  # type: ignore[arg-type]
        return [k for k in known if k not in plain] + [m for k in known for m in missing(plain[k], getattr(value, k))]
    if isinstance(value, tuple):
        return [m for a, b in zip(plain, value, strict=True) for m in missing(a, b)]
    return []


@pytest.mark.parametrize("text", [MINIMAL, WHOLE])
def test_the_resolved_scenario_has_every_default_and_loads_as_equal(text: str) -> None:
    made = parse_text(text)
    written = made.to_yaml()
    assert written == made.to_yaml()
    assert missing(yaml.safe_load(written), made) == []
    assert parse_text(written) == made
    assert parse_text(written).to_yaml() == written


@pytest.mark.parametrize("text", [MINIMAL, WHOLE])
def test_other_readers_of_yaml_read_the_same(text: str) -> None:
    written = parse_text(text).to_yaml()
    assert yaml.safe_load(written) == yaml_lines.read(written, "x").data


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT,
              st.sampled_from(["1e-3", "yes", "on", "0x1", "1_0", "12:30", "null", "~", "2020-01-01", "<<", "- a"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@given(PLAIN)
@example("a\nb")
@example("\x85")
@example(" \u2028\u2029 ")
def test_plain_data_survive_yaml(data: Any) -> None:
    assert yaml_lines.read(yaml_lines.write({"x": data}), "x.yaml").data == {"x": data}
    assert yaml_lines.read(yaml_lines.write_line({"x": data}), "x.yaml").data == {"x": data}
    assert "\n" not in yaml_lines.write_line(data)


LABEL = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Co", "Cn", "Cf")), min_size=1, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(LABEL, min_size=1, max_size=4, unique=True),
    st.floats(1e-3, 1e12),
    st.integers(0, 2**70),
    st.dictionaries(st.sampled_from(["loss", "grad_norm"]), st.floats(1e-12, 1e3), min_size=1),
    TEXT,
)
def test_any_scenario_survives_yaml(
    labels: list[str], rate: float, seed: int, target: Mapping[str, float], question: str
) -> None:
    algorithm, link = build("algorithm", "gd"), build("channel", {"name": "ethernet_udp", "rate_bps": rate})
    entries = tuple(Entry(label, algorithm) for label in labels)
    made = Scenario("any", build("problem", "parts"), entries, question, seed=seed, network=Network(link=link),
                    stop=Stop(target=target))  # fmt: skip
    assert parse_text(made.to_yaml()) == made


# --- overrides --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=9", lambda s: s.seed == 9),
        ("stop.sim_time_s=2 ms", lambda s: s.stop == Stop(5, 0.002)),
        ("network.silence=free", lambda s: s.network.silence == "free"),
        ("network.uplink={name: ethernet_udp, rate_bps: 1e6}", lambda s: s.network.uplink.rate_bps == 1e6),
        ("algorithms[0].step_size=0.25", lambda s: s.algorithms[0].algorithm.step_size == 0.25),
        ("algorithms.0.label=x=y", lambda s: s.algorithms[0].label == "x=y"),
        ("algorithms=[{name: gd, label: B}]", lambda s: s.algorithms[0].label == "B"),
        ("problem.nodes=2", lambda s: s.problem.nodes == 2),
        ("sweep.problem.nodes=[1, 2]", lambda s: s.sweep == {"problem.nodes": (1, 2)}),
        ("stop={target: {loss: 1}}", lambda s: s.stop == Stop(1000, None, {"loss": 1.0})),
        ("question=", lambda s: s.question == ""),
    ],
)
def test_an_override_changes_one_key(override: str, read: Any) -> None:
    if override == "question=":
        assert sentences(MINIMAL, override) == ["-s question=: question: a text. Got nothing."]
    else:
        assert read(parse_text(MINIMAL, overrides=[override]))


def test_later_overrides_win_and_faults_name_the_one_that_counts() -> None:
    assert parse_text(MINIMAL, overrides=["seed=1", "seed=2"]).seed == 2
    assert sentences(MINIMAL, "seed=1", "seed=x") == ["-s seed=x: seed: a whole number >= 0. Got 'x'."]
    assert sentences(MINIMAL, "stop.rounds=x", "stop={rounds: 0}") == [
        "-s stop={rounds: 0}: stop.rounds: a whole number >= 1, or nothing. Got 0."
    ]
    assert sentences(MINIMAL, "stop={rounds: 1}", "stop.rounds=x") == [
        "-s stop.rounds=x: stop.rounds: a whole number >= 1, or nothing. Got 'x'."
    ]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seed", "-s seed: scenario: key.path=value is needed. Got 'seed'."),
        ("=3", "-s =3: scenario: key.path=value is needed. Got '=3'."),
        ("a..b=3", "-s a..b=3: scenario: key.path=value is needed. Got 'a..b=3'."),
        ("algorithms[4].label=x", "-s algorithms[4].label=x: algorithms[4].label: items 0 .. 0 are there."),
        ("seed[0]=1", "-s seed[0]=1: seed[0]: item 0 of a list, but there is no list."),
        ("stop.rounds.x=1", "-s stop.rounds.x=1: stop.rounds.x: a mapping is needed to hold 'x'."),
        ("stop.rounds=[1", "-s stop.rounds=[1: stop.rounds: the text is no YAML: while parsing a flow sequence, "
                           "did not find expected ',' or ']'."),
        ("sed=1", f"-s sed=1: sed: no such key; there are {KEYS}. Got 'sed'. Nearest: seed."),
    ],
)  # fmt: skip
def test_an_override_that_fits_nowhere_is_refused(override: str, sentence: str) -> None:
    assert sentences(MINIMAL, override) == [sentence]


# --- distributions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "mean_s", "deviation_s"),
    [
        (Distribution("exponential", mean_s=0.2), 0.2, 0.2),
        (Distribution("uniform", low_s=0.1, high_s=0.5), 0.3, 0.4 / math.sqrt(12)),
        (Distribution("lognormal", mean_s=0.05, cv=0.5), 0.05, 0.025),
    ],
)
def test_a_distribution_has_its_moments(distribution: Distribution, mean_s: float, deviation_s: float) -> None:
    """40000 draws: the mean leaves 5 standard errors with probability 6e-7 each; the deviation's own standard error
    is at most deviation * sqrt((kurtosis - 1) / 4n) with kurtosis 9 (exponential) and 8.04 (lognormal, cv 0.5)."""
    rng, n = stream(3, 0, 0, "compute"), 40_000
    x = np.array([distribution.sample(rng) for _ in range(n)])
    assert distribution.expected_s == pytest.approx(mean_s, rel=1e-12)
    assert abs(x.mean() - mean_s) < 5 * deviation_s / math.sqrt(n)
    assert abs(x.std() - deviation_s) < 5 * deviation_s * math.sqrt(8 / (4 * n))
    assert x.min() > 0


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"distribution": "uniform", "mean_s": 1.0},
         "mean_s: the uniform distribution takes low_s and high_s. Got 'mean_s'.\n"
         "low_s: the uniform distribution takes low_s and high_s. Got nothing.\n"
         "high_s: the uniform distribution takes low_s and high_s. Got nothing."),
        ({"distribution": "uniform", "low_s": 2.0, "high_s": 2.0}, "high_s: a time after low_s, 2 s. Got 2."),
        ({"distribution": "lognormal", "mean_s": 2.0},
         "cv: the lognormal distribution takes mean_s and cv. Got nothing."),
    ],
)  # fmt: skip
def test_a_distribution_takes_exactly_its_parameters(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Distribution(**keys)
    assert str(caught.value) == sentence


# --- whatever comes -------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_yaml_is_read_or_refused_with_a_sentence(data: st.DataObject) -> None:
    text = list(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.text("{}[],:-&*!|>'\"%@`#\t\n\0 0a~é", max_size=3))
    faults = refused("".join(text))
    assert all(str(fault).startswith("s.yaml:") for fault in faults)
    assert all(fault.allowed for fault in faults)


def test_every_bundled_scenario_is_valid_and_says_what_it_is_about() -> None:
    for name in bundled():
        made = load(name)
        assert made.question, name
        assert parse_text(made.to_yaml()) == made
