"""Results that take long, kept on disk between runs; a damaged file is as good as none."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from netsim import blas
from netsim.interfaces import Floats, Optimum

_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """Return the folder that NETSIM_CACHE names, else ``~/.cache/netsim``."""
    named = os.environ.get("NETSIM_CACHE")
    return Path(named) if named else Path("~/.cache/netsim").expanduser()


def cache_key(*facts: object) -> str:
    """Return a hash of `facts` and of what else decides a result: this package, numpy, its BLAS, scipy, processor.

    Parameters
    ----------
    facts
        Texts and numbers; data by a digest of their content.
    """
    return hashlib.sha256(repr((facts, _code())).encode()).hexdigest()


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
    path = cache_folder() / f"{key}.f64"
    kept = _read(path)
    if kept is None or kept.size != size:
        kept = compute()
        _write(path, kept.astype("<f8").tobytes())
    return kept


def remembered_optimum(problem: Any, find: Callable[[], tuple[Floats, float]], *facts: object) -> Optimum:
    """Return the optimum of a problem, whose minimiser and error `find` computes, kept by `cache_key` of the facts."""
    kept = remembered(cache_key(*facts), problem.dim + 1, lambda: np.append(*find()))
    at = kept[:-1].copy()
    return Optimum(at, problem.loss(at), float(kept[-1]))


@functools.cache
def _code() -> str:
    whole = hashlib.sha256(f"{platform.machine()} {blas.kernels()}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        whole.update(file.name.encode() + file.read_bytes())
    for package in ("numpy", "scipy"):
        whole.update(importlib.metadata.version(package).encode())
    return whole.hexdigest()


def _read(path: Path) -> Floats | None:
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
