"""Recorded messages are on disk as they end: memory does not grow with them, and what fails leaves no half file."""

from __future__ import annotations

import errno
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from netsim import files
from netsim.arrow import BATCH_ROWS
from netsim.errors import SimulationError
from netsim.scenario import parse_text
from netsim.simulation import engine, messages
from netsim.simulation.messages import COLUMNS, MessageRows
from netsim.simulation.tally import Tally
from netsim.study import study
from tests.support.toys import ToyProblem, scenario


def row(i: int) -> tuple[Any, ...]:
    return (i, i % 7, 9, "update" if i % 3 else "silence", 1.5 * i, 0.0, 0.0, i, i, 1, 1, i / 7, i / 5, 0.0, i % 2 == 0)


def read(file: Any) -> pa.Table:
    with pa.ipc.open_file(pa.PythonFile(file, mode="r")) as reader:
        return reader.read_all()


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, 2 * BATCH_ROWS + 5])
def test_all_rows_in_their_order(count: int) -> None:
    rows = MessageRows()
    for i in range(count):
        rows.add(row(i))
        assert len(rows.waiting) < BATCH_ROWS
    found = read(rows.file())
    assert found.column_names == list(COLUMNS)
    assert [str(kind) for kind in found.schema.types] == [
        {"int64": "int64", "str": "string", "float64": "double", "bool": "bool"}[kind.__name__]
        for kind in COLUMNS.values()
    ]
    assert found.num_rows == count
    if count:
        assert [tuple(found.slice(i, 1).to_pylist()[0].values()) for i in (0, count - 1)] == [row(0), row(count - 1)]
        assert found["round"].to_pylist() == list(range(count))


def test_memory_does_not_grow_with_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is 15 numbers, more than 500 bytes as a tuple: all would be 25 MB, a batch and 1 MB of the file are 2."""
    monkeypatch.setattr(messages, "BATCH_ROWS", 1024)
    rows = MessageRows()
    tracemalloc.start()
    for i in range(50_000):
        rows.add(row(i))
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
    assert read(rows.file()).num_rows == 50_000


def test_a_run_that_fails_keeps_the_rows_up_to_there(monkeypatch: pytest.MonkeyPatch) -> None:
    base = scenario({"name": "gd"}, nodes=3, stop={"rounds": 9}, record={"messages": True})
    whole = engine.simulate(base, base.algorithms[0], 0, ToyProblem(3)).messages()
    book, ended = Tally.book, list[int]()

    def until_20(self: Tally, *what: Any) -> None:
        if len(ended) == 20:
            raise SimulationError("no more")
        ended.append(1)
        book(self, *what)

    monkeypatch.setattr(Tally, "book", until_20)
    result = engine.attempt(base, base.algorithms[0], 0, ToyProblem(3))
    assert result.status == "failed"
    assert result.messages().equals(whole.slice(0, 20))


TEXT = """{name: m, problem: {name: quadratic, nodes: 4, dim: 3}, network: {link: {name: ideal}}, algorithms: [gd],
    stop: {rounds: 50}, record: {messages: true}, replications: 2, vary: all}"""


def test_a_full_disk_fails_the_run_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BATCH_ROWS", 64)
    monkeypatch.setattr(study, "_report", lambda folder: None)

    def full(self: Any, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.Temporary, "write", full)
    results = study.run(parse_text(TEXT), tmp_path / "out")
    assert not results.ok
    assert all(run["status"] == "failed" and "No space left" in run["sentence"] for run in results.runs)
    left = {file.name for file in (tmp_path / "out").rglob("*")}
    assert not {name for name in left if "messages" in name or name.startswith(files.ASIDE)}


def test_bytes_do_not_depend_on_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_report", lambda folder: None)
    found = set()
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        assert study.run(parse_text(TEXT), folder, jobs=jobs).ok
        found.add((folder / "messages.parquet").read_bytes())
    assert len(found) == 1
