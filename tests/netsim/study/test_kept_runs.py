"""Finished runs, as a cache that others may write to, and texts that a spreadsheet would run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netsim import study, text
from netsim.errors import ConfigError
from netsim.results import summary
from netsim.scenario import parse_text
from netsim.study import workers
from netsim.study.store import Record, Store
from tests.netsim.test_streams import TINY

HASH = "0" * 32


def changed(**facts: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> object:
        file = folder / "run.json"
        return file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "status": changed(status="reached"),
    "sentence": changed(sentence="all went well"),
    "rounds": changed(rounds=7),
    "time": changed(sim_time_s=1e-9),
    "no files": changed(files={}),
    "another digest": changed(files={"rounds.arrow": "0" * 64}),
    "no seal": lambda folder: (folder / "run.json").write_text(
        json.dumps({k: v for k, v in json.loads((folder / "run.json").read_text()).items() if k != "sha256"})
    ),
    "a seal of another": changed(sha256="0" * 64),
    "half": lambda folder: (folder / "run.json").write_bytes((folder / "run.json").read_bytes()[:80]),
    "a table": lambda folder: (folder / "rounds.arrow").write_bytes(b"other"),
    "no table": lambda folder: (folder / "rounds.arrow").unlink(),
    "nothing": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_was_changed_is_not_kept(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    store = Store(tmp_path)
    record = Record("failed", "ended at \udcff", 3, 0.1 + 0.2, deaths_s={"1": 0.5}, diverged={"norm": "inf"})
    store.save(HASH, record, {"rounds.arrow": b"table"})
    assert store.load(HASH) == record
    store.check([HASH])
    damage(tmp_path / HASH)
    assert store.load(HASH) is None
    with pytest.raises(ConfigError, match="deleted or changed while the study was running"):
        store.check([HASH])


def test_a_run_that_is_deleted_while_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = workers.run_here

    def run_here(runs: Any, store: Store, watcher: Any) -> None:
        here(runs, store, watcher)
        shutil.rmtree(tmp_path / "out" / "runs" / store.hashes()[0])

    monkeypatch.setattr(workers, "run_here", run_here)
    with pytest.raises(ConfigError, match="the same command does this run again"):
        study.run(parse_text(TINY), tmp_path / "out")
    assert not study.Results(tmp_path / "out").manifest["complete"]
    monkeypatch.undo()
    assert study.run(parse_text(TINY), tmp_path / "out").ok


LABELS = ("=cmd()", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "'quoted", "''=1", "-1", "=", "plain = 1", "−1")


def test_formulas_in_labels_are_texts() -> None:
    rows = [{"label": label, "time_s": -1.5} for label in LABELS]
    written = summary.to_csv(rows)
    for line in written.splitlines()[1:]:
        assert line.strip('"')[0] not in "=+@\t", line
    assert [row["label"] for row in summary.from_csv(written)] == list(LABELS)
    assert [text.meant(text.neutral(label)) for label in LABELS] == list(LABELS)
