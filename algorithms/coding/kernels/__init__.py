"""Compiled loops of codecs; each has a twin in numpy, beside its caller or in the tests, that gives the same bytes.

A file is imported when its first kernel is asked for: short vectors never wait for numba.
"""

from __future__ import annotations

import importlib.util
from typing import Any


def __getattr__(name: str) -> Any:
    """Import a file of kernels."""
    if name.startswith("_") or importlib.util.find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
