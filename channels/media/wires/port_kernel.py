"""The loop of `channels.media.wires.port_loop` compiled."""

from __future__ import annotations

from collections.abc import Callable

import numba

from channels.media.wires import port_loop

process: Callable[..., int] = numba.njit(cache=True)(port_loop.process)
