"""Uniform draws of a codec by coordinate: numpy for few, a compiled twin for many, the same numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Indices, Key
from netsim.rng import philox

COMPILED_FROM = 8192  # draws


def uniforms(key: Key, coordinates: Indices) -> npt.NDArray[np.float64]:
    """One uniform in [0, 1) of 53 bits for each coordinate.

    Word 0 of the coordinate's Philox block gives the upper 32 bits, as in `netsim.rng.uniforms`, and word 1 the
    21 below them, so that a probability far below 2**-32 is met too.

    Examples
    --------
    >>> uniforms(Key(0, 0), np.arange(2)).round(6).tolist()
    [0.399046, 0.972241]
    """
    counters = np.ascontiguousarray(coordinates).astype(np.uint64)
    if counters.size >= COMPILED_FROM:
        from algorithms.compressors import _draws_nb

        draws = np.empty(counters.size)
        _draws_nb.uniforms(np.uint64(key.key), np.uint64(key.counter), counters, draws)
        return draws
    words = philox(key.key, key.counter, counters)
    return words[:, 0] * 2.0**-32 + (words[:, 1] >> np.uint32(11)) * 2.0**-53
