"""Contract tests of every registered dataset, by its `examples`; for files that netsim has not there are stand-ins."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

from netsim import testing
from tests.support import stand_ins
from tests.support.contracts import checks, components

A9A = "".join(f"{'+' if row % 3 else '-'}1 {1 + row % 50}:1 {60 + row % 60}:0.5\n" for row in range(40))
DOCUMENT = "<REUTERS A><TOPICS>{}</TOPICS><TEXT><TITLE>word{}</TITLE><BODY>more words</BODY></TEXT></REUTERS>\n"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name: 40 samples for a9a, 21578 documents of which a hundred have a topic."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "a9a").mkdir()
    (folder / "a9a" / "a9a.xz").write_bytes(lzma.compress(A9A.encode()))
    (folder / "reuters21578").mkdir()
    topics = ["<D>earn</D>" if i < 50 else "<D>corn</D>" if i < 100 else "" for i in range(21578)]
    documents = (DOCUMENT.format(topic, i % 7) for i, topic in enumerate(topics))
    (folder / "reuters21578" / "reut2-000.sgm").write_text("".join(documents))
    stand_ins.images(folder / "mnist")
    stand_ins.images(folder / "fashion-mnist")
    stand_ins.batches(folder / "cifar10" / "cifar-10-batches-py")
    stand_ins.tables(folder)
    stand_ins.arrays(folder)
    return folder


@pytest.mark.parametrize("check", checks("dataset"))
@pytest.mark.parametrize("made", components("dataset"))
def test_contract(made: Any, check: Any, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSIM_DATA", str(data_folder))
    monkeypatch.setenv("NETSIM_CACHE", str(data_folder))
    check(made)


@pytest.mark.parametrize(
    "name", ["libsvm", "reuters21578", "mnist", "fashion_mnist", "cifar10", "csv", "parquet", "npz", "arrays", "openml"]
)
def test_without_its_file_a_dataset_cannot_be_checked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path))
    (made, *_) = testing.examples("dataset", name)
    for check in testing.checks("dataset"):
        if testing.title(check) in ("shapes", "classes", "seed", "draws"):
            with pytest.raises(testing.NotCheckedError, match=r"^its file is missing: "):
                check(made)
        else:
            check(made)
