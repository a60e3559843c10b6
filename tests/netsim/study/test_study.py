"""The study runner: one folder of results whatever happens to single runs, and the same in every cell."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netsim import files, registry
from netsim.arrow import table
from netsim.errors import ConfigError
from netsim.scenario import Scenario, load, parse_text
from netsim.simulation import engine as real_engine
from netsim.study import children, study
from netsim.study.execute import close_problems
from netsim.study.merge import merge
from netsim.study.plan import plan
from netsim.study.store import Record
from tests.support import TROUBLEMAKER

HEAD = """
name: trouble
seed: 5
replications: 3
problem: {name: troublemaker}
stop: {rounds: 6, target: {loss_gap: 0.25}}
"""


SIMULATE = real_engine.attempt


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    registry.load_plugin(TROUBLEMAKER)
    trouble = sys.modules["netsim_plugins.troublemaker"]
    monkeypatch.setattr("netsim.simulation.engine.attempt", trouble.simulate)
    monkeypatch.setattr(study, "_report", lambda folder: (folder / "report.html").write_text("page"))
    close_problems()
    yield
    close_problems()


def scenario(algorithms: str = "[{name: troublemaker}]", more: str = "") -> Scenario:
    return parse_text(f"{HEAD}{more}\nalgorithms: {algorithms}\n")


THREE = """
  - {name: troublemaker, label: A}
  - {name: troublemaker, label: B, bias: 2, extra: true}
  - {name: troublemaker, label: C, how: miss}
"""


def cells(folder: Path, name: str = "rounds") -> Any:
    return pq.read_table(folder / f"{name}.parquet")


def statuses(results: study.Results) -> list[str]:
    return [run["status"] for run in results.runs]


# --- what is there ------------------------------------------------------------------------------------


def test_the_files_of_a_study_and_their_order(tmp_path: Path) -> None:
    more = "sweep: {seed: [1, 2]}\nrecord: {messages: true}"
    results = study.run(scenario(THREE, more), tmp_path / "out", plugins=[TROUBLEMAKER], command=["netsim", "run"])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "scenario.yaml", "manifest.json", "rounds.parquet", "messages.parquet", "energy.parquet", "summary.csv",
        "report.html", "runs", ".netsim",
    }  # fmt: skip
    rounds = results.rounds
    assert rounds.columns[:6].tolist() == ["label", "algorithm", "replication", "point", "seed", "round"]
    order = rounds[["point", "label", "replication"]].drop_duplicates().apply(tuple, axis=1).tolist()
    assert order == [(p, x, r) for p in ("seed=1", "seed=2") for x in "ABC" for r in range(3)]
    assert rounds["round"].tolist() == list(range(6)) * 18
    # A column that only B reports is NaN for the others.
    assert rounds.groupby("label")["budget"].count().to_dict() == {"A": 0, "B": 36, "C": 0}
    assert len(results.messages) == 18 * 3
    assert results.summary[["point", "label", "reached"]].apply(tuple, axis=1).tolist()[:3] == [
        ("seed=1", "A", 3), ("seed=1", "B", 3), ("seed=1", "C", 3),
    ]  # fmt: skip
    assert results.ok
    assert "seed=2: to loss gap F - F* <= 0.25" in results.summary_text()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["command"] == ["netsim", "run"]
    assert len(manifest["runs"]) == 18
    assert {"label", "point", "replication", "hash", "status", "sentence", "host_s"} <= set(manifest["runs"][0])


def test_nothing_swept_is_an_empty_text(tmp_path: Path) -> None:
    results = study.run(scenario(), tmp_path / "out")
    assert set(results.rounds["point"]) == {""}
    assert set(results.summary["point"]) == {""}
    with pytest.raises(ConfigError, match=r"no messages were recorded; set record\.messages"):
        _ = results.messages


def test_no_pandas_until_a_frame_is_asked_for(tmp_path: Path) -> None:
    code = f"""
        import sys
        from netsim import registry
        from netsim.study import study
        registry.load_plugin({TROUBLEMAKER!r})
        from netsim.scenario import parse_text
        study._report = lambda folder: None
        study.run(parse_text({HEAD + "algorithms: [{name: troublemaker}]"!r}), {str(tmp_path / "out")!r}).summary_text()
        assert "pandas" not in sys.modules and "rich" not in sys.modules, "slow to import"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# --- the same in every cell ---------------------------------------------------------------------------


def test_processes_and_the_resolved_scenario_change_nothing(tmp_path: Path) -> None:
    given = scenario(THREE, "sweep: {network.silence: [free, flag]}")
    study.run(given, tmp_path / "a")
    study.run(given, tmp_path / "b", jobs=2, plugins=[TROUBLEMAKER])
    study.run(load(tmp_path / "a" / "scenario.yaml"), tmp_path / "c")
    for name in ("rounds.parquet", "energy.parquet", "summary.csv", "scenario.yaml"):
        a, b, c = ((tmp_path / out / name).read_bytes() for out in "abc")
        assert a == b == c, name
    # One BLAS thread here and in the children, in libraries that are loaded late too.
    assert set(cells(tmp_path / "a")["blas_threads"].to_pylist()) == {1}


def test_real_runs_are_the_same_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.simulation.engine.attempt", SIMULATE)
    text = """
        name: real
        replications: 2
        problem: {name: logistic_regression, dataset: breast_cancer, nodes: 3, batch: 16}
        network: {uplink: {name: ethernet_udp, rate_bps: 1.0e+6}}
        stop: {rounds: 6}
        record: {messages: true}
        algorithms:
          - {name: gd}
          - {name: fixed_budget, variant: stochastic, budget: 5}
          - {name: cat, variant: sign, cost: {name: from_channel, quantity: s}}
    """
    study.run(parse_text(textwrap.dedent(text)), tmp_path / "a")
    study.run(load(tmp_path / "a" / "scenario.yaml"), tmp_path / "b", jobs=2)
    for name in ("rounds.parquet", "messages.parquet", "energy.parquet", "summary.csv", "scenario.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert statuses(study.Results(tmp_path / "b")) == ["done"] * 6


def test_threads_are_given_back() -> None:
    before = dict(os.environ)
    with children.one_thread():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert dict(os.environ) == before


def test_problem_is_opened_once_per_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    given = parse_text(HEAD.replace("troublemaker}", f"troublemaker, log: {log}}}") + f"algorithms: {THREE}")
    study.run(given, tmp_path / "out")
    assert log.read_text().count("opened") == 1


# --- merging -----------------------------------------------------------------------------------------


def arrow_file(path: Path, batch_rows: int, **columns: Any) -> Path:
    whole = table(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=batch_rows)
    return path


def test_columns_of_runs_that_differ(tmp_path: Path) -> None:
    run = plan(scenario())[0]
    first = arrow_file(tmp_path / "a", 9, round=np.arange(2), budget=np.array([3, 4]), kind=["up", "down"])
    second = arrow_file(tmp_path / "b", 9, round=np.arange(2), late=np.array([0.5, 1.5]), budget=np.array([0.5, 1.0]))
    merge(tmp_path / "rounds.parquet", [(run, first), (run, second)])
    merged = cells(tmp_path)
    assert merged.column_names == ["label", "algorithm", "replication", "point", "round", "budget", "kind", "late"]
    assert merged["round"].type == pa.int64()
    assert merged["budget"].to_pylist() == [3.0, 4.0, 0.5, 1.0]
    assert merged["kind"].to_pylist() == ["up", "down", None, None]
    assert [str(value) for value in merged["late"].to_pylist()] == ["nan", "nan", "0.5", "1.5"]


def test_merging_holds_a_bounded_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.study.merge.BATCH_ROWS", 10)
    runs = plan(scenario())
    parts = [(run, arrow_file(tmp_path / f"{i}", 4, round=np.arange(13) + 100 * i)) for i, run in enumerate(runs)]
    merge(tmp_path / "rounds.parquet", parts)
    groups = pq.ParquetFile(tmp_path / "rounds.parquet")
    # Batches of 4, 4, 4, 1 rows are put together until there are 10 or more.
    assert [groups.metadata.row_group(i).num_rows for i in range(groups.num_row_groups)] == [12, 13, 13, 1]
    assert cells(tmp_path)["round"].to_pylist() == [r + 100 * i for i in range(3) for r in range(13)]
    assert cells(tmp_path)["replication"].to_pylist() == [i for i in range(3) for _ in range(13)]


# --- hashes -------------------------------------------------------------------------------------------


def hashes(given: Scenario, plugins: Sequence[str] = ()) -> list[str]:
    return [run.hash for run in plan(given, plugins)]


def test_what_cannot_matter_keeps_the_hash() -> None:
    base = hashes(scenario())
    head = HEAD.replace("name: trouble", "name: other\nquestion: Why?\nsource: A book\nfinding: That", 1)
    two = "[{name: troublemaker, how: miss}, {name: troublemaker, label: X}]"
    other = parse_text(f"{head}\nalgorithms: {two}")
    assert hashes(other)[3:] == base
    assert hashes(parse_text(scenario().to_yaml())) == base


@pytest.mark.parametrize(
    "change",
    [
        ("seed: 5", "seed: 6"),
        ("0.25", "0.125"),
        ("rounds: 6", "rounds: 7"),
        ("troublemaker}", "troublemaker, nodes: 3}"),
    ],
)
def test_what_matters_changes_the_hash(change: tuple[str, str]) -> None:
    other = parse_text(HEAD.replace(*change) + "\nalgorithms: [{name: troublemaker}]")
    assert not set(hashes(other)) & set(hashes(scenario()))


def test_files_and_plugins_belong_to_the_hash(tmp_path: Path) -> None:
    data, plugin = tmp_path / "data.txt", tmp_path / "other.py"
    plugin.write_text("x = 1\n")
    data.write_text("1 2 3")
    given = parse_text(HEAD.replace("troublemaker}", f"troublemaker, path: {data}}}") + "\nalgorithms: [troublemaker]")
    first, with_plugin = hashes(given), hashes(given, [str(plugin)])
    assert not set(first) & set(with_plugin)
    data.write_text("1 2 4")
    plugin.write_text("x = 2\n")
    assert not set(hashes(given)) & set(first)
    assert not set(hashes(given, [str(plugin)])) & set(with_plugin)


def test_equal_runs_are_done_once(tmp_path: Path) -> None:
    two = "[{name: troublemaker, label: A}, {name: troublemaker, label: B}]"
    results = study.run(scenario(two), tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 3
    assert results.rounds["label"].value_counts().to_dict() == {"A": 18, "B": 18}


# --- runs that end badly ------------------------------------------------------------------------------


BAD = "[{name: troublemaker, label: bad, how: HOW}, {name: troublemaker, label: good}]"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stalled_run_keeps_its_rows_and_the_others_go_on(tmp_path: Path, jobs: int) -> None:
    results = study.run(scenario(BAD.replace("HOW", "stall")), tmp_path / "out", jobs=jobs, plugins=[TROUBLEMAKER])
    assert statuses(results) == ["stalled"] * 3 + ["reached"] * 3
    assert results.runs[0]["sentence"] == "the server waits for 2 messages of round 3 and has 1"
    assert not results.ok
    assert results.rounds["label"].value_counts().to_dict() == {"bad": 18, "good": 18}
    assert "(stalled)" in results.summary_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_raises_is_failed_in_one_sentence(tmp_path: Path, jobs: int) -> None:
    results = study.run(scenario(BAD.replace("HOW", "raise")), tmp_path / "out", jobs=jobs, plugins=[TROUBLEMAKER])
    assert statuses(results) == ["failed"] * 3 + ["reached"] * 3
    lines = Path(TROUBLEMAKER).read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if "raise ValueError" in text)
    sentence = f"ValueError: round 3 went wrong at troublemaker.py (troublemaker.py:{line})"
    assert results.runs[0]["sentence"] == sentence
    assert "in simulate" in results.runs[0]["traceback"]
    assert set(results.rounds["label"]) == {"good"}
    row = results.summary_rows[0]
    assert (row["label"], row["status"], row["reached"], row["replications"]) == ("bad", "failed", 0, 3)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("kill", "its process was killed by SIGKILL (out of memory?)"),
        ("exit", "its process ended with exit code 3"),
    ],
)
def test_a_child_that_dies_takes_only_its_run_with_it(tmp_path: Path, how: str, sentence: str) -> None:
    results = study.run(scenario(BAD.replace("HOW", how)), tmp_path / "out", jobs=2, plugins=[TROUBLEMAKER])
    assert statuses(results) == ["failed"] * 3 + ["reached"] * 3
    assert {run["sentence"] for run in results.runs[:3]} == {sentence}


def test_components_of_the_callers_own_script(tmp_path: Path) -> None:
    """Without the plugin's file no other process can find the class; that is said, for each run."""
    results = study.run(scenario(), tmp_path / "out", jobs=2)
    assert statuses(results) == ["failed"] * 3
    assert "another process cannot find its components" in results.runs[0]["sentence"]


def test_all_failed_still_leaves_tables(tmp_path: Path) -> None:
    results = study.run(scenario("[{name: troublemaker, how: raise}]"), tmp_path / "out")
    assert len(results.rounds) == 0
    assert {"label", "round", "loss"} <= set(results.rounds.columns)
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_failed_run_is_tried_again_on_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = scenario(BAD.replace("HOW", "raise"))
    study.run(given, tmp_path / "out")
    good = sys.modules["netsim_plugins.troublemaker"].simulate
    monkeypatch.setattr("netsim.simulation.engine.attempt", lambda s, e, r, p, t: good(s, load_good(), r, p, t))
    assert statuses(study.run(given, tmp_path / "out")) == ["reached"] * 6


def load_good() -> Any:
    return scenario().algorithms[0]


# --- the folder ---------------------------------------------------------------------------------------


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    for target in (out, out / "deeper"):
        with pytest.raises(ConfigError, match=r"the output is a folder\. Got a file"):
            study.run(scenario(), target)
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("fresh", [False, True])
def test_somebody_elses_folder_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty and netsim did not write it"):
        study.run(scenario(), tmp_path, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_tables_of_an_older_study_are_replaced_only_after_the_data_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    study.run(scenario(THREE), out)
    (out / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr("netsim.scenario.check_data", lambda *_: (_ for _ in ()).throw(ConfigError("no data")))
        with pytest.raises(ConfigError, match="no data"):
            study.run(scenario(), out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    study.run(scenario(), out)
    assert len(list((out / "runs").iterdir())) == 9  # A is the same runs
    assert set(cells(out)["label"].to_pylist()) == {"troublemaker"}
    assert (out / "notes.txt").read_text() == "mine"


def test_two_studies_do_not_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    study.run(scenario(), out)
    with study._locked(out), pytest.raises(ConfigError, match="another netsim run is writing there"):
        study.run(scenario(), out)
    study.run(scenario(), out)


# --- a full disk --------------------------------------------------------------------------------------


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    given, out = scenario(THREE), tmp_path / "out"
    study.run(given, tmp_path / "whole")
    # Each finished run is kept by a rename after four flushes; the disk is full in the third run.
    flush, calls = files._flush, iter(range(10**6))
    with monkeypatch.context() as patch:
        if jobs == 1:
            patch.setattr(files, "_flush", lambda path: full() if next(calls) > 20 else flush(path))
        else:
            patch.setattr(children, "BOOT", children.BOOT.replace("serve(", f"{FULL}\nserve("))
        with pytest.raises(ConfigError) as error:
            study.run(given, out, jobs=jobs, plugins=[TROUBLEMAKER] if jobs > 1 else [])
    assert str(error.value).startswith(f"{out}: cannot be written: No space left on device.")
    assert "\n" not in str(error.value)
    kept = [path.name for path in (out / "runs").iterdir() if not path.name.startswith(files.ASIDE)]
    assert 0 < len(kept) < 9
    assert not (out / "rounds.parquet").exists()
    assert not study.Results(out).manifest["complete"]
    inodes = {name: (out / "runs" / name).stat().st_ino for name in kept}
    study.run(given, out, plugins=[TROUBLEMAKER])
    assert {name: (out / "runs" / name).stat().st_ino for name in kept} == inodes
    assert (out / "rounds.parquet").read_bytes() == (tmp_path / "whole" / "rounds.parquet").read_bytes()


FULL = """
from netsim import files
flush, calls = files._flush, []
def full(path):
    calls.append(path)
    if len(calls) > 9:
        raise OSError(28, "No space left on device")
    flush(path)
files._flush = full
"""


def test_a_disk_that_is_full_when_the_tables_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            study.run(scenario(), out)
    assert not list(out.glob("*.parquet"))
    assert not list(out.glob(f"{files.ASIDE}*"))
    study.run(scenario(), out)
    assert len(cells(out)) == 18


# --- Dask ---------------------------------------------------------------------------------------------


def test_dask_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="Dask is not installed"):
        study.run(scenario(), tmp_path / "out", dask="tcp://127.0.0.1:1")


class Cluster:
    """As much of Dask as a study uses: a client whose futures end in another order; label C dies there."""

    def __init__(self, address: str, timeout: str) -> None:
        if not address.startswith("tcp://"):
            raise ValueError(f"missing port number in address {address!r}")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, function: Callable[..., Any], wire: bytes, plugins: Sequence[str], pure: bool) -> Future[Any]:
        future = Future[Any]()
        future.release = lambda: None  # type: ignore[attr-defined]
        if pickle.loads(wire).label == "C":
            future.set_exception(RuntimeError("all workers\ndied"))
        else:
            future.set_result(function(wire, plugins))
        return future


def test_a_cluster_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dask = types.SimpleNamespace(Client=Cluster, as_completed=lambda futures: list(futures)[::-1])
    monkeypatch.setitem(sys.modules, "distributed", dask)
    results = study.run(scenario(THREE), tmp_path / "dask", dask="tcp://127.0.0.1:1", plugins=[TROUBLEMAKER])
    assert statuses(results) == ["reached"] * 6 + ["failed"] * 3
    assert results.runs[-1]["sentence"] == "Dask: all workers died"
    study.run(scenario(THREE.replace("miss", "raise")), tmp_path / "here")
    assert (tmp_path / "dask" / "rounds.parquet").read_bytes() == (tmp_path / "here" / "rounds.parquet").read_bytes()
    with pytest.raises(ConfigError, match=r"no scheduler answers\. Got 'nonsense'"):
        study.run(scenario(), tmp_path / "dask", dask="nonsense", plugins=[TROUBLEMAKER])


# --- progress -----------------------------------------------------------------------------------------


def test_a_line_per_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.run(scenario(BAD.replace("HOW", "stall"), "sweep: {seed: [1]}"), tmp_path / "out", show=True)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 6
    assert lines[0].startswith(
        "[1/6] seed=1  bad  rep 0: stalled: the server waits for 2 messages of round 3 and has 1"
    )
    assert lines[5].startswith("[6/6] seed=1  good  rep 2: reached in 5 rounds, simulated ")
    assert lines[5].endswith(" s")


def test_a_line_while_nothing_finishes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netsim.study.progress.QUIET_S", 0.2)
    monkeypatch.setattr("netsim.study.workers.TICK_S", 0.0)
    study.run(scenario("[{name: troublemaker, pause_s: 0.06}]"), tmp_path / "out", show=True)
    err = capsys.readouterr().err
    assert "0 of 3 runs finished; running: troublemaker  rep 0: round " in err
    assert ", simulated " in err


def test_bars_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    study.run(scenario(BAD.replace("HOW", "stall")), tmp_path / "out", show=True)
    assert "bad  rep 0: stalled" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = scenario(THREE), tmp_path / "out"
    finish = study.watcher(False, 0, {}).__class__.finish

    def interrupt(self: Any, run: Any, record: Record) -> None:
        finish(self, run, record)
        if len(self.records) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("netsim.study.progress.Watcher.finish", interrupt)
        with pytest.raises(
            study.Interrupted, match="interrupted; 4 of 9 runs are finished, and the same command goes on"
        ):
            study.run(given, out)
    assert len(list((out / "runs").iterdir())) == 4
    assert len(study.run(given, out).runs) == 9


def test_every_swept_key_is_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantities as numbers in the key's unit, whole numbers whole, the rest as texts; in all tables alike."""
    monkeypatch.setattr("netsim.simulation.engine.attempt", SIMULATE)
    given = parse_text(
        """
name: swept
problem: {name: quadratic, dim: 4, nodes: 2}
network: {uplink: {name: ethernet_udp, rate_bps: 1e6}}
algorithms: [{name: gd}]
stop: {rounds: 2}
record: {messages: true}
sweep:
  network.uplink.rate_bps: [100 kbit/s, 1 Mbit/s]
  problem.nodes: [2, 3]
  'algorithms[0].step_size': [auto, 0.1]
"""
    )
    results = study.run(given, tmp_path, jobs=1)
    keys = ["network.uplink.rate_bps", "problem.nodes", "algorithms[0].step_size"]
    wanted = list(itertools.product([1e5, 1e6], [2, 3], ["auto", "0.1"]))
    for frame in (results.rounds, results.messages, results.summary):
        assert list(frame.columns)[: list(frame.columns).index("point") + 4][-3:] == keys
        assert [frame[key].dtype.kind for key in keys[:2]] == ["f", "i"]
        assert list(dict.fromkeys(frame[keys].itertuples(index=False, name=None))) == wanted
