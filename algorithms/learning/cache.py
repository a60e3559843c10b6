"""Results that take long, kept on disk between runs; a damaged file is as good as none."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netsim import blas
from netsim.imports import local_modules, source_of

_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """Return the folder that NETSIM_CACHE names, else ``~/.cache/netsim``."""
    named = os.environ.get("NETSIM_CACHE")
    return Path(named) if named else Path("~/.cache/netsim").expanduser()


def cache_key(*facts: object, owner: object = None) -> str:
    """Return a hash of `facts` and of what else decides a result: these packages, numpy, its BLAS, scipy, processor.

    Parameters
    ----------
    facts
        Texts and numbers; data by a digest of their content.
    owner
        The problem: where its class, or one that it extends, is not of this project, its file and the local modules
        that this imports count as they are now; a class without a file finds nothing that was kept.
    """
    return hashlib.sha256(repr((facts, _code(), *_sources(type(owner)))).encode()).hexdigest()


def remembered(key: str, size: int, compute: Callable[[], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the vector `compute()`, from the file `key` where that is there and whole.

    Parameters
    ----------
    key
        See `cache_key`.
    size
        Entries of the vector; a file with another number of them counts as none.
    compute
        Called where there is no good file; its result is then written, aside first, and given its name once whole. A
        folder that cannot be written is no error.
    """
    path = cache_folder() / f"{key}.f64"
    kept = _read(path)
    if kept is None or kept.size != size:
        kept = compute()
        _write(path, kept.astype("<f8").tobytes())
    return kept


@functools.cache
def _code() -> str:
    whole = hashlib.sha256(f"{platform.machine()} {blas.kernels()}".encode())
    for folder in ("learning", "problems", "reading"):
        for file in sorted((Path(__file__).parents[1] / folder).glob("*.py")):
            whole.update(file.name.encode() + file.read_bytes())
    for package in ("numpy", "scipy"):
        whole.update(importlib.metadata.version(package).encode())
    return whole.hexdigest()


def _sources(cls: type) -> Iterator[bytes]:
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("algorithms", "netsim", *sys.stdlib_module_names):
            continue
        file = source_of(base.__module__)
        yield os.urandom(16) if file is None else f"{base.__module__}.{base.__qualname__}".encode()
        for source in () if file is None else sorted({file, *local_modules(file).values()}):
            yield hashlib.sha256(source.read_bytes()).digest()


def _read(path: Path) -> npt.NDArray[np.float64] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    return np.frombuffer(body, "<f8").astype(np.float64)


def _write(path: Path, body: bytes) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.sha256(body).digest() + body)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
