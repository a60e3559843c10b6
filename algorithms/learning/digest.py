"""Hashes of all that a computed result depends on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt


def digest_of(facts: tuple[Any, ...], buffers: Sequence[npt.NDArray[Any]]) -> str:
    """The key of a result for `algorithms.learning.cache.remembered`.

    Parameters
    ----------
    facts
        The method, its version, and numbers that the result depends on.
    buffers
        C-contiguous arrays that it depends on, hashed with their shapes. The versions of numpy and scipy and the
        machine's architecture come on top.

    Examples
    --------
    >>> len(digest_of(("newton", 1), [np.zeros(3)]))
    64
    """
    digest = hashlib.sha256(repr((*facts, np.__version__, version("scipy"), platform.machine())).encode())
    for buffer in buffers:
        digest.update(repr((buffer.shape, buffer.dtype.str)).encode())
        digest.update(buffer.data)
    return digest.hexdigest()
