"""What decides the bytes of a run, by content: values, files and source code."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pickle
import platform
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netsim import __version__, blas, registry
from netsim.errors import ConfigError
from netsim.files import places, sha256
from netsim.imports import OURS, local_modules, package_files, source_of, third_party

LIBRARIES = ("numpy", "scipy", "numba", "scikit-learn", "simpy", "networkx")


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


# --- values ------------------------------------------------------------------------------------------


def digest(value: object) -> str:
    """Return a digest of plain data, components, arrays and sparse matrices; other objects count as they are pickled.

    A component counts with its private fields, too, which hold what it read when it was made.

    Raises
    ------
    ConfigError
        If something in it cannot be pickled.
    """
    whole = hashlib.sha256()
    _feed(whole, value)
    return whole.hexdigest()


def _feed(whole: _Hash, value: Any) -> None:
    """Add one value, with its type and size in front, so that no two sequences of values look alike."""
    if value is None or isinstance(value, bool | int | float | str | bytes | Path):
        _mark(whole, type(value).__name__, repr(value))
    elif isinstance(value, Mapping):
        _mark(whole, "mapping", len(value))
        for key in sorted(value, key=repr):
            _feed(whole, key)
            _feed(whole, value[key])
    elif isinstance(value, list | tuple):
        _mark(whole, "list", len(value))
        for item in value:
            _feed(whole, item)
    elif isinstance(value, set | frozenset):
        _feed(whole, sorted(map(digest, value)))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _mark(whole, type(value).__module__, type(value).__qualname__)
        _feed(whole, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        array = np.ascontiguousarray(value)
        _mark(whole, "array", array.dtype.str, array.shape)
        whole.update(array.reshape(-1).view(np.uint8).data)
    elif hasattr(value, "tocsr"):
        rows = value.tocsr()
        _mark(whole, "sparse", rows.shape)
        _feed(whole, [rows.indptr, rows.indices, rows.data])
    else:
        try:
            pickled = pickle.dumps(value, protocol=5)
        except Exception as error:
            what = f"a {type(value).__name__} in a scenario has no content that can be told from another's"
            raise ConfigError(f"{what}: {type(error).__name__}: {error}") from error
        _mark(whole, "object", len(pickled))
        whole.update(pickled)


def _mark(whole: _Hash, *texts: object) -> None:
    whole.update(json.dumps([str(text) for text in texts]).encode())


# --- files -------------------------------------------------------------------------------------------


def files_of(value: object) -> list[str]:
    """Return the files that a component and all components in it read, in the order of their keys.

    A component names them in ``files()``. One that does not is asked for ``found()``, as datasets are, and for keys
    ``path`` and ``..._path`` that name a file in the working folder or below the folder NETSIM_DATA.
    """
    found = list[Path]()
    for part in _dataclasses(value):
        if hasattr(part, "files"):
            found += map(Path, part.files())
        else:
            here = part.found() if hasattr(part, "found") else None
            found += [here] if here is not None else []
            found += _named(part)
    flat = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return list(dict.fromkeys(str(file) for file in flat if file.is_file()))


def file_digest(file: str | Path) -> str:
    """Return the sha256 of a file, read again where its times, size or inode are others than at the last call."""
    status = os.stat(file)
    return _digest_of(str(file), status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=1024)
def _digest_of(file: str, *version: int) -> str:
    return sha256(Path(file))


def _named(part: Any) -> Iterator[Path]:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if (field.name == "path" or field.name.endswith("_path")) and isinstance(value, str) and value:
            yield from (place for place in places(value) if place.is_file())


def _dataclasses(value: object) -> Iterator[Any]:
    """Yield every dataclass in a value, from outside to inside."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in dataclasses.fields(value):
            yield from _dataclasses(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _dataclasses(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _dataclasses(item)


# --- code --------------------------------------------------------------------------------------------


@functools.cache
def code_digest() -> str:
    """Return a digest of netsim's source files, which this process has loaded, of the libraries' versions and BLAS."""
    whole = hashlib.sha256(f"{__version__} {platform.python_version()} {blas.kernels()}".encode())
    root = Path(__file__).parents[2]
    for folder in (root / "netsim", root / "algorithms", root / "channels"):
        for file in sorted(folder.rglob("*.py")):
            whole.update(f"{folder.name}/{file.relative_to(folder)}".encode() + file.read_bytes())
    for library in LIBRARIES:
        whole.update(f"{library} {importlib.metadata.version(library)}".encode())
    return whole.hexdigest()


def sources_of(value: object, plugins: Iterable[str] = ()) -> dict[str, str]:
    """Return digests of source code that is not netsim's: of the files of components' classes, and of plugins.

    Returns
    -------
    Name of a file or library to the digest of the file, or to the library's version. The local modules that a file
    imports are in it, and so are the libraries. A class that no file defines, such as one of a notebook, counts with
    its compiled functions.

    Raises
    ------
    ConfigError
        If a plugin's file has changed since this process loaded it.
    """
    found, starts = dict[str, str](), dict.fromkeys(Path(plugin).resolve() for plugin in plugins)
    for cls in dict.fromkeys(type(part) for part in _dataclasses(value)):
        if cls.__module__.partition(".")[0] in OURS:
            continue
        file = source_of(cls.__module__)
        if file is None:
            found[f"{cls.__module__}.{cls.__qualname__}"] = digest(list(_code(cls)))
        else:
            starts[file] = None
    loaded = registry.loaded_files()
    for start in starts:
        for file in (f for module in (start, *local_modules(start).values()) for f in package_files(module)):
            found[str(file)] = file_digest(file)
            if loaded.get(str(file), found[str(file)]) != found[str(file)]:
                raise ConfigError(f"{file}: the file has changed since it was loaded; start Python anew")
        found |= {name: _version(name) for name in third_party(start)}
    return found


def _code(value: Any) -> Iterator[Any]:
    """Yield what the functions of a class consist of."""
    for name, member in vars(value).items():
        function = getattr(member, "__func__", member)
        if isinstance(function, types.FunctionType):
            yield [name, *_plain(function.__code__)]


def _plain(code: types.CodeType) -> Iterator[Any]:
    yield from (code.co_code, list(code.co_names))
    for constant in code.co_consts:
        yield list(_plain(constant)) if isinstance(constant, types.CodeType) else repr(constant)


def _version(library: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(library)
    return str(getattr(sys.modules.get(library), "__version__", ""))
