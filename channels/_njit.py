"""How kernels of the contending cell are compiled."""

from __future__ import annotations

from typing import Any

import numba

# Nothing is allocated in them: numba's run time would count references to all tables at every call, half of the time.
_njit: Any = numba.njit
outer = _njit(cache=True, _nrt=False)
inner = _njit(cache=True, _nrt=False, no_cpython_wrapper=True, forceinline=True)
