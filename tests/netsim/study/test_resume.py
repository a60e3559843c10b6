"""Killed at any instant, a study goes on from what is finished, and nothing half-written is taken for a result."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from netsim import files as files_module
from netsim import registry
from netsim.errors import ConfigError
from netsim.scenario import parse_text
from netsim.study import study
from netsim.study.store import Record, Store
from tests.support import ROOT, TROUBLEMAKER

SCENARIO = """
name: kill
replications: 6
problem: {name: troublemaker}
stop: {rounds: 5}
record: {messages: true}
algorithms: [{name: troublemaker, pause_s: PAUSE}, {name: troublemaker, label: B, bias: 2, pause_s: PAUSE}]
"""
# The digest of the code is fixed, so that an edit of the project meanwhile does not make all runs new.
DRIVER = f"""
import sys
from netsim import registry
from netsim.study import plan, study
plan.code_digest = lambda: "the same"
registry.load_plugin({TROUBLEMAKER!r})
from netsim.scenario import parse_text
study._report = lambda folder: None
study.run(parse_text(sys.argv[1]), sys.argv[2], jobs=int(sys.argv[3]), plugins=[{TROUBLEMAKER!r}])
"""


def start(text: str, out: Path, jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), text, str(out), str(jobs)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


def finished(out: Path) -> dict[str, int]:
    """Finished runs and the inodes of their folders, which change when a run is done again."""
    runs = out / "runs"
    names = [] if not runs.exists() else [p.name for p in runs.iterdir() if not p.name.startswith(files_module.ASIDE)]
    return {name: (runs / name).stat().st_ino for name in names}


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        # Each thread has its own.
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for file in files for child in file.read_text().split()]
    return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill_again_and_again(folder: Path, kills: int, pause_s: float) -> int:
    """Kill a study at random instants and resume it; how many of the kills met it at work."""
    text, rng, hits = SCENARIO.replace("PAUSE", str(pause_s)), random.Random(7), 0
    began = time.monotonic()
    assert start(text, folder / "whole", 2).wait() == 0
    whole_s = time.monotonic() - began
    kept = dict[str, int]()
    for attempt in range(kills):
        process = start(text, folder / "killed", 1 + attempt % 2)
        # Early, late, and often while it starts; each start gets past what earlier ones have finished.
        time.sleep(rng.uniform(0.1, whole_s * 0.6))
        hits += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL) if attempt % 3 else os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = finished(folder / "killed")
        assert kept.items() <= now.items(), "a finished run was done again or lost"
        kept = now
    assert start(text, folder / "killed", 2).wait() == 0
    assert kept.items() <= finished(folder / "killed").items()
    assert len(finished(folder / "killed")) == 12
    for name in ("rounds.parquet", "messages.parquet", "energy.parquet", "summary.csv", "scenario.yaml"):
        assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes(), name
    assert not list((folder / "killed").rglob(f"{files_module.ASIDE}*"))
    return hits


@pytest.mark.slow
def test_killed_a_few_times(tmp_path: Path) -> None:
    assert kill_again_and_again(tmp_path, kills=4, pause_s=0.02) >= 1


@pytest.mark.slow
def test_killed_twenty_times(tmp_path: Path) -> None:
    assert kill_again_and_again(tmp_path, kills=20, pause_s=0.15) >= 5


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    process = start(SCENARIO.replace("PAUSE", "60"), tmp_path / "out", 2)
    deadline = time.monotonic() + 20
    while len(mine := children(process.pid)) < 2:
        assert time.monotonic() < deadline, "no children"
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while any(map(is_alive, mine)):
        assert time.monotonic() < deadline, "a child outlives its parent"
        time.sleep(0.02)


def test_ctrl_c_ends_parent_and_children(tmp_path: Path) -> None:
    code = "\ntry:\n    RUN\nexcept study.Interrupted as error:\n    sys.exit(str(error))"
    *head, run = textwrap.dedent(DRIVER).strip().splitlines()
    # A shell's background job, which the tests may be, ignores what Ctrl-C sends.
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = heard + "\n".join(head) + code.replace("RUN", run)
    text = SCENARIO.replace("PAUSE", "0.1")
    command = [sys.executable, "-c", script, text, str(tmp_path / "out"), "2"]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not finished(tmp_path / "out"):
        assert time.monotonic() < deadline, "nothing finishes"
        time.sleep(0.02)
    mine = children(process.pid)
    for child in mine:
        os.kill(child, signal.SIGINT)
    time.sleep(0.2)
    assert all(map(is_alive, mine)), "a child does not leave it to its parent"
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to all of them
    _, err = process.communicate(timeout=10)
    assert err.count("\n") == 1
    assert "of 12 runs are finished, and the same command goes on from there" in err
    assert len(mine) == 2
    assert not any(map(is_alive, mine))


# --- in one process -----------------------------------------------------------------------------------


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The troublemaker's engine, with a list that grows by one with each run."""
    registry.load_plugin(TROUBLEMAKER)
    simulate, calls = sys.modules["netsim_plugins.troublemaker"].simulate, list[int]()

    def counted(*args: object) -> object:
        calls.append(1)
        return simulate(*args)

    monkeypatch.setattr("netsim.simulation.engine.attempt", counted)
    monkeypatch.setattr(study, "_report", lambda folder: None)
    return calls


def resume(out: Path, text: str = SCENARIO.replace("PAUSE", "0")) -> bytes:
    study.run(parse_text(text), out)
    return (out / "rounds.parquet").read_bytes()


def test_resume_of_nothing_just_starts(tmp_path: Path, engine: list[int]) -> None:
    (tmp_path / "empty").mkdir()
    assert resume(tmp_path / "missing" / "deeper") == resume(tmp_path / "empty")
    assert len(engine) == 24


def test_what_is_done_is_not_done_again(tmp_path: Path, engine: list[int]) -> None:
    first = resume(tmp_path)
    assert len(engine) == 12
    assert resume(tmp_path) == first
    assert len(engine) == 12


def test_fresh_does_all_again(tmp_path: Path, engine: list[int]) -> None:
    first = resume(tmp_path)
    study.run(parse_text(SCENARIO.replace("PAUSE", "0")), tmp_path, fresh=True)
    assert len(engine) == 24
    assert (tmp_path / "rounds.parquet").read_bytes() == first


def test_more_replications_only_add(tmp_path: Path, engine: list[int]) -> None:
    text = SCENARIO.replace("PAUSE", "0")
    resume(tmp_path, text)
    resume(tmp_path, text.replace("replications: 6", "replications: 7"))
    assert len(engine) == 14
    # What is no longer part of the scenario stays, until somebody prunes.
    resume(tmp_path, text.replace("replications: 6", "replications: 2"))
    assert len(engine) == 14
    assert len(finished(tmp_path)) == 14
    count, size_bytes = study.prune(tmp_path)
    assert (count, len(finished(tmp_path))) == (10, 4)
    assert size_bytes > 0
    resume(tmp_path, text.replace("replications: 6", "replications: 2"))
    assert len(engine) == 14


@pytest.mark.parametrize("damage", ["gone", "no facts"])
def test_a_damaged_run_is_done_again(tmp_path: Path, engine: list[int], damage: str) -> None:
    whole = resume(tmp_path)
    folder = tmp_path / "runs" / min(finished(tmp_path))
    rounds, facts = folder / "rounds.arrow", folder / "run.json"
    (rounds if damage == "gone" else facts).unlink()
    assert resume(tmp_path) == whole
    assert len(engine) == 13


def test_a_folder_without_its_mark_is_known_by_its_manifest(tmp_path: Path, engine: list[int]) -> None:
    first = resume(tmp_path)
    (tmp_path / study.MARK).unlink()
    assert resume(tmp_path) == first
    assert len(engine) == 12


def test_half_written_files_of_a_killed_study_go(tmp_path: Path, engine: list[int]) -> None:
    whole = resume(tmp_path)
    (tmp_path / f"{files_module.ASIDE}99-rounds.parquet").write_bytes(whole[:100])
    half = tmp_path / "runs" / f"{files_module.ASIDE}99-{'0' * 32}"
    half.mkdir()
    (half / "rounds.arrow").write_bytes(b"ARROW1")
    assert resume(tmp_path) == whole
    assert not list(tmp_path.rglob(f"{files_module.ASIDE}*"))


# --- atomic files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_failure_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "figure"
    files_module.write(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            files_module.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_appears_only_after_the_content_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, fsync, replace = list[str](), os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (events.append(f"flush {os.readlink(f'/proc/self/fd/{f}')}"), fsync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append(f"rename to {b}"), replace(a, b)))
    files_module.write_folder(tmp_path / "run", {"a": b"1", "b": b"2"})
    part = tmp_path / f"{files_module.ASIDE}{os.getpid()}-run"
    assert events == [
        f"flush {part}/a", f"flush {part}/b", f"flush {part}", f"rename to {tmp_path}/run", f"flush {tmp_path}",
    ]  # fmt: skip
    assert {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()} == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("failing", range(4))
def test_a_folder_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    flush, calls = files_module._flush, list[Path]()

    def fail(path: Path) -> None:
        calls.append(path)
        if len(calls) == failing + 1:
            raise OSError(28, "No space left on device")
        flush(path)

    store = Store(tmp_path / "runs")
    store.folder.mkdir()
    monkeypatch.setattr(files_module, "_flush", fail)
    with pytest.raises(ConfigError, match="No space left on device"):
        store.save("abc", Record("done", "well"), {"rounds.arrow": b"rows"})
    # Two files and their folder are flushed before the rename, the folder above after it.
    assert [path.name for path in store.folder.iterdir()] == (["abc"] if failing == 3 else [])
    assert (store.load("abc") is not None) == (failing == 3)


def test_what_a_store_keeps_comes_back(tmp_path: Path) -> None:
    store, record = Store(tmp_path), Record("stalled", "node 3 waits", 7, 0.1 + 0.2, 1.5)
    store.save("abc", record, {"rounds.arrow": b"rows", "energy.arrow": b"joules"})
    store.save("abc", record, {"rounds.arrow": b"rows again"})
    assert store.load("abc") == record
    assert list(store.tables("abc")) == ["rounds"]
    assert store.load("abd") is None
