"""Break the code one line at a time and see that the tests notice: ``python -m tests.mutants [PATTERN]``.

Each mutant is applied to a copy of the project; the tests named beside it must fail on the copy, and pass without it.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".venv", ".git", ".hypothesis", "results", "*.nbi", "*.nbc", ".*_cache", "__pycache__")
TIMEOUT_S = 300  # of the tests of one mutant


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
        Files and tests, as pytest names them.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def run_tests(
    folder: Path, tests: Sequence[str], keep_bytecode: bool = False, timeout_s: float | None = TIMEOUT_S
) -> bool:
    """True where the tests pass in that copy.

    Raises
    ------
    RuntimeError
        If pytest cannot run them, such as where a test of that name is missing or a file cannot be imported.
    """
    # Also child processes import the copy, and no result of a mutant reaches the user's cache.
    environment = {**os.environ, "PYTHONPATH": str(folder), "NETSIM_CACHE": str(folder / "cache")}
    # A mutant may be as long as its original and as old, to the second: bytecode of it must not stay.
    environment |= {} if keep_bytecode else {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # code that never ends is noticed, too
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run them: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    if done.returncode and keep_bytecode:
        print(done.stdout[-4000:])
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
    except RuntimeError as error:
        raise RuntimeError(f"{mutant.name}: {error}") from None
    finally:
        file.write_text(text)


def main() -> int:
    """Check every mutant whose name or file contains the pattern; 1 where one survives."""
    from tests.mutations import MUTANTS

    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [m for m in MUTANTS if pattern in m.name or pattern in m.file]
    if not chosen:
        print(f"no mutant's name or file contains {pattern!r}")
        return 1
    with tempfile.TemporaryDirectory() as name:
        first = Path(name) / "0"
        shutil.copytree(ROOT, first, ignore=shutil.ignore_patterns(*LEFT_OUT))
        if not run_tests(first, sorted({test for m in chosen for test in m.tests}), keep_bytecode=True, timeout_s=None):
            print("the tests fail without any mutant")
            return 1
        folders = queue.SimpleQueue[Path]()
        copies = [first, *(Path(name) / str(i) for i in range(1, min(os.cpu_count() or 1, len(chosen))))]
        for copy in copies:
            if copy != first:
                shutil.copytree(first, copy)
            folders.put(copy)

        def check_somewhere(mutant: Mutant) -> tuple[bool, float]:
            begin_s, folder = time.perf_counter(), folders.get()
            try:
                return check(mutant, folder), time.perf_counter() - begin_s
            finally:
                folders.put(folder)

        survivors = 0
        with ThreadPoolExecutor(len(copies)) as threads:
            for i, (mutant, answer) in enumerate(zip(chosen, threads.map(check_somewhere, chosen), strict=True), 1):
                killed, took_s = answer
                survivors += not killed
                said = "killed" if killed else "SURVIVES"
                print(f"[{i:2}/{len(chosen)}] {said}  {mutant.name} ({took_s:.1f} s)", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return min(survivors, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(str(error))
