"""A scenario becomes runs, runs become a folder of results; what is finished is not done again."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim import __version__
from netsim import files as files_module
from netsim import scenario as scenarios
from netsim.errors import ConfigError, UnfinishedError
from netsim.interfaces import Draws, HasBatches, LabelCounts, Redraws
from netsim.results import summary as summaries
from netsim.results.digests import digests
from netsim.results.findings import findings
from netsim.study import children, find_step, names, nodes, workers
from netsim.study.check import check, warnings
from netsim.study.execute import close_problems, content, open_problem, problem_key
from netsim.study.plan import Run, plan
from netsim.study.progress import watcher
from netsim.study.results import Results
from netsim.study.store import Record, Store

if TYPE_CHECKING:
    from netsim.interfaces import Problem
    from netsim.scenario import Scenario

MARK = ".netsim"  # marks a folder of netsim's, and is locked while a study writes there
MAX_PATH = 4096  # bytes of a path, on Linux
MAX_DEPTH = 200
RUNS = "runs"
PCAP = "pcap"
COLUMNS = ("round", "sim_time_s", "loss", "loss_gap", "grad_norm", "accuracy", "energy_j")
MERGED = ("summary.csv", "findings.csv", "bounds.csv", nodes.FILE, find_step.FILE, "report.html", PCAP)
WRITTEN = ("scenario.yaml", *MERGED)
PACKAGES = ("numpy", "scipy", "numba", "simpy", "pyarrow", "scikit-learn")


class Interrupted(KeyboardInterrupt):
    """A study was interrupted; its text says how to go on."""


def run(
    scenario: Scenario,
    out_dir: str | Path,
    jobs: int = 1,
    fresh: bool = False,
    plugins: Sequence[str] = (),
    dask: str | None = None,
    command: Sequence[str] = (),
    show: bool = False,
) -> Results:
    """Do all runs of a scenario and write a folder of results.

    A run is one algorithm at one sweep point in one replication. Each is kept under ``out_dir/runs`` by the hash of all
    that decides its bytes: the point's scenario, the algorithm, the replication, the data, the content of every file
    that a component reads, the code of netsim, of plugins and of the modules that they import, and the versions of the
    libraries, but not the label or the other algorithms. Equal runs are done once, and a run that is there is not done
    again. No file there is ever half-written; finished runs are removed by `prune` alone.

    Parameters
    ----------
    out_dir
        Where to. Merged tables of an earlier study in it are replaced once the data have been checked.
    jobs
        Processes; 0: one per core. The results do not depend on it.
    fresh
        Do all runs again, those that are there, too.
    plugins
        Files of components; already loaded here.
    dask
        Address of a Dask scheduler to do the runs instead of processes.
    command
        For the manifest.

    Raises
    ------
    ConfigError
        If the data of a problem are missing or damaged, or if `out_dir` is a file, somebody else's folder, in use by
        another study, or cannot be written (a full disk).
    Interrupted
        After Ctrl-C; what is finished is kept.
    """
    folder, start_s, started = Path(out_dir), time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    check_folder(folder)
    with children.one_thread():
        close_problems()  # data in memory may have changed since an earlier study of this process
        data, redrawn, labels = dict[str, str](), set[str](), dict[str, LabelCounts | None]()

        def opened(point: Scenario) -> Problem:
            problem = open_problem(point)
            data[problem_key(point)] = content(problem)
            labels[problem_key(point)] = nodes.counts(problem)
            redrawn.update(_redrawn(point, problem))
            return problem

        with contextlib.chdir(Path.cwd()):  # a component that goes elsewhere does not take the results along
            outlooks = check(scenario, opened)
        for warning in warnings(outlooks) if show else ():
            print(f"warning: {warning}", file=sys.stderr)
        shares = {point.name: labels[problem_key(point.scenario)] for point in scenarios.points(scenario)}
        runs = plan(scenario, plugins, lambda point: data[problem_key(point)])
        facts = {**_facts(scenario, runs), "redrawn": [part for part in scenario.varied if part in redrawn]}
        facts |= {"command": list(command), "plugins": list(plugins), "started": started}
        with _locked(folder):
            if show and (other := names.other(folder, scenario)):
                print(f"{folder}: {other}; its tables are replaced, its finished runs stay", file=sys.stderr)
            with files_module.writing(folder):
                store = _prepare(folder, scenario, runs, facts)
            records = _do(folder, runs, store, jobs, fresh, plugins, dask, show)
            store.check(hash for hash, record in records.items() if record.status != "failed")
            ends = [{**_names(run), **dataclasses.asdict(records[run.hash])} for run in runs]
            with files_module.writing(folder, UnfinishedError):
                written = _merge(folder, runs, store, records)
                with contextlib.chdir(Path.cwd()):
                    _bounds(folder, scenario, runs)
                _captures(folder, runs, store)
                nodes.write(folder, shares)
                facts |= {"complete": True, "wall_s": time.perf_counter() - start_s, "runs": ends}
                facts["files"] = digests(folder, frozenset({*written, *WRITTEN}))
                files_module.write(folder / "manifest.json", _to_json(facts))
            if any(store.tables(run.hash) for run in runs):
                _report(folder)
    return Results(folder)


def prune(out_dir: str | Path) -> tuple[int, int]:
    """Remove the finished runs in a folder that its last study does not have; return how many, and their bytes.

    Raises
    ------
    ConfigError
        If netsim did not write the folder, another study is writing there, or its manifest cannot be read.
    """
    folder = Path(out_dir)
    if not folder.is_dir() or not _is_ours(folder):
        raise ConfigError(f"{folder}: a folder that netsim run wrote is needed")
    with _locked(folder), files_module.writing(folder):
        try:
            kept = {run["hash"] for run in Results(folder).runs}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{folder}: manifest.json does not say which runs are needed ({error})") from error
        store = Store(folder / RUNS)
        sizes = [store.remove(hash) for hash in store.hashes() if hash not in kept]
        store.tidy()
    return len(sizes), sum(sizes)


# --- the folder -------------------------------------------------------------------------------------


def check_folder(out_dir: str | Path) -> None:
    """Refuse a folder that `run` cannot write to, before any work.

    Raises
    ------
    ConfigError
        If it is a file, somebody else's folder, or takes no new file.
    """
    folder = Path(out_dir)
    if not 0 < len(os.fsencode(out_dir)) < MAX_PATH or "\0" in str(out_dir):
        raise ConfigError(f"the output is a folder: 1 to {MAX_PATH - 1} bytes without NUL. Got {str(out_dir)[:60]!r}")
    if len(folder.parts) > MAX_DEPTH:
        raise ConfigError(f"the output is a folder: at most {MAX_DEPTH} folders deep. Got {len(folder.parts)}")
    with files_module.writing(folder):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder.lstat()  # says that a name is too long
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not there.is_dir():
            where = "" if there == folder else f" at {there}"
            raise ConfigError(f"{folder}: the output is a folder. Got a file{where}")
        if there == folder and any(folder.iterdir()) and not _is_ours(folder):
            raise ConfigError(f"{folder}: the folder is not empty and netsim did not write it; choose another one")
        files_module.check_folder(there)


def _is_ours(folder: Path) -> bool:
    if (folder / MARK).exists():
        return True
    try:
        return "netsim" in json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make the folder and keep other studies out of it; the lock ends with this process, however that ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / MARK, timeout=0)
    with files_module.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise ConfigError(f"{folder}: another netsim run is writing there") from None
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):  # where the folder is gone, that is said already
            (folder / MARK).touch()  # the mark stays without the lock


def _prepare(folder: Path, scenario: Scenario, runs: Sequence[Run], facts: Mapping[str, Any]) -> Store:
    """Remove the files that this study will write anew, and write scenario and manifest."""
    half_written = [path.name for path in folder.glob(f"{files_module.ASIDE}*")]
    merged = {f"{path.stem}.parquet" for path in (folder / RUNS).glob("*/*.arrow")}
    for name in (*half_written, "rounds.parquet", *merged, *MERGED):
        files_module.remove(folder / name)
    (folder / RUNS).mkdir(exist_ok=True)
    files_module.write(folder / "scenario.yaml", scenario.to_yaml())
    planned = [{**_names(run), "status": "unfinished", "sentence": ""} for run in runs]
    files_module.write(folder / "manifest.json", _to_json({**facts, "complete": False, "runs": planned}))
    store = Store(folder / RUNS)
    store.tidy()
    return store


def _do(
    folder: Path,
    runs: Sequence[Run],
    store: Store,
    jobs: int,
    fresh: bool,
    plugins: Sequence[str],
    dask: str | None,
    show: bool,
) -> Mapping[str, Record]:
    """Do what is not done yet; how each run ended, by its hash."""
    unique = {run.hash: run for run in reversed(runs)}
    known = {hash: record for hash in unique if (record := store.load(hash))}
    for hash in known:
        if known[hash].status == "failed":  # and is tried again: what it left is not finished
            store.remove(hash)
    kept = {} if fresh else {hash: record for hash, record in known.items() if record.status != "failed"}
    left = _by_problem([run for run in runs if run.hash not in kept and run is unique[run.hash]])
    processes = min(jobs or os.cpu_count() or 1, len(left))
    with watcher(show, len(unique), kept) as seen:
        try:
            if dask is not None or processes > 1:
                close_problems()
            if dask is not None:
                workers.run_on_cluster(dask, left, store, seen, plugins)
            elif left and (processes > 1 or plugins):
                # A plugin may end its process or wait for input: it never runs in this one.
                workers.run_in_children(left, store, seen, processes, plugins)
            else:
                workers.run_here(left, store, seen)
        except KeyboardInterrupt:
            done = f"{len(seen.records)} of {len(unique)} runs are finished"
            raise Interrupted(f"{folder}: interrupted; {done}, and the same command goes on from there") from None
    return seen.records


def _by_problem(runs: Sequence[Run]) -> list[Run]:
    """Sort runs so that those of one problem follow each other: it is then opened once."""
    known, keys = dict[tuple[int, Draws], str](), list[str]()
    for run in runs:
        fact = id(run.scenario), run.scenario.draws(run.replication)
        if fact not in known:
            known[fact] = problem_key(run.scenario, run.replication)
        keys.append(known[fact])
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return [run for _, run in sorted(zip(keys, runs, strict=True), key=lambda pair: places[pair[0]])]


def _merge(folder: Path, runs: Sequence[Run], store: Store, records: Mapping[str, Record]) -> list[str]:
    """Write the merged tables and the summary; return the tables' files."""
    from netsim.study.merge import merge

    tables = {run.hash: store.tables(run.hash) for run in runs}
    kinds = sorted({"rounds"}.union(*tables.values()))
    for name in kinds:
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
        groups.append(summaries.Group(point, label, algorithm, targets, outcomes, group[0].swept))
    files_module.write(folder / "summary.csv", summaries.to_csv(summaries.rows(groups)))
    found = findings(runs[0].scenario.claims, groups) if runs else []
    if found:
        files_module.write(folder / "findings.csv", summaries.to_csv(found))
    return [f"{name}.parquet" for name in kinds]


def _outcome(run: Run, rounds: Path | None, record: Record) -> summaries.Outcome:
    targets = run.scenario.stop.target
    if rounds is None:
        return summaries.nothing(record.status, targets)
    import pyarrow as pa

    from netsim.arrow import numbers

    with rounds.open("rb") as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    return summaries.outcome(lambda name: numbers(table[name]), record.status, targets)


def _bounds(folder: Path, scenario: Scenario, runs: Sequence[Run]) -> None:
    if any(run.scenario.record.bounds for run in runs):
        from pyarrow import parquet

        from netsim.results import bounds

        with (folder / "rounds.parquet").open("rb") as file:
            bounds.write(folder, scenario, parquet.ParquetFile(file).read())


def _captures(folder: Path, runs: Sequence[Run], store: Store) -> None:
    """Write one capture file per run under a readable name; several where a run has frames of several kinds."""
    files: dict[str, Path] = {}
    for number, run in enumerate(runs):
        words = "-".join(filter(None, (run.point, run.label, f"rep{run.replication}")))
        name = f"{number:04}-{names.file_name(words, run.hash)}"
        for file in store.captures(run.hash):
            files[f"{name}{file.name.removeprefix('frames')}"] = file
    if files:
        files_module.write_folder(folder / PCAP, files)


def _report(folder: Path) -> None:
    from netsim import report

    with files_module.writing(folder, UnfinishedError):
        report.write(folder)


# --- the manifest -----------------------------------------------------------------------------------


def _redrawn(scenario: Scenario, problem: Problem) -> Iterator[str]:
    """Yield the parts that differ between the replications of a point, as far as known before they run."""
    names = scenario.problem.redraws if isinstance(scenario.problem, Redraws) else frozenset[str]()
    is_whole = not isinstance(problem, HasBatches) or all(
        problem.batch_size(node) == problem.num_samples(node) for node in range(problem.num_nodes)
    )
    for part in scenario.varied if scenario.replications > 1 else ():
        if part in names or part in ("codec", "channel") or (part == "batch" and not is_whole):
            yield part


def _facts(scenario: Scenario, runs: Sequence[Run]) -> dict[str, Any]:
    texts = "\n".join(" ".join(map(str, _names(run).values())) for run in runs)
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
        "scenario_file": names.file_of(scenario),
        "seed": scenario.seed,
        "replications": scenario.replications,
        "notes": {run.point: notes for run in runs if (notes := run.scenario.network.notes)},
        "free_ways": {run.point: list(ways) for run in runs if (ways := run.scenario.network.free_ways)},
        "vary": list(scenario.varied),
        "content_hash": hashlib.sha256(texts.encode()).hexdigest(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
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
