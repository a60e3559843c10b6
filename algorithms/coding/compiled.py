"""When a compiled kernel pays: from some size on, and from a smaller one once numba is there anyway."""

from __future__ import annotations

import sys

_LOADED_PART = 128  # loading numba costs as much as so many times the smallest work that pays


def pays(count: int, compiled_from: int) -> bool:
    """Whether the kernels are used for so many values; their twins in numpy give the same bytes.

    Parameters
    ----------
    compiled_from
        From here on they are used even if numba must be loaded first.
    """
    return count >= (compiled_from // _LOADED_PART if "numba" in sys.modules else compiled_from)
