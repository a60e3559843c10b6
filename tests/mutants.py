"""Break the code one line at a time and see that the tests notice: ``python -m tests.mutants [PATTERN]``.

Each mutant is applied to a copy of the project; the tests named beside it must fail on the copy, and pass without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutant:
    """One line of one file, made wrong.

    Parameters
    ----------
    name
        What is wrong then.
    file
        Relative to the project.
    old, new
        Text that stands exactly once in the file, and what replaces it.
    tests
        Arguments for pytest.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def run_tests(folder: Path, tests: tuple[str, ...]) -> bool:
    """True where the tests pass in that copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest could not run {tests}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def check(mutant: Mutant, folder: Path) -> bool:
    """True where the tests kill the mutant."""
    file = folder / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise RuntimeError(f"{mutant.name}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}")
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        return not run_tests(folder, mutant.tests)
    finally:
        file.write_text(text)


def main() -> int:
    """Check every mutant whose name contains the pattern; the number that survive."""
    from tests.mutations import MUTANTS

    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [m for m in MUTANTS if pattern in m.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "netsim"
        skip = shutil.ignore_patterns(".venv", ".git", "results", "*.nbi", "*.nbc", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=skip)
        for tests in sorted({m.tests for m in chosen}):
            if not run_tests(folder, tests):
                print(f"the tests fail without any mutant: {' '.join(tests)}")
                return 1
        survivors = 0
        for i, mutant in enumerate(chosen, 1):
            begin = time.perf_counter()
            killed = check(mutant, folder)
            survivors += not killed
            took_s = time.perf_counter() - begin
            print(
                f"[{i:2}/{len(chosen)}] {'killed' if killed else 'SURVIVES'}  {mutant.name} ({took_s:.1f} s)",
                flush=True,
            )
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return min(survivors, 1)


if __name__ == "__main__":
    sys.exit(main())
