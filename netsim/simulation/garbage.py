"""Python's collection of garbage during a run."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

_LONG_S = 1.0  # some ten times as long as a collection takes


@contextlib.contextmanager
def old_objects_left_alone() -> Iterator[None]:
    """Let no garbage collection of a run look at what was there before: imported modules and loaded data stay.

    After a run that was long enough to pay for it, what earlier runs left is collected: their agents' vectors are in
    circles, and Python counts objects, not bytes.
    """
    began_s = time.perf_counter()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if time.perf_counter() - began_s > _LONG_S:
            gc.collect()
