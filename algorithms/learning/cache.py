"""Results that take long, kept on disk between runs; a damaged file is as good as none."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from netsim import blas
from netsim.files import aside
from netsim.imports import local_modules, source_of
from netsim.interfaces import Floats, Optimum

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


def remembered(key: str, size: int, compute: Callable[[], Floats]) -> Floats:
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
    content = remembered_bytes(f"{key}.f64", lambda: compute().astype("<f8").tobytes(), 8 * size)
    return np.frombuffer(content, "<f8").astype(np.float64)


def remembered_bytes(name: str, compute: Callable[[], bytes], size_bytes: int | None = None) -> bytes:
    """Return the bytes `compute()`, from the file of that name where it is there and whole; see `remembered`."""
    path = cache_folder() / name
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() == digest and size_bytes in (None, len(body)):
            return body
    body = compute()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as part:
            part.write_bytes(hashlib.sha256(body).digest() + body)
    return body


def remembered_optimum(problem: Any, find: Callable[[], tuple[Floats, float]], *facts: object) -> Optimum:
    """Return the optimum of a problem, whose minimiser and error `find` computes, kept by `cache_key` of the facts."""
    kept = remembered(cache_key(*facts, owner=problem), problem.dim + 1, lambda: np.append(*find()))
    at = kept[:-1].copy()
    return Optimum(at, problem.loss(at), float(kept[-1]))


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
