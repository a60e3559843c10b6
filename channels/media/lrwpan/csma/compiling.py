"""How kernels of the contending cell are compiled.

They allocate nothing, so they are compiled without numba's run time, which would count references to every table at
every call: with it the benchmarks of a contending cell take four to five times as long. The option has no public name
in numba; tests/channels/test_compiled_cell.py fails when numba no longer knows it.
"""

from __future__ import annotations

from netsim import compiling

WITHOUT_COUNTING = {"_nrt": False}

outer = compiling.kernel(**WITHOUT_COUNTING)
inner = compiling.inlined(**WITHOUT_COUNTING)
