"""The plan of the house: import-linter's contracts, names of modules, and how long files are."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("netsim", "algorithms", "channels")
MODULES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("netsim/study/breach.py", "from channels.links import ideal", "netsim knows no algorithm and no channel"),
        ("algorithms/roles/breach.py", "import channels.links.ideal", "algorithms and channels do not meet"),
        ("netsim/results/breach.py", "import netsim.study.plan", "the rooms of netsim"),
        ("channels/media/breach.py", "from channels.links import wan", "what a channel opens knows no component"),
        ("channels/links/breach.py", "import simpy", "one room each"),
        ("algorithms/agents/breach.py", "import netsim.simulation.engine", "components know contracts"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(f"{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = " ".join(done.stdout.partition("Broken contracts")[2].split())
    assert contract in broken


def test_no_module_begins_with_an_underscore() -> None:
    names = {file.name for file in MODULES if file.name.startswith("_")}
    assert names <= {"__init__.py", "__main__.py"}


def test_no_file_is_longer_than_500_lines_without_a_reason() -> None:
    reasons = (ROOT / "docs/design.md").read_text()
    long = [str(f.relative_to(ROOT)) for f in MODULES if len(f.read_text().splitlines()) > 500]
    assert [file for file in long if f"`{file}`" not in reasons] == []


def test_imports_are_absolute() -> None:
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}:{node.lineno}"


def test_a_folder_of_components_holds_nothing_else() -> None:
    from netsim.registry import PACKAGES as KINDS

    for kind, package in KINDS.items():
        for file in ROOT.joinpath(*package.split(".")).glob("*.py"):
            if file.name != "__init__.py":
                assert re.search(rf'^@component\("{kind}"', file.read_text(), re.M), file
