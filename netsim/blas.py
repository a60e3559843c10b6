"""Which kernels the BLAS of numpy uses in this process."""

from __future__ import annotations

import functools
import platform

import numpy as np


@functools.cache
def kernels() -> str:
    """Return the library, its version and its kernels, such as ``openblas 0.3.31 Haswell``.

    Kernels of other processors add in other orders, so that sums differ in their last bits. OpenBLAS chooses by the
    processor or by the variable OPENBLAS_CORETYPE; a library that does not say what it chose counts with the processor.
    """
    from threadpoolctl import threadpool_info

    # In the order in which they were loaded: the first one is numpy's, imported above.
    found = next((library for library in threadpool_info() if library["user_api"] == "blas"), None)
    if found is None:
        return f"numpy {np.__version__} {platform.processor()}"
    return f"{found['internal_api']} {found['version']} {found.get('architecture') or platform.processor()}"
