"""Where commands write to: regular files are replaced as a whole, everything else is written to or refused first."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from netsim import files
from netsim.cli import main
from netsim.errors import ConfigError

FIT = "bytes,seconds\n100,1\n200,2\n300,3\n400,4\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.csv").write_text(FIT, encoding="utf-8")


def test_a_device_stays_one() -> None:
    before = os.stat("/dev/null")
    assert main(["fit-cost", "f.csv", "-o", "/dev/null"]) == 0
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_rdev) == (after.st_ino, after.st_rdev)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got = list[bytes]()
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    files.write(tmp_path / "pipe", "a text")
    reader.join(10)
    assert got == [b"a text"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("folder/real")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "real").read_text("utf-8") == "new"


@pytest.mark.parametrize("shell", ["> all.txt", "| cat > all.txt"])
def test_standard_output_by_its_name(shell: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "netsim", "fit-cost", "f.csv", "-o", "/dev/stdout"]
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])}
    subprocess.run(["sh", "-c", f'"$@" {shell}', "sh", *command], env=environment, check=True)
    text = (tmp_path / "all.txt").read_text("utf-8")
    # What went there by its name, and then what the command prints.
    assert text.startswith("cost: {name: affine")
    assert text.count("cost: {name: affine") == 2
    assert "affine, with 95 % confidence intervals" in text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none/there.yaml", "a file in a folder that exists is needed. Got 'none/there.yaml'"),
        (".", "a file is needed. Got the folder '.'"),
        ("f.csv/below", "a file in a folder that exists is needed"),
        ("x" * 300, "a file that can be written is needed"),
        ("dangling/x", "a file in a folder that exists is needed"),
        ("a\0b", "a file that can be written is needed"),
    ],
)
@pytest.mark.parametrize("option", ["fit-cost", "probe", "table", "compare", "measure"])
def test_an_impossible_place_is_refused_before_the_work(
    option: str, name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    words = {
        "fit-cost": ["fit-cost", "f.csv"],
        "probe": ["probe", "ideal"],
        "table": ["table", "results"],
        "compare": ["compare", "results", "results"],
        "measure": ["measure", "127.0.0.1"],
    }[option]
    before = sorted(tmp_path.iterdir())
    assert main([*words, "-o", name]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    name = "x" * 251 + ".txt"
    files.check_out("--out", str(tmp_path / name))
    files.write(tmp_path / name, "whole")
    assert (tmp_path / name).read_text("utf-8") == "whole"
    with pytest.raises(ConfigError):
        files.check_out("--out", str(tmp_path / ("x" * 256)))
