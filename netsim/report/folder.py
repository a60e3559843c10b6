"""What a run left in its folder; what is missing or damaged becomes a sentence."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netsim.errors import DataError
from netsim.report import columns as reading
from netsim.report.columns import TEXTS, Columns, concatenate, groups, numbers, size, to_number, unique
from netsim.results.digests import altered
from netsim.results.glossary import GLOSSARY
from netsim.results.summary import Outcome
from netsim.scenario.parts import DIRECTIONS

_FILES = ("scenario.yaml", "manifest.json", "rounds.parquet", "summary.csv")
_TABLES = (
    "rounds.parquet", "summary.csv", "efficiency.parquet", "energy.parquet", "bounds.csv", "findings.csv", "nodes.csv",
    "edges.parquet", "peers.parquet",
)  # fmt: skip
_OF_LABELS = ("rounds", "efficiency", "energy", "bounds", "findings", "edges", "peers")  # each row of one algorithm


@dataclass(frozen=True)
class Estimate:
    """A mean over replications with its 95 % confidence interval; NaN where there is none."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def has_interval(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def half_width(self) -> float:
        """Half of the interval; 0 where there is none."""
        return (self.high - self.low) / 2 if self.has_interval else 0.0


@dataclass(frozen=True)
class Row:
    """One row of summary.csv.

    Parameters
    ----------
    target, target_value
        Metric and value; '' and NaN where the scenario has no target.
    reached, replications
        In how many of how many replications the target was met; -1 where unknown.
    numbers
        Every numeric column.
    run
        The run's title where several are on one page: ratios are to that run's first algorithm.
    words
        Every other column of texts, such as a swept key.
    """

    label: str
    algorithm: str
    point: str
    status: str
    target: str
    target_value: float
    reached: int
    replications: int
    numbers: Mapping[str, float]
    run: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    def estimate(self, stem: str) -> Estimate:
        """Return mean and interval of a quantity, such as ``time_s``."""
        mean, low, high = (self.numbers.get(f"{stem}_{end}", math.nan) for end in ("mean", "low", "high"))
        return Estimate(mean, low, high)

    @property
    def is_complete(self) -> bool:
        """Whether every replication met the target, as far as the row says."""
        return self.reached == self.replications if self.replications > 0 else self.reached != 0


@dataclass(frozen=True)
class Results:
    """All that one page shows.

    Parameters
    ----------
    title, folder
        The run's name, and its folder's.
    scenario, scenario_text, manifest
        The two files parsed, and the scenario verbatim.
    rounds, summary, efficiency, energy, bounds, findings, nodes, edges, peers
        The tables; empty where the file is absent.
    gaps
        One sentence for each thing that is missing or damaged.
    """

    title: str
    folder: str = ""
    scenario: Mapping[str, Any] = field(default_factory=dict)
    scenario_text: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    rounds: Columns = field(default_factory=dict)
    summary: tuple[Row, ...] = ()
    efficiency: Columns = field(default_factory=dict)
    energy: Columns = field(default_factory=dict)
    bounds: Columns = field(default_factory=dict)
    findings: Columns = field(default_factory=dict)
    nodes: Columns = field(default_factory=dict)
    edges: Columns = field(default_factory=dict)
    peers: Columns = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    @property
    def algorithms(self) -> list[Mapping[str, Any]]:
        """The scenario's algorithms."""
        return mappings(self.scenario.get("algorithms"))

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        """The manifest's runs."""
        return mappings(self.manifest.get("runs"))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that have results, in the scenario's order."""
        found = dict.fromkeys([*(row.label for row in self.summary), *unique(self.rounds, "label")])
        listed = [label for label in map(label_of, self.algorithms) if label in found]
        return tuple(dict.fromkeys([*listed, *found]))

    @cached_property
    def tracks(self) -> dict[tuple[str, str], Columns]:
        """The rounds by (point, label), with a column more for each quantity under its noun."""
        return groups(_with_quantities(self.rounds), "point", "label")

    @cached_property
    def outcomes(self) -> dict[tuple[str, str, str, float], dict[float, Outcome]]:
        """What each replication spent, by (point, label, target, its value): filled by those who ask."""
        return {}

    @property
    def points(self) -> tuple[str, ...]:
        """All sweep points, in the order of the files."""
        return tuple(dict.fromkeys([*(row.point for row in self.summary), *unique(self.rounds, "point")]))


def load(folder: Path) -> Results:
    """Read a run's folder.

    Raises
    ------
    DataError
        If the folder does not exist or holds none of a run's files.
    """
    needed = f"{folder}: a folder that netsim run wrote is needed"
    if not folder.is_dir():
        raise DataError(f"{needed}. There is no such folder")
    if not any((folder / name).is_file() for name in _FILES):
        raise DataError(f"{needed}. It holds none of {', '.join(_FILES)}")
    gaps: list[str] = []
    text = _text(folder / "scenario.yaml", gaps)
    scenario = _mapping(text, "scenario.yaml", gaps)
    manifest = _mapping(_text(folder / "manifest.json", gaps), "manifest.json", gaps)
    tables: dict[str, Any] = {name.partition(".")[0]: _table(folder / name, gaps) for name in _TABLES}
    tables["summary"] = tuple(_rows(tables["summary"]))
    name = folder.resolve().name
    gaps += [sentence for sentence in altered(folder, manifest) if sentence not in gaps]
    if manifest.get("complete") is False:
        gaps.append("The study is not complete: what is not finished is missing here.")
    return Results(
        str(scenario.get("name") or name or "run"), name, scenario, text, manifest, gaps=tuple(gaps), **tables
    )


def merge(runs: Sequence[Results]) -> Results:
    """Return several runs as one, each label with its run's name in front."""
    parts, swept = [_named(run) for run in runs], {tuple(mapping(run.scenario.get("sweep"))) for run in runs}
    tables: dict[str, Any] = {table: concatenate([getattr(run, table) for run in parts]) for table in _OF_LABELS}
    return Results(
        " and ".join(run.title for run in runs),
        scenario={
            "algorithms": [a for run in parts for a in run.algorithms],
            "stop": runs[0].scenario.get("stop"),
            "sweep": runs[0].scenario.get("sweep") if len(swept) == 1 else None,
        },
        manifest={"runs": [r for run in parts for r in run.runs], **_said_of_points(runs)},
        summary=tuple(row for run in parts for row in run.summary),
        nodes=parts[0].nodes,
        gaps=tuple(f"{run.title}: {gap}" for run in runs for gap in run.gaps),
        **tables,
    )


def _said_of_points(runs: Sequence[Results]) -> dict[str, dict[str, list[str]]]:
    """Join what several manifests say of their points: every note with its run's name, and ways free in all runs."""
    notes, free = dict[str, list[str]](), dict[str, list[str]]()
    for point in dict.fromkeys(point for run in runs for point in run.points):
        there = [run for run in runs if point in run.points]
        told = [(run, mapping(run.manifest.get("notes")).get(point, ())) for run in there]
        notes[point] = [f"{run.title}: {note}" for run, of_run in told for note in of_run]
        ways = [mapping(run.manifest.get("free_ways")).get(point, ()) for run in there]
        free[point] = [way for way in ways[0] if all(way in others for others in ways)]
    return {"notes": notes, "free_ways": free}


def label_of(algorithm: Mapping[str, Any]) -> str:
    """Return the label of an algorithm of the scenario: its own, else its name."""
    return str(algorithm.get("label") or algorithm.get("name") or "unnamed")


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the members of a list that are mappings; nothing where it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _with_quantities(rounds: Columns) -> Columns:
    """Add the glossary's quantities; a direction without a column counts 0."""

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        values = numbers(rounds, name)
        return np.zeros_like(values) if name not in rounds and name.startswith(DIRECTIONS) else values

    known = [q for q in GLOSSARY if any(name in rounds for name in q.columns)]
    return {**rounds, **{q.noun: q.along(column) for q in known}}


def _named(run: Results) -> Results:
    def name(label: object) -> str:
        return f"{run.title}: {label}"

    def rename(table: Columns) -> Columns:
        if "label" not in table:
            return table
        return {**table, "label": np.array([name(label) for label in table["label"].tolist()], object)}

    algorithms = [{**a, "label": name(label_of(a)), "run": run.title} for a in run.algorithms]
    tables: dict[str, Any] = {table: rename(getattr(run, table)) for table in _OF_LABELS}
    return dataclasses.replace(
        run,
        scenario={**run.scenario, "algorithms": algorithms},
        manifest={**run.manifest, "runs": [{**r, "label": name(r.get("label", ""))} for r in run.runs]},
        summary=tuple(dataclasses.replace(row, label=name(row.label), run=run.title) for row in run.summary),
        **tables,
    )


def _text(path: Path, gaps: list[str]) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        gaps.append(f"{path.name} is missing.")
        return ""


def _mapping(text: str, name: str, gaps: list[str]) -> Mapping[str, Any]:
    import yaml

    try:
        value = json.loads(text or "{}") if name.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        gaps.append(f"{name} cannot be read: {_first_line(error)}.")
        return {}
    if value is not None and not isinstance(value, Mapping):
        gaps.append(f"{name} cannot be read: it is not a mapping.")
    return mapping(value)


def _table(path: Path, gaps: list[str]) -> Columns:
    if not path.is_file():
        gaps += [f"{path.name} is missing."] if path.name in _FILES else []
        return {}
    try:
        return reading.read_csv(path) if path.suffix == ".csv" else reading.read_parquet(path)
    except (OSError, ValueError, TypeError) as error:
        gaps.append(f"{path.name} cannot be read: {_first_line(error)}.")
        return {}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _rows(columns: Columns) -> Iterator[Row]:
    for i in range(size(columns)):
        texts = {name: str(columns[name][i]) if name in columns else "" for name in TEXTS}
        values = {name: float(v[i]) for name, v in columns.items() if v.dtype != object}
        reached, _, total = str(columns["reached"][i] if "reached" in columns else "").partition("of")
        k, n = to_number(reached), to_number(total) if total else values.get("replications", math.nan)
        yield Row(
            texts["label"] or "unnamed", texts["algorithm"], texts["point"], texts["status"], texts["target"],
            values.get("target_value", math.nan), _whole(k), _whole(n), values, "",
            {name: str(v[i]) for name, v in columns.items() if v.dtype == object and name not in TEXTS},
        )  # fmt: skip


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) else -1
