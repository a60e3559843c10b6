"""Names and places: labels, names of scenarios, where results go."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kinds.conftest import Command

RECORDED = "\nrecord: {messages: true, pcap: true}"


@pytest.mark.parametrize(
    "label",
    ["a/b", "../../etc", "..", "-dash", "--help", "a" * 300, "\u00e4" * 300, "\U0001f600" * 60, "CON", "a:b*c?",
     " lead", "=cmd()", "@x", "\\\\", "'", '\\"', "<b>x</b>", "{{7*7}}", "%s %d", "$(id)", "~", "null", "1e3",
     "e\\u0301"],
)  # fmt: skip
def test_a_label_of_any_letters_names_no_place(label: str, netsim: Command, tmp_path: Path) -> None:
    code, _, said = netsim(
        "run", "kind.yaml", "-o", "out/in", "-j", "1", **{"[gd]": f'[{{name: gd, label: "{label}"}}]' + RECORDED}
    )
    assert code == 0, said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kind.yaml", "out"]
    names = [path.name for path in tmp_path.rglob("*")]
    assert all(len(name.encode()) <= 100 and name.isascii() for name in names)
    assert not any(line.startswith(("=", "@")) for line in Path("out/in/summary.csv").read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    "label",
    ["nul\\0", "\\u202eabc", "a\\nb", "a\\tb", "", "\\e[31m", "\\u200b", "\\ud800", "\\u0085", "\\ufeff", "\\u2028"],
)
def test_a_label_that_nobody_sees(label: str, refused: Callable[..., str]) -> None:
    assert "kind.yaml:5: " in refused("validate", "kind.yaml", **{"[gd]": f'[{{name: gd, label: "{label}"}}]'})


def test_labels_that_differ_in_little(netsim: Command) -> None:
    """Letters' case, composition, and what a file's name cannot say: each run has a file of its own."""
    labels = ["Gd", "gD", "e\\u0301", "\\u00e9", "a b", "a/b", "a" * 200 + "1", "a" * 200 + "2"]
    entries = ", ".join(f'{{name: gd, label: "{label}"}}' for label in labels)
    code, _, said = netsim("run", "kind.yaml", "-o", "out", "-j", "1", **{"[gd]": f"[{entries}]{RECORDED}"})
    assert code == 0, said
    assert len({file.name.casefold() for file in Path("out/pcap").iterdir()}) == len(labels)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "a" * 101, "\\u202ex", "a\\tb", "\\u200b", "\\ud800", "nul\\0", "", "~", "2024"]
)
def test_no_name_of_a_scenario(name: str, refused: Callable[..., str]) -> None:
    value = name if name in ("~", "2024") else f'"{name}"'
    assert "kind.yaml:1: " in refused("validate", "kind.yaml", **{"name: kind": f"name: {value}"})


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A file, links that lead nowhere, a folder of somebody else."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere/x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("x")
    return tmp_path


FOLDERS = [
    "file", "file/x", "/proc/x", "/dev/null", "/dev/null/x", "dangling", "loop", "", "a\0b", "x" * 256, "x/" * 1000,
    "x/" * 3000, ".", "/", "kind.yaml", "/dev/full", "/sys/x", "theirs", "\u00e9" * 130,
]  # fmt: skip


@pytest.mark.parametrize("out", FOLDERS)
def test_no_folder_for_results(out: str, places: Path, refused: Callable[..., str]) -> None:
    before = sorted(places.iterdir())
    refused("run", "kind.yaml", "-o", out, "-j", "1")
    assert sorted(path for path in places.iterdir() if path.name != "kind.yaml") == before


FILES = [
    "file/x", "missing/x", "/proc/x", "dangling", "loop", "", "a\0b", "x" * 256, ".", "/", "theirs", "\u00e9" * 130,
]  # fmt: skip


@pytest.mark.parametrize("out", FILES)
def test_no_file_for_a_table(out: str, places: Path, refused: Callable[..., str]) -> None:
    refused("probe", "{name: ideal}", "--message-bytes", "10", "-o", out)
    assert not os.path.lexists(places / "missing")


def test_devices_stay_devices(netsim: Command) -> None:
    for name in ("/dev/null", "/dev/zero"):
        assert netsim("probe", "{name: ideal}", "--message-bytes", "10", "-o", name)[0] == 0
        assert Path(name).is_char_device()
    code, _, said = netsim("probe", "{name: ideal}", "--message-bytes", "10", "-o", "/dev/full")
    assert code == 1
    assert "No space left on device" in said
