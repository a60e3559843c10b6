"""netsim data: which datasets are here, where files belong, and their download."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netsim import registry
from tests.netsim.test_cli import said


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETSIM_DATA", raising=False)
    return tmp_path


OWL = '''
"""Owls."""
from dataclasses import dataclass
from pathlib import Path
from algorithms.reading.files import DataFile, find
from netsim.registry import component

@component("dataset")
@dataclass(frozen=True)
class Owls:
    """Nights of owls."""

    def wants(self):
        return (DataFile("owls/nights.txt", "a list of nights, 5 B", {sha256!r}, {url!r}),)

    def found(self):
        return find(self.wants())
'''


@pytest.fixture
def owls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a dataset known that is offered under an address."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    source = folder / "source.txt"
    source.write_text("night")

    def make(url: str = source.as_uri(), sha256: str = hashlib.sha256(b"night").hexdigest()) -> None:
        (folder / "owls.py").write_text(OWL.format(sha256=sha256, url=url))
        registry.load_plugin(folder / "owls.py")

    yield make
    sys.modules.pop("netsim_plugins.owls", None)


def test_data_lists_what_is_here_and_where_the_rest_belongs(
    owls: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owls()
    code, text = said(["data"], capsys)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "no data folder: set the environment variable NETSIM_DATA to one"
    assert [line.split()[0] for line in lines[1:]] == list(registry.names("dataset"))
    (breast,) = (line for line in lines if line.startswith("breast_cancer"))
    assert breast.split(maxsplit=1)[1] == "here, comes with netsim"
    missing = (
        "owls  missing; put owls/nights.txt into {} (a list of nights, 5 B); netsim data NAME --fetch downloads it\n"
    )
    assert said(["data", "owls"], capsys)[1].splitlines(True)[1] == missing.format("the folder that NETSIM_DATA names")
    monkeypatch.setenv("NETSIM_DATA", str(folder / "data"))
    assert said(["data", "owls"], capsys)[1] == f"data folder {folder / 'data'}\n{missing.format(folder / 'data')}"
    assert said(["data", "owls", "--fetch"], capsys) == (0, f"owls: {folder / 'data/owls/nights.txt'}\n")
    assert (folder / "data/owls/nights.txt").read_text() == "night"
    assert said(["data", "owls", "--fetch"], capsys) == (0, f"owls: here already, {folder / 'data/owls/nights.txt'}\n")
    here = f"owls  here, {folder / 'data/owls/nights.txt'}; 5 B sha256 {hashlib.sha256(b'night').hexdigest()[:12]}"
    assert said(["data", "owls"], capsys)[1].splitlines()[1] == here
    assert any(line.startswith("csv ") and "reads your own: a CSV file" in line for line in lines)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"sha256": "0" * 64}, "a file of sha256 {zeros} is needed from {source}; nothing was kept. Got {digest}"),
        ({"url": "http://127.0.0.1:9/owls"},
         "http://127.0.0.1:9/owls cannot be had ([Errno 111] Connection refused); put the file at {target} by hand"),
        ({"url": ""}, "netsim knows no address to download owls/nights.txt from; put owls/nights.txt into {data}"),
    ],
)  # fmt: skip
def test_a_download_that_fails_leaves_nothing(
    how: dict[str, str],
    sentence: str,
    owls: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    owls(**how)
    monkeypatch.setenv("NETSIM_DATA", str(folder / "data"))
    expected = sentence.format(
        zeros="0" * 64, source=(folder / "source.txt").as_uri(), digest=hashlib.sha256(b"night").hexdigest(),
        target=folder / "data/owls/nights.txt", data=folder / "data",
    )  # fmt: skip
    assert said(["data", "owls", "--fetch"], capsys) == (2, f"owls: {expected}.\n")
    assert not [file for file in (folder / "data").rglob("*") if file.is_file()]


def test_fetching_needs_a_folder_and_something_to_fetch(owls: Any, capsys: pytest.CaptureFixture[str]) -> None:
    owls()
    needed = "owls: a data folder is needed to download to; set the environment variable NETSIM_DATA.\n"
    assert said(["data", "owls", "--fetch"], capsys) == (2, needed)
    nothing = "breast_cancer: comes with netsim, nothing to download\n"
    assert said(["data", "breast_cancer", "--fetch"], capsys) == (0, nothing)
