"""One run of a study: what decides its bytes, doing it, and keeping what it left."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import io
import json
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim import __version__, _files
from netsim.errors import NetsimError
from netsim.fields import dump

if TYPE_CHECKING:
    import pyarrow as pa

    from netsim.interfaces import Problem
    from netsim.scenario import Entry, Scenario

Tick = Callable[[int, float, float], None]

# Keys of a scenario that cannot change the bytes of one of its runs.
IRRELEVANT = frozenset({"name", "question", "source", "finding", "claims", "algorithms", "sweep", "replications"})
LIBRARIES = ("numpy", "scipy", "numba", "scikit-learn")
BATCH_ROWS = 65536
MAX_OPENED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One algorithm at one sweep point in one replication.

    Parameters
    ----------
    point
        Name of the sweep point; '' where nothing is swept.
    scenario
        The point's scenario.
    entry
        The label and the algorithm.
    replication
        0, 1, ...
    hash
        Equal for runs that give equal bytes.
    """

    point: str
    scenario: Scenario
    entry: Entry
    replication: int
    hash: str

    @property
    def label(self) -> str:
        """The algorithm's label."""
        return self.entry.label


@dataclass(frozen=True, slots=True)
class Record:
    """How a run ended.

    Parameters
    ----------
    status
        ``reached``, ``done``, ``stalled`` or ``failed``.
    sentence
        The same in words.
    rounds, sim_time_s
        Where it ended.
    host_s
        Seconds that it took on this machine.
    traceback
        Of a failed run; '' otherwise.
    deaths_s
        When batteries were empty, by node.
    """

    status: str
    sentence: str
    rounds: int = 0
    sim_time_s: float = 0.0
    host_s: float = 0.0
    traceback: str = ""
    deaths_s: Mapping[str, float] = dataclasses.field(default_factory=dict)


# --- what decides the bytes ------------------------------------------------------------------------


def plan(scenario: Scenario, plugins: Sequence[str] = ()) -> list[Run]:
    """All runs of a study, by sweep point, then algorithm, then replication."""
    from netsim.scenario import points

    code = code_digest(tuple(plugins))
    runs = []
    for point in points(scenario):
        shared = {k: v for k, v in dump(point.scenario).items() if k not in IRRELEVANT}
        for entry in point.scenario.algorithms:
            facts = {**shared, "algorithm": dump(entry.algorithm), "code": code}
            facts["files"] = sorted(map(_digest, _files_of(facts, point.scenario, entry.algorithm)))
            for replication in range(point.scenario.replications):
                text = json.dumps({**facts, "replication": replication}, sort_keys=True)
                digest = hashlib.sha256(text.encode()).hexdigest()[:32]
                runs.append(Run(point.name, point.scenario, entry, replication, digest))
    return runs


@functools.cache
def code_digest(plugins: tuple[str, ...] = ()) -> str:
    """A digest of netsim's own source files, the plugins' and the libraries' versions."""
    whole = hashlib.sha256(__version__.encode())
    root = Path(__file__).parents[1]
    for folder in (root / "netsim", root / "algorithms", root / "channels"):
        for file in sorted(folder.rglob("*.py")):
            whole.update(f"{folder.name}/{file.relative_to(folder)}".encode() + file.read_bytes())
    for plugin in plugins:
        whole.update(Path(plugin).read_bytes())
    for library in LIBRARIES:
        whole.update(f"{library} {importlib.metadata.version(library)}".encode())
    return whole.hexdigest()


def _digest(file: str) -> str:
    status = os.stat(file)
    return _digest_of(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _digest_of(file: str, *version: int) -> str:
    return _content(Path(file))


def _content(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _files_of(facts: object, *components: object) -> set[str]:
    """Files whose content decides a run: what ``path`` keys name, and where its components are defined."""
    found = set[str]()
    for key, value in _leaves(facts):
        if (key == "path" or key.endswith("_path")) and isinstance(value, str) and Path(value).is_file():
            found.add(value)
    for component in components:
        found |= _sources(component)
    return found


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value


def _sources(value: object) -> set[str]:
    found = set[str]()
    if dataclasses.is_dataclass(value):
        file = getattr(sys.modules.get(type(value).__module__), "__file__", None)
        if file and hasattr(type(value), "kind"):
            found.add(str(file))
        for field in dataclasses.fields(value):
            if field.name != "algorithms" and not field.name.startswith("_"):
                found |= _sources(getattr(value, field.name))
    elif isinstance(value, Mapping):
        found |= set[str]().union(*map(_sources, value.values()))
    elif isinstance(value, tuple | list):
        found |= set[str]().union(*map(_sources, value))
    return found


# --- doing it ------------------------------------------------------------------------------------


def execute(
    scenario: Scenario, entry: Entry, replication: int, tick: Tick | None = None
) -> tuple[Record, dict[str, bytes]]:
    """Do one run.

    Parameters
    ----------
    scenario, entry, replication
        Of the `Run`.
    tick
        Called with (round, simulated seconds, loss).

    Returns
    -------
    How it ended, and the files to keep: one arrow file per table. None where the run raised an error, which
    is a record of status ``failed``.
    """
    from netsim import engine

    start_s = time.perf_counter()
    try:
        problem = open_problem(scenario)
        result = engine.simulate(scenario, entry, replication, problem, tick)
        files = {f"{name}.arrow": _to_bytes(table) for name, table in result.tables.items()}
        files |= result.captures
    except Exception as error:
        sentence = str(error) if isinstance(error, NetsimError) else f"{type(error).__name__}: {error}"
        host_s = time.perf_counter() - start_s
        return Record("failed", " ".join(sentence.split()), host_s=host_s, traceback=traceback.format_exc()), {}
    host_s = time.perf_counter() - start_s
    deaths_s = {str(node): at_s for node, at_s in result.deaths_s.items()}
    record = Record(result.status, result.sentence, result.rounds, result.sim_time_s, host_s, deaths_s=deaths_s)
    return record, files


def open_problem(scenario: Scenario) -> Problem:
    """The scenario's problem, opened once per process: loading and splitting data costs seconds."""
    key = json.dumps([dump(scenario.problem), scenario.seed], sort_keys=True)
    if key not in _opened:
        while len(_opened) >= MAX_OPENED:
            del _opened[next(iter(_opened))]
        _opened[key] = scenario.problem.open(scenario.seed)
    return _opened[key]


def close_problems() -> None:
    """Give back the memory of what `open_problem` keeps."""
    _opened.clear()


_opened = dict[str, "Problem"]()


def _to_bytes(table: pa.Table) -> bytes:
    import pyarrow as pa

    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(buffer, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return buffer.getvalue()


def to_wire(run: Run) -> bytes:
    """What another process needs to execute the run, to be unpickled once the plugins are loaded."""
    return pickle.dumps((run.scenario, run.entry, run.replication))


# --- keeping it -----------------------------------------------------------------------------------


class Store:
    """Finished runs, each a folder named by its hash with its tables and ``run.json``.

    Parameters
    ----------
    folder
        Holds the runs of one study and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, hash: str, record: Record, files: Mapping[str, bytes]) -> None:
        """Keep a run, whole or not at all.

        Raises
        ------
        ConfigError
            If the file system does not take it.
        """
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        facts = json.dumps({**dataclasses.asdict(record), "files": digests}, indent=1)
        with _files.writing(self.folder.parent):
            _files.write_folder(self.folder / hash, {**files, "run.json": facts.encode()})

    def load(self, hash: str) -> Record | None:
        """How a kept run ended; None where it is missing or damaged."""
        try:
            facts = json.loads((self.folder / hash / "run.json").read_text())
            digests = facts.pop("files")
            if any(_content(self.folder / hash / name) != digest for name, digest in digests.items()):
                return None
            return Record(**facts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def tables(self, hash: str) -> dict[str, Path]:
        """Table name to arrow file."""
        return {file.stem: file for file in sorted((self.folder / hash).glob("*.arrow"))}

    def captures(self, hash: str) -> list[Path]:
        """Capture files of a kept run."""
        return sorted((self.folder / hash).glob("*.pcap"))

    def keep_only(self, hashes: set[str]) -> None:
        """Remove every other run and what a killed study left half-written."""
        for path in self.folder.iterdir():
            if path.name not in hashes:
                _files.remove(path)
