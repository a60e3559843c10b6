"""What replications draw anew, and rounds that begin every so many seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import HasOptimum
from netsim.results.summary import interval
from netsim.scenario import Scenario, parse_text
from netsim.scenario.parts import VARIED
from netsim.simulation.engine import simulate
from netsim.study import study
from netsim.study.execute import close_problems

TEXT = """
name: redrawn
seed: SEED
replications: 3
vary: VARY
problem:
  name: logistic_regression
  dataset: {name: synthetic_sparse, num_rows: 60, num_features: 20, nonzeros_per_row: 5}
  nodes: 3
  partition: {name: dirichlet, alpha: 0.5}
  batch: 4
  l2: 0.1
network: {link: {name: wan, rate_bps: 1e6, rtt_s: 0.01, jitter_s: 0.01}}
algorithms: [{name: dcgd, compressor: {name: rand_k, k: 5}, step_size: 0.5}]
stop: {rounds: 4}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(study, "_report", lambda folder: None)
    yield
    close_problems()


def scenario(vary: str = "all", **changes: str) -> Scenario:
    text = TEXT.replace("VARY", vary).replace("SEED", changes.pop("SEED", "3"))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse_text(text)


def rows(given: Scenario, replication: int) -> dict[str, np.ndarray[Any, Any]]:
    result = simulate(given, given.algorithms[0], replication, given.open_problem(replication))
    table = result.tables["rounds"]
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


# --- what is drawn anew ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", VARIED)
def test_a_part_alone(part: str) -> None:
    """The start's loss shows the data, its gradient over nodes the partition, later losses all of learning."""
    first, other = (rows(scenario(f"[{part}]"), replication) for replication in (0, 1))
    same = {name: np.array_equal(first[name], other[name]) for name in ("loss", "sim_time_s", "grad_norm")}
    assert (first["loss"][0] == other["loss"][0]) == (part != "data")
    assert (first["grad_norm"][0] == other["grad_norm"][0]) == (part not in ("data", "partition"))
    assert same["loss"] == (part in ("channel", "start"))  # the start is zero: nothing to draw
    assert part != "channel" or not same["sim_time_s"]


def test_the_first_replication_is_the_same_whatever_varies() -> None:
    first = rows(scenario(), 0)
    for vary in ("[channel]", "[data, codec]", "partition"):
        for name, values in rows(scenario(vary), 0).items():
            np.testing.assert_array_equal(values, first[name])


def test_all_is_all_of_them() -> None:
    assert scenario().varied == VARIED
    one, two = (rows(scenario(vary), 2) for vary in ("all", f"[{', '.join(VARIED)}]"))
    np.testing.assert_array_equal(one["loss"], two["loss"])


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        ("[]", "vary: all, or a list of at least one of data, partition, start, batch, codec, channel. Got an empty"),
        ("[batch, batch]", r"vary\[1\]: each once. Got batch"),
        ("[dates]", "Nearest: data"),
    ],
)
def test_what_cannot_vary(vary: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scenario(vary)


def test_the_optimum_is_that_of_the_redrawn_problem() -> None:
    given, gaps = scenario(), []
    for replication in range(3):
        problem: Any = given.open_problem(replication)
        assert isinstance(problem, HasOptimum)
        best = problem.optimum()
        assert best is not None
        found = rows(given, replication)
        np.testing.assert_array_equal(found["loss_gap"], found["loss"] - best.value)
        assert problem.metrics(best.at)["grad_norm"] < 1e-5
        gaps.append(found["loss_gap"][0])
    assert len(set(gaps)) == 3
    assert len(list(Path("cache").glob("*.f64"))) == 3


def test_constants_come_from_the_cache_of_their_own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    given, problems = scenario(), [scenario().open_problem(replication) for replication in range(3)]
    known: list[Any] = [[p.smoothness(), *map(p.smoothness, range(3)), p.optimum().value] for p in problems]  # type: ignore[attr-defined]
    assert len({values[0] for values in known}) == 3

    def fail(*_: object) -> None:
        raise AssertionError("computed again")

    for name in ("largest_eigenvalue", "minimise"):
        monkeypatch.setattr(f"algorithms.problems.logistic_regression.{name}", fail)
    again: list[Any] = [given.open_problem(replication) for replication in range(3)]
    assert known == [[p.smoothness(), *map(p.smoothness, range(3)), p.optimum().value] for p in again]


def test_the_interval_covers_what_single_seeds_give() -> None:
    """Replications of one seed stand for seeds: the 95 % interval has a half-width of 1.24 standard deviations."""
    changes = {"alpha: 0.5": "alpha: 0.1", "batch: 4": "batch: full", "replications: 3": "replications: 5"}

    def final_losses(given: Scenario) -> list[float]:
        return [rows(given, replication)["loss"][-1] for replication in range(given.replications)]

    singles = [final_losses(scenario(SEED=str(seed), **changes))[0] for seed in range(5)]
    _, low, high = interval(np.array(final_losses(scenario(SEED="0", **changes))))
    assert sum(low <= value <= high for value in singles) >= 4
    fixed = final_losses(scenario("[channel]", SEED="0", **changes))
    assert len(set(fixed)) == 1


@pytest.mark.parametrize(
    ("changes", "vary", "redrawn"),
    [
        ({}, "all", ["data", "partition", "batch", "codec", "channel"]),
        ({}, "[channel, data]", ["channel", "data"]),
        (
            {"batch: 4": "batch: full", "{name: dirichlet, alpha: 0.5}": "contiguous"},
            "all",
            ["data", "codec", "channel"],
        ),
        ({"nodes: 3": "nodes: 1", "batch: 4": "batch: 1000"}, "[partition, batch]", []),
        ({"replications: 3": "replications: 1"}, "all", []),
    ],
)
def test_the_manifest_says_what_was_redrawn(changes: dict[str, str], vary: str, redrawn: list[str]) -> None:
    results = study.run(scenario(vary, **changes), "out")
    assert results.ok
    assert results.manifest["redrawn"] == redrawn
    assert results.manifest["vary"] == list(scenario(vary).varied)


def test_a_study_opens_each_problem_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, given = list[int](), scenario(**{"algorithms: [": "algorithms: [gd, "})
    open_problem = Scenario.open_problem

    def count(self: Scenario, replication: int = 0) -> Any:
        opened.append(replication)
        return open_problem(self, replication)

    monkeypatch.setattr(Scenario, "open_problem", count)
    results = study.run(given, "out")
    assert opened == [0, 1, 2]
    start = results.rounds[results.rounds["round"] == 0].set_index(["label", "replication"])["loss"]
    assert start["gd"].tolist() == start["dcgd"].tolist()
    assert start["gd"].nunique() == 3


# --- a round every so many seconds ----------------------------------------------------------------------

PACED = """
name: paced
problem: {name: quadratic, dim: 10, nodes: 2}
network: {NETWORK}
compute: {gradient_s: GRADIENT, interval_s: 60 s}
algorithms: [ALGORITHM]
stop: {rounds: 3}
"""


def times(gradient: str, network: str = "link: {name: ideal, delay_s: 1}", algorithm: str = "gd") -> list[float]:
    text = PACED.replace("GRADIENT", gradient).replace("NETWORK", network).replace("ALGORITHM", algorithm)
    found: list[float] = rows(parse_text(text), 0)["sim_time_s"].tolist()
    return found


def test_rounds_begin_at_multiples_of_the_interval() -> None:
    """A round is 1 s down, the gradient, 1 s up; round r begins at 60 (r - 1) s."""
    assert times("5 s") == [0, 7, 67, 127]


def test_a_round_that_takes_longer_skips_one() -> None:
    """72 s: the next multiples are 120 and 240 s."""
    assert times("70 s") == [0, 72, 192, 312]


def test_rounds_that_take_no_time_are_paced_too() -> None:
    assert times("0 s", "link: ideal") == [0, 0, 60, 120]


def test_without_an_interval_rounds_are_back_to_back() -> None:
    text = PACED.replace("GRADIENT, interval_s: 60 s", "5 s").replace("NETWORK", "link: {name: ideal, delay_s: 1}")
    assert rows(parse_text(text.replace("ALGORITHM", "gd")), 0)["sim_time_s"].tolist() == [0, 7, 14, 21]


def test_an_interval_makes_time_pass() -> None:
    text = PACED.replace("GRADIENT", "0 s").replace("NETWORK", "link: ideal").replace("ALGORITHM", "gd")
    found = rows(parse_text(text.replace("rounds: 3", "sim_time_s: 200")), 0)
    assert found["sim_time_s"].tolist() == [0, 0, 60, 120, 180]
    assert not math.isnan(found["loss"][-1])
