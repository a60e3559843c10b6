"""A digest of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def digest_of(facts: tuple[Any, ...], arrays: Sequence[Any]) -> str:
    """Return the sha256 of facts and arrays, in hexadecimal.

    Parameters
    ----------
    facts
        Texts and numbers.
    arrays
        numpy arrays or CSR arrays of scipy; their shapes and types count. None is left out.

    Examples
    --------
    >>> digest_of((), [np.zeros(4)]) == digest_of((), [np.zeros((2, 2))])
    False
    """
    digest = hashlib.sha256(repr(facts).encode())
    for array in arrays:
        if array is not None:
            parts = (array.indptr, array.indices, array.data) if hasattr(array, "tocsr") else (array,)
            for part in parts:
                digest.update(repr((array.shape, part.shape, part.dtype.str)).encode())
                digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
