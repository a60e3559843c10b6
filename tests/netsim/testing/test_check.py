"""``netsim check``: what it says of plugins that keep their contract, and of such that do not."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netsim import registry
from netsim.cli import main
from netsim.tools import check
from tests.support import PLUGINS, ROOT

WHOLE = [PLUGINS / f"{name}.py" for name in ("power_of_two", "dgd_like", "pigeon", "lena_like", "sparq_like")]
BROKEN = sorted((PLUGINS / "broken").glob("*.py"))
PUBLIC = (
    "netsim.interfaces", "netsim.fields", "netsim.registry", "netsim.errors", "netsim.rng", "netsim.units",
    "netsim.testing", "algorithms.coding.", "algorithms.roles.", "channels.costing.",
)  # fmt: skip


def python(code: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, so that plugins stay out of this one."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, cwd=folder, timeout=300)


def checked(*files: Path | str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return python(f"from netsim.cli import main; sys.exit(main({['check', *map(str, files)]!r}))", folder)


def rows(text: str) -> dict[str, str]:
    """The first line that is said of each check, by its name, of one component."""
    lines = [line for line in text.splitlines()[1:] if line[:2] == "  " and line[2:3].strip()]
    return {line[2:18].strip(): " ".join(line[18:].split()) for line in lines[:-1]}


def test_the_examples_of_contributing_keep_their_contracts() -> None:
    done = checked(*WHOLE)
    assert (done.returncode, done.stderr) == (0, "")
    for file, text in zip(WHOLE, done.stdout.split("\n\n"), strict=True):
        assert text.startswith(f"{file}: ")
        assert {row.split()[0] for row in rows(text).values()} == {"holds"}
        assert len(rows(text)) >= 7


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What is said of every broken plugin, by name."""
    done = checked(*BROKEN)
    assert (done.returncode, done.stderr) == (1, "")
    return {file.stem: text for file, text in zip(BROKEN, done.stdout.split("\n\n"), strict=True)}


@pytest.mark.parametrize(
    ("name", "promise", "sentence", "case"),
    [
        (
            "wrong_decode",
            "contraction",
            "decode gives [1.5], whose ||Q - x||^2 is 4 ||x||^2; promised is at most 1 - contraction(1) = 0",
            "x = [-1.5] (float64, d = 1)",
        ),
        (
            "too_long",
            "round trip",
            "the payload has 8 bytes; max_size_bytes(1) promises at most 4",
            "x = [1.0] (float64, d = 1)",
        ),
        (
            "wrong_dtype",
            "round trip",
            "decode gives float32 of shape (1,); float64 of shape (1,) is promised",
            "x = [1.0] (float64, d = 1)",
        ),
        (
            "raises_in_round_3",
            "reports",
            "node 0, round 3: IndexError: list index out of range (raises_in_round_3.py:LINE)",
            "a ring of 5 peers, d = 12, 5 rounds",
        ),
        (
            "never_reports",
            "reports",
            "the server never reports an estimate: node 0 awaited 2000 commands, the last a",
            "a star of 3 workers and a server, d = 12, 1 round",
        ),
        (
            "usage_has_gaps",
            "states",
            "the states of (0, 'port') add up to 0 ns at 1 ns; they must fill the time",
            "no message",
        ),
    ],
)
def test_a_broken_plugin_gets_its_own_sentence(
    name: str, promise: str, sentence: str, case: str, said: dict[str, str]
) -> None:
    source = (PLUGINS / "broken" / f"{name}.py").read_text().splitlines()
    line = next((i for i, text in enumerate(source, 1) if "step_sizes[round]" in text), 0)
    assert rows(said[name])[promise].startswith("BROKEN " + sentence.replace("LINE", str(line)))
    lines = [text.strip() for text in said[name].splitlines()]
    at = next(i for i, text in enumerate(lines) if text.startswith(promise))
    assert lines[at + 1] == f"breaks on {case}"
    assert rows(said[name])["configuration"].startswith("holds ")


def test_a_check_that_must_hold_first_is_named(said: dict[str, str]) -> None:
    assert rows(said["never_reports"])["lockstep"] == "not checked reports must hold first"


@pytest.mark.parametrize("file", [*WHOLE[:3], *BROKEN], ids=lambda file: file.stem)
def test_examples_import_public_names_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        assert not isinstance(node, ast.Import) or {alias.name for alias in node.names} <= {"numpy"}
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in (
            "netsim", "algorithms", "channels",
        ):  # fmt: skip
            assert f"{node.module}.".startswith(tuple(f"{name.rstrip('.')}." for name in PUBLIC)), node.module


# --- what cannot be checked -------------------------------------------------------------------------------------

HEAD = """
from dataclasses import dataclass
from typing import ClassVar
from netsim.fields import PositiveFloat
from netsim.registry import component
"""
STEP = (
    HEAD
    + """
@component("step")
@dataclass(frozen=True)
class Step:
    value: PositiveFloat = 1.0
"""
)


@pytest.mark.parametrize(
    ("text", "code", "out"),
    [
        (
            STEP,
            1,
            "examples        BROKEN       Step has no examples to check it with; give it some: examples: ClassVar",
        ),
        (
            STEP + "    examples: ClassVar = ({}, {'value': 0})",
            1,
            "BROKEN       the example is refused: value: a number >",
        ),
        (STEP + "    examples: ClassVar = ({}, {'value': 2})", 0, "  1 of 1 hold, with 2 examples"),
        (STEP.replace("(frozen=True)", "") + "    examples: ClassVar = ({},)", 1, "BROKEN       TypeError: unhashable"),
        (STEP.replace("step", "problem") + "    examples: ClassVar = ({},)", 1, "Step has no method open"),
    ],
)
def test_other_kinds_and_missing_examples(text: str, code: int, out: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = checked("mine.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("mine.py: ")
    assert out in done.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "check: a Python file is needed. Got 'mine.py'."),
        ("x = 1", "check mine.py: no class under @component(kind) in it."),
        ("import nothing_of_that_name", "check mine.py: ModuleNotFoundError: No module named 'nothing_of_that_name'."),
    ],
)
def test_bad_input_is_one_sentence(text: str | None, sentence: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    done = checked("mine.py", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{sentence}\n")


def test_a_component_of_ours_is_checked_by_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "algorithms" / "compressors" / "sign.py")]) == 0
    assert f"12 of 12 hold, with {len(registry.get('compressor', 'sign').examples)} example" in capsys.readouterr().out  # type: ignore[attr-defined]


def test_what_could_not_be_checked_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETSIM_DATA", str(tmp_path))
    assert main(["check", str(ROOT / "algorithms" / "datasets" / "libsvm.py")]) == 0
    assert "shapes          not checked  its file is missing: a9a/a9a.xz, a file in LIBSVM" in capsys.readouterr().out


# --- what does not end --------------------------------------------------------------------------------------------

ENDLESS = (
    HEAD
    + """
from netsim.interfaces import Mark

@component("algorithm")
@dataclass(frozen=True)
class Endless:
    tolerates: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar = ({{}},)
    def peer(self, ctx):
        return Peer()

class Peer:
    async def run(self):
{body}
"""
)
BODIES = {
    "commands": "        while True:\n            await Mark()",
    "python": "        while True:\n            pass",
    "swallows": "        while True:\n            try:\n                while True:\n                    pass\n"
    "            except BaseException:\n                n = 1",
}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("commands", "peer 0 never reports an estimate: node 0 awaited 2000 commands, the last a Mark, and the run is"),
        ("python", "does not end within 0.5 s, at mine.py:"),
    ],
)
def test_what_never_ends_is_stopped(body: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ENDLESS.format(body=BODIES[body]))
    code = "from netsim.tools import check; check.BUDGET_S = 0.5; sys.exit(not check.command(['mine.py'], print))"
    done = python(code, tmp_path)
    assert done.returncode == 1
    assert f"  reports         BROKEN       {sentence}" in done.stdout
    assert "  delays          not checked  reports must hold first" in done.stdout


def test_what_swallows_every_error_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ENDLESS.format(body=BODIES["swallows"]))
    code = "from netsim.tools import check; check.BUDGET_S, check.GRACE_S = 0.3, 0.5; check.command(['mine.py'], print)"
    done = python(code, tmp_path)
    assert done.returncode == 1
    assert "Timeout (0:00:00.8" in done.stderr
    assert 'mine.py", line 2' in done.stderr


def test_the_budget_ends_with_the_check() -> None:
    with check.within(60.0):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_lines_of_contributing_run(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "power_of_two.py").write_text((PLUGINS / "power_of_two.py").read_text())
    assert python(code, tmp_path).returncode == 0
    (tmp_path / "power_of_two.py").write_text((PLUGINS / "broken" / "too_long.py").read_text())
    done = python(code, tmp_path)
    assert (
        "ContractError: the payload has 8 bytes; max_size_bytes(1) promises at most 4; breaks on x = [1.0]"
        in done.stderr
    )
    assert "the payload has 8 bytes; max_size_bytes(1) promises at most 4\n" in text
