"""YAML to a checked, frozen scenario, and back.

All that is wrong is said at once, each fault as ``FILE:LINE: where: what is allowed. Got X. Nearest: Y.``
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from netsim.errors import ConfigError, DataError, Fault, nearest_name
from netsim.fields import NonNegativeInt, PositiveInt, Ref
from netsim.interfaces import Draws, Problem, ProblemConfig, Redraws
from netsim.scenario import availability as availability_module
from netsim.scenario import sweep as sweep_module
from netsim.scenario import yaml_lines
from netsim.scenario.checks import (
    cross_faults,
    metric_faults,
    more_metrics,
    optimum_faults,
    problem_faults,
    start_faults,
    start_metrics,
)
from netsim.scenario.compute import ComputeModel
from netsim.scenario.devices import devices
from netsim.scenario.parsing import Path as Where
from netsim.scenario.parsing import build_component, dump, parse_fields, text_fault
from netsim.scenario.parts import VARIED, Claim, Entry, Network, Record, Stop
from netsim.scenario.paths import in_full

MAX_BYTES = 4 << 20
MAX_POINTS = 100_000
Varied = Literal["data", "partition", "start", "batch", "codec", "channel"]
SWEEPABLE = ("problem", "network", "compute", "algorithms", "stop", "seed")


@dataclass(frozen=True)
class Places:
    """Where the values of a scenario were written.

    Parameters
    ----------
    file
        As the user named it; '' where there is none.
    lines
        Line of each key and list item.
    origins
        What stands in place of file and line for some paths and all below, such as an option of the command line.
    """

    file: str = ""
    lines: Mapping[Where, int] = field(default_factory=dict)
    origins: Mapping[Where, str] = field(default_factory=dict)

    def origin(self, path: Where) -> str:
        """Return ``FILE:LINE`` of the nearest key at or above `path`."""
        for start, text in self.origins.items():
            if path[: len(start)] == start:
                return text
        return f"{self.file}:{self.line(path)}" if self.file else ""

    def line(self, path: Where) -> int:
        """Return the line of the nearest key at or above `path`, 1 where there is none."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 1)

    def locate(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return the faults, each with its origin, in the order of the lines."""
        known = [f if f.origin else dataclasses.replace(f, origin=self.origin(f.path)) for f in faults]
        return sorted(known, key=lambda fault: self.line(fault.path))


@dataclass(frozen=True)
class Scenario:
    """A study: one problem, one network, several algorithms.

    Parameters
    ----------
    name
        Names the folder of its results.
    problem
        What is learned.
    algorithms
        In the order of tables and figures; ratios are to the first.
    question, source, finding
        For the reader of the page.
    seed
        Of every random stream.
    replications
        Runs of each algorithm, each with its own streams.
    dtype
        Of the agents' vectors: models, gradients, memories.
    network, compute, stop, record
        See there.
    sweep
        Path of a key to the values that it takes; every combination is a point. The parts that may be swept are
        problem, network, compute, algorithms, stop and seed.
    vary
        What a replication draws anew, one or a list: ``data`` (synthetic data, subsamples), ``partition`` (which node
        has which samples, and a random topology), ``start`` (w^0), ``batch`` (minibatches), ``codec`` (what codecs and
        agents draw), ``channel`` (what links draw, times and speeds of computing, boards, and when nodes are off).
        ``all`` of them by default. The optimum and L are those of the problem that was drawn.
    claims
        What the source says, to compare.

    Raises
    ------
    ConfigError
        Listing all that does not fit together.
    """

    name: str
    problem: Annotated[ProblemConfig, Ref("problem")]
    algorithms: tuple[Entry, ...]
    question: str = ""
    source: str = ""
    finding: str = ""
    seed: NonNegativeInt = 0
    replications: PositiveInt = 1
    dtype: Literal["float64", "float32"] = "float64"
    network: Network = field(default_factory=Network)
    compute: ComputeModel = field(default_factory=ComputeModel)
    stop: Stop = field(default_factory=Stop)
    record: Record = field(default_factory=Record)
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    vary: Literal["all", Varied] | tuple[Varied, ...] = "all"
    claims: tuple[Claim, ...] = ()
    _places: Places = field(default_factory=Places, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults = cross_faults(vars(self))
        if self.sweep and not faults:
            faults = _expand(self)[1]
        if faults:
            raise ConfigError(self._places.locate(faults))

    @property
    def file(self) -> str:
        """The file that it was read from, as the user named it; '' where there is none."""
        return self._places.file

    @property
    def varied(self) -> tuple[str, ...]:
        """What a replication draws anew."""
        return VARIED if self.vary == "all" else (self.vary,) if isinstance(self.vary, str) else self.vary

    def draws(self, replication: int) -> Draws:
        """Return the streams from which the problem of a replication is drawn."""
        redraws = self.problem.redraws if isinstance(self.problem, Redraws) else frozenset[str]()
        return Draws(**{part: replication for part in self.varied if part in redraws})

    def open_problem(self, replication: int = 0) -> Problem:
        """Load and split the data of a replication."""
        if isinstance(self.problem, Redraws):
            return self.problem.open(self.seed, self.draws(replication))
        return self.problem.open(self.seed)

    def to_yaml(self) -> str:
        """Return YAML with every default written out; it loads as an equal scenario."""
        return yaml_lines.write(_plain(self))


@dataclass(frozen=True)
class Point:
    """One combination of swept values.

    Parameters
    ----------
    name
        For readers; '' where nothing is swept.
    scenario
        Without sweep.
    swept
        What stands in the column of each swept key: numbers where all of its values are numbers; see `sweep.columns`.
    """

    name: str
    scenario: Scenario
    swept: Mapping[str, int | float | str] = field(default_factory=dict)


def load(source: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    source
        A file, or the name of a bundled scenario. Files that it names are looked for beside it, then in the working
        folder (see `netsim.scenario.paths`), then by whoever reads them in the data folder.
    overrides
        ``key.path=value`` with the value in YAML, such as ``algorithms[0].budget=10``.

    Raises
    ------
    ConfigError
        Listing all that is wrong.
    """
    path = Path(source)
    if not path.exists() and str(source) in bundled():
        path = _folder() / f"{source}.yaml"
    return parse_text(_text(path, str(source)), str(path), overrides, path.parent)


def parse_text(
    text: str, file_name: str = "scenario.yaml", overrides: Sequence[str] = (), folder: Path | None = None
) -> Scenario:
    """Parse a scenario from YAML text; errors name `file_name`, files are sought in `folder` first. See `load`."""
    document = yaml_lines.read(text, file_name)
    data, places = document.data, Places(file_name, document.lines)
    if not isinstance(data, Mapping):
        got = "nothing" if data is None else "a list" if isinstance(data, list) else repr(data)
        needed = "a mapping is needed, with name, problem, algorithms, stop and more"
        raise ConfigError(places.locate([Fault((), needed, got)]))
    for override in overrides:
        data, places = _override(data, places, override)
    return _parse(data if folder is None else in_full(data, folder), places)


def points(scenario: Scenario) -> list[Point]:
    """Return every combination of the swept values, the last key changing fastest.

    Returns
    -------
    At least one; each scenario is checked and has no sweep.
    """
    return _expand(scenario)[0] if scenario.sweep else [Point("", scenario)]


def bundled() -> tuple[str, ...]:
    """Return the names of the scenarios that come with netsim, such as ``quickstart``."""
    return tuple(name for name in _files() if not name.startswith("probe/"))


def channels() -> dict[str, Path]:
    """Return the channel files that come with netsim for ``netsim probe``, by name, such as ``probe/tcp``."""
    return {name: file for name, file in _files().items() if name.startswith("probe/")}


def _files() -> dict[str, Path]:
    folder = _folder()
    found = {file.relative_to(folder).with_suffix("").as_posix(): file for file in folder.rglob("*.yaml")}
    return dict(sorted(found.items()))


def check_data(scenario: Scenario, opener: Callable[[Scenario], Problem] | None = None) -> None:
    """Open each distinct problem of a scenario, so that what is wrong with its data is said before anything runs.

    `opener` opens a point's problem, for a caller that keeps what is opened.

    Raises
    ------
    ConfigError
        With the file and line of the problem's dataset.
    """
    opened: list[tuple[Any, int, frozenset[str], Mapping[str, float]]] = []
    faults: list[Fault] = []
    every_point = points(scenario)
    targets = {metric for point in every_point for metric in point.scenario.stop.target}
    for point in every_point:
        problem, seed, places = point.scenario.problem, point.scenario.seed, point.scenario._places
        found = next(((names, start) for p, s, names, start in opened if s == seed and p == problem), None)
        if found is None:
            known, at_start = frozenset[str](), dict[str, float]()
            try:
                live = (opener or Scenario.open_problem)(point.scenario)
                known = live.metric_names | getattr(live, "joint_metric_names", frozenset())
                known |= {"accuracy"} if "train_accuracy" in known else set()
                faults += places.locate(list(problem_faults(live, point.scenario.algorithms)))
                faults += places.locate(list(optimum_faults(live)))
                at_start = start_metrics(live, targets)
            except ConfigError as error:
                faults += places.locate([dataclasses.replace(f, path=("problem", *f.path)) for f in error.faults])
            except MemoryError as error:
                faults += places.locate(
                    [Fault(("problem",), f"a problem that fits into memory: {error or 'too large'}")]
                )
            except (DataError, OSError) as error:
                path = ("problem", "dataset") if hasattr(problem, "dataset") else ("problem",)
                faults += places.locate([Fault(path, " ".join(str(error).split()).rstrip("."))])
            found = known, at_start
            opened.append((problem, seed, *found))
        try:
            nodes = range(problem.nodes)
            devices(point.scenario.compute, nodes, nodes, lambda _: np.random.default_rng(0))
        except DataError as error:
            faults += places.locate([Fault(("compute", "devices"), str(error).rstrip("."))])
        try:
            availability = point.scenario.network.availability
            if availability is not None and availability.path is not None:
                availability_module.read(availability, problem.nodes)
        except DataError as error:
            faults += places.locate([Fault(("network", "availability"), str(error).rstrip("."))])
        if found[0]:
            more = more_metrics(point.scenario.network, point.scenario.algorithms)
            faults += places.locate(list(metric_faults(point.scenario.stop, [*sorted(found[0]), *more])))
            faults += places.locate(list(start_faults(point.scenario.stop, found[1])))
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))


def _folder() -> Path:
    installed = Path(__file__).parents[1] / "scenarios"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "scenarios"


def _text(path: Path, source: str) -> str:
    def fault(allowed: str, got: str, nearest: str = "") -> ConfigError:
        return ConfigError([Fault((), allowed, got, nearest, origin=source)])

    if not path.is_file():
        allowed = f"a YAML file is needed, or a bundled scenario: {', '.join(bundled()) or 'there are none'}"
        got = "a folder" if path.is_dir() else "something else" if path.exists() else "no such file"
        raise fault(allowed, got, nearest_name(source.removesuffix(".yaml"), bundled()))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise fault(f"a file of at most {MAX_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault("a text in UTF-8 is needed", f"byte 0x{error.object[error.start]:02x} at {error.start}") from None
    except OSError as error:
        raise fault("a file that can be read", str(error.strerror)) from None


def _override(data: Any, places: Places, text: str) -> tuple[Any, Places]:
    key, equals, value = text.partition("=")
    key, origin = key.strip(), f"-s {text}"
    path: Where = ("sweep", key[len("sweep.") :]) if key.startswith("sweep.") else sweep_module.split(key)
    if not equals or not path:
        raise ConfigError([Fault((), "key.path=value is needed", repr(text), origin=origin)])
    try:
        changed = sweep_module.put(data, path, yaml_lines.read(value, origin).data)
    except ConfigError as error:
        raise ConfigError([dataclasses.replace(f, path=path, origin=origin) for f in error.faults]) from None
    except LookupError as error:
        raise ConfigError([Fault(path, str(error), origin=origin)]) from None
    origins = {old: said for old, said in places.origins.items() if old[: len(path)] != path}
    return changed, dataclasses.replace(places, origins={path: origin, **origins})


def _parse(data: Mapping[str, Any], places: Places) -> Scenario:
    entries, faults = _entries(data.get("algorithms"))
    network = data.get("network")
    ready = {**data, **({"algorithms": entries} if "algorithms" in data else {})}
    if isinstance(network, Mapping) and "topology" in network:
        ready["network"] = {**network, "topology": _topology(network["topology"])}
    values, more = parse_fields(Scenario, ready)
    faults = [*more, *faults]
    if faults:
        raise ConfigError(places.locate([*faults, *cross_faults({**_defaults(ready), **values})]))
    return Scenario(**values, _places=places)


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    blank = [f for f in dataclasses.fields(Scenario) if f.name not in given]
    plain = {f.name: f.default for f in blank if f.default is not dataclasses.MISSING}
    return plain | {f.name: f.default_factory() for f in blank if f.default_factory is not dataclasses.MISSING}


def _entries(items: object) -> tuple[Any, list[Fault]]:
    """Parse the labelled algorithms; a faulty one keeps its label, for the checks of the others."""
    if not isinstance(items, list | tuple):
        return items, []
    entries, faults = [], []
    for i, item in enumerate(items):
        if isinstance(item, Entry):
            entries.append(item)
            continue
        name, label, config, algorithm = item, item, item, None
        if isinstance(item, Mapping) and "name" in item:
            name, label = item["name"], item.get("label", item["name"])
            config = {key: value for key, value in item.items() if key != "label"}
        if not isinstance(label, str) and label is not name:
            faults.append(text_fault(("algorithms", i, "label"), label))
        try:
            algorithm = build_component("algorithm", config, ("algorithms", i))
        except ConfigError as error:
            faults += error.faults
        entries.append(Entry(str(label), algorithm))
    return entries, faults


def _topology(config: object) -> object:
    if isinstance(config, str):
        return {"name": config}
    if isinstance(config, Mapping) and "name" not in config:
        if "edges" in config or isinstance(config.get("schedule"), list):
            return {"name": "edges", **config}
        if "path" in config:
            return {"name": "file", **config}
    return config


def _plain(scenario: Scenario) -> dict[str, Any]:
    first = ("name", "question", "source", "finding", "seed", "replications", "problem", "dtype", "network", "compute")
    plain = dump(scenario)
    plain["algorithms"] = [
        {"name": config.pop("name"), "label": entry.label, **config}
        for entry, config in ((entry, dump(entry.algorithm)) for entry in scenario.algorithms)
    ]
    return {**{key: plain[key] for key in first}, **plain}


def _sweep_faults(sweep: Mapping[str, Sequence[Any]], plain: Mapping[str, Any]) -> Iterator[Fault]:
    keys = {key: sweep_module.split(key) for key in sweep}
    for key, path in keys.items():
        where = ("sweep", key)
        if not path or path[0] not in SWEEPABLE:
            root = str(path[0]) if path else key
            allowed = f"a path that begins with one of {', '.join(SWEEPABLE)}"
            yield Fault(where, allowed, repr(key), nearest_name(root, SWEEPABLE))
            continue
        if not sweep[key]:
            yield Fault(where, "at least one value", "an empty list")
        seen = set[str]()
        for i, text in enumerate(map(repr, sweep[key])):  # 1 and 1.0 may be different values of the key
            if text in seen:
                yield Fault((*where, i), "each value once", text)
            seen.add(text)
        for i, value in enumerate(sweep[key]):
            if isinstance(value, Mapping) and not isinstance(value.get("label", ""), str):
                yield text_fault((*where, i, "label"), value["label"])
        for other, inner in keys.items():
            if other != key and inner[: len(path)] == path:
                yield Fault(("sweep", other), "swept paths of which none contains another", f"{other!r} within {key!r}")
        try:
            sweep_module.put(plain, path, None)
        except LookupError as error:
            yield Fault(where, str(error), repr(key))
    size = math.prod(len(values) for values in sweep.values())
    if size > MAX_POINTS:
        yield Fault(("sweep",), f"at most {MAX_POINTS} points", str(size))


def _expand(scenario: Scenario) -> tuple[list[Point], list[Fault]]:
    """Return all points, and the faults of those that are invalid."""
    plain, places = _plain(scenario), scenario._places
    keys = [sweep_module.split(key) for key in scenario.sweep]
    faults = list(_sweep_faults(scenario.sweep, plain))
    if faults:
        return [], faults
    # Parts that are not swept have been checked.
    roots = {path[0] for path in keys}
    parts = {name: plain[name] if name in roots else getattr(scenario, name) for name in plain} | {"sweep": {}}
    found: list[Point] = []
    texts = sweep_module.names(keys, list(scenario.sweep.values()))
    cells = sweep_module.columns(keys, list(scenario.sweep.values()))
    choices = [list(enumerate(values)) for values in scenario.sweep.values()]
    for chosen in itertools.product(*choices):
        data, origins = parts, {}
        name = ", ".join(texts[k][i] for k, (i, _) in enumerate(chosen))
        values = {key: cells[k][i] for k, (key, (i, _)) in enumerate(zip(scenario.sweep, chosen, strict=True))}
        for key, path, (i, value) in zip(scenario.sweep, keys, chosen, strict=True):
            origins[path] = places.origin(("sweep", key, i))
            # A label in a swept mapping names the point; that of a whole algorithm is its own.
            if isinstance(value, Mapping) and not (path[0] == "algorithms" and len(path) == 2):
                value = {k: v for k, v in value.items() if k != "label"}
            data = sweep_module.put(data, path, value)
        try:
            point = _parse(data, dataclasses.replace(places, origins={**origins, **places.origins}))
            found.append(Point(name, point, values))
        except ConfigError as error:
            for fault in error.faults:
                swept = any(fault.path[: len(path)] == path for path in keys)
                allowed = fault.allowed if swept else f"at the sweep point {name}: {fault.allowed}"
                faults.append(dataclasses.replace(fault, allowed=allowed))
    return found, list(dict.fromkeys(faults))
