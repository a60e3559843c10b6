"""Bad input, case by case: one sentence each with file and line, exit code 2, nothing written."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netsim import registry
from netsim.cli import main
from netsim.interfaces import is_between_peers
from netsim.scenario import Scenario, bundled, parsing
from netsim.scenario.parts import CLAIMED
from tests.support.with_parts import parts

BASE = """\
name: bad
problem:
  name: logistic_regression
  dataset: breast_cancer
  nodes: 3
network:
  uplink:
    name: ethernet_udp
    rate_bps: 1 Mbit/s
algorithms:
  - gd
  - name: cat
    label: CAT
    variant: sparsify
    cost: bit
stop:
  rounds: 2
"""


PARTS = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">
<node id="a"/><node id="b"/><node id="c"/><edge source="a" target="b"/></graph></graphml>"""


class Case(NamedTuple):
    """One block of ``bad_input.txt``: what changes in the scenario, options of the command, and what is said."""

    name: str
    text: str
    options: tuple[str, ...]
    expected: str


def cases() -> Iterator[Case]:
    """Read the table.

    Lines of a block: ``#`` name, ``-`` taken from `BASE`, ``+`` put in its place (or at its end), ``=`` the whole
    scenario, ``$`` an option with its value, ``>`` a sentence, with <words> for what registry and hints say.
    """
    table = Path(__file__).with_name("bad_input.txt").read_text()
    for block in table.strip().split("\n\n"):
        lines: dict[str, list[str]] = {mark: [] for mark in "#-+=$>"}
        for line in block.splitlines():
            lines[line[0]].append(line[1:])
        old, new = ("".join(f"{line}\n" for line in lines[mark]) for mark in "-+")
        assert old in BASE, f"{block}: not in the scenario"
        text = "".join(f"{line}\n" for line in lines["="]) or (BASE.replace(old, new) if old else BASE + new)
        text = text.replace("\\t", "\t").replace("\\0", "\0")
        options = tuple(word for line in lines["$"] for word in line.strip().split(" ", 1))
        yield Case(lines["#"][0].strip(), text, options, "".join(f"{line[1:]}\n" for line in lines[">"]))


def tolerant(name: str, what: str, shape: str) -> bool:
    """Whether an algorithm of a server, or of peers, tolerates late messages or losses in one of its examples."""
    cls: Any = registry.get("algorithm", name)
    built = [registry.build("algorithm", {"name": name, **example}) for example in getattr(cls, "examples", ())]
    return any(what in one.tolerates for one in built if is_between_peers(one) == (shape == "peer"))


def fill(text: str) -> str:
    """The sentence with what the registry and the hints say now."""

    def words(match: re.Match[str]) -> str:
        what, *of = match[1].split()
        if what == "names":
            return ", ".join(registry.names(of[0]))
        if what == "keys":
            return ", ".join(parsing.hints(registry.get(of[0], of[1]) if of else Scenario))
        if what == "hint":
            return parsing.describe(parsing.hints(registry.get(of[0], of[1]))[of[2]], of[2])
        if what == "tolerant":
            found = [name for name in registry.names("algorithm") if tolerant(name, *of)]
            return f", such as {', '.join(found)}" if found else ""
        assert what == "quantities"
        return ", ".join(CLAIMED)

    return re.sub(r"<(\w[\w ]*)>", words, text)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with damaged LIBSVM and graph files, and three CSV files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETSIM_DATA", raising=False)
    ours = {k: c for k, c in registry._classes.items() if not c.__module__.startswith("tests.plugins")}
    monkeypatch.setattr(registry, "_classes", ours)
    (tmp_path / "broken.svm").write_text("1 1:0.5 2:1\n-1 1:0.5 two\n")
    (tmp_path / "nan.svm").write_text("1 1:0.5 2:1\n-1 1:nan\n")
    (tmp_path / "trace.csv").write_text("time_s,rate\n0,1e6\n")
    (tmp_path / "table.csv").write_text("from,to,rtt_s,rate_bps\na,b,40,1e6\n")
    (tmp_path / "few.csv").write_text("size_bit,cost\n100,0.1\n200,0.2\n")
    (tmp_path / "parts.graphml").write_text(PARTS)
    (tmp_path / "broken.graphml").write_text("<graphml>\n")
    (tmp_path / "broken.txt").write_text("0 1\n1\n")
    (tmp_path / "four.txt").write_text("0 1\n1 2\n2 3\n")
    with parts():
        yield tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def run(*options: str, out: str = "out") -> int:
    return main(["run", "bad.yaml", "-o", out, "-j", "1", *options])


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name.replace(" ", "-")) for case in cases()])
def test_bad_input_is_answered_with_a_sentence(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(case.text)
    before = everything(folder)
    assert run(*case.options) == 2
    said = capsys.readouterr()
    # Files that are there are named in full.
    assert said.err.replace(f"{Path.cwd()}/", "") == fill(case.expected)
    assert said.out == ""
    assert everything(folder) == before
    assert not (folder / "out").exists()


def test_the_table_is_long_enough() -> None:
    assert len({case.name for case in cases()}) == len(list(cases())) >= 50


LAUGHS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 7))
CHAIN = "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 5000))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"a0: &a0 [x, x, x, x, x, x, x, x, x]\n{LAUGHS}", "at most 100000 values, aliases expanded"),
        (f"a0: &a0 [x]\n{CHAIN}", "at most 64 levels of nesting, aliases expanded"),
        ("[" * 100_000, "at most 64 levels of nesting"),
        (f"a: {'{b: ' * 100_000}", "at most 64 levels of nesting"),
    ],
    ids=["billion laughs", "chain of aliases", "deep lists", "deep mappings"],
)
def test_a_bomb_is_defused(text: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(text)
    assert run() == 2
    assert capsys.readouterr().err == f"bad.yaml:1: scenario: {sentence}.\n"
    assert not (folder / "out").exists()


def test_the_scenario_itself_is_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(BASE)
    assert main(["validate", "bad.yaml"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "bad.yaml: valid; 2 runs (1 point, 2 algorithms, 1 replication)"
    # 2 rounds of 3 uploads and 3 models, twice.
    assert said[1].startswith("estimate, within a factor of some: d = 31, up to 24 messages, ")
    assert main(["run", "bad.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("bad.yaml: 2 runs (1 point, 2 algorithms, 1 replication)\nestimate")
    assert not (folder / "results").exists()


def test_validate_says_the_same_as_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(BASE.replace("nodes: 3", "nodes: 570"))
    said = []
    for words in (["validate", "bad.yaml"], ["run", "bad.yaml"]):
        assert main(words) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert not (folder / "results").exists()


def none_here() -> str:
    return f"a YAML file is needed, or a bundled scenario: {', '.join(bundled()) or 'there are none'}"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nowhere.yaml", None, lambda: f"nowhere.yaml: scenario: {none_here()}. Got no such file."),
        (".", None, lambda: f".: scenario: {none_here()}. Got a folder."),
        (
            "bytes.yaml",
            b"name: \xff\xfe",
            lambda: "bytes.yaml: scenario: a text in UTF-8 is needed. Got byte 0xff at 6.",
        ),
        ("big.yaml", b"#" * (5 << 20), lambda: "big.yaml: scenario: a file of at most 4 MiB. Got 5 MiB."),
    ],
)
def test_a_scenario_that_cannot_be_read(
    name: str, content: bytes | None, expected: Callable[[], str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    assert main(["run", name]) == 2
    assert capsys.readouterr().err == expected() + "\n"


def test_a_file_without_permission(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (folder / "bad.yaml").write_text(BASE)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["validate", "bad.yaml"]) == 2
    assert capsys.readouterr().err == "bad.yaml: scenario: a file that can be read. Got Permission denied.\n"


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_is_a_file(out: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(BASE)
    (folder / "file").write_text("mine")
    before = everything(folder)
    assert run(out=out) == 2
    at = "" if out == "file" else f" at {folder / 'file'}"
    assert capsys.readouterr().err == f"{out}: the output is a folder. Got a file{at}.\n"
    assert everything(folder) == before


def test_an_output_folder_of_somebody_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text(BASE)
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("years")
    before = everything(folder)
    assert run() == 2
    sentence = "out: the folder is not empty and netsim did not write it; choose another one.\n"
    assert capsys.readouterr().err == sentence
    assert everything(folder) == before


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every flush to the disk fails, as it does where no block is free."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (folder / "bad.yaml").write_text(BASE)
    before = everything(folder)
    monkeypatch.setattr(os, "fsync", full)
    assert run() == 2
    sentence = "out: cannot be written: No space left on device. What is finished stays; the same command goes on from"
    assert capsys.readouterr().err == f"{sentence} there.\n"
    assert {name: data for name, data in everything(folder).items() if data} == before
