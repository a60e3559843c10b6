"""No stale result: whatever decides a run and changes, the run is done again; whatever does not, it is not."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse as sp

from netsim.cli import main
from netsim.errors import ConfigError, DataError
from netsim.interfaces import Data
from netsim.interfaces.problems import NeedsNoFile
from netsim.report import folder as pages
from netsim.scenario import Scenario, load, parse_text
from netsim.study import study
from netsim.study.execute import close_problems
from netsim.study.inputs import digest, files_of
from tests.support import ROOT


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(study, "_report", lambda folder: None)
    (tmp_path / "data").mkdir()
    close_problems()
    yield
    close_problems()


def rounds(given: Scenario, out: str, **options: Any) -> bytes:
    results = study.run(given, out, **options)
    assert results.ok, results.runs
    return (Path(out) / "rounds.parquet").read_bytes()


def changed(make: Callable[[], Scenario], change: Callable[[], object]) -> None:
    """A change between two studies in one folder and one process gives what a fresh folder gives."""
    old = rounds(make(), "out")
    assert rounds(make(), "out") == old
    change()
    new = rounds(make(), "out")
    assert new == rounds(make(), "fresh")
    assert new != old


# --- inputs ------------------------------------------------------------------------------------------


def trace(rate_bps: float) -> None:
    Path("data/trace.csv").write_text(f"time_s,rate_bps\n0,{rate_bps}\n")


def table(trip_s: float) -> None:
    Path("table.csv").write_text(f"from,to,rtt_s,rate_bps\na,b,{trip_s},1e6\nb,a,{trip_s},1e6\n")


def measured(cost: float) -> None:
    Path("costs.csv").write_text(f"size_bit,cost\n1000,{cost}\n2000,2.5\n8000,9\n")


def libsvm(value: float) -> None:
    rows = [f"{'+1' if i % 2 else '-1'} 1:{value + i / 10} 3:{(-1) ** i}" for i in range(12)]
    Path("data/rows.txt").write_text("\n".join(rows) + "\n")


LOGISTIC = """
name: logistic
replications: 2
problem: {name: logistic_regression, dataset: DATASET, nodes: 2}
algorithms: [ALGORITHM]
stop: {rounds: 3}
"""
QUADRATIC = """
name: quadratic
problem: {name: quadratic, dim: 10, nodes: 2}
network: {link: {name: wan, LINK}}
algorithms: [gd]
stop: {rounds: 3}
"""


def logistic(dataset: str = "breast_cancer", algorithm: str = "gd") -> Scenario:
    return parse_text(LOGISTIC.replace("DATASET", dataset).replace("ALGORITHM", algorithm))


def quadratic(link: str) -> Scenario:
    return parse_text(QUADRATIC.replace("LINK", link))


def test_a_trace() -> None:
    trace(1e6)
    changed(lambda: quadratic("trace: trace.csv"), lambda: trace(1e4))


def test_a_table_of_regions() -> None:
    table(0.1)
    changed(lambda: quadratic("table: {path: table.csv, regions: [a, a], server: b}"), lambda: table(0.3))


def test_measured_costs() -> None:
    measured(2)
    cat = "{name: cat, variant: sparsify, cost: {name: measured, path: costs.csv}}"
    changed(lambda: logistic(algorithm=cat), lambda: measured(0.01))


def test_a_file_below_the_data_folder() -> None:
    libsvm(1.0)
    given = logistic("{name: libsvm, path: rows.txt}")
    old = rounds(given, "out")
    libsvm(2.0)
    new = rounds(given, "out", jobs=2)
    assert new == rounds(given, "fresh")
    assert new != old


def test_files_that_trade_places() -> None:
    Path("data/a").mkdir()
    both = [Path("data/one.csv"), Path("data/two.csv")]
    for file, rate in zip(both, ("1e6", "1e4"), strict=True):
        file.write_text(f"time_s,rate_bps\n0,{rate}\n")
    text = QUADRATIC.replace("link: {name: wan, LINK}", "uplink: {name: wan, UP}, downlink: {name: wan, DOWN}")

    def make() -> Scenario:
        return parse_text(text.replace("UP", "trace: one.csv").replace("DOWN", "trace: two.csv"))

    def trade() -> None:
        both[0].rename("third")
        both[1].rename(both[0])
        Path("third").rename(both[1])

    changed(make, trade)


def test_a_file_that_changes_while_the_study_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    libsvm(1.0)
    given, do = logistic("{name: libsvm, path: rows.txt}"), study._do

    def change(*args: Any) -> Any:
        libsvm(2.0)
        return do(*args)

    with monkeypatch.context() as patch:
        patch.setattr(study, "_do", change)
        results = study.run(given, "out")
    assert {run["status"] for run in results.runs} == {"failed"}
    assert results.runs[0]["sentence"].endswith("data/rows.txt has changed since the study began; run it again")
    assert rounds(given, "out") == rounds(given, "fresh")


def test_what_components_read() -> None:
    trace(1e6), table(0.1), measured(1), libsvm(1.0)
    cat = "{name: cat, variant: sparsify, cost: {name: measured, path: costs.csv}}"
    given = logistic("{name: libsvm, path: rows.txt}", cat)
    assert files_of([given.problem, given.algorithms]) == [f"{Path.cwd()}/data/rows.txt", "costs.csv"]
    link = quadratic("trace: trace.csv").network
    assert files_of(link) == [f"{Path.cwd()}/data/trace.csv"]


# --- data in memory ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Given(NeedsNoFile):
    """Data that a program made."""

    kind: ClassVar[str] = "dataset"
    name: ClassVar[str] = "given"

    features: Any
    labels: np.ndarray[Any, Any]

    def load(self, rng: np.random.Generator) -> Data:
        return Data(self.features, self.labels, "given")


X, Y = np.random.default_rng(0).standard_normal((20, 4)), np.repeat([-1.0, 1.0], 10)


@dataclass(frozen=True)
class Global(NeedsNoFile):
    """Data that lie in the module."""

    kind: ClassVar[str] = "dataset"
    name: ClassVar[str] = "global"

    def load(self, rng: np.random.Generator) -> Data:
        return Data(X.copy(), Y, "global")


def with_data(dataset: Any) -> Scenario:
    base = logistic()
    problem: Any = base.problem
    return dataclasses.replace(base, problem=dataclasses.replace(problem, dataset=dataset))


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
def test_arrays_in_a_dataset(layout: Any) -> None:
    features = X.copy()
    changed(lambda: with_data(Given(layout(features), Y)), lambda: features.__setitem__((3, 2), 5.0))
    assert "features: <" in Path("out/scenario.yaml").read_text()


def test_data_of_a_module() -> None:
    old = X[3, 2]
    try:
        changed(lambda: with_data(Global()), lambda: X.__setitem__((3, 2), 5.0))
    finally:
        X[3, 2] = old


def test_values_that_look_alike_have_digests_of_their_own() -> None:
    alike = [
        1, 1.0, True, "1", b"1", [1], [[1]], [1, 1], ["11"], {"1": 1}, {1: 1}, None, "None", np.ones(1),
        np.ones(1, int), np.ones((1, 1)), sp.csr_array(np.ones((1, 1))), Path("1"), {1},
        Given(np.ones(1), Y), Given(np.zeros(1), Y),
    ]  # fmt: skip
    assert len({digest(value) for value in alike}) == len(alike)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(ConfigError, match="a function in a scenario has no content"):
        digest(lambda: 1)


# --- plugins -------------------------------------------------------------------------------------------

PLUGIN = """
from dataclasses import dataclass
from typing import Any, ClassVar
from netsim.registry import component
from helping_with_steps import scale

@component("step")
@dataclass(frozen=True)
class Scaled:
    examples: ClassVar[tuple[Any, ...]] = ({},)
    per: ClassVar[str] = "round"

    def at(self, count: float) -> float:
        return scale()
"""


def run_in_a_process(out: str) -> bytes:
    words = [sys.executable, "-m", "netsim", "run", "s.yaml", "-o", out, "-j", "1", "--plugin", "code/scaled_step.py"]
    path = os.pathsep.join([str(ROOT), str(Path("elsewhere").resolve())])
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (Path(out) / "rounds.parquet").read_bytes()


def test_a_module_that_a_plugin_imports() -> None:
    """One elsewhere on the path, which a module beside it imports."""
    for folder in ("code", "elsewhere"):
        Path(folder).mkdir()
    Path("code/scaled_step.py").write_text(PLUGIN)
    Path("code/helping_with_steps.py").write_text("from numbers_of_steps import VALUE\ndef scale(): return VALUE\n")
    Path("elsewhere/numbers_of_steps.py").write_text("VALUE = 0.5\n")
    text = LOGISTIC.replace("DATASET", "breast_cancer").replace("ALGORITHM", "{name: gd, step_size: scaled_step}")
    Path("s.yaml").write_text(text)
    old = run_in_a_process("out")
    Path("elsewhere/numbers_of_steps.py").write_text("VALUE = 0.1\n")
    new = run_in_a_process("out")
    assert new == run_in_a_process("fresh")
    assert new != old


# --- the optimum's cache -------------------------------------------------------------------------------


def test_the_optimum_of_a_problem_with_more_features_is_its_own() -> None:
    """The rows are the same to the last byte: only the number of columns differs."""
    libsvm(1.0)
    text = LOGISTIC.replace("rounds: 3", "rounds: 3, target: {loss_gap: 1.0e-9}").replace("ALGORITHM", "gd")
    for width in (3, 5, 3):
        given = parse_text(text.replace("DATASET", f"{{name: libsvm, path: rows.txt, num_features: {width}}}"))
        assert rounds(given, "out") == rounds(given, f"fresh{width}", fresh=True)


# --- finished runs are a cache ---------------------------------------------------------------------------

SWEPT = """
name: wide
replications: 5
problem: {name: quadratic, dim: 5, nodes: 2}
network: {link: {name: ethernet_udp, rate_bps: 1e6}}
algorithms: [gd, {name: gd, label: B, step_size: 0.1}]
stop: {rounds: 2}
sweep: {network.link.rate_bps: RATES}
"""


def test_a_narrower_sweep_keeps_the_runs_of_the_wide_one() -> None:
    wide = SWEPT.replace("RATES", "[1e3, 1e4, 1e5, 1e6, 1e7, 1e8]")
    first = rounds(parse_text(wide), "out")
    inodes = {path.name: path.stat().st_ino for path in Path("out/runs").iterdir()}
    assert len(inodes) == 60
    rounds(parse_text(SWEPT.replace("RATES", "[1e4]")), "out")
    assert {path.name: path.stat().st_ino for path in Path("out/runs").iterdir()} == inodes
    began = time.monotonic()
    assert rounds(parse_text(wide), "out") == first
    assert time.monotonic() - began < 3
    assert {path.name: path.stat().st_ino for path in Path("out/runs").iterdir()} == inodes


def test_prune_alone_deletes(capsys: pytest.CaptureFixture[str]) -> None:
    rounds(parse_text(SWEPT.replace("RATES", "[1e3, 1e4]")), "out")
    last = rounds(parse_text(SWEPT.replace("RATES", "[1e4]")), "out")
    assert main(["prune", "out"]) == 0
    assert capsys.readouterr().out.startswith("out: 10 runs deleted, ")
    assert len(list(Path("out/runs").iterdir())) == 10
    assert rounds(parse_text(SWEPT.replace("RATES", "[1e4]")), "out") == last
    assert main(["prune", "data"]) == 2


def test_prune_keeps_what_an_interrupted_study_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    given, finish = parse_text(SWEPT.replace("RATES", "[1e4]")), study.watcher(False, 0, {}).__class__.finish
    rounds(parse_text(SWEPT.replace("RATES", "[1e6]")), "out")

    def interrupt(self: Any, run: Any, record: Any) -> None:
        finish(self, run, record)
        if len(self.records) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("netsim.study.progress.Watcher.finish", interrupt)
        with pytest.raises(study.Interrupted):
            study.run(given, "out")
    results = study.Results(Path("out"))
    assert not results.ok
    assert {run["status"] for run in results.runs} == {"unfinished"}
    assert study.prune("out")[0] == 10
    assert len(list(Path("out/runs").iterdir())) == 4
    assert study.run(given, "out").ok


# --- two scenarios of one name ---------------------------------------------------------------------------


def write(folder: str, **changes: str) -> str:
    text = QUADRATIC.replace("LINK", "rate_bps: 1e6")
    for old, new in changes.items():
        text = text.replace(old, new)
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "s.yaml").write_text(text)
    return f"{folder}/s.yaml"


def test_another_scenario_of_the_same_name_does_not_take_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    one, two, copy = write("one"), write("two", gd="{name: gd, step_size: 0.1}"), write("copy")
    assert main(["run", one]) == 0
    kept = Path("results/quadratic/rounds.parquet").read_bytes()
    capsys.readouterr()
    assert main(["run", two]) == 2
    err = capsys.readouterr().err
    said = f"results/quadratic: it holds the results of another scenario, quadratic from {Path.cwd()}/one/s.yaml; "
    assert err == said + "give a folder with -o DIR, or rename one of the two scenarios.\n"
    assert Path("results/quadratic/rounds.parquet").read_bytes() == kept
    # A copy of the scenario, and the resolved one, are the same scenario.
    assert main(["run", copy]) == main(["run", "results/quadratic/scenario.yaml"]) == 0
    assert "another" not in capsys.readouterr().err


def test_a_folder_that_is_named_is_given_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write("one"), "-o", "out"]) == 0
    assert main(["run", write("two", gd="{name: gd, step_size: 0.1}"), "-o", "out"]) == 0
    err = capsys.readouterr().err
    assert "another scenario, quadratic from " in err
    assert "; its tables are replaced, its finished runs stay" in err
    assert len(list(Path("out/runs").iterdir())) == 2


# --- files that were cut or edited -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "edited", "gone"])
def test_a_summary_that_was_touched_is_noticed(how: str) -> None:
    rounds(quadratic("rate_bps: 1e6"), "out")
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert set(manifest["files"]) == {"scenario.yaml", "rounds.parquet", "energy.parquet", "summary.csv"}
    path = Path("out/summary.csv")
    text = path.read_text()
    assert study.Results(Path("out")).summary_text()
    assert not pages.load(Path("out")).gaps
    if how == "gone":
        path.unlink()
    else:
        path.write_text(text[:-20] if how == "cut" else text.replace("gd", "GD"))
    said = "summary.csv is missing" if how == "gone" else "summary.csv is not what the study wrote: it was cut, edited"
    with pytest.raises(DataError, match=said):
        study.Results(Path("out")).summary_text()
    assert [said in gap for gap in pages.load(Path("out")).gaps] == [True]
    assert study.run(quadratic("rate_bps: 1e6"), "out").summary_text()
    assert path.read_text() == text


def test_a_table_that_was_touched_is_no_frame() -> None:
    rounds(quadratic("rate_bps: 1e6"), "out")
    results, path = study.Results(Path("out")), Path("out/rounds.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"rounds\.parquet is not what the study wrote"):
        _ = results.rounds


def test_the_resolved_scenario_is_the_same_run() -> None:
    first = rounds(logistic(), "out")
    hashes = [run["hash"] for run in study.Results(Path("out")).runs]
    assert rounds(load("out/scenario.yaml"), "again") == first
    assert [run["hash"] for run in study.Results(Path("again")).runs] == hashes
