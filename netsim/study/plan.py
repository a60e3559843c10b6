"""One run of a study: what decides its bytes, doing it, and keeping what it left."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netsim import __version__
from netsim.imports import helpers, package_files
from netsim.scenario.parsing import dump

if TYPE_CHECKING:
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
    swept
        The point's values of the swept keys, as they stand in the tables' columns.
    """

    point: str
    scenario: Scenario
    entry: Entry
    replication: int
    hash: str
    swept: Mapping[str, int | float | str] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        """The algorithm's label."""
        return self.entry.label


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
                runs.append(Run(point.name, point.scenario, entry, replication, digest, point.swept))
    return runs


@functools.cache
def code_digest(plugins: tuple[str, ...] = ()) -> str:
    """A digest of netsim's source files, of plugins and modules beside them, and of the libraries' versions."""
    whole = hashlib.sha256(__version__.encode())
    root = Path(__file__).parents[2]
    for folder in (root / "netsim", root / "algorithms", root / "channels"):
        for file in sorted(folder.rglob("*.py")):
            whole.update(f"{folder.name}/{file.relative_to(folder)}".encode() + file.read_bytes())
    for plugin in plugins:
        for file in (Path(plugin), *(f for module in helpers(plugin).values() for f in package_files(module))):
            whole.update(file.read_bytes())
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


def to_wire(run: Run) -> bytes:
    """What another process needs to execute the run, to be unpickled once the plugins are loaded."""
    return pickle.dumps((run.scenario, run.entry, run.replication))


# --- keeping it -----------------------------------------------------------------------------------
