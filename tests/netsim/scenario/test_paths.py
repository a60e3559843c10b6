"""Files that a scenario names are looked for beside it, then in the working folder, then in the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.scenario import load
from netsim.scenario.paths import in_full
from netsim.study import run

SCENARIO = """\
name: own
problem: {name: softmax_regression, dataset: {name: csv, path: data/own.csv, test_fraction: 0.25, bias: true}, nodes: 2}
algorithms: [gd]
stop: {rounds: 3, target: {test_accuracy: 1}}
"""
TABLE = "x,y,kind\n" + "".join(f"{i},{i % 5},{'ABC'[i % 3]}\n" for i in range(12))


def put(folder: Path, text: str = TABLE) -> Path:
    path = folder / "data" / "own.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here, data = (tmp_path / name for name in ("beside", "here", "folder"))
    for folder in (beside, here, data):
        folder.mkdir()
    (beside / "own.yaml").write_text(SCENARIO)
    monkeypatch.chdir(here)
    monkeypatch.setenv("NETSIM_DATA", str(data))
    last = put(data)
    found = load(beside / "own.yaml").problem.dataset
    assert found.path == "data/own.csv"
    assert found.found() == last
    middle = put(here)
    assert load(beside / "own.yaml").problem.dataset.path == str(middle)
    first = put(beside)
    assert load(beside / "own.yaml").problem.dataset.path == str(first)


def test_the_resolved_scenario_runs_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of the test set are in the rounds; there are three test samples of twelve."""
    (tmp_path / "own.yaml").write_text(SCENARIO)
    put(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    first = run(load(tmp_path / "own.yaml"), tmp_path / "out")
    again = run(load(tmp_path / "out" / "scenario.yaml"), elsewhere / "again")
    one, two = (results.rounds for results in (first, again))
    assert one.equals(two)
    assert set(one["test_accuracy"] * 3) <= {0.0, 1.0, 2.0, 3.0}
    assert (one["accuracy"] == one["train_accuracy"]).all()
    assert one["test_loss"].notna().all()


def test_what_names_no_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    (tmp_path / "gd").write_text("")
    plain = {"name": "gd", "label": "gd", "path": "no.csv", "module": "torch.nn:Linear", "x_path": 3}
    assert in_full(plain, tmp_path) == plain
    assert in_full({"module": "a.py:make"}, tmp_path) == {"module": f"{tmp_path / 'a.py'}:make"}
    swept = {"sweep": {"problem.dataset.path": ["gd", "b.csv"]}}
    assert in_full(swept, tmp_path) == {"sweep": {"problem.dataset.path": [str(tmp_path / "gd"), "b.csv"]}}
