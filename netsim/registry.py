"""Components by name: one file each, found by its file's name, imported when first wanted.

A component is a frozen dataclass under ``@component(kind)``: its fields are its YAML keys, its ``examples``
feed the contract tests and the docs. Nothing is listed by hand.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
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
    "channel": "channels",
    "energy": "channels.energy",
    "cost": "channels.costs",
}

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
        name = cls.__module__.rpartition(".")[2]
        cls.kind, cls.name = kind, name
        _classes[kind, name] = cls
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
    files = {f.stem for f in _folder(PACKAGES[kind]).glob("*.py") if not f.stem.startswith("_")}
    return tuple(sorted(files | {e.name for e in _entry_points(kind)} | {n for k, n in _classes if k == kind}))


def get(kind: str, name: str) -> type:
    """The class of one component, imported now if it was not.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if (kind, name) not in _classes:
        if name not in names(kind):
            raise UnknownNameError([unknown_name(kind, name)])
        entry = next((e for e in _entry_points(kind) if e.name == name), None)
        module = entry.load().__module__ if entry else f"{PACKAGES[kind]}.{name}"
        importlib.import_module(module)
        if entry:
            _classes[kind, name] = entry.load()
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
    TopK(k=10, fraction=None, float_bit=32)
    """
    from netsim.fields import build_component

    return build_component(kind, config)


def load_plugin(file: str | Path) -> None:
    """Import one Python file whose components become known under the file's name.

    Raises
    ------
    ConfigError
        If there is no such file, it fails, or it defines no component.
    """
    path = Path(file)
    spec = importlib.util.spec_from_file_location(f"netsim_plugins.{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"--plugin: a Python file is needed. Got {str(file)!r}")
    before = dict(_classes)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"--plugin {file}: {type(error).__name__}: {error}") from error
    if _classes == before:
        raise ConfigError(f"--plugin {file}: no class under @component(kind) in it")


def _check_kind(kind: str) -> None:
    if kind not in PACKAGES:
        allowed = f"no such kind of component; there are {', '.join(PACKAGES)}"
        raise UnknownNameError([Fault(("kind",), allowed, repr(kind), nearest_name(kind, PACKAGES))])


def _entry_points(kind: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=f"netsim.{kind}"))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    ours = Path(__file__).resolve().parents[1]
    if folder is None or not folder.resolve().is_relative_to(ours):
        top = package.partition(".")[0]
        where = folder or "nothing"
        raise ConfigError(f"the import name {top!r} belongs to {where}; install netsim-learn in a fresh environment")
    return folder
