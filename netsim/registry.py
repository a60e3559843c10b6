"""Components by name: one file each, found by its file's name, imported when first wanted.

A component is a frozen dataclass under ``@component(kind)``: its fields are its YAML keys, its ``examples``
feed the contract tests and the docs. Nothing is listed by hand.

Names: in netsim's own folders a component is named after its file. In a plugin, too, where it is the only one of its
kind in the file; of several, each is named after its class in snake_case. ``@component(kind, name="my_name")`` names
it otherwise. Two components of one kind and name are an error.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from netsim.errors import ConfigError, Fault, UnknownNameError, nearest_name
from netsim.imports import OURS, helpers, package_files

C = TypeVar("C", bound=type)
Examples: TypeAlias = tuple[Mapping[str, Any], ...]  # keys of each, without the name

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
_unnamed: dict[tuple[str, str], dict[str, type]] = {}  # by kind and module: classes without a name of their own
_plugin_files: dict[str, dict[str, str]] = {}  # by module: files of the plugin and its helpers, and their sha256


def component(kind: str, name: str | None = None) -> Callable[[C], C]:
    """Return the class decorator that makes a class a component.

    Parameters
    ----------
    kind
        One of `PACKAGES`.
    name
        An identifier. None: the name of the file, or of the class in snake_case where the file has several components
        of that kind without names.

    Raises
    ------
    ConfigError
        If `name` is no identifier, the file has another component of that kind and name, or the file lies in
        netsim's own folder of the kind and should name the component alone.
    """
    _check_kind(kind)
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise ConfigError(f"@component({kind!r}): a name of letters, digits and _ is needed. Got {name!r}")

    def register(cls: C) -> C:
        module = cls.__module__
        stem = module.rpartition(".")[2]
        if name is not None:
            _enter(kind, name, cls)
        else:
            unnamed = _unnamed.setdefault((kind, module), {})
            unnamed[cls.__qualname__] = cls
            for one in unnamed.values():
                _enter(kind, stem if len(unnamed) == 1 else _snake_case(one.__name__), one)
        if module == f"{PACKAGES[kind]}.{stem}" and _classes.get((kind, stem)) is not cls:
            raise ConfigError(f"{module}: a file here has one {kind}, which is named after it. Got {cls.__name__}")
        return cls

    return register


def names(kind: str) -> tuple[str, ...]:
    """Return all names of a kind, sorted: our files, installed entry points (``netsim.KIND``) and plugins.

    Examples
    --------
    >>> "top_k" in names("compressor")
    True
    """
    _check_kind(kind)
    return tuple(sorted(_files(kind) | {e.name for e in _entry_points(kind)} | {n for k, n in _classes if k == kind}))


def get(kind: str, name: str) -> type:
    """Return the class of one component, imported now if it was not.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    ConfigError
        If it cannot be imported.
    """
    if (kind, name) not in _classes:
        module = f"{PACKAGES[kind]}.{name}"
        load: Callable[[], object] = functools.partial(_own, kind, name)
        if name not in _files(kind):
            entry = next((e for e in _entry_points(kind) if e.name == name), None)
            if entry is None:
                raise UnknownNameError([unknown_name(kind, name)])
            module, load = entry.value, entry.load
        try:
            loaded = load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"the {kind} {name!r} cannot be imported: {error}") from error
        if not isinstance(loaded, type):
            raise ConfigError(f"the module {module} has no class under @component({kind!r})")
        _enter(kind, name, loaded)
    return _classes[kind, name]


def unknown_name(kind: str, name: object, path: tuple[str | int, ...] = ()) -> Fault:
    """Return the fault that names what exists."""
    known = names(kind)
    allowed = f"no {kind} of that name; there are {', '.join(known)}"
    return Fault(path or (kind,), allowed, repr(name), nearest_name(str(name), known))


def build(kind: str, config: Mapping[str, Any] | str) -> Any:
    """Return a component made from its configuration.

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
    TopK(float_bit=32, index='fixed', k=10, fraction=None)
    """
    from netsim.scenario.parsing import build_component

    return build_component(kind, config)


def load_plugin(file: str | Path, option: str = "--plugin") -> None:
    """Import one Python file whose components become known; see the module's text for their names.

    A file that is already loaded stays as it is, so that its components keep their class. Its folder goes to the end
    of ``sys.path``, for modules beside it that it imports.

    Raises
    ------
    ConfigError
        If there is no such file, its name or that of a component is taken, a module beside it that it imports is
        hidden by another one, it fails, or it defines no component.
    """
    path = Path(file).resolve()
    name = f"{_PLUGINS}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"{option}: a Python file is needed. Got {str(file)!r}")
    if name in sys.modules:
        if sys.modules[name].__file__ == str(path):
            return
        raise ConfigError(f"{option} {file}: another plugin file has this name, {sys.modules[name].__file__}")
    # Its parent must be there too: pickle finds a class by importing both.
    sys.modules.setdefault(_PLUGINS, types.ModuleType(_PLUGINS))
    module = importlib.util.module_from_spec(spec)
    before, beside, is_new_place = dict(_classes), dict[str, Path](), str(path.parent) not in sys.path
    if is_new_place:
        sys.path.append(str(path.parent))
    try:
        beside = helpers(path)
        _check_imports(beside)
        read = [file for module in (path, *beside.values()) for file in package_files(module)]
        digests = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in read}
        for kind in PACKAGES:
            _unnamed.pop((kind, name), None)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        mine = _new(name, beside, before)
        if not any(cls.__module__ == name for cls in mine.values()):
            raise ConfigError("no class under @component(kind) in it")
        _forget(mine, before)
        for kind, own in mine:
            if own in names(kind):
                how = f"rename the file, or name the class: @component({kind!r}, name=...)"
                raise ConfigError(f"{kind} {own!r} exists already; {how}")
        _classes.update(mine)
        _plugin_files[name] = digests
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _forget(_new(name, beside, before), before)
        sys.modules.pop(name, None)
        if is_new_place:
            sys.path.remove(str(path.parent))
        what = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{option} {file}: {what}") from error


def components_of(file: str | Path, option: str = "--plugin") -> list[tuple[str, str]]:
    """Return kind and name of every component in a file, which is loaded as a plugin where it is not one of netsim's.

    Raises
    ------
    ConfigError
        As `load_plugin`.
    """
    path = Path(file).resolve()
    ours = [kind for kind in PACKAGES if path.stem in _files(kind) and path.parent == _folder(PACKAGES[kind])]
    if ours:
        return [(kind, path.stem) for kind in ours]
    load_plugin(file, option)
    return [key for key, cls in _classes.items() if cls.__module__ == f"{_PLUGINS}.{path.stem}"]


def loaded_files() -> dict[str, str]:
    """Return every file of a loaded plugin and of the modules beside it, with its sha256 when it was loaded."""
    return {file: digest for files in _plugin_files.values() for file, digest in files.items()}


def place(error: BaseException, module: str = "") -> str:
    """Return ``FILE:LINE`` of where an error was raised, as far as it is the business of whoever wrote a component.

    `module` counts as a component's, such as an agent's.

    Returns
    -------
    The innermost frame in a plugin, else in another component's file, else the innermost of all; '' without any.
    """
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    plugins, others = set[str]().union(*_plugin_files.values()), set[str]()
    for name in (module, *(cls.__module__ for cls in _classes.values())):
        top = name.partition(".")[0]
        if top != "netsim":  # drivers and checks of netsim wrap agents and never cause the fault
            files = others if top in OURS else plugins
            files.add(str(getattr(sys.modules.get(name), "__file__", "")))
    for chosen in (plugins, others, {file for file, _ in frames}):
        for file, line in reversed(frames):
            if file in chosen:
                return f"{Path(file).name}:{line}"
    return ""


def _enter(kind: str, name: str, cls: type) -> None:
    """Make a class known by a name, and by no other."""
    for key in [key for key, known in _classes.items() if known is cls]:
        del _classes[key]
    other = _classes.get((kind, name))
    if other is not None and other.__module__ == cls.__module__ and other.__qualname__ != cls.__qualname__:
        two = f"{other.__name__} and {cls.__name__} are both the {kind} {name!r}"
        raise ConfigError(f"{two}; name one of them: @component({kind!r}, name=...)")
    made: Any = cls
    made.kind, made.name = kind, name
    _classes[kind, name] = cls


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _own(kind: str, name: str) -> type | None:
    """Return the class in netsim's own file of that name."""
    importlib.import_module(f"{PACKAGES[kind]}.{name}")
    module = sys.modules[f"{PACKAGES[kind]}.{name}"]
    mine = (c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__)
    return next((c for c in mine if getattr(c, "kind", None) == kind), None)


def _check_imports(beside: Mapping[str, Path]) -> None:
    """Refuse the names of files beside a plugin that would import something else."""
    importlib.invalidate_caches()
    for name, file in beside.items():
        try:
            spec = importlib.util.find_spec(name)
        except ValueError:  # such as __main__
            spec = None
        found = spec.origin if spec is not None and spec.origin else "another module"
        if Path(found).resolve() != file:
            raise ConfigError(f"it imports {name}, which is {found} and not the file beside it; rename one of the two")


def _new(
    module: str, beside: Mapping[str, Path], before: Mapping[tuple[str, str], type]
) -> dict[tuple[str, str], type]:
    """Return the components that a plugin and the files beside it have registered since `before`."""
    known = set(before.values())
    return {
        key: cls
        for key, cls in _classes.items()
        if cls not in known and (cls.__module__ == module or cls.__module__.partition(".")[0] in beside)
    }


def _forget(keys: Iterable[tuple[str, str]], before: Mapping[tuple[str, str], type]) -> None:
    for key in list(keys):
        del _classes[key]
        if key in before:
            _classes[key] = before[key]


def _check_kind(kind: str) -> None:
    if kind not in PACKAGES:
        allowed = f"no such kind of component; there are {', '.join(PACKAGES)}"
        raise UnknownNameError([Fault(("kind",), allowed, repr(kind), nearest_name(kind, PACKAGES))])


@functools.cache
def _files(kind: str) -> frozenset[str]:
    """Return the files in a kind's folder that hold a component; a package of the same name may have others there."""
    mark = f'@component("{kind}"'.encode()
    files = _folder(PACKAGES[kind]).glob("*.py")
    return frozenset(f.stem for f in files if f.stem.isidentifier() and mark in f.read_bytes())


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
