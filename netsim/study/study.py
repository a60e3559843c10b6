"""A scenario becomes runs, runs become a folder of results; what is finished is not done again."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim import __version__
from netsim import files as files_module
from netsim import scenario as scenarios
from netsim.arrow import numbers
from netsim.errors import ConfigError
from netsim.results import summary as summaries
from netsim.study import nodes, workers
from netsim.study.execute import close_problems, open_problem
from netsim.study.merge import merge
from netsim.study.plan import Run, plan
from netsim.study.progress import watcher
from netsim.study.results import Results
from netsim.study.store import Record, Store

if TYPE_CHECKING:
    from netsim.scenario import Scenario

MARK = ".netsim"  # tells a folder of ours, and is locked while a study writes there
RUNS = "runs"
PCAP = "pcap"
COLUMNS = ("round", "sim_time_s", "loss", "loss_gap", "grad_norm", "accuracy", "energy_j")
MERGED = ("summary.csv", "bounds.csv", nodes.FILE, "report.html", PCAP)
PACKAGES = ("numpy", "scipy", "numba", "simpy", "pyarrow", "scikit-learn")


class Interrupted(KeyboardInterrupt):
    """A study was interrupted; its text says how to go on."""


def run(
    scenario: Scenario,
    out_dir: str | Path,
    jobs: int = 1,
    resume: bool = False,
    plugins: Sequence[str] = (),
    dask: str | None = None,
    command: Sequence[str] = (),
    show: bool = False,
) -> Results:
    """Do all runs of a scenario and write a folder of results.

    A run is one algorithm at one sweep point in one replication. Each is kept under ``out_dir/runs`` by the hash of all
    that decides its bytes: the point's scenario, the algorithm, the replication, the code of netsim and of plugins, the
    files that ``path`` keys name and the versions of the libraries, but not the label or the other algorithms. Equal
    runs are done once. No file there is ever half-written.

    Parameters
    ----------
    scenario
        What to do.
    out_dir
        Where to. Without `resume` the results in it are replaced once the data have been checked.
    jobs
        Processes; 0: one per core. The results do not depend on it.
    resume
        Keep the finished runs of an earlier, interrupted or different, study in `out_dir` that this one has too.
    plugins
        Files of components; already loaded here.
    dask
        Address of a Dask scheduler to do the runs instead of processes.
    command
        For the manifest.
    show
        Show progress on stderr.

    Raises
    ------
    ConfigError
        If the data of a problem are missing or damaged, or if `out_dir` is a file, somebody else's folder, in use by
        another study, or cannot be written (a full disk).
    Interrupted
        After Ctrl-C; what is finished is kept.
    """
    folder, start_s, started = Path(out_dir), time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    _check_folder(folder)
    with workers.one_thread():
        scenarios.check_data(scenario, open_problem)
        runs = plan(scenario, plugins)
        facts = {**_facts(scenario, runs), "command": list(command), "plugins": list(plugins), "started": started}
        with _locked(folder):
            with files_module.writing(folder):
                store = _prepare(folder, scenario, runs, resume, facts)
            records = _do(folder, runs, store, jobs, plugins, dask, show)
            ends = [{**_names(run), **dataclasses.asdict(records[run.hash])} for run in runs]
            with files_module.writing(folder):
                _merge(folder, runs, store, records)
                _bounds(folder, scenario, runs)
                _captures(folder, runs, store)
                nodes.write(folder, scenario, open_problem)
                facts |= {"complete": True, "wall_s": time.perf_counter() - start_s, "runs": ends}
                files_module.write(folder / "manifest.json", _to_json(facts))
            if any(store.tables(run.hash) for run in runs):
                _report(folder)
    return Results(folder)


# --- the folder -------------------------------------------------------------------------------------


def _check_folder(folder: Path) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{folder}: the output is a folder. Got a file{'' if there == folder else f' at {there}'}")
    if there == folder and any(folder.iterdir()) and not _is_ours(folder):
        raise ConfigError(f"{folder}: the folder is not empty and netsim did not write it; choose another one")


def _is_ours(folder: Path) -> bool:
    if (folder / MARK).exists():
        return True
    try:
        return "netsim" in json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError, TypeError):
        return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make the folder and keep other studies out of it; the lock ends with this process, however that ends."""
    import fcntl

    with files_module.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        mark = (folder / MARK).open("a")
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another netsim run is writing there") from None
        yield


def _prepare(folder: Path, scenario: Scenario, runs: Sequence[Run], resume: bool, facts: Mapping[str, Any]) -> Store:
    """Take away what is to be written anew, and say what is being done."""
    half_written = [path.name for path in folder.glob(f"{files_module.ASIDE}*")]
    merged = {f"{path.stem}.parquet" for path in (folder / RUNS).glob("*/*.arrow")}
    for name in (*half_written, "rounds.parquet", *merged, *MERGED, *(() if resume else (RUNS,))):
        files_module.remove(folder / name)
    (folder / RUNS).mkdir(exist_ok=True)
    files_module.write(folder / "scenario.yaml", scenarios.dump_yaml(scenario))
    files_module.write(folder / "manifest.json", _to_json({**facts, "complete": False, "runs": []}))
    store = Store(folder / RUNS)
    store.keep_only({run.hash for run in runs})
    return store


def _do(
    folder: Path,
    runs: Sequence[Run],
    store: Store,
    jobs: int,
    plugins: Sequence[str],
    dask: str | None,
    show: bool,
) -> Mapping[str, Record]:
    """Do what is not done yet; how each run ended, by its hash."""
    unique = {run.hash: run for run in reversed(runs)}
    kept = {hash: record for hash in unique if (record := store.load(hash))}
    left = [run for run in runs if run.hash not in kept and run is unique[run.hash]]
    processes = min(jobs or os.cpu_count() or 1, len(left))
    with watcher(show, len(unique), kept) as seen:
        try:
            if dask is not None or processes > 1:
                close_problems()
            if dask is not None:
                workers.run_on_cluster(dask, left, store, seen, plugins)
            elif processes > 1:
                workers.run_in_children(left, store, seen, processes, plugins)
            else:
                workers.run_here(left, store, seen)
        except KeyboardInterrupt:
            done = f"{len(seen.records)} of {len(unique)} runs are finished"
            raise Interrupted(f"{folder}: interrupted; {done}, and --resume goes on from there") from None
    return seen.records


def _merge(folder: Path, runs: Sequence[Run], store: Store, records: Mapping[str, Record]) -> None:
    """Write the merged tables and the summary."""
    tables = {run.hash: store.tables(run.hash) for run in runs}
    for name in sorted({"rounds"}.union(*tables.values())):
        parts = [(run, tables[run.hash][name]) for run in runs if name in tables[run.hash]]
        if parts or name == "rounds":
            merge(folder / f"{name}.parquet", parts, COLUMNS if name == "rounds" else ())
    same = dict[tuple[str, str], list[Run]]()
    for run in runs:
        same.setdefault((run.point, run.label), []).append(run)
    groups = []
    for (point, label), group in same.items():
        outcomes = [_outcome(run, tables[run.hash].get("rounds"), records[run.hash]) for run in group]
        algorithm, targets = group[0].entry.algorithm.name, group[0].scenario.stop.target
        groups.append(summaries.Group(point, label, algorithm, targets, outcomes))
    files_module.write(folder / "summary.csv", summaries.to_csv(summaries.rows(groups)))


def _outcome(run: Run, rounds: Path | None, record: Record) -> summaries.Outcome:
    targets = run.scenario.stop.target
    if rounds is None:
        return summaries.nothing(record.status, targets)
    import pyarrow as pa

    with pa.memory_map(str(rounds)) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    return summaries.outcome(lambda name: numbers(table[name]), record.status, targets)


def _bounds(folder: Path, scenario: Scenario, runs: Sequence[Run]) -> None:
    if any(run.scenario.record.bounds for run in runs):
        from pyarrow import parquet

        from netsim.results import bounds

        bounds.write(folder, scenario, parquet.ParquetFile(folder / "rounds.parquet").read())


def _captures(folder: Path, runs: Sequence[Run], store: Store) -> None:
    """One capture file a run under a readable name; several where a run has frames of several kinds."""
    files: dict[str, bytes] = {}
    for number, run in enumerate(runs):
        words = "-".join(filter(None, (run.point, run.label, f"rep{run.replication}")))
        name = f"{number:04}-{re.sub(r'[^A-Za-z0-9.=+]+', '-', words)}"
        for file in store.captures(run.hash):
            files[f"{name}{file.name.removeprefix('frames')}"] = file.read_bytes()
    if files:
        files_module.write_folder(folder / PCAP, files)


def _report(folder: Path) -> None:
    from netsim import report

    with files_module.writing(folder):
        report.write(folder)


# --- the manifest -----------------------------------------------------------------------------------


def _facts(scenario: Scenario, runs: Sequence[Run]) -> dict[str, Any]:
    names = "\n".join(" ".join(map(str, _names(run).values())) for run in runs)
    return {
        "netsim": __version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "scenario": scenario.name,
        "seed": scenario.seed,
        "replications": scenario.replications,
        "content_hash": hashlib.sha256(names.encode()).hexdigest(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def _names(run: Run) -> dict[str, Any]:
    return {
        "label": run.label,
        "algorithm": run.entry.algorithm.name,
        "point": run.point,
        "replication": run.replication,
        "hash": run.hash,
    }


def _to_json(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
