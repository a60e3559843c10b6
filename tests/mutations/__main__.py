"""Make one expression wrong at a time and see that the tests notice: ``python -m tests.mutations [ONLY] [-j N]``.

Each mutant is applied to a copy of the project; the tests named beside it must fail on the copy, and pass without it.
A mutant that survives is a hole in the tests.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutations import GROUPS, MUTANTS
from tests.mutations.mutant import ROOT, AddressError, Mutant

LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", ".hypothesis", "*.nbi", "*.nbc", ".*_cache", "__pycache__")
TIMEOUT_S = 300  # of the tests of one mutant


def run_tests(folder: Path, tests: Sequence[str], timeout_s: float | None = TIMEOUT_S) -> tuple[bool, str]:
    """Whether the tests pass in that copy, and what they say.

    Raises
    ------
    RuntimeError
        If pytest cannot run them, such as where a test of that name is missing.
    """
    # Child processes import the copy as well, and no result of a mutant reaches the user's cache.
    environment = {**os.environ, "PYTHONPATH": str(folder), "NETSIM_CACHE": str(folder / "cache")}
    # A mutant may be as long as its original and as old, to the second: bytecode of it must not stay.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "slow or not slow", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "no end"  # code that never ends is noticed, too
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run them: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, done.stdout[-4000:]


def is_killed(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests notice the mutant in that copy, which is the same afterwards."""
    file = folder / mutant.file
    text = file.read_text("utf-8")
    file.write_text(mutant.apply(text), "utf-8")
    try:
        return not run_tests(folder, mutant.tests)[0]
    except RuntimeError as error:
        raise RuntimeError(f"{mutant.name}: {error}") from None
    finally:
        file.write_text(text, "utf-8")


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy does not need; the results of studies stand at the top alone."""
    return set(LEFT_OUT(folder, names)) | ({"results"} if Path(folder) == ROOT else set())


def main() -> int:
    """Check a group of mutants, or all whose name or address contains a text; 1 where one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("only", nargs="?", default="", help=f"a group ({', '.join(GROUPS)}), or a part of names")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    wanted = parser.parse_args()
    chosen = GROUPS.get(wanted.only) or [m for m in MUTANTS if wanted.only in m.name or wanted.only in m.at]
    if not chosen:
        print(f"no mutant's name or address contains {wanted.only!r}")
        return 1
    with tempfile.TemporaryDirectory() as name:
        first = Path(name) / "0"
        shutil.copytree(ROOT, first, ignore=left_out)
        passes, said = run_tests(first, sorted({test for m in chosen for test in m.tests}), timeout_s=None)
        if not passes:
            print(f"{said}\nthe tests fail without any mutant")
            return 1
        folders = queue.SimpleQueue[Path]()
        for i in range(max(min(wanted.jobs, len(chosen)), 1)):
            if i:
                shutil.copytree(first, Path(name) / str(i))
            folders.put(Path(name) / str(i))

        def check(mutant: Mutant) -> tuple[bool, float]:
            begin_s, folder = time.perf_counter(), folders.get()
            try:
                return is_killed(mutant, folder), time.perf_counter() - begin_s
            finally:
                folders.put(folder)

        survivors = 0
        with ThreadPoolExecutor(folders.qsize()) as threads:
            for i, (mutant, (killed, took_s)) in enumerate(zip(chosen, threads.map(check, chosen), strict=True), 1):
                survivors += not killed
                said = "killed" if killed else "SURVIVES"
                print(f"[{i:3}/{len(chosen)}] {said}  {mutant.name} ({took_s:.1f} s)", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return min(survivors, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, AddressError) as error:
        sys.exit(str(error))
