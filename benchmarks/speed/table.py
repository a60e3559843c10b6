"""Print the table: ``python -m benchmarks [--csv FILE]``."""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.speed import (
    bottleneck,
    coding,
    contention,
    messages,
    quantizing,
    replaying,
    selection,
    sharing,
    signs,
    softmax_rounds,
    transfer,
    tuning,
    whole_rounds,
)
from benchmarks.speed.case import Row, measure

SECTIONS = (selection, coding, signs, quantizing, tuning, transfer, bottleneck, sharing, contention, whole_rounds,
            softmax_rounds, replaying, messages)  # fmt: skip
HEAD = ("work", "setting", "ours", "against", "theirs", "ratio", "target", "")
LINE = "{:<16} {:<33} {:>8}  {:<24} {:>8} {:>7} {:>7}  {}"


def main() -> int:
    """0, or 1 where a result is not the other candidates' result; a missed target is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--csv", type=Path, help="write the rows to this file, too; times in seconds")
    arguments = parser.parse_args()
    start = time.perf_counter()
    print("\n".join(machine()), "", LINE.format(*HEAD).rstrip(), sep="\n", flush=True)
    load_all_threads()
    with threadpool_limits(limits=1):
        rows = [row for section in SECTIONS for row in show(section)]
    if arguments.csv is not None:
        write(arguments.csv, rows)
    print(f"\n{summary(rows)} {time.perf_counter() - start:.0f} s. {load()}.")
    return int(any(not row.is_equal for row in rows))


def show(section: object) -> Iterator[Row]:
    """Measure the section's cases; each row is printed as soon as it is there."""
    print()
    for note in section.NOTES:  # type: ignore[attr-defined]
        print(note)
    for case in section.cases():  # type: ignore[attr-defined]
        for row in measure(section.WORK, case):  # type: ignore[attr-defined]
            print(text(row), flush=True)
            yield row


def text(row: Row) -> str:
    """One line of the table."""
    target = "" if row.target is None else f">= {row.target:g}"
    ratio = f"{row.ratio:.2f}" if row.ratio < 10 else f"{row.ratio:,.0f}"
    cells = (row.work, row.setting, duration(row.ours_s), row.against, duration(row.theirs_s), ratio, target)
    return LINE.format(*cells, row.verdict).rstrip()


def duration(seconds: float) -> str:
    """Three digits with a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def summary(rows: list[Row]) -> str:
    """How many targets are met."""
    aimed = [row for row in rows if row.target is not None]
    met = sum(row.verdict == "met" for row in aimed)
    wrong = sum(not row.is_equal for row in rows)
    return f"{met} of {len(aimed)} targets met" + (f", {wrong} WRONG RESULTS." if wrong else ", all results equal.")


def machine() -> list[str]:
    """What the figures depend on."""
    packages = ("numpy", "scipy", "numba", "simpy", "torch")
    versions = ", ".join(f"{name} {installed(name)}" for name in packages)
    return [
        f"{processor()}, {os.cpu_count()} cores; {platform.system()} {platform.machine()}; {load()}",
        f"Python {platform.python_version()}, {versions}",
        "Median processor times of one thread, candidates in turn; ratio: their time over ours. Machine figures move,",
        "ratios carry over.",
    ]


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def load() -> str:
    """How busy the machine is, where that can be asked."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"


def installed(package: str) -> str:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def load_all_threads() -> None:
    """Load every library that brings threads of its own: only then can they be limited."""
    importlib.import_module("scipy.linalg")
    if selection.HAS_TORCH:
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(1)


def write(path: Path, rows: list[Row]) -> None:
    """The rows as CSV."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("work", "setting", "ours_s", "against", "theirs_s", "ratio", "target", "verdict"))
        for row in rows:
            target = "" if row.target is None else row.target
            cells = (row.work, row.setting, row.ours_s, row.against, row.theirs_s, row.ratio, target, row.verdict)
            out.writerow(cells)
