"""One run of a study and what decides its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netsim import registry
from netsim.errors import SimulationError
from netsim.study.inputs import code_digest, digest, file_digest, files_of, sources_of

if TYPE_CHECKING:
    from netsim.scenario import Entry, Scenario

Tick = Callable[[int, float, float], None]

# Keys of a scenario that cannot change the bytes of one of its runs.
IRRELEVANT = frozenset(
    {"name", "question", "source", "finding", "claims", "algorithms", "sweep", "replications", "_places"}
)
MAX_OPENED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One algorithm at one sweep point in one replication.

    Parameters
    ----------
    point
        Name of the sweep point; '' where nothing is swept.
    replication
        0, 1, ...
    hash
        Equal for runs that give equal bytes.
    inputs
        The files that the run reads and its plugins, each with its sha256.
    data
        The digest of the problem's data in replication 0; '' where the problem offers none.
    swept
        The point's values of the swept keys, as they stand in the tables' columns.
    group
        Equal for the replications of one algorithm at one point.
    """

    point: str
    scenario: Scenario
    entry: Entry
    replication: int
    hash: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    swept: Mapping[str, int | float | str] = field(default_factory=dict)
    group: str = ""

    @property
    def label(self) -> str:
        """The algorithm's label."""
        return self.entry.label


# --- what decides the bytes ------------------------------------------------------------------------


def plan(
    scenario: Scenario, plugins: Sequence[str] = (), content_of: Callable[[Scenario], str] = lambda _: ""
) -> list[Run]:
    """Return all runs of a study, by sweep point, then algorithm, then replication.

    `content_of` gives the digest of the data that a point's problem has opened; see `netsim.interfaces.HasContent`.

    Raises
    ------
    ConfigError
        If a plugin has changed since it was loaded, or a value has no content that can be told from another's.
    """
    from netsim.scenario import points

    all_points, runs = points(scenario), list[Run]()
    parts = [(key, value) for point in all_points for key, value in vars(point.scenario).items()]
    # Points share the parts that are not swept, such as large data.
    known = {id(value): digest(value) for key, value in parts if key not in IRRELEVANT}
    loaded = registry.loaded_files()
    for point in all_points:
        given, data = point.scenario, content_of(point.scenario)
        shared = {key: known[id(value)] for key, value in vars(given).items() if key not in IRRELEVANT}
        for entry in given.algorithms:
            components = [getattr(given, key) for key in shared] + [entry.algorithm]
            files = {file: file_digest(file) for file in files_of(components)}
            sources = sources_of(components, plugins)
            code = [code_digest(), *sorted(sources.values())]
            facts = digest([shared, entry.algorithm, data, list(files.values()), code])
            inputs = files | {file: sources[file] for file in sources if file in loaded}
            for replication in range(given.replications):
                hash = digest([facts, replication])[:32]
                runs.append(Run(point.name, given, entry, replication, hash, inputs, data, point.swept, facts[:32]))
    return runs


def check_inputs(run: Run, data: str) -> None:
    """Raise `SimulationError` where what a run reads is not what the plan has read; `data` is the problem's digest."""
    loaded = registry.loaded_files()
    for file, planned in run.inputs.items():
        try:
            now = loaded.get(file) or file_digest(file)
        except OSError:
            now = ""
        if now != planned:
            raise SimulationError(f"{file} has changed since the study began; run it again")
    if data != run.data:
        raise SimulationError("this process has other data than the one that planned the run; give them as a file")
