"""Components by name: one file each, found by its file's name, imported when first wanted.

A component is a frozen dataclass under ``@component(kind)``: its fields are its YAML keys, its ``examples``
feed the contract tests and the docs. Nothing is listed by hand.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from netsim.errors import ConfigError, Fault, UnknownNameError, nearest_name

C = TypeVar("C", bound=type)

PACKAGES = {
    "problem": "algorithms.problems",
    "dataset": "algorithms.datasets",
    "partition": "algorithms.partitions",
    "compressor": "algorithms.compressors",
    "algorithm": "algorithms.agents",
    "step": "algorithms.steps",
    "channel": "channels.links",
    "energy": "channels.energy",
    "radio_policy": "channels.policies",
    "mac": "channels.macs",
    "path_loss": "channels.path_losses",
    "cost": "channels.costs",
}

_PLUGINS = "netsim_plugins"

_classes: dict[tuple[str, str], type] = {}


def component(kind: str) -> Callable[[C], C]:
    """Class decorator: this is the component of its kind that its file is named after.

    Parameters
    ----------
    kind
        One of `PACKAGES`.
    """
    _check_kind(kind)

    def register(cls: C) -> C:
        made: Any = cls
        made.kind, made.name = kind, cls.__module__.rpartition(".")[2]
        _classes[kind, made.name] = cls
        return cls

    return register


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind, sorted: our files, installed entry points (``netsim.KIND``) and plugins.

    Examples
    --------
    >>> "top_k" in names("compressor")
    True
    """
    _check_kind(kind)
    return tuple(sorted(_files(kind) | {e.name for e in _entry_points(kind)} | {n for k, n in _classes if k == kind}))


def get(kind: str, name: str) -> type:
    """The class of one component, imported now if it was not.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if (kind, name) not in _classes:
        if name in _files(kind):
            module, loaded = f"{PACKAGES[kind]}.{name}", None
            try:
                found = importlib.import_module(module)
            except ImportError as error:
                raise ConfigError(f"the {kind} {name!r} cannot be imported: {error}") from error
            mine = (c for c in vars(found).values() if isinstance(c, type) and c.__module__ == module)
            loaded = next((c for c in mine if getattr(c, "kind", None) == kind), None)
        else:
            entry = next((e for e in _entry_points(kind) if e.name == name), None)
            if entry is None:
                raise UnknownNameError([unknown_name(kind, name)])
            module, loaded = entry.module, entry.load()
        if loaded is not None:
            _classes[kind, name] = loaded
        if (kind, name) not in _classes:
            raise ConfigError(f"the module {module} has no class under @component({kind!r})")
    return _classes[kind, name]


def unknown_name(kind: str, name: object, path: tuple[str | int, ...] = ()) -> Fault:
    """The fault that names what exists."""
    known = names(kind)
    allowed = f"no {kind} of that name; there are {', '.join(known)}"
    return Fault(path or (kind,), allowed, repr(name), nearest_name(str(name), known))


def build(kind: str, config: Mapping[str, Any] | str) -> Any:
    """A component from its configuration.

    Parameters
    ----------
    kind
        One of `PACKAGES`.
    config
        A mapping with ``name`` and the component's keys, or its name alone.

    Raises
    ------
    ConfigError
        Listing all that is wrong.

    Examples
    --------
    >>> build("compressor", {"name": "top_k", "k": 10})
    TopK(k=10, fraction=None, float_bit=32, index='fixed')
    """
    from netsim.scenario.parsing import build_component

    return build_component(kind, config)


def load_plugin(file: str | Path) -> None:
    """Import one Python file whose components become known under the file's name.

    A file that is already loaded stays as it is, so that its components keep their class.

    Raises
    ------
    ConfigError
        If there is no such file, its name is taken, it fails, or it defines no component.
    """
    path = Path(file).resolve()
    name = f"{_PLUGINS}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"--plugin: a Python file is needed. Got {str(file)!r}")
    if name in sys.modules:
        if sys.modules[name].__file__ == str(path):
            return
        raise ConfigError(f"--plugin {file}: another plugin file has this name, {sys.modules[name].__file__}")
    # Its parent must be there too: pickle finds a class by importing both.
    sys.modules.setdefault(_PLUGINS, types.ModuleType(_PLUGINS))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    before = dict(_classes)
    try:
        spec.loader.exec_module(module)
        mine = {key: cls for key, cls in _classes.items() if cls.__module__ == name}
        if not mine:
            raise ConfigError("no class under @component(kind) in it")
        for key in mine:
            _forget(key, before)
        for kind, stem in mine:
            if stem in names(kind):
                raise ConfigError(f"{kind} {stem!r} exists already; give the file another name")
        _classes.update(mine)
    except Exception as error:
        for key in [key for key, cls in _classes.items() if cls.__module__ == name]:
            _forget(key, before)
        del sys.modules[name]
        what = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"--plugin {file}: {what}") from error


def _forget(key: tuple[str, str], before: Mapping[tuple[str, str], type]) -> None:
    del _classes[key]
    if key in before:
        _classes[key] = before[key]


def _check_kind(kind: str) -> None:
    if kind not in PACKAGES:
        allowed = f"no such kind of component; there are {', '.join(PACKAGES)}"
        raise UnknownNameError([Fault(("kind",), allowed, repr(kind), nearest_name(kind, PACKAGES))])


def _files(kind: str) -> frozenset[str]:
    return frozenset(f.stem for f in _folder(PACKAGES[kind]).glob("*.py") if not f.stem.startswith("_"))


@functools.cache
def _entry_points(kind: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=f"netsim.{kind}"))


def _folder(package: str) -> Path:
    ours = Path(__file__).resolve().parents[1]
    top = package.partition(".")[0]
    spec = importlib.util.find_spec(top)
    # Ours has no __init__.py: another package of that name may lie in the same folder, and both are found.
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    folder = ours.joinpath(*package.split("."))
    if ours / top not in places or not folder.is_dir():
        where = ", ".join(map(str, places)) or "nothing"
        raise ConfigError(f"the import name {top!r} belongs to {where}; install netsim-learn in a fresh environment")
    return folder
