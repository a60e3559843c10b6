"""Targets in every round, targets met at the start, and runs that diverge or fail far from their start."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim import registry, report
from netsim.cli import main
from netsim.errors import ConfigError, SimulationError
from netsim.scenario import Scenario, check_data, parse_text
from netsim.simulation import engine
from netsim.simulation.recorder import norm
from netsim.study import study
from netsim.study.execute import close_problems
from tests.support import PLUGINS


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(study, "_report", lambda folder: None)
    yield
    close_problems()


# --- targets in every round ----------------------------------------------------------------------------

LOGISTIC = """
name: targets
replications: 2
problem: {name: logistic_regression, dataset: breast_cancer, nodes: 3, partition: {name: dirichlet, alpha: 0.3}}
network: {link: {name: ethernet_udp, rate_bps: 1e6, delay_s: 1 ms}}
algorithms: [gd, {name: fixed_budget, variant: sparsify, budget: 5, label: S}]
stop: STOP
record: {every: EVERY}
"""


def summary(stop: str, every: int) -> str:
    out = f"out{every}"
    given = parse_text(LOGISTIC.replace("STOP", stop).replace("EVERY", str(every)))
    assert study.run(given, out).ok
    return (Path(out) / "summary.csv").read_text()


@pytest.mark.parametrize(
    "stop",
    [
        "{target: {loss_gap: 0.1}, rounds: 400}",
        "{target: {loss_gap: 0.15, accuracy: 0.93, grad_norm: 0.2}, rounds: 60}",
        "{rounds: 33}",
        "{sim_time_s: 0.15}",
    ],
)
def test_how_often_rows_are_recorded_changes_no_summary(stop: str) -> None:
    whole = summary(stop, 1)
    assert whole == summary(stop, 10) == summary(stop, 1000)
    assert "done" in whole or "reached" in whole


def test_targets_are_looked_for_in_one_of_so_many_rounds() -> None:
    summary("{target: {loss_gap: 0.1}, rounds: 400}", 1)
    summary("{target: {loss_gap: 0.1}, rounds: 400, every: 7}", 1000)
    one, seven = (study.Results(Path(out)).rounds for out in ("out1", "out1000"))
    for key, run in one.groupby(["label", "replication"]):
        found = seven[(seven["label"] == key[0]) & (seven["replication"] == key[1])]
        first = int(run["round"][run["loss_gap"] <= 0.1].iloc[0])
        # The loss falls in every round here, so the first multiple of 7 after the first round that meets it meets it.
        assert found["round"].tolist() == [0, -(-first // 7) * 7]


def test_rounds_between_looks_need_a_target() -> None:
    with pytest.raises(ConfigError, match=r"every.*targets to look for"):
        parse_text(LOGISTIC.replace("STOP", "{rounds: 3, every: 2}").replace("EVERY", "1"))


def test_rows_are_the_due_ones_the_first_to_meet_a_target_and_the_last() -> None:
    summary("{target: {loss_gap: 0.1}, rounds: 400}", 1)
    summary("{target: {loss_gap: 0.1}, rounds: 400}", 10)
    one, ten = (study.Results(Path(out)).rounds for out in ("out1", "out10"))
    for key, run in one.groupby(["label", "replication"]):
        found = ten[(ten["label"] == key[0]) & (ten["replication"] == key[1])]
        first = int(run["round"][run["loss_gap"] <= 0.1].iloc[0])
        assert found["round"].tolist() == sorted({*range(0, first, 10), first})
        rows = run[run["round"].isin(found["round"])]
        for name in ("loss", "sim_time_s", "energy_j", "uplink_wire_bytes", "time_compute_s"):
            np.testing.assert_array_equal(rows[name], found[name])


# --- met at the start ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            "loss: 0.7",
            r"s.yaml:7: stop.target.loss: a target below 0.693147, which is met at the start already. Got 0.7",
        ),
        ("loss_gap: 5", r"stop.target.loss_gap: a target below 0\.6\d*, which is met at the start already. Got 5"),
        ("accuracy: 0.3", r"stop.target.accuracy: a target above 0\.\d*, which is met at the start already. Got 0.3"),
    ],
)
def test_a_target_that_is_met_at_the_start_is_refused(
    target: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = LOGISTIC.replace("STOP", f"{{target: {{{target}}}}}").replace("EVERY", "1")
    with pytest.raises(ConfigError, match=sentence):
        check_data(parse_text(text, "s.yaml"))
    Path("s.yaml").write_text(text)
    assert main(["validate", "s.yaml"]) == main(["run", "s.yaml", "-o", "out"]) == 2
    assert "met at the start already" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_target_that_only_the_run_can_know_is_said_to_be_met_at_the_start() -> None:
    """All peers start at one model."""
    text = """
        name: peers
        problem: {name: quadratic, dim: 5, nodes: 4}
        network: {topology: ring, link: ideal}
        algorithms: [{name: dgd, step_size: 0.1}]
        stop: {target: {consensus_distance: 0.5}}
    """
    if "dgd" not in registry.names("algorithm"):  # another test may have brought it
        registry.load_plugin(PLUGINS / "dgd.py")
    results = study.run(parse_text(text), "out")
    assert [run["status"] for run in results.runs] == ["reached"]
    assert results.runs[0]["sentence"] == "met its target at the start, before anything was sent"
    assert results.runs[0]["met_at_start"] == ["consensus_distance"]
    assert results.summary_rows[0]["rounds_mean"] == 0.0


# --- divergence ------------------------------------------------------------------------------------------

QUADRATIC = """
name: steps
problem: {name: quadratic, dim: 20, nodes: 3}
algorithms: [{name: gd, label: huge, step_size: 100}, gd]
stop: {rounds: 200}
record: {every: EVERY}
"""


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("every", [1, 7])
def test_a_step_of_100_diverges_and_the_rest_goes_on(every: int, jobs: int) -> None:
    """L = 1: the error grows by 99 a round, so that float32 (3.4e38) ends in round 20 = ceil(38.5 / lg 99)."""
    results = study.run(parse_text(QUADRATIC.replace("EVERY", str(every))), "out", jobs=jobs)
    assert [run["status"] for run in results.runs] == ["diverged", "done"]
    run = results.runs[0]
    assert run["diverged"] == {"round": 20, "node": 3, "norm": "inf"}
    where = "where the loss is inf, the model of the server" if every == 1 else "the vector to send of the server"
    assert run["sentence"] == f"diverged at 0 s in round 20: {where} has the norm inf"
    losses = results.rounds[results.rounds["label"] == "huge"]["loss"]
    # The last row is that of the divergence; those before grow by 99^2 each.
    assert len(losses) == (21 if every == 1 else 4)
    assert losses.iloc[-1] == math.inf
    assert np.isfinite(losses.iloc[:-1]).all()
    if every == 1:
        np.testing.assert_allclose(losses.iloc[15] / losses.iloc[14], 99**2, rtol=0.01)
    assert results.summary_rows[0]["status"] == "diverged"
    assert "(diverged)" in results.summary_text()
    assert results.ok
    if jobs == 1:
        page = report.write("out").read_text()
        assert run["sentence"].partition(":")[0] in page


def test_a_diverged_run_is_a_finished_one() -> None:
    given = parse_text(QUADRATIC.replace("EVERY", "1"))
    study.run(given, "out")
    inodes = {path.name: path.stat().st_ino for path in Path("out/runs").iterdir()}
    study.run(given, "out")
    assert {path.name: path.stat().st_ino for path in Path("out/runs").iterdir()} == inodes


def test_the_manifest_is_json_for_everybody() -> None:
    study.run(parse_text(QUADRATIC.replace("EVERY", "1")), "out")
    json.loads(Path("out/manifest.json").read_text(), parse_constant=lambda text: pytest.fail(text))


def test_a_gradient_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of node 1 at the model of round 2: nothing of it is sent."""
    given = parse_text(QUADRATIC.replace("EVERY", "1").replace("step_size: 100", "step_size: 0.5"))
    problem: Any = given.open_problem()
    gradients, calls = problem.gradients, list[int]()

    def spoilt(requests: Any) -> Any:
        calls.append(1)
        found = gradients(requests)
        if len(calls) == 3:
            found[1][5] = np.nan
        return found

    monkeypatch.setattr(problem, "gradients", spoilt)
    result = engine.simulate(given, given.algorithms[0], 0, problem)
    assert result.status == "diverged"
    assert result.sentence == "diverged at 0 s in round 2: the gradient of node 1 has the norm nan"
    assert result.tables["rounds"]["round"].to_pylist() == [0, 1, 2]


def test_the_norm_of_large_vectors() -> None:
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert norm(np.zeros(3)) == 0.0
    assert norm(np.array([1.0, np.inf])) == math.inf
    assert math.isnan(norm(np.array([1.0, np.nan])))


# --- failures --------------------------------------------------------------------------------------------


class Broken(Exception):
    """What goes wrong in the tests."""


def failing(monkeypatch: pytest.MonkeyPatch, label: str, at_round: int) -> None:
    """The metrics of one algorithm fail in a round."""
    report = engine.Recorder.report

    def fail(self: Any, node: int, said: Any, *rest: Any) -> bool:
        if self.label == label and said.round == at_round:
            raise Broken("no more")
        return report(self, node, said, *rest)

    begin = engine.Engine.__init__

    def named(self: Any, scenario: Scenario, entry: Any, *rest: Any) -> None:
        begin(self, scenario, entry, *rest)
        self.recorder.label = entry.label

    monkeypatch.setattr(engine.Recorder, "report", fail)
    monkeypatch.setattr(engine.Engine, "__init__", named)


def test_a_run_that_fails_in_round_300_keeps_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = QUADRATIC.replace("EVERY", "100").replace("200", "310").replace("step_size: 100", "step_size: 0.5")
    text = text.replace("dim: 20, nodes: 3", "dim: 3, nodes: 1")
    whole = study.run(parse_text(text), "whole").rounds
    with monkeypatch.context() as patch:
        failing(patch, "huge", 300)
        results = study.run(parse_text(text), "out")
    assert [run["status"] for run in results.runs] == ["failed", "done"]
    assert not results.ok
    assert results.runs[0]["sentence"].startswith("Broken: no more (test_endings.py:")
    assert "Broken: no more" in results.runs[0]["traceback"]
    assert results.runs[0]["rounds"] == 299
    failed = results.rounds[results.rounds["label"] == "huge"]
    assert failed["round"].tolist() == [*range(0, 300, 100), 299]
    same = whole[(whole["label"] == "huge") & (whole["round"] < 300)]
    np.testing.assert_array_equal(failed["loss"].iloc[:-1], same["loss"])
    assert set(results.rounds["label"]) == {"huge", "gd"}
    # A failed run is not finished: it is done again, and nothing of what it left stays.
    again = study.run(parse_text(text), "out")
    assert again.ok
    assert (Path("out") / "rounds.parquet").read_bytes() == (Path("whole") / "rounds.parquet").read_bytes()


def test_an_error_before_the_first_row_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "huge", 0)
    results = study.run(parse_text(QUADRATIC.replace("EVERY", "1")), "out")
    assert [run["status"] for run in results.runs] == ["failed", "done"]
    assert set(results.rounds["label"]) == {"gd"}


def test_simulate_still_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "huge", 3)
    given = parse_text(QUADRATIC.replace("EVERY", "1").replace("step_size: 100", "step_size: 0.5"))
    with pytest.raises((Broken, SimulationError), match="no more"):
        engine.simulate(given, given.algorithms[0], 0, given.open_problem())
    assert engine.attempt(given, given.algorithms[0], 0, given.open_problem()).tables["rounds"].num_rows == 3


def test_progress_is_told_of_rounds_that_are_not_measured() -> None:
    given = parse_text(LOGISTIC.replace("STOP", "{rounds: 20}").replace("EVERY", "10"))
    seen: list[tuple[int, float, float]] = []
    first = next(iter(given.algorithms))
    engine.attempt(given, first, 0, given.open_problem(0), lambda *state: seen.append(state))
    assert [round for round, _, _ in seen] == list(range(21))
    assert all(later[1] > earlier[1] for earlier, later in itertools.pairwise(seen))
    # The loss is that of the last round that was measured: 0, 10 and 20.
    assert len({loss for _, _, loss in seen}) == 3
