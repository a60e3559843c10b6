"""How kernels of the contending cell are compiled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba

from channels.media.lrwpan import reception, timing
from channels.media.lrwpan.csma import tables

_FILES = (*Path(__file__).parent.glob("*_kernel.py"), *(Path(str(m.__file__)) for m in (tables, timing, reception)))


def outer(function: Callable[..., Any]) -> Any:
    """What Python calls."""
    return _compiled(function)


def inner(function: Callable[..., Any]) -> Any:
    """What only kernels call. It is inlined: a call would take every table as nine machine words."""
    return _compiled(function, no_cpython_wrapper=True, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    # Nothing is allocated: numba's run time would count references to all tables at every call, half of the time.
    options = {"cache": True, "_nrt": False, **options}
    compiled: Any = numba.njit(**options)(function)
    # What is compiled holds what it calls: numba looks at one file, but a change of any of them makes it stale.
    stats = [path.stat() for path in {*_FILES, Path(function.__code__.co_filename)}]
    with suppress(AttributeError):  # of numba's own, without a promise
        compiled._cache._cache_file._source_stamp = max(s.st_mtime for s in stats), sum(s.st_size for s in stats)
    return compiled
